//! Owns the new file that salvaged rows go into: schema version 1, filled, made consistent and
//! verified.

use super::salvage::{Hints, Sink, Source, TABLES, Table, Value};
use crate::config::{DatabaseConfig, MEMORY_PATH};
use crate::connection::{self, Role};
use crate::error::{Error, Result};
use crate::migration::{Migrator, SCHEMA_VERSION, initialize_v1};
use crate::record::{SessionStatus, UploadService};
use rusqlite::types::{ToSqlOutput, ValueRef};
use rusqlite::{Connection, ToSql, params, params_from_iter};
use serde::Serialize;
use std::path::Path;

/// What stands for a time that is lost.
const LOST_TIME: &str = "1970-01-01T00:00:00.000Z";

/// What stands for a MIME type that is lost.
const LOST_MIME_TYPE: &str = "application/octet-stream";

/// What a repair got of one table.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct TableReport {
    /// The table.
    pub table: &'static str,
    /// Rows that were found through the table's tree.
    pub by_tree: u64,
    /// Rows that were found on pages that no tree reached.
    pub by_scan: u64,
    /// Rows of which only the key was left: their other fields stand for what is lost.
    pub key_only: u64,
    /// Rows that were there, as an index shows, and of which nothing could be kept.
    pub lost: u64,
}

impl ToSql for Value {
    fn to_sql(&self) -> rusqlite::Result<ToSqlOutput<'_>> {
        Ok(ToSqlOutput::Borrowed(match self {
            Self::Null => ValueRef::Null,
            Self::Integer(integer) => ValueRef::Integer(*integer),
            Self::Real(real) => ValueRef::Real(*real),
            Self::Text(text) => ValueRef::Text(text.as_bytes()),
            Self::Blob(bytes) => ValueRef::Blob(bytes),
        }))
    }
}

/// The new file while it is filled, in one transaction.
pub(super) struct SalvageFile<'progress> {
    connection: Connection,
    pub(super) tables: Vec<TableReport>,
    /// The first failure that was none of a row's own: a full disk, for one.
    failure: Option<Error>,
    /// Versions of the history that are not this package's: their tables and columns are not here.
    pub(super) migrations_left_out: Vec<i64>,
    progress: &'progress dyn Fn(u32, u32),
}

impl<'progress> SalvageFile<'progress> {
    /// Makes the schema in an empty file, or in memory for a rehearsal.
    pub(super) fn new(path: Option<&Path>, progress: &'progress dyn Fn(u32, u32)) -> Result<Self> {
        let config = DatabaseConfig {
            // Only the finished file has a name that others know: its own log is of no use.
            enable_wal: false,
            enable_foreign_keys: false,
            create: false,
            ..DatabaseConfig::new(path.unwrap_or_else(|| Path::new(MEMORY_PATH)))
        };
        let connection = connection::open(&config, Role::Blocking)?;
        initialize_v1(&connection)?;
        connection.execute_batch("DELETE FROM schema_migrations; BEGIN IMMEDIATE")?;
        Ok(Self {
            connection,
            tables: TABLES
                .into_iter()
                .map(|table| TableReport {
                    table: table.name(),
                    ..TableReport::default()
                })
                .collect(),
            failure: None,
            migrations_left_out: Vec::new(),
            progress,
        })
    }

    fn report(&mut self, table: Table) -> Option<&mut TableReport> {
        self.tables
            .iter_mut()
            .find(|report| report.table == table.name())
    }

    /// Runs a statement that may meet the table's own constraints; says whether it wrote a row.
    fn write(&mut self, sql: &str, parameters: impl rusqlite::Params) -> bool {
        if self.failure.is_some() {
            return false;
        }
        let outcome = self
            .connection
            .prepare_cached(sql)
            .and_then(|mut statement| statement.execute(parameters));
        match outcome {
            Ok(rows) => rows > 0,
            Err(error) if is_constraint(&error) => false,
            Err(error) => {
                self.failure = Some(error.into());
                false
            }
        }
    }

    /// Adds what makes the rows a ledger, commits, and verifies the file.
    ///
    /// # Errors
    ///
    /// What writing met; [`Error::Internal`] for a file that does not verify.
    pub(super) fn finish(mut self, last_error_id: i64) -> Result<Vec<TableReport>> {
        self.write(
            "INSERT OR IGNORE INTO schema_migrations (version, applied_at, description)
             VALUES (?1, ?2, 'Initial schema')",
            params![SCHEMA_VERSION, crate::timestamp::now()],
        );
        // An error whose session is lost keeps its place under a session that says so.
        let without_session: Vec<String> = {
            let mut statement = self.connection.prepare(
                "SELECT DISTINCT session_id FROM upload_errors
                 WHERE session_id NOT IN (SELECT id FROM upload_sessions)",
            )?;
            let ids = statement.query_map([], |row| row.get(0))?;
            ids.collect::<rusqlite::Result<_>>()?
        };
        for id in without_session {
            self.keep_session(None, &id, &Hints::default());
        }
        // Ids of errors that are gone are not given away again.
        self.write(
            "UPDATE sqlite_sequence SET seq = max(seq, ?1) WHERE name = 'upload_errors'",
            [last_error_id],
        );
        if let Some(failure) = self.failure {
            return Err(failure);
        }
        self.connection.execute_batch("COMMIT")?;
        verify(&self.connection)?;
        self.connection.close().map_err(|(_, error)| error)?;
        Ok(self.tables)
    }

