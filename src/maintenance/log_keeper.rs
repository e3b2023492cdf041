//! Owns the write-ahead log's life: moving it into the file, starting it anew, syncing it.
//!
//! An event loop's handle does none of this on the loop's thread: each of it waits for the disk. A
//! [`LogKeeper`] does, on another thread and through a connection of its own; that thread has the
//! event loop's handle itself begin the log anew ([`begin_log`]).
//! Source: <https://www.sqlite.org/wal.html>.

#![allow(unsafe_code)]

use crate::config::DatabaseConfig;
use crate::connection::{self, Role, retry_while_busy};
use crate::error::{Error, Result};
use crate::transaction;
use rusqlite::config::DbConfig;
use rusqlite::wal::CheckpointMode;
use rusqlite::{Connection, ffi};
use std::ptr;
use std::time::Duration;

/// How large the log's file may stay once it has begun again: more than it is between two
/// checkpoints, so that it need not grow anew each time.
const LOG_LIMIT_BYTES: i64 = 24 * 1024 * 1024;

/// How the log is synced by hand: through the drive's own cache, for which macOS must be asked
/// (`F_FULLFSYNC`). Elsewhere every sync is such a one.
const SYNC_FLAGS: i32 = ffi::SQLITE_SYNC_FULL;

/// How long a reader of another process may keep the log while writers are held.
const READER_PATIENCE: Duration = Duration::from_millis(250);

/// What keeps one database's log, with a connection that is opened when it is first needed.
pub(crate) struct LogKeeper {
    config: DatabaseConfig,
    connection: Option<Connection>,
    /// Whether a sync of the log has failed: what the system then forgot to write, a later sync
    /// does not write either. Written and synced in the file, it is safe.
    needs_checkpoint: bool,
    /// The same of the file, after pages of the log were moved there for good: only what is
    /// written anew can be trusted.
    needs_vacuum: bool,
    /// Whether pages of the log are in the file that no sync of it has followed yet.
    has_unsynced_pages: bool,
    is_folder_synced: bool,
}

impl LogKeeper {
    pub(crate) fn new(config: DatabaseConfig) -> Self {
        Self {
            config,
            connection: None,
            needs_checkpoint: false,
            needs_vacuum: false,
            has_unsynced_pages: false,
            is_folder_synced: false,
        }
    }

    /// Runs `work` on the open connection; after a failure that is no lock, the next one opens
    /// another.
    fn run<T>(&mut self, work: impl FnOnce(&Connection) -> Result<T>) -> Result<T> {
        let connection = match self.connection.take() {
            Some(connection) => connection,
            None => self.open()?,
        };
        let outcome = work(&connection);
        if outcome.as_ref().err().is_none_or(Error::is_busy) {
            self.connection = Some(connection);
        }
        outcome
    }

    fn open(&self) -> Result<Connection> {
        let connection = connection::open(&self.config, Role::Blocking)?;
        // Whoever closes the last handle of the ledger decides about the last checkpoint.
        connection.set_db_config(DbConfig::SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, true)?;
        connection.busy_timeout(Duration::ZERO)?;
        Ok(connection)
    }

    /// Moves into the file what can be moved while others write; returns how many pages the log had
    /// when this began, when all of them are in the file, and else nothing.
    ///
    /// # Errors
    ///
    /// As [`checkpoint`](Self::checkpoint).
    pub(crate) fn relieve(&mut self) -> Result<Option<i32>> {
        let moved = self.move_pages(CheckpointMode::PASSIVE, Duration::ZERO)?;
        Ok(moved
            .and_then(|(log_pages, moved_pages)| (log_pages == moved_pages).then_some(log_pages)))
    }

    /// Moves the log into the file and starts it anew, as far as readers allow; says whether all
    /// of it is in the file.
    ///
    /// # Errors
    ///
    /// SQLite's own; a sync that failed among them, which SQLite itself would not tell anybody
    /// of (<https://www.sqlite.org/pragma.html#pragma_synchronous>). The log keeps its pages.
    pub(crate) fn checkpoint(&mut self) -> Result<bool> {
        self.rewrite_lost_pages()?;
        // Without a lock that writers would meet, for all that can be moved so.
        self.relieve()?;
        // Readers that come from here on read the file; those that were there must end.
        let is_whole = self
            .move_pages(CheckpointMode::RESTART, READER_PATIENCE)?
            .is_some_and(|(log_pages, moved_pages)| log_pages == moved_pages);
        self.run(|connection| ignore_busy(begin_log(connection)))?;
        self.needs_checkpoint &= !is_whole;
        Ok(is_whole)
    }

