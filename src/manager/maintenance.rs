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

    /// Waits until the disk has all that was committed before: with it, commits that were made
    /// under [`Synchronous::Normal`](crate::Synchronous::Normal) outlast a power loss.
    ///
    /// # Errors
    ///
    /// What the disk answers; from then on, every call fails until all that the disk may have
    /// lost has been written and synced anew, which the call itself tries.
    ///
    /// ```
    /// # use whatsapp_uploader_database::{DatabaseConfig, DatabaseManager};
    /// # fn main() -> whatsapp_uploader_database::Result<()> {
    /// # let ledger = DatabaseManager::open(DatabaseConfig::new(":memory:"))?;
    /// # ledger.initialize_schema()?;
    /// ledger.set_config("batch", &7)?;
    /// ledger.flush()?;
    /// # Ok(())
    /// # }
    /// ```
    pub fn flush(&self) -> Result<()> {
        if self.config.is_memory() {
            return Ok(());
        }
        self.log.borrow_mut().flush()
    }

    /// Moves the write-ahead log into the file, as far as readers allow, and starts it anew;
    /// says whether all of it is in the file.
    ///
    /// # Errors
    ///
    /// SQLite's own; a sync that failed among them, which SQLite's own checkpoint after a commit
    /// would tell nobody of. The log keeps its pages.
    pub fn checkpoint(&self) -> Result<bool> {
        if self.config.is_memory() || !self.config.enable_wal {
            return Ok(true);
        }
        self.log.borrow_mut().checkpoint()
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
