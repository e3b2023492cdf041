//! Owns copying a ledger into one new file while it is in use.
//!
//! With write-ahead logging the copy is one snapshot: a read transaction is held meanwhile, which
//! keeps no writer waiting, but lets the log grow by what is written. Without it, a reader would
//! keep writers out, so the copy is made in slices with pauses, begins again when somebody wrote
//! between two of them, and holds its lock only when that happened too often.
//!
//! The copy is of pages, not of rows (`VACUUM INTO`): its progress is known, it can stop between two
//! slices, and a restore can keep a damaged file so, as it is.

use super::page_copy::PageCopy;
use crate::config::DatabaseConfig;
use crate::connection::{self, Role};
use crate::error::{Error, Result};
use crate::migration::Migrator;
use crate::private_file::{TemporaryFile, is_same_file, require_target};
use crate::record::{BackupReport, CopyProgress};
use crate::transaction;
use rusqlite::{Connection, ffi};
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

/// How many pages are copied at once, 1 MB: a question for the signal costs nothing beside it.
const SLICE_PAGES: i32 = 256;

/// For how long others can write between two slices, where a copy would keep them from it.
const PAUSE: Duration = Duration::from_millis(2);

/// How soon a lock that was in the way is tried again.
const BUSY_PAUSE: Duration = Duration::from_millis(1);

/// How often others may make a copy begin again before it keeps them out.
const MAX_RESTARTS: u32 = 2;

/// What steers long work from outside.
pub(crate) struct Control<'a, P> {
    /// Says whether to stop.
    pub(crate) must_stop: Arc<dyn Fn() -> bool + Send + Sync>,
    /// Told how far the work is.
    pub(crate) report: &'a mut dyn FnMut(P),
}

impl<P> Control<'_, P> {
    /// # Errors
    ///
    /// `SQLITE_INTERRUPT` once the work is to stop.
    pub(super) fn check(&self) -> Result<()> {
        if (self.must_stop)() {
            return Err(Error::Sqlite {
                extended_code: ffi::SQLITE_INTERRUPT,
                message: "interrupted".into(),
            });
        }
        Ok(())
    }

    /// Lets the same question stop what runs on a connection.
    pub(super) fn watch(&self, connection: &mut Connection) -> Result<()> {
        let must_stop = Arc::clone(&self.must_stop);
        connection::stop_when(connection, move || must_stop())
    }
}

/// Copies the ledger's file to `path`, through a connection of its own: what is committed when it
/// begins.
///
/// # Errors
///
/// As [`require_target`]; [`Error::InvalidArgument`] for the ledger's own file; `SQLITE_CORRUPT`
/// when the copy does not pass its check; `SQLITE_INTERRUPT`. Nothing is left of a copy that fails.
pub(crate) fn backup(
    config: &DatabaseConfig,
    path: &Path,
    overwrite: bool,
    control: &mut Control<'_, CopyProgress>,
) -> Result<BackupReport> {
    if is_same_file(path, &config.path) {
        return Err(Error::argument(
            "path",
            "is the ledger's own file; give another",
        ));
    }
    // Before the ledger is opened: a wrong path is told at once.
    require_target(path, overwrite)?;
    let source = open_source(config)?;
    source.busy_timeout(Duration::ZERO)?;
    let patience = Duration::from_millis(config.timeout_ms.into());
    make(&source, path, overwrite, patience, control)
}

/// Opens the ledger's file once more, to be read page by page.
pub(super) fn open_source(config: &DatabaseConfig) -> Result<Connection> {
    let config = DatabaseConfig {
        create: false,
        // A file that another program cuts short would end the process.
        mmap_size_bytes: 0,
        ..config.clone()
    };
    connection::open(&config, Role::Blocking)
}

/// As [`backup`], of a connection that the caller has.
pub(crate) fn backup_with(
    source: &Connection,
    path: &Path,
    overwrite: bool,
    control: &mut Control<'_, CopyProgress>,
) -> Result<BackupReport> {
    if !source.is_autocommit() {
        return Err(Error::TransactionState(
            "a backup is not possible inside a transaction; end it first",
        ));
    }
    make(source, path, overwrite, Duration::ZERO, control)
}

