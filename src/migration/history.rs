//! Owns the table `schema_migrations`: which versions a file has seen, and when.
//!
//! It may not decide what follows from that; the migrator does.

use crate::error::Result;
use crate::migration::v1;
use crate::record::SchemaVersion;
use crate::record_row::{Column, Meaning, RecordRow, Table};
use crate::timestamp;
use rusqlite::{Connection, params};

pub(crate) const TABLE: &Table = &Table {
    name: "schema_migrations",
    columns: &[
        Column("version", Meaning::Counter),
        Column("applied_at", Meaning::Time),
        Column("description", Meaning::OptionalText),
    ],
};

/// Makes the table, in version 1's form, when it is not there.
pub(crate) fn create_table(connection: &Connection) -> Result<()> {
    v1::create_object(connection, TABLE.name)
}

/// Reads the history, oldest version first; a file without the table has none.
pub(crate) fn read_history(connection: &Connection) -> Result<Vec<SchemaVersion>> {
    if !exists(connection)? {
        return Ok(Vec::new());
    }
    let mut statement = connection.prepare_cached(
        "SELECT version, applied_at, description FROM schema_migrations ORDER BY version",
    )?;
    let mut rows = statement.query([])?;
    let mut history = Vec::new();
    while let Some(row) = rows.next()? {
        let row = RecordRow::new(row, TABLE);
        history.push(SchemaVersion {
            version: row.counter(0)?,
            applied_at: timestamp::from_stored(&row.optional_text(1)?.unwrap_or_default())
                .into_owned(),
            description: row.optional_text(2)?,
        });
    }
    Ok(history)
}

/// Reads the versions of the history alone, oldest first: what else another tool wrote there
/// cannot stand in their way.
pub(crate) fn read_versions(connection: &Connection) -> Result<Vec<i64>> {
    if !exists(connection)? {
        return Ok(Vec::new());
    }
    let mut statement =
        connection.prepare_cached("SELECT version FROM schema_migrations ORDER BY version")?;
    let mut rows = statement.query([])?;
    let mut versions = Vec::new();
    while let Some(row) = rows.next()? {
        versions.push(RecordRow::new(row, TABLE).counter(0)?);
    }
    Ok(versions)
}

fn exists(connection: &Connection) -> Result<bool> {
    Ok(connection
        .prepare_cached("SELECT 1 FROM sqlite_schema WHERE type = 'table' AND name = ?1")?
        .exists([TABLE.name])?)
}

/// Adds a version to the history.
pub(crate) fn record_version(
    connection: &Connection,
    version: i64,
    description: &str,
) -> Result<()> {
    connection
        .prepare_cached(
            "INSERT INTO schema_migrations (version, applied_at, description) VALUES (?1, ?2, ?3)",
        )?
        .execute(params![version, timestamp::now(), description])?;
    Ok(())
}

/// Takes a version out of the history.
pub(super) fn remove_version(connection: &Connection, version: i64) -> Result<()> {
    connection
        .prepare_cached("DELETE FROM schema_migrations WHERE version = ?1")?
        .execute([version])?;
    Ok(())
}
