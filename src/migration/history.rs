//! Owns the table `schema_migrations`: which versions a file has seen, and when.
//!
//! It may not decide what follows from that; the migrator does.

use crate::error::Result;
use crate::migration::v1;
use crate::record::SchemaVersion;
use crate::timestamp;
use rusqlite::{Connection, params};

const TABLE: &str = "schema_migrations";

/// Makes the table, in version 1's form, when it is not there.
pub(crate) fn create_table(connection: &Connection) -> Result<()> {
    v1::create_object(connection, TABLE)
}

/// Reads the history, oldest version first; a file without the table has none.
pub(crate) fn read_history(connection: &Connection) -> Result<Vec<SchemaVersion>> {
    let exists = connection
        .prepare_cached("SELECT 1 FROM sqlite_schema WHERE type = 'table' AND name = ?1")?
        .exists([TABLE])?;
    if !exists {
        return Ok(Vec::new());
    }
    let mut statement = connection.prepare_cached(
        "SELECT version, applied_at, description FROM schema_migrations ORDER BY version",
    )?;
    let rows = statement.query_map([], |row| {
        Ok(SchemaVersion {
            version: row.get(0)?,
            applied_at: timestamp::from_stored(
                row.get::<_, Option<String>>(1)?.unwrap_or_default(),
            ),
            description: row.get(2)?,
        })
    })?;
    Ok(rows.collect::<rusqlite::Result<_>>()?)
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
