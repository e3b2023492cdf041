//! A crash-safe ledger for an uploader of WhatsApp media: upload sessions, SHA-256
//! deduplication, errors with retries, and settings, in one SQLite file.
//!
//! Rust programs use [`DatabaseManager`] with `default-features = false`; the default feature
//! `node` adds the Node addon, a thin skin over the same manager.
//!
//! ```
//! use whatsapp_uploader_database::{
//!     DatabaseConfig, DatabaseManager, NewFileHash, OnConflict, UploadService,
//! };
//! # fn main() -> whatsapp_uploader_database::Result<()> {
//! let ledger = DatabaseManager::open(DatabaseConfig::new(":memory:"))?;
//! ledger.initialize_schema()?;
//! let file = NewFileHash {
//!     hash: "9f86d081884c7d659a2feaa0c55ad015".into(),
//!     file_path: "WhatsApp Images/IMG-20260131-WA0001.jpg".into(),
//!     file_name: "IMG-20260131-WA0001.jpg".into(),
//!     file_size: 204_800,
//!     mime_type: "image/jpeg".into(),
//!     upload_service: UploadService::Photos,
//!     upload_id: None,
//!     chat_id: "chat123".into(),
//!     uploaded_at: None,
//! };
//! ledger.add_file_hash(&file, OnConflict::Fail)?;
//! assert!(ledger.is_file_uploaded(&file.hash)?);
//! # Ok(())
//! # }
//! ```
//!
//! The floors, each of which may use only those below: `error`, `config`, `record`,
//! `windows_path`, `page`, `packed_row`, `packed_value` and `timestamp`; `connection`, `kept_statement` and
//! `transaction`; `migration`; `ledger` and `maintenance`;
//! `manager`; `node`.

#![deny(unsafe_code)]
#![warn(missing_docs, clippy::undocumented_unsafe_blocks)]
// What only an event loop needs (off-thread checkpoints, migration steps driven from outside)
// is compiled and tested without the addon too; the build with it finds code that is dead
// (napi's exports, and so their callees, look unused to a test build).
#![cfg_attr(any(not(feature = "node"), test), allow(dead_code, unused_imports))]

mod config;
mod connection;
mod error;
mod kept_statement;
mod ledger;
mod maintenance;
mod manager;
mod migration;
#[cfg(feature = "node")]
mod node;
mod packed_row;
mod packed_value;
mod page;
#[cfg(feature = "node")]
mod page_cache;
mod private_file;
mod record;
mod record_row;
mod retrying_fs;
mod sqlite_code;
#[cfg(test)]
mod test_folder;
#[cfg(test)]
mod test_random;
mod timestamp;
mod transaction;
#[cfg(unix)]
mod vfs;
mod windows_path;
mod wording;

pub use config::{
    DatabaseConfig, MAX_TIMEOUT_MS, MEMORY_PATH, MIN_TIMEOUT_MS, RawValue, Synchronous,
};
/// The pure parsers, for fuzzing and proofs from outside: `wal_reader::read_log` reads a log,
/// `journal_reader::read_journal` a rollback journal, `salvage::salvage` gives the rows of any pages to a
/// sink; `PackedValues` came from JavaScript, what a `RowPacker` packs goes there. No stable interface.
#[doc(hidden)]
pub mod parsers {
    pub use crate::maintenance::{journal_reader, salvage, wal_reader};
    pub use crate::packed_row::{CellProblem, PackedRows, RowPacker};
    pub use crate::packed_value::{PackedValue, PackedValues, Values};
}
pub use error::{Error, Result};
pub use maintenance::{
    Finding, IntegrityOptions, IntegrityReport, RepairOptions, RepairReport, Severity, TableReport,
};
pub use manager::{Connection, DatabaseManager};
pub use migration::{Migration, Migrator, SCHEMA_VERSION, Step, StepFunction};
pub use page::{Cursor, Page};
pub use record::{
    Added, BackupReport, ConfigRecord, CopyProgress, DatabaseStats, FileHash, MAX_SAFE_INTEGER,
    NewFileHash, NewSession, NewUploadError, OnConflict, RestorePhase, RestoreProgress,
    RestoreReport, RestoredRows, RestoredTables, SchemaVersion, SessionChanges, SessionDeltas,
    SessionStatus, UploadError, UploadService, UploadSession,
};
/// The SQLite binding that [`Connection::handle`] hands out, in the version this crate uses.
pub use rusqlite;
