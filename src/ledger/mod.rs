//! Owns the ledger's tables: every SQL text that reads or writes their rows, one file a table.
//!
//! Functions take a connection and never open, begin or commit anything: the caller decides
//! what belongs together.

use crate::error::{Error, Result};
use crate::record_row::Table;
use rusqlite::Row;
use rusqlite::types::ValueRef;

pub(crate) mod batch;
pub(crate) mod file_hash;
pub(crate) mod session;
pub(crate) mod setting;
pub(crate) mod stats;
pub(crate) mod upload_error;
mod visit;

pub(crate) use setting::{read_last_vacuum, write_last_vacuum};

/// The ledger's tables.
const TABLES: [&str; 4] = ["upload_sessions", "file_hashes", "upload_errors", "config"];

/// What the ledger's tables hold, each behind those that it refers to.
pub(crate) const RECORDS: [&Table; 4] = [
    session::TABLE,
    file_hash::TABLE,
    upload_error::TABLE,
    setting::TABLE,
];

/// Says whether a row is the package's own, by its key.
pub(crate) fn is_reserved(table: &Table, key: ValueRef<'_>) -> bool {
    table.name == setting::TABLE.name && setting::is_reserved(key)
}

/// Says whether a row whose columns are what they must be could be the ledger's own.
pub(crate) fn is_acceptable(table: &Table, row: &Row<'_>) -> Result<bool> {
    if table.name == setting::TABLE.name {
        return setting::is_acceptable(row);
    }
    Ok(true)
}

/// Turns a complaint about a missing table of the ledger into one that says what to do.
pub(crate) fn explain(error: Error) -> Error {
    let is_ours = |table: &str| TABLES.contains(&table.trim_start_matches("main."));
    match &error {
        Error::Sqlite { message, .. }
            if message.strip_prefix("no such table: ").is_some_and(is_ours) =>
        {
            Error::SchemaMissing
        }
        _ => error,
    }
}
