//! Owns the manager's methods on the file as a whole.

use super::DatabaseManager;
use crate::config::DatabaseConfig;
use crate::error::{Error, Result};
use crate::ledger::stats;
use crate::maintenance::{
    self, Control, IntegrityOptions, IntegrityReport, RepairOptions, RepairReport,
};
use crate::record::{BackupReport, CopyProgress, DatabaseStats, RestoreProgress, RestoreReport};
use std::ops::ControlFlow;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

impl DatabaseManager {
    /// Rebuilds the file without free pages.
    ///
    /// # Errors
    ///
    /// [`Error::TransactionState`](crate::Error::TransactionState) inside a transaction; SQLite's
    /// own.
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
        maintenance::repair(config, options, &progress, &|| false)
    }

    /// Copies the ledger into one file at `path` that only this user may read, while it is in use:
    /// what is committed when it begins.
    ///
    /// The copy is checked before it gets its name, in one step that the disk has when this
    /// returns; until then, a backup that is there already stays. Anything else that is there is
    /// replaced only when `overwrite` says so. `watch` is told how far the copy is, and may end it.
    ///
    /// # Errors
    ///
    /// [`Error::FolderMissing`], [`Error::FileExists`], [`Error::InUse`], [`Error::NotAFile`] or
    /// [`Error::SymbolicLink`] of the path; [`Error::TransactionState`] when a transaction of a
    /// database in memory is open; `SQLITE_CORRUPT` when the ledger is damaged;
    /// `SQLITE_INTERRUPT` when `watch` ended it. Then nothing of the copy is left.
    ///
    /// ```
    /// use std::ops::ControlFlow;
    /// # use whatsapp_uploader_database::{DatabaseConfig, DatabaseManager};
    /// # fn main() -> whatsapp_uploader_database::Result<()> {
    /// # let ledger = DatabaseManager::open(DatabaseConfig::new(":memory:"))?;
    /// # ledger.initialize_schema()?;
    /// let path = std::env::temp_dir().join(format!("ledger-{}.backup", std::process::id()));
    /// let report = ledger.backup(&path, false, |_| ControlFlow::Continue(()))?;
    /// assert!(report.bytes > 0);
    /// # std::fs::remove_file(path).ok();
    /// # Ok(())
    /// # }
    /// ```
    pub fn backup(
        &self,
        path: impl AsRef<Path>,
        overwrite: bool,
        watch: impl FnMut(CopyProgress) -> ControlFlow<()>,
    ) -> Result<BackupReport> {
        steered(watch, |control| {
            if self.config.is_memory() {
                maintenance::backup_with(&self.connection, path.as_ref(), overwrite, control)
            } else {
                maintenance::backup(&self.config, path.as_ref(), overwrite, control)
            }
        })
    }

    /// Replaces all that the ledger holds with the rows of a backup, as one transaction that other
    /// processes see like any commit.
    ///
    /// The file is not trusted: rows that the ledger's rules accept are copied into the schema that
    /// this version makes; no view, trigger, index or other table of the file is run or kept, and
    /// none of the ledger's file either. What the ledger held until now is first kept beside it, as
    /// `<path>.before-restore-<time>`. `watch` is told how far it is, and may end it.
    ///
    /// # Errors
    ///
    /// [`Error::FileMissing`], [`Error::NotAFile`], [`Error::SymbolicLink`] of the path;
    /// `SQLITE_NOTADB`, `SQLITE_CORRUPT`, [`Error::SchemaTooNew`] or [`Error::NotRestorable`] of the
    /// file; [`Error::TransactionState`] inside a transaction; a lock of another connection; `SQLITE_INTERRUPT` when `watch` ended it. Then the ledger
    /// is as it was.
    ///
    /// ```
    /// use std::ops::ControlFlow;
    /// # use whatsapp_uploader_database::{DatabaseConfig, DatabaseManager};
    /// # fn main() -> whatsapp_uploader_database::Result<()> {
    /// # let ledger = DatabaseManager::open(DatabaseConfig::new(":memory:"))?;
    /// # ledger.initialize_schema()?;
    /// # let path = std::env::temp_dir().join(format!("restore-{}.backup", std::process::id()));
    /// # ledger.backup(&path, false, |_| ControlFlow::Continue(()))?;
    /// let report = ledger.restore(&path, |_| ControlFlow::Continue(()))?;
    /// assert_eq!(report.tables.file_hashes.skipped, 0);
    /// # std::fs::remove_file(path).ok();
    /// # Ok(())
    /// # }
    /// ```
    pub fn restore(
        &self,
        path: impl AsRef<Path>,
        watch: impl FnMut(RestoreProgress) -> ControlFlow<()>,
    ) -> Result<RestoreReport> {
        if !self.connection.is_autocommit() {
            return Err(Error::TransactionState(
                "a restore is not possible inside a transaction; end it first",
            ));
        }
        steered(watch, |control| {
            if self.config.is_memory() {
                maintenance::restore_with(&self.connection, &self.config, path.as_ref(), control)
            } else {
                maintenance::restore(&self.config, path.as_ref(), control)
            }
        })
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

/// Lets what is told of the progress end the work.
fn steered<P, T>(
    mut watch: impl FnMut(P) -> ControlFlow<()>,
    work: impl FnOnce(&mut Control<'_, P>) -> Result<T>,
) -> Result<T> {
    let must_stop = Arc::new(AtomicBool::new(false));
    let is_stopped = Arc::clone(&must_stop);
    work(&mut Control {
        must_stop: Arc::new(move || is_stopped.load(Ordering::Relaxed)),
        report: &mut |progress| {
            if watch(progress).is_break() {
                must_stop.store(true, Ordering::Relaxed);
            }
        },
    })
}
