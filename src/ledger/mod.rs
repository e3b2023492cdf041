//! Owns the ledger's tables: every SQL text that reads or writes their rows, one file a table.
//!
//! Functions take a connection and never open, begin or commit anything: the caller decides
//! what belongs together.

pub(crate) mod file_hash;
mod row;
pub(crate) mod session;
pub(crate) mod setting;
pub(crate) mod stats;
pub(crate) mod upload_error;

pub(crate) use setting::write_last_vacuum;

/// The ledger's tables.
pub(crate) const TABLES: [&str; 4] = ["upload_sessions", "file_hashes", "upload_errors", "config"];
