//! Owns the manager's methods on the file as a whole.

use super::DatabaseManager;
use crate::error::Result;
use crate::ledger::stats;
use crate::maintenance;
use crate::record::DatabaseStats;

impl DatabaseManager {
    /// Rebuilds the file without free pages.
    ///
    /// # Errors
    ///
    /// [`Error::TransactionState`](crate::Error::TransactionState) inside a transaction; SQLite's own.
    pub fn vacuum(&self) -> Result<()> {
        self.ledger(|connection| maintenance::vacuum_with(connection))
    }

    /// Measures the indexes, so that the query planner chooses well.
    ///
    /// # Errors
    ///
    /// SQLite's own.
    pub fn analyze(&self) -> Result<()> {
        maintenance::analyze_with(&self.connection)
    }

    /// Counts what the ledger holds.
    ///
    /// # Errors
    ///
    /// SQLite's own.
    pub fn get_stats(&self) -> Result<DatabaseStats> {
        self.ledger(|connection| {
            Ok(DatabaseStats {
                wal_size: maintenance::log_bytes(connection)?,
                ..stats::read(connection)?
            })
        })
    }
}