    /// Has SQLite move pages; returns how many the log had and how many of these are in the file, or nothing
    /// when a lock was in the way for all of `patience`.
    ///
    /// SQLite syncs the file when all of the log is in it, what was written meanwhile included. Until
    /// then the disk has those pages in the log, which is not begun anew before.
    fn move_pages(
        &mut self,
        mode: CheckpointMode,
        patience: Duration,
    ) -> Result<Option<(i32, i32)>> {
        // Others may have moved pages, and SQLite does so too before it finds a lock in its way.
        self.note_moved_pages()?;
        let outcome = self
            .run(|connection| ignore_busy(retry_while_busy(patience, || run(connection, mode))));
        match &outcome {
            Ok(_) => self.note_moved_pages()?,
            Err(error) => self.note_failure(error),
        }
        outcome
    }

    /// Notes whether there are pages in the file that were not synced there.
    fn note_moved_pages(&mut self) -> Result<()> {
        if let Some((log_pages, moved_pages)) =
            self.run(|connection| ignore_busy(look_at_log(connection)))?
        {
            self.has_unsynced_pages = 0 < moved_pages && moved_pages < log_pages;
        }
        Ok(())
    }

    /// Notes what a failed sync means: what the system then forgot to write, a later one does not write either.
    fn note_failure(&mut self, error: &Error) {
        let is_sync = matches!(
            error,
            Error::Sqlite { extended_code, .. } if *extended_code == ffi::SQLITE_IOERR_FSYNC
        );
        // It was the log's, or the file's.
        self.needs_checkpoint |= is_sync;
        self.needs_vacuum |= is_sync && self.has_unsynced_pages;
    }

    /// Writes all pages anew, into the log, when the file may have lost some: the log must not be begun anew
    /// before.
    ///
    /// # Errors
    ///
    /// SQLite's own, a lock that does not go away among them.
    pub(crate) fn rewrite_lost_pages(&mut self) -> Result<()> {
        if !self.needs_vacuum {
            return Ok(());
        }
        self.run(|connection| {
            retry_while_busy(READER_PATIENCE, || Ok(connection.execute_batch("VACUUM")?))
        })?;
        self.needs_vacuum = false;
        self.needs_checkpoint = true;
        Ok(())
    }

    /// Waits until the disk has all that was committed before.
    ///
    /// # Errors
    ///
    /// What the disk answers; from then on, every call fails until all that it may have lost has
    /// been written and synced anew.
    pub(crate) fn flush(&mut self) -> Result<()> {
        self.rewrite_lost_pages()?;
        if self.needs_checkpoint && !self.checkpoint()? {
            return Err(Error::Busy(
                "a flush failed before, and a reader keeps the log from being written anew; \
                 end long reads and try again"
                    .into(),
            ));
        }
        let synced = self.run(|connection| {
            // A read opens the log's file for this connection.
            connection.query_row("SELECT count(*) FROM sqlite_schema", [], |_| Ok(()))?;
            Ok(sync_journal_file(connection))
        })?;
        self.needs_checkpoint = synced.is_err();
        synced?;
        if !self.is_folder_synced {
            sync_folder(&self.config)?;
            self.is_folder_synced = true;
        }
        Ok(())
    }
}

/// Makes the names of the database and its log safe on the disk, as their contents are.
#[cfg(unix)]
fn sync_folder(config: &DatabaseConfig) -> Result<()> {
    let path = connection::resolve(&config.path);
    let Some(folder) = path.parent() else {
        return Ok(());
    };
    // A relative path of one part has an empty parent.
    let folder = if folder.as_os_str().is_empty() {
        std::path::Path::new(".")
    } else {
        folder
    };
    std::fs::File::open(folder)
        .and_then(|folder| folder.sync_all())
        .map_err(|source| Error::FileAccess {
            path: folder.to_owned(),
            source,
        })
}

/// Other systems keep a file's name with its contents.
#[cfg(not(unix))]
fn sync_folder(_: &DatabaseConfig) -> Result<()> {
    Ok(())
}

/// Takes a lock in the way for nothing done.
fn ignore_busy<T>(outcome: Result<T>) -> Result<Option<T>> {
    match outcome {
        Ok(value) => Ok(Some(value)),
        Err(error) if error.is_busy() => Ok(None),
        Err(error) => Err(error),
    }
}