fn make(
    source: &Connection,
    path: &Path,
    overwrite: bool,
    patience: Duration,
    control: &mut Control<'_, CopyProgress>,
) -> Result<BackupReport> {
    let target = require_target(path, overwrite)?;
    let file = TemporaryFile::new_beside(&target, "backup")?;
    let version = copy_into(source, file.path(), patience, control)?;
    let pages = verify(file.path(), version, control)?;
    control.check()?;
    let bytes = std::fs::metadata(file.path()).map_or(0, |metadata| metadata.len());
    // Somebody may have made a file there meanwhile.
    require_target(&target, overwrite)?;
    file.persist(&target)?;
    Ok(BackupReport {
        path: target.to_string_lossy().into_owned(),
        bytes: i64::try_from(bytes).unwrap_or(i64::MAX),
        pages,
    })
}

/// Copies all pages of `source` into an empty file; returns the version of the schema in them.
pub(super) fn copy_into(
    source: &Connection,
    path: &Path,
    patience: Duration,
    control: &mut Control<'_, CopyProgress>,
) -> Result<i64> {
    let copy = connection::open_private(path)?;
    let keeps_writers_out = patiently(patience, control, |_| journal_mode(source))? != "wal";
    let version = if keeps_writers_out && copy_in_slices(source, &copy, patience, control)? {
        Migrator::current_version(&copy)?
    } else {
        patiently(patience, control, |control| {
            transaction::read(source, || {
                // The first read makes the snapshot, which is then held.
                let version = Migrator::current_version(source)?;
                let mut copying = PageCopy::new(source, &copy)?;
                while !step(&mut copying, control)? {}
                Ok(version)
            })
        })?
    };
    copy.close().map_err(|(_, error)| error)?;
    Ok(version)
}

pub(super) fn journal_mode(connection: &Connection) -> Result<String> {
    Ok(connection.pragma_query_value(None, "journal_mode", |row| row.get(0))?)
}

/// Copies with pauses in which others can write; says whether they let it come to an end.
fn copy_in_slices(
    source: &Connection,
    copy: &Connection,
    patience: Duration,
    control: &mut Control<'_, CopyProgress>,
) -> Result<bool> {
    let mut copying = PageCopy::new(source, copy)?;
    let (mut restarts, mut copied_pages) = (0, 0);
    while !patiently(patience, control, |control| step(&mut copying, control))? {
        let progress = copying.progress();
        if progress.copied_pages <= copied_pages {
            restarts += 1;
        }
        if restarts > MAX_RESTARTS {
            return Ok(false);
        }
        copied_pages = progress.copied_pages;
        std::thread::sleep(PAUSE);
    }
    Ok(true)
}

/// Tries again while a lock is in the way, more often than SQLite would: without write-ahead logging
/// a busy writer leaves the file free for moments only.
pub(super) fn patiently<P, T>(
    patience: Duration,
    control: &mut Control<'_, P>,
    mut attempt: impl FnMut(&mut Control<'_, P>) -> Result<T>,
) -> Result<T> {
    let deadline = Instant::now() + patience;
    loop {
        match attempt(control) {
            Err(error) if error.is_busy() && Instant::now() < deadline => {
                control.check()?;
                std::thread::sleep(BUSY_PAUSE);
            }
            outcome => return outcome,
        }
    }
}

/// Copies a slice; says whether it was the last.
pub(super) fn step(
    copying: &mut PageCopy<'_>,
    control: &mut Control<'_, CopyProgress>,
) -> Result<bool> {
    control.check()?;
    let is_done = copying.step(SLICE_PAGES)?;
    (control.report)(copying.progress());
    Ok(is_done)
}

/// Opens a copy anew and checks it; returns how many pages it has.
fn verify(path: &Path, version: i64, control: &Control<'_, CopyProgress>) -> Result<i64> {
    // The journal mode travels with the pages; opened so, the copy is one file that needs no
    // other, on read-only media too (<https://www.sqlite.org/wal.html#read_only_databases>).
    let mut copy = connection::open_private(path)?;
    control.watch(&mut copy)?;
    let verdict = copy.query_row("PRAGMA quick_check(1)", [], |row| row.get::<_, String>(0))?;
    let found = Migrator::current_version(&copy)?;
    if verdict != "ok" || found != version {
        return Err(Error::Sqlite {
            extended_code: ffi::SQLITE_CORRUPT,
            message: format!(
                "the copy did not pass its check ({verdict}; schema version {found} of {version}), \
                 so there is no new backup"
            ),
        });
    }
    let pages = copy.pragma_query_value(None, "page_count", |row| row.get(0))?;
    copy.close().map_err(|(_, error)| error)?;
    Ok(pages)
}
