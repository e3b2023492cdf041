//! Owns the write-ahead log's life: moving it into the file, starting it anew, syncing it.
//!
//! An event loop's handle does none of this by itself: each of it waits for the disk. A
//! [`LogKeeper`] does, on another thread and through a connection of its own.
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
        let outcome = self.run(|connection| {
            let moved = ignore_busy(retry_while_busy(patience, || run(connection, mode)))?;
            let log = ignore_busy(look_at_log(connection))?;
            let is_synced = log.is_some_and(|(log_pages, moved_pages)| log_pages == moved_pages);
            Ok((moved, is_synced))
        });
        match &outcome {
            Ok((moved, is_synced)) => {
                let has_moved = moved.is_some_and(|(_, moved_pages)| moved_pages > 0);
                self.has_unsynced_pages = !is_synced && (has_moved || self.has_unsynced_pages);
            }
            Err(error) => self.note_failure(error),
        }
        outcome.map(|(moved, _)| moved)
    }

    /// What the system forgot to write to the file, a later sync does not write either.
    fn note_failure(&mut self, error: &Error) {
        let is_sync = matches!(
            error,
            Error::Sqlite { extended_code, .. } if *extended_code == ffi::SQLITE_IOERR_FSYNC
        );
        self.needs_vacuum |= is_sync && self.has_unsynced_pages;
    }

    /// Waits until the disk has all that was committed before.
    ///
    /// # Errors
    ///
    /// What the disk answers; from then on, every call fails until all that it may have lost has
    /// been written and synced anew.
    pub(crate) fn flush(&mut self) -> Result<()> {
        if self.needs_vacuum {
            self.run(|connection| {
                retry_while_busy(READER_PATIENCE, || Ok(connection.execute_batch("VACUUM")?))
            })?;
            self.needs_vacuum = false;
            self.needs_checkpoint = true;
        }
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
mod tests {
    use super::*;
    use crate::test_folder::TestFolder;

    fn log_file_bytes(config: &DatabaseConfig) -> u64 {
        let path = format!("{}-wal", config.path.display());
        std::fs::metadata(path).map_or(0, |metadata| metadata.len())
    }

    fn noop(connection: &Connection) -> (i32, i32) {
        look_at_log(connection).unwrap()
    }

    #[test]
    fn a_checkpoint_moves_the_log_and_starts_it_anew() {
        let folder = TestFolder::new();
        let config = folder.config();
        let main = connection::open(&config, Role::EventLoop).unwrap();
        main.execute_batch("CREATE TABLE t(x); INSERT INTO t VALUES (zeroblob(400000))")
            .unwrap();
        let (pages, moved) = noop(&main);
        assert!(pages > 90 && moved == 0, "{pages} {moved}");
        LogKeeper::new(config).checkpoint().unwrap();
        assert_eq!(noop(&main).0, 1, "one page stands in the new log");
        assert_eq!(
            main.query_row("SELECT length(x) FROM t", [], |row| row.get::<_, i64>(0))
                .unwrap(),
            400_000
        );
    }

    #[test]
    fn a_reader_keeps_the_log_and_nothing_fails() {
        let folder = TestFolder::new();
        let config = folder.config();
        let main = connection::open(&config, Role::EventLoop).unwrap();
        main.execute_batch("CREATE TABLE t(x)").unwrap();
        let reader = connection::open(&config, Role::EventLoopReader).unwrap();
        reader.execute_batch("BEGIN").unwrap();
        reader
            .query_row("SELECT count(*) FROM t", [], |_| Ok(()))
            .unwrap();
        main.execute_batch("INSERT INTO t VALUES (1)").unwrap();
        let before = noop(&main).0;
        LogKeeper::new(config.clone()).checkpoint().unwrap();
        assert_eq!(noop(&main).0, before);
        truncate_log(
            &connection::open(
                &DatabaseConfig {
                    timeout_ms: 1_000,
                    ..config
                },
                Role::Blocking,
            )
            .unwrap(),
        )
        .unwrap();
    }

    #[test]
    fn preparing_writes_one_page_and_only_once() {
        let folder = TestFolder::new();
        let config = folder.config();
        let main = connection::open(&config, Role::EventLoop).unwrap();
        assert_eq!(noop(&main).0, 0);
        assert!(begin_log(&main).unwrap());
        assert_eq!(noop(&main).0, 1);
        assert!(!begin_log(&main).unwrap(), "there is one to go on with");
        assert_eq!(noop(&main).0, 1);
    }

    fn cache_misses(connection: &Connection) -> i32 {
        let (mut now, mut most) = (0, 0);
        // SAFETY: the handle is open and used by this thread alone.
        let code = unsafe {
            let which = ffi::SQLITE_DBSTATUS_CACHE_MISS;
            ffi::sqlite3_db_status(connection.handle(), which, &raw mut now, &raw mut most, 1)
        };
        assert_eq!(code, ffi::SQLITE_OK);
        now
    }

    #[test]
    fn who_begins_the_log_keeps_its_cache() {
        let folder = TestFolder::new();
        let config = folder.config();
        let main = connection::open(&config, Role::EventLoop).unwrap();
        let other = connection::open(&config, Role::EventLoop).unwrap();
        main.execute_batch(
            "CREATE TABLE t(x);
             WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 400)
             INSERT INTO t SELECT zeroblob(1000) FROM n",
        )
        .unwrap();
        let mut keeper = LogKeeper::new(config);
        let misses_after = |keeper: &mut LogKeeper, beginner: &Connection| {
            main.execute_batch("UPDATE t SET x = randomblob(1000)")
                .unwrap();
            assert!(keeper.relieve().unwrap().is_some());
            assert!(begin_log(beginner).unwrap());
            cache_misses(&main);
            main.query_row("SELECT sum(length(x)) FROM t", [], |_| Ok(()))
                .unwrap();
            cache_misses(&main)
        };
        assert_eq!(misses_after(&mut keeper, &main), 0);
        let misses = misses_after(&mut keeper, &other);
        assert!(misses > 90, "{misses}");
        assert_eq!(misses_after(&mut keeper, &main), 0);
    }

    #[test]
    fn a_reader_in_the_way_leaves_the_log_to_be_gone_on_with() {
        let folder = TestFolder::new();
        let config = folder.config();
        let main = connection::open(&config, Role::EventLoop).unwrap();
        main.execute_batch("CREATE TABLE t(x); INSERT INTO t VALUES (1)")
            .unwrap();
        let reader = connection::open(&config, Role::EventLoopReader).unwrap();
        reader
            .execute_batch("BEGIN; SELECT count(*) FROM t")
            .unwrap();
        let mut keeper = LogKeeper::new(config);
        let log_pages = keeper.relieve().unwrap();
        assert_eq!(log_pages, Some(noop(&main).0));
        assert!(!begin_log(&main).unwrap());
        assert_eq!(Some(noop(&main).0 - 1), log_pages);
        reader.execute_batch("COMMIT").unwrap();
        keeper.relieve().unwrap();
        assert!(begin_log(&main).unwrap());
        assert_eq!(noop(&main).0, 1);
    }

    #[test]
    fn closing_the_last_handle_removes_the_log() {
        let folder = TestFolder::new();
        let config = folder.config();
        let main = connection::open(&config, Role::EventLoop).unwrap();
        main.execute_batch("CREATE TABLE t(x)").unwrap();
        let reader = connection::open(&config, Role::EventLoopReader).unwrap();
        let mut keeper = LogKeeper::new(config.clone());
        keeper.flush().unwrap();
        assert_eq!(log_bytes(&main).unwrap() as u64, log_file_bytes(&config));
        assert!(log_file_bytes(&config) > 0);
        drop(keeper);
        close(vec![main, reader]).unwrap();
        assert_eq!(log_file_bytes(&config), 0);
    }

    #[test]
    fn a_sync_by_hand_asks_for_more_than_the_drives_own_cache() {
        let folder = TestFolder::new();
        let config = folder.config();
        let main = connection::open(&config, Role::EventLoop).unwrap();
        main.execute_batch("CREATE TABLE t(x)").unwrap();
        let mut keeper = LogKeeper::new(config.clone());
        keeper.connection = Some(connection::open_recorded(&config, Role::Blocking).unwrap());
        connection::take_sync_flags();
        keeper.flush().unwrap();
        assert_eq!(connection::take_sync_flags(), [ffi::SQLITE_SYNC_FULL]);
        let reader = connection::open(&config, Role::EventLoopReader).unwrap();
        reader
            .execute_batch("BEGIN; SELECT count(*) FROM t")
            .unwrap();
        main.execute_batch("INSERT INTO t VALUES (1)").unwrap();
        assert_eq!(keeper.relieve().unwrap(), None);
        // SQLite syncs the log before it moves pages, and the file when none is left.
        let full = ffi::SQLITE_SYNC_FULL;
        assert_eq!(connection::take_sync_flags(), [full]);
        reader.execute_batch("COMMIT").unwrap();
        assert!(keeper.relieve().unwrap().is_some());
        assert_eq!(connection::take_sync_flags(), [full, full]);
    }

    #[test]
    fn syncing_without_a_log_is_no_error() {
        let folder = TestFolder::new();
        let config = DatabaseConfig {
            enable_wal: false,
            ..folder.config()
        };
        let main = connection::open(&config, Role::EventLoop).unwrap();
        main.execute_batch("CREATE TABLE t(x)").unwrap();
        assert_eq!(log_bytes(&main).unwrap(), 0);
        LogKeeper::new(config).flush().unwrap();
    }

    #[test]
    fn after_a_failed_sync_only_a_log_written_anew_is_trusted() {
        let folder = TestFolder::new();
        let config = folder.config();
        let main = connection::open(&config, Role::EventLoop).unwrap();
        main.execute_batch("CREATE TABLE t(x)").unwrap();
        let reader = connection::open(&config, Role::EventLoopReader).unwrap();
        reader
            .execute_batch("BEGIN; SELECT count(*) FROM t")
            .unwrap();
        main.execute_batch("INSERT INTO t VALUES (1)").unwrap();
        let mut keeper = LogKeeper::new(config);
        keeper.needs_checkpoint = true;
        let error = keeper.flush().unwrap_err();
        assert_eq!(error.code(), "DB_BUSY");
        assert!(keeper.flush().is_err(), "and again");
        reader.execute_batch("COMMIT").unwrap();
        keeper.flush().unwrap();
        assert!(!keeper.needs_checkpoint);
    }

    #[test]
    fn after_a_failed_sync_of_the_file_all_of_it_is_written_anew() {
        let folder = TestFolder::new();
        let main = connection::open(&folder.config(), Role::EventLoop).unwrap();
        main.execute_batch("CREATE TABLE t(x); INSERT INTO t VALUES (zeroblob(400000))")
            .unwrap();
        let mut keeper = LogKeeper::new(folder.config());
        assert!(keeper.checkpoint().unwrap());
        keeper.needs_vacuum = true;
        main.execute_batch("BEGIN IMMEDIATE").unwrap();
        assert!(keeper.flush().is_err() && keeper.needs_vacuum);
        main.execute_batch("COMMIT").unwrap();
        keeper.flush().unwrap();
        assert!(!keeper.needs_vacuum && !keeper.needs_checkpoint);
        assert!(log_file_bytes(&folder.config()) > 400_000);
    }

    #[test]
    fn a_failed_sync_loses_what_was_moved_beside_a_reader() {
        let folder = TestFolder::new();
        let main = connection::open(&folder.config(), Role::EventLoop).unwrap();
        main.execute_batch("CREATE TABLE t(x)").unwrap();
        let reader = connection::open(&folder.config(), Role::EventLoopReader).unwrap();
        reader
            .execute_batch("BEGIN; SELECT count(*) FROM t")
            .unwrap();
        main.execute_batch("INSERT INTO t VALUES (1)").unwrap();
        let failure = |extended_code| Error::Sqlite {
            extended_code,
            message: String::new(),
        };
        let mut keeper = LogKeeper::new(folder.config());
        keeper.note_failure(&failure(ffi::SQLITE_IOERR_FSYNC));
        assert!(!keeper.needs_vacuum, "there was nothing to lose");
        assert_eq!(keeper.relieve().unwrap(), None);
        let (log_pages, moved_pages) = noop(&main);
        assert!(0 < moved_pages && moved_pages < log_pages);
        assert!(!keeper.checkpoint().unwrap(), "not whole");
        keeper.note_failure(&failure(ffi::SQLITE_FULL));
        assert!(!keeper.needs_vacuum, "a full disk forgets nothing");
        keeper.note_failure(&failure(ffi::SQLITE_IOERR_FSYNC));
        assert!(keeper.needs_vacuum);
        reader.execute_batch("COMMIT").unwrap();
        keeper.flush().unwrap();
        assert!(keeper.relieve().unwrap().is_some());
        keeper.note_failure(&failure(ffi::SQLITE_IOERR_FSYNC));
        assert!(!keeper.needs_vacuum, "all was synced");
    }

    #[test]
    fn a_keeper_opens_another_connection_after_a_failure() {
        let folder = TestFolder::new();
        let mut keeper = LogKeeper::new(folder.config());
        keeper.flush().unwrap();
        let failure = keeper.run(|_| Err::<(), _>(Error::Closed));
        assert!(failure.is_err() && keeper.connection.is_none());
        keeper.relieve().unwrap();
        assert!(keeper.connection.is_some());
    }
}
