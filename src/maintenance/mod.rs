//! Owns work on the file as a whole, each kind through a connection of its own, so that it can
//! run on any thread while the ledger is in use.

mod backup;
mod copy;
mod log_keeper;
mod page_copy;
mod restore;
mod upkeep;
mod vacuum;

pub(crate) use backup::{Control, backup, backup_with};
pub(crate) use log_keeper::{LogKeeper, close, log_bytes, look_at_log};
pub(crate) use restore::{restore, restore_with};
pub(crate) use upkeep::Upkeep;
pub(crate) use vacuum::{analyze, analyze_with, vacuum, vacuum_with};