    fn keep_session(&mut self, rowid: Option<i64>, id: &str, hints: &Hints) {
        let status = hints
            .kind
            .as_deref()
            .filter(|status| SessionStatus::parse(status).is_ok())
            .unwrap_or("failed");
        let is_written = self.write(
            "INSERT OR IGNORE INTO upload_sessions (rowid, id, chat_id, chat_name, start_time,
             last_update, total_files, status, created_at) VALUES (?1, ?2, ?3, '', ?4, ?4, 0, ?5, ?4)",
            params![
                rowid,
                id,
                hints.chat_id.as_deref().unwrap_or_default(),
                LOST_TIME,
                status
            ],
        );
        if let Some(report) = self.report(Table::Sessions).filter(|_| is_written) {
            report.key_only += 1;
        }
    }
}

/// A row that a table refuses is no row of it.
fn is_constraint(error: &rusqlite::Error) -> bool {
    error.sqlite_error_code() == Some(rusqlite::ErrorCode::ConstraintViolation)
}

fn verify(connection: &Connection) -> Result<()> {
    let verdict: String =
        connection.query_row("PRAGMA integrity_check(1)", [], |row| row.get(0))?;
    let has_orphans = connection.prepare("PRAGMA foreign_key_check")?.exists([])?;
    if verdict == "ok" && !has_orphans && Migrator::current_version(connection)? == SCHEMA_VERSION {
        return Ok(());
    }
    Err(Error::Internal(
        "the repaired file does not verify, so it was thrown away".into(),
    ))
}

impl Sink for SalvageFile<'_> {
    fn row(&mut self, table: Table, rowid: i64, values: &[Value], source: Source) -> bool {
        if table == Table::Migrations && rowid != SCHEMA_VERSION {
            // What other steps made is not in the new file: they are to be run again.
            self.migrations_left_out.push(rowid);
            return false;
        }
        let sql = match table {
            Table::Sessions => {
                "INSERT OR IGNORE INTO upload_sessions (rowid, id, chat_id, chat_name, start_time,
                 last_update, total_files, processed_files, success_count, error_count,
                 duplicate_count, status, last_processed_file, created_at)
                 VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13, ?14)"
            }
            Table::Hashes => {
                "INSERT OR IGNORE INTO file_hashes (rowid, hash, file_path, file_name, file_size,
                 mime_type, upload_service, upload_id, chat_id, uploaded_at)
                 VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10)"
            }
            // Their first column is the rowid itself, and NULL in the record.
            Table::Errors => {
                "INSERT OR IGNORE INTO upload_errors (id, session_id, file_path, error_type,
                 error_message, retry_count, timestamp)
                 VALUES (?1, coalesce(?3, ?2), ?4, ?5, ?6, ?7, ?8)"
            }
            Table::Settings => {
                "INSERT OR IGNORE INTO config (rowid, key, value, updated_at)
                 VALUES (?1, ?2, ?3, ?4)"
            }
            Table::Migrations => {
                "INSERT OR IGNORE INTO schema_migrations (version, applied_at, description)
                 VALUES (?1, coalesce(?3, ?2), ?4)"
            }
        };
        let place = Value::Integer(rowid);
        let is_written = self.write(sql, params_from_iter(std::iter::once(&place).chain(values)));
        if let Some(report) = self.report(table).filter(|_| is_written) {
            match source {
                Source::Tree => report.by_tree += 1,
                Source::Scan => report.by_scan += 1,
            }
        }
        is_written
    }

    fn has(&mut self, table: Table, rowid: i64) -> bool {
        let sql = match table {
            Table::Sessions => "SELECT 1 FROM upload_sessions WHERE rowid = ?1",
            Table::Hashes => "SELECT 1 FROM file_hashes WHERE rowid = ?1",
            Table::Errors => "SELECT 1 FROM upload_errors WHERE rowid = ?1",
            Table::Settings => "SELECT 1 FROM config WHERE rowid = ?1",
            Table::Migrations => "SELECT 1 FROM schema_migrations WHERE rowid = ?1",
        };
        let found = self
            .connection
            .prepare_cached(sql)
            .and_then(|mut statement| statement.exists([rowid]));
        found.unwrap_or_else(|error| {
            self.failure.get_or_insert(error.into());
            false
        })
    }

    fn key(&mut self, table: Table, rowid: i64, key: &str, hints: &Hints) {
        match table {
            Table::Hashes => {
                let service = hints
                    .kind
                    .as_deref()
                    .filter(|service| UploadService::parse(service).is_ok())
                    .unwrap_or("photos");
                let is_written = self.write(
                    "INSERT OR IGNORE INTO file_hashes (rowid, hash, file_path, file_name, file_size,
                     mime_type, upload_service, chat_id, uploaded_at)
                     VALUES (?1, ?2, '', '', 0, ?3, ?4, ?5, ?6)",
                    params![
                        rowid,
                        key,
                        LOST_MIME_TYPE,
                        service,
                        hints.chat_id.as_deref().unwrap_or_default(),
                        LOST_TIME
                    ],
                );
                if let Some(report) = self.report(table).filter(|_| is_written) {
                    report.key_only += 1;
                }
            }
            Table::Sessions => self.keep_session(Some(rowid), key, hints),
            // Of an error or a setting, the key alone says nothing.
            _ => {
                if let Some(report) = self.report(table) {
                    report.lost += 1;
                }
            }
        }
    }

    fn progress(&mut self, done: u32, total: u32) {
        (self.progress)(done, total);
    }
}
