//! Owns taking the ledger's rows out of a file from elsewhere, row by row, into a fresh schema.
//!
//! Nothing of the other file's is run: only its plain tables are read, by name, column by column.
//! An authorizer refuses whatever a statement would do besides (a view has an inner name, a CHECK
//! or a generated column calls functions), and no module for virtual tables is there.

use crate::connection;
use crate::error::{Error, Result};
use crate::ledger;
use crate::migration::{self, Migrator, SCHEMA_VERSION};
use crate::record::{MAX_SAFE_INTEGER, RestoredRows, RestoredTables};
use crate::record_row::{CellWriter, Column, RecordRow, Table};
use crate::transaction;
use rusqlite::hooks::{AuthAction, AuthContext, Authorization};
use rusqlite::types::ValueRef;
use rusqlite::{Connection, OptionalExtension, ffi, params_from_iter};
use std::path::Path;

/// Opens a file from elsewhere, with nothing left in it that could run.
///
/// # Errors
///
/// SQLite's own, `SQLITE_NOTADB` among them; `SQLITE_INTERRUPT` when `must_stop` says so.
pub(super) fn open(
    path: &Path,
    must_stop: impl Fn() -> bool + Send + 'static,
) -> Result<Connection> {
    let mut source = connection::open_stranger(path)?;
    connection::stop_when(&mut source, must_stop)?;
    source.authorizer(Some(authorize))?;
    Ok(source)
}

/// Allows reading a table by its own name, counting rows, and the pragmas that are used here.
fn authorize(context: AuthContext<'_>) -> Authorization {
    let is_allowed = match context.action {
        AuthAction::Select
        | AuthAction::Transaction { .. }
        | AuthAction::Function {
            // Counting, and what version 1's defaults name; what is read has its values already.
            function_name: "count" | "CURRENT_TIMESTAMP" | "CURRENT_DATE" | "CURRENT_TIME",
        } => true,
        // What reads is a view or a trigger when it has a name.
        AuthAction::Read { .. } => context.accessor.is_none(),
        AuthAction::Pragma { pragma_name, .. } => {
            matches!(
                pragma_name,
                "quick_check" | "table_xinfo" | "schema_version"
            )
        }
        _ => false,
    };
    if is_allowed {
        Authorization::Allow
    } else {
        Authorization::Deny
    }
}

/// Makes the newest schema in `fresh` and copies the rows of `source` into it that the ledger's
/// rules accept; `report` is told of rows done and of all.
///
/// # Errors
///
/// [`Error::SchemaTooNew`]; [`Error::NotRestorable`] when a table of the ledger is missing or is
/// no plain table; `SQLITE_CORRUPT`; `SQLITE_INTERRUPT`.
pub(super) fn copy_rows(
    source: &Connection,
    fresh: &Connection,
    mut report: impl FnMut(i64, i64) -> Result<()>,
) -> Result<RestoredTables> {
    let has_history = exists(source, migration::HISTORY.name)?;
    let mut total = 0;
    for table in ledger::RECORDS {
        total += examine(source, table)?;
    }
    let mut done = 0;
    let mut on_row = || {
        done += 1;
        if done % 1024 == 0 || done == total {
            report(done, total)?;
        }
        Ok(())
    };
    Migrator::ledger().migrate(fresh)?;
    if has_history {
        examine(source, migration::HISTORY)?;
        copy_history(source, fresh)?;
    }
    let [sessions, files, errors, settings] = ledger::RECORDS;
    transaction::run(fresh, || {
        let tables = RestoredTables {
            upload_sessions: copy_table(source, fresh, sessions, &mut on_row)?,
            file_hashes: copy_table(source, fresh, files, &mut on_row)?,
            upload_errors: copy_table(source, fresh, errors, &mut on_row)?,
            config: copy_table(source, fresh, settings, &mut on_row)?,
        };
        keep_sequence(fresh, read_sequence(source)?)?;
        Ok(tables)
    })
}

fn exists(source: &Connection, name: &str) -> Result<bool> {
    let mut statement = source.prepare("SELECT name FROM sqlite_schema")?;
    let mut rows = statement.query([])?;
    while let Some(row) = rows.next()? {
        // Compared here: a collation or a function of the file's must have no part in it.
        let is_it = matches!(row.get_ref(0)?, ValueRef::Text(text) if text.eq_ignore_ascii_case(name.as_bytes()));
        if is_it {
            return Ok(true);
        }
    }
    Ok(false)
}

/// Checks that a table is a plain one, whole, with all columns; returns how many rows it has.
fn examine(source: &Connection, table: &Table) -> Result<i64> {
    let refuse = |error: Error| match error {
        Error::Sqlite { extended_code, .. } if is_about_schema(extended_code) => not_plain(
            table,
            "is missing, or is no plain table with the ledger's columns",
        ),
        other => other,
    };
    let examined = || {
        let mut statement = source.prepare(&format!("PRAGMA main.table_xinfo({})", table.name))?;
        let mut columns = statement.query([])?;
        while let Some(column) = columns.next()? {
            if column.get_ref(6)? != ValueRef::Integer(0) {
                return Err(not_plain(table, "has generated columns"));
            }
        }
        source.prepare(&select(table))?;
        let verdict: String = source.query_row(
            &format!("PRAGMA main.quick_check({})", table.name),
            [],
            |row| row.get(0),
        )?;
        // Values that the file's own schema forbids are judged row by row, by the ledger's rules.
        if verdict != "ok" && !verdict.contains(" value in ") {
            return Err(Error::Sqlite {
                extended_code: ffi::SQLITE_CORRUPT,
                message: format!("{} of the file to restore from is damaged", table.name),
            });
        }
        let count = format!("SELECT count(*) FROM main.{} NOT INDEXED", table.name);
        Ok(source.query_row(&count, [], |row| row.get(0))?)
    };
    examined().map_err(refuse)
}