/// Empties the log's file, as far as readers allow.
pub(super) fn truncate_log(connection: &Connection) -> Result<()> {
    ignore_busy(run(connection, CheckpointMode::TRUNCATE)).map(drop)
}

/// Closes event-loop handles; the last one of a file takes the log with it.
pub(crate) fn close(connections: Vec<Connection>) -> Result<()> {
    for connection in connections {
        connection.set_db_config(DbConfig::SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, false)?;
        connection.close().map_err(|(_, error)| error)?;
    }
    Ok(())
}

/// Returns the size of the log's file, in bytes; 0 without one.
pub(crate) fn log_bytes(connection: &Connection) -> Result<i64> {
    let mut bytes = 0;
    let failure = "the size of the write-ahead log could not be read";
    let which = ffi::SQLITE_FCNTL_JOURNAL_POINTER;
    with_file(connection, which, failure, |file, methods| {
        methods.xFileSize.map_or(ffi::SQLITE_OK, |size| {
            // SAFETY: `with_file` hands over an open file and its own methods.
            unsafe { size(file, &raw mut bytes) }
        })
    })
    .map(|()| bytes)
}

fn sync_journal_file(connection: &Connection) -> Result<()> {
    let which = ffi::SQLITE_FCNTL_JOURNAL_POINTER;
    let failure = "the write-ahead log could not be flushed to the disk";
    with_file(connection, which, failure, |file, methods| {
        methods.xSync.map_or(ffi::SQLITE_OK, |sync| {
            // SAFETY: `with_file` hands over an open file and its own methods.
            unsafe { sync(file, SYNC_FLAGS) }
        })
    })
}

/// Calls `work` with an open file of the database; does nothing when there is none: without a
/// log, nothing is written that is not in the database's own.
fn with_file(
    connection: &Connection,
    which: i32,
    failure: &str,
    work: impl FnOnce(*mut ffi::sqlite3_file, &ffi::sqlite3_io_methods) -> i32,
) -> Result<()> {
    let mut file: *mut ffi::sqlite3_file = ptr::null_mut();
    // SAFETY: the handle is open and used by this thread alone. This file control writes one
    // pointer to `file`; SQLite owns what it points to for as long as the connection is open,
    // which outlasts this function.
    let code = unsafe {
        let found = ffi::sqlite3_file_control(
            connection.handle(),
            c"main".as_ptr(),
            which,
            (&raw mut file).cast(),
        );
        match file.as_ref().and_then(|file| file.pMethods.as_ref()) {
            Some(methods) if found == ffi::SQLITE_OK => work(file, methods),
            _ => found,
        }
    };
    if code == ffi::SQLITE_OK {
        return Ok(());
    }
    Err(Error::Sqlite {
        extended_code: code,
        message: failure.into(),
    })
}

/// Returns the log's pages and those of them that are in the file. When these are all, the next
/// write begins the log again, and syncs its first page on the thread that writes.
pub(crate) fn look_at_log(connection: &Connection) -> Result<(i32, i32)> {
    run(connection, CheckpointMode::NOOP)
}

/// Makes sure that the next write need not begin the log anew: the first one syncs its header on the
/// thread that writes. Writes one page that changes nothing, when all others are in the file; says
/// whether the log was begun anew with it, for which no reader may be in the way.
///
/// A connection that begins the log keeps the pages that it has in memory; all others forget theirs.
///
/// # Errors
///
/// A lock that is in the way, at once: whoever asked knows how long to wait.
pub(crate) fn begin_log(connection: &Connection) -> Result<bool> {
    let (log_pages, moved_pages) = look_at_log(connection)?;
    if log_pages > moved_pages {
        return Ok(false);
    }
    connection::refresh_mapping(connection);
    // What a long reader has let the file grow to, it does not keep.
    connection.pragma_update(None, "journal_size_limit", LOG_LIMIT_BYTES)?;
    transaction::run(connection, || {
        let version: i64 = connection.pragma_query_value(None, "user_version", |row| row.get(0))?;
        Ok::<_, Error>(connection.pragma_update(None, "user_version", version)?)
    })?;
    Ok(look_at_log(connection)?.0 <= log_pages.max(1))
}

fn run(connection: &Connection, mode: CheckpointMode) -> Result<(i32, i32)> {
    Ok(connection.wal_checkpoint_v2(None::<&str>, mode)?)
}

#[cfg(test)]
mod tests;
