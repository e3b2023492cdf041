//! Owns work on the file as a whole, each kind through a connection of its own, so that it can
//! run on any thread while the ledger is in use.

mod checkpoint;
mod vacuum;

pub(crate) use checkpoint::{checkpoint, close, next_write_starts_log, prepare_log, sync_log};
pub(crate) use vacuum::{analyze, analyze_with, vacuum, vacuum_with};
