//! Owns work on the file as a whole, each kind through a connection of its own, so that it can
//! run on any thread while the ledger is in use.

mod backup;
mod copy;
mod image;
mod integrity;
mod integrity_rows;
pub mod journal_reader;
mod log_keeper;
mod page_copy;
mod raw_file;
mod repair;
mod restore;
pub mod salvage;
mod salvage_file;
mod swap;
mod upkeep;
mod vacuum;
pub mod wal_reader;

pub(crate) use backup::{Control, backup, backup_with};
pub use integrity::{Finding, IntegrityOptions, IntegrityReport, Severity};
pub(crate) use integrity::{check, check_with};
pub(crate) use log_keeper::{LogKeeper, begin_log, close, log_bytes, look_at_log};
pub(crate) use repair::repair;
pub use repair::{RepairOptions, RepairReport};
pub(crate) use restore::{restore, restore_with};
pub use salvage_file::TableReport;
pub(crate) use upkeep::Upkeep;
pub(crate) use vacuum::{analyze, analyze_with, vacuum, vacuum_with};
