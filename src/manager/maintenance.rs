//! Owns the manager's methods on the file as a whole.

use super::DatabaseManager;
use crate::config::DatabaseConfig;
use crate::error::Result;
use crate::ledger::stats;
use crate::maintenance::{self, IntegrityOptions, IntegrityReport, RepairOptions, RepairReport};
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

    /// Checks the ledger: its files, its structure and its rows. It changes nothing.
    ///
    /// # Errors
    ///
    /// SQLite's own that say nothing about the file's soundness, such as a lock; damage is a
    /// finding.
    pub fn check_integrity(&self, options: IntegrityOptions) -> Result<IntegrityReport> {
        if self.config.is_memory() {
            maintenance::check_with(&self.connection, options)
        } else {
            maintenance::check(&self.config, options, || false)
        }
    }

    /// As [`check_integrity`](Self::check_integrity), of a file that need not be openable.
    ///
    /// # Errors
    ///
    /// As [`check_integrity`](Self::check_integrity).
    pub fn check_file(
        config: &DatabaseConfig,
        options: IntegrityOptions,
    ) -> Result<IntegrityReport> {
        maintenance::check(config, options, || false)
    }

    /// Gets the rows of a damaged file into a new one, which takes its place; the damaged one and
    /// its log are kept beside it as `<path>.corrupt-<time>`.
    ///
    /// No manager may have the file open: a damaged one cannot be opened anyway. `progress` hears
    /// how many pages are done of how many.
    ///
    /// # Errors
    ///
    /// [`Error::InUse`](crate::Error::InUse) while the file is open anywhere;
    /// [`Error::NothingToRepair`](crate::Error::NothingToRepair) when it holds nothing of a
    /// ledger; what writing the new file meets. Nothing has changed then.
    pub fn repair(
        config: &DatabaseConfig,
        options: RepairOptions,
        progress: impl Fn(u32, u32),
    ) -> Result<RepairReport> {
        maintenance::repair(config, options, &progress)
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