/// Says whether SQLite complains about what a schema holds, rather than of the disk or damage.
fn is_about_schema(extended_code: i32) -> bool {
    matches!(
        extended_code & 0xff,
        ffi::SQLITE_ERROR | ffi::SQLITE_AUTH | ffi::SQLITE_PERM
    )
}

fn not_plain(table: &Table, problem: &str) -> Error {
    Error::NotRestorable {
        problem: format!("{} {problem}", table.name),
    }
}

/// All of a table in the order of its rowids, past any index of the file's.
fn select(table: &Table) -> String {
    format!(
        "SELECT {} FROM main.{} NOT INDEXED",
        columns(table),
        table.name
    )
}

fn columns(table: &Table) -> String {
    let names: Vec<_> = table.columns.iter().map(|Column(name, _)| *name).collect();
    names.join(", ")
}

fn insert(table: &Table) -> String {
    let places = vec!["?"; table.columns.len()].join(", ");
    format!(
        "INSERT INTO {} ({}) VALUES ({places})",
        table.name,
        columns(table)
    )
}

/// Looks at a record's columns and takes nothing of them.
struct Check;

impl CellWriter for Check {
    fn absent(&mut self) {}

    fn text(&mut self, text: &[u8]) -> Result<bool> {
        Ok(std::str::from_utf8(text).is_ok())
    }

    fn counter(&mut self, _: i64) -> Result<()> {
        Ok(())
    }
}

fn copy_table(
    source: &Connection,
    fresh: &Connection,
    table: &'static Table,
    on_row: &mut impl FnMut() -> Result<()>,
) -> Result<RestoredRows> {
    let mut read = source.prepare(&select(table))?;
    let mut write = fresh.prepare(&insert(table))?;
    let mut rows = read.query([])?;
    let mut count = RestoredRows::default();
    while let Some(row) = rows.next()? {
        on_row()?;
        if ledger::is_reserved(table, row.get_ref(0)?) {
            continue;
        }
        let is_accepted = match RecordRow::new(row, table).write(&mut Check) {
            Ok(()) => ledger::is_acceptable(table, row)?,
            Err(Error::InvalidData { .. }) => false,
            Err(other) => return Err(other),
        };
        let values = (0..table.columns.len()).map(|index| row.get_ref(index));
        let values = values.collect::<Result<Vec<_>, _>>()?;
        let values = values
            .into_iter()
            .map(rusqlite::types::ToSqlOutput::Borrowed);
        if !is_accepted {
            count.skipped += 1;
            continue;
        }
        match write.execute(params_from_iter(values)) {
            Ok(_) => count.restored += 1,
            Err(error) if is_constraint(&error) => count.skipped += 1,
            Err(error) => return Err(error.into()),
        }
    }
    Ok(count)
}

/// A key that is there twice, a record that refers to none: the ledger could not have written it.
fn is_constraint(error: &rusqlite::Error) -> bool {
    matches!(error, rusqlite::Error::SqliteFailure(failure, _)
        if failure.code == rusqlite::ErrorCode::ConstraintViolation)
}

/// Keeps when the file's schema came to be; a newer one is refused.
fn copy_history(source: &Connection, fresh: &Connection) -> Result<()> {
    let mut statement = source.prepare(&select(migration::HISTORY))?;
    let mut rows = statement.query([])?;
    let mut versions = Vec::new();
    while let Some(row) = rows.next()? {
        let record = RecordRow::new(row, migration::HISTORY);
        let version = record.counter(0)?;
        if version > SCHEMA_VERSION {
            return Err(Error::SchemaTooNew {
                found: version,
                supported: SCHEMA_VERSION,
            });
        }
        // Another tool may have left these two empty; then the present time stays.
        if let (Ok(time), Ok(description)) = (record.time(1), record.optional_text(2)) {
            versions.push((version, time, description));
        }
    }
    for (version, time, description) in versions {
        fresh.execute(
            "UPDATE schema_migrations SET applied_at = ?2, description = ?3 WHERE version = ?1",
            rusqlite::params![version, time, description],
        )?;
    }
    Ok(())
}

/// Reads the highest id that an error ever had, when it is one that leaves room for others.
pub(super) fn read_sequence(source: &Connection) -> Result<i64> {
    if !exists(source, "sqlite_sequence")? {
        return Ok(0);
    }
    let mut statement = source.prepare("SELECT name, seq FROM main.sqlite_sequence")?;
    let mut rows = statement.query([])?;
    let mut highest = 0;
    while let Some(row) = rows.next()? {
        if let (ValueRef::Text(b"upload_errors"), ValueRef::Integer(id @ 0..=HIGHEST_SEQUENCE)) =
            (row.get_ref(0)?, row.get_ref(1)?)
        {
            highest = highest.max(id);
        }
    }
    Ok(highest)
}

const HIGHEST_SEQUENCE: i64 = MAX_SAFE_INTEGER / 2;

/// Lets no error get an id that one before it had.
pub(super) fn keep_sequence(fresh: &Connection, highest: i64) -> Result<()> {
    let present = fresh
        .query_row(
            "SELECT seq FROM sqlite_sequence WHERE name = 'upload_errors'",
            [],
            |row| row.get::<_, i64>(0),
        )
        .optional()?;
    let sql = match present {
        Some(present) if present >= highest => return Ok(()),
        Some(_) => "UPDATE sqlite_sequence SET seq = ?1 WHERE name = 'upload_errors'",
        None => "INSERT INTO sqlite_sequence (name, seq) VALUES ('upload_errors', ?1)",
    };
    fresh.execute(sql, [highest])?;
    Ok(())
}
