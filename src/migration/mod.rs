//! Owns the schema: its versions as a const list of steps, the file's history of them, and the
//! way from one to the next.
//!
//! It may use connections and transactions, never the ledger's functions: a step must still
//! mean the same when they have changed.

mod history;
mod migrator;
mod v1;

pub(crate) use history::{
    TABLE as HISTORY, create_table, read_history, read_versions, record_version,
};
pub(crate) use migrator::{
    Lock, check_rollback, check_versions, finish_step, initialize_v1, pending_versions, remove_step,
};
pub use migrator::{Migration, Migrator, Step, StepFunction};

/// The schema version that this crate reads and writes.
pub const SCHEMA_VERSION: i64 = 1;
