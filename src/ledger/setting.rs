//! Owns the table `config`: settings as JSON texts under a key.
//!
//! One key is reserved for the package itself; callers neither see nor touch it.

use super::visit::{self, Visit};
use crate::error::{Error, Result};
use crate::kept_statement::KeepingConnection;
use crate::record::ConfigRecord;
use crate::record_row::{Column, Meaning, RecordRow, Table};
use crate::timestamp;
use rusqlite::types::ValueRef;
use rusqlite::{Connection, Row, params};

/// The reserved key, under which the time of the last `vacuum` is kept.
const LAST_VACUUM_KEY: &str = "__whatsapp_uploader_last_vacuum";

/// The columns in the order in which every statement here reads and writes them.
pub(super) const TABLE: &Table = &Table {
    name: "config",
    columns: &[
        Column("key", Meaning::Text),
        Column("value", Meaning::Text),
        Column("updated_at", Meaning::Time),
    ],
};

fn read(row: &RecordRow<'_>) -> Result<ConfigRecord> {
    Ok(ConfigRecord {
        key: row.text(0)?,
        value: row.text(1)?,
        updated_at: row.time(2)?,
    })
}

/// Sets a key to a JSON text.
///
/// # Errors
///
/// [`Error::InvalidArgument`] for the reserved key and for a text that is no JSON.
pub(crate) fn set(connection: &Connection, key: &str, json: &str) -> Result<()> {
    if key == LAST_VACUUM_KEY {
        return Err(Error::argument(
            "key",
            "is reserved for this package; choose another",
        ));
    }
    if !is_json(json.as_bytes()) {
        return Err(Error::argument(
            "value",
            "is no JSON that can be stored: it must be valid and nested at most 127 deep",
        ));
    }
    write(connection, key, json)
}

fn is_json(text: &[u8]) -> bool {
    serde_json::from_slice::<serde::de::IgnoredAny>(text).is_ok()
}

/// Says whether a key is the reserved one.
pub(super) fn is_reserved(key: ValueRef<'_>) -> bool {
    key == ValueRef::Text(LAST_VACUUM_KEY.as_bytes())
}

/// Says whether a row's value is one that could have been set.
pub(super) fn is_acceptable(row: &Row<'_>) -> Result<bool> {
    Ok(matches!(row.get_ref(1)?, ValueRef::Text(json) if is_json(json)))
}

/// Keeps the time of a `vacuum`.
pub(crate) fn write_last_vacuum(connection: &Connection, time: &str) -> Result<()> {
    write(connection, LAST_VACUUM_KEY, &format!("\"{time}\""))
}

/// Reads the time of the last `vacuum`.
pub(crate) fn read_last_vacuum(connection: &Connection) -> Result<Option<String>> {
    let json = select(connection, LAST_VACUUM_KEY)?;
    Ok(json.and_then(|json| serde_json::from_str(&json).ok()))
}

/// Reads a key's JSON text.
pub(crate) fn get(connection: &Connection, key: &str) -> Result<Option<String>> {
    if key == LAST_VACUUM_KEY {
        return Ok(None);
    }
    select(connection, key)
}

/// Deletes a key, if it is there.
pub(crate) fn delete(connection: &Connection, key: &str) -> Result<()> {
    connection
        .prepare_cached("DELETE FROM config WHERE key = ?1 AND key <> ?2")?
        .execute([key, LAST_VACUUM_KEY])?;
    Ok(())
}

/// Lists all settings by key.
pub(crate) fn list(connection: &KeepingConnection) -> Result<Vec<ConfigRecord>> {
    let mut records = Vec::new();
    visit_all(connection, visit::collect(&mut records, read))?;
    Ok(records)
}

/// Visits all settings by key.
pub(crate) fn visit_all(connection: &KeepingConnection, visit: impl Visit) -> Result<()> {
    static LIST: &str = "SELECT key, value, updated_at FROM config WHERE key <> ?1 ORDER BY key";
    visit::visit_all(connection, LIST, &[LAST_VACUUM_KEY.into()], TABLE, visit)
}

fn select(connection: &Connection, key: &str) -> Result<Option<String>> {
    let mut statement =
        connection.prepare_cached("SELECT key, value, updated_at FROM config WHERE key = ?1")?;
    let mut rows = statement.query([key])?;
    let row = rows.next()?;
    row.map(|row| read(&RecordRow::new(row, TABLE)).map(|record| record.value))
        .transpose()
}

fn write(connection: &Connection, key: &str, json: &str) -> Result<()> {
    connection
        .prepare_cached(
            "INSERT INTO config (key, value, updated_at) VALUES (?1, ?2, ?3) \
             ON CONFLICT (key) DO UPDATE SET value = excluded.value, updated_at = excluded.updated_at",
        )?
        .execute(params![key, json, timestamp::now()])?;
    Ok(())
}
