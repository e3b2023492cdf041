//! Owns the write-ahead log's life: moving it into the file, starting it anew, syncing it.
//!
//! An event loop's handle does none of this by itself: each of it waits for the disk. All of it
//! runs on another thread, through a connection of its own.
//! Source: <https://www.sqlite.org/wal.html>.

use crate::config::DatabaseConfig;
use crate::connection::{self, Role};
use crate::error::{Error, Result};
use crate::transaction;
use rusqlite::config::DbConfig;
use rusqlite::wal::CheckpointMode;
use rusqlite::{Connection, ffi};
use std::ptr;
use std::time::Duration;

/// Moves the log's pages into the file and, when none is left behind, starts the log anew.
pub(crate) fn checkpoint(config: &DatabaseConfig) -> Result<()> {
    let connection = connection::open(config, Role::Blocking)?;
    run(&connection, CheckpointMode::PASSIVE)?;
    start_log_anew(&connection)
}

/// Makes sure that the next write need not start the log: the first one syncs its header on the
/// thread that writes.
///
/// # Errors
///
/// A lock that is in the way, at once: whoever asked knows how long to wait.
pub(crate) fn prepare_log(config: &DatabaseConfig) -> Result<()> {
    let connection = connection::open(config, Role::Blocking)?;
    connection.busy_timeout(Duration::ZERO)?;
    start_log_anew(&connection)
}

/// Empties the log's file, as far as readers allow.
pub(super) fn truncate_log(connection: &Connection) -> Result<()> {
    match run(connection, CheckpointMode::TRUNCATE) {
        Err(error) if error.is_busy() => Ok(()),
        outcome => outcome.map(drop),
    }
}

/// Closes event-loop handles, with the checkpoint that closing the last one of a file brings.
pub(crate) fn close(connections: Vec<Connection>) -> Result<()> {
    for connection in connections {
        connection.set_db_config(DbConfig::SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, false)?;
        connection.close().map_err(|(_, error)| error)?;
    }
    Ok(())
}

/// Waits until the disk has all of the log.
pub(crate) fn sync_log(config: &DatabaseConfig) -> Result<()> {
    let connection = connection::open(config, Role::Blocking)?;
    // A read opens the log's file for this connection.
    connection.query_row("SELECT count(*) FROM sqlite_schema", [], |_| Ok(()))?;
    sync_journal_file(&connection)
}

#[allow(unsafe_code)]
fn sync_journal_file(connection: &Connection) -> Result<()> {
    let mut file: *mut ffi::sqlite3_file = ptr::null_mut();
    // SAFETY: the handle is open and used by this thread alone. This file control writes one
    // pointer to `file`; SQLite owns what it points to for as long as the connection is open,
    // which outlasts this function, and `xSync` is called with SQLite's own methods table.
    let code = unsafe {
        let found = ffi::sqlite3_file_control(
            connection.handle(),
            c"main".as_ptr(),
            ffi::SQLITE_FCNTL_JOURNAL_POINTER,
            (&raw mut file).cast(),
        );
        match file.as_ref().and_then(|file| file.pMethods.as_ref()) {
            Some(methods) if found == ffi::SQLITE_OK => methods
                .xSync
                .map_or(ffi::SQLITE_OK, |sync| sync(file, ffi::SQLITE_SYNC_NORMAL)),
            // No log: nothing is written that is not in the file.
            _ => found,
        }
    };
    if code == ffi::SQLITE_OK {
        Ok(())
    } else {
        Err(Error::Sqlite {
            extended_code: code,
            message: "the write-ahead log could not be flushed to the disk".into(),
        })
    }
}

/// Says whether all of the log is in the file: the next write would begin the log again, and
/// sync its first page on the thread that writes.
pub(crate) fn next_write_starts_log(connection: &Connection) -> Result<bool> {
    let (log_pages, moved_pages) = run(connection, CheckpointMode::NOOP)?;
    Ok(log_pages <= moved_pages)
}

/// Writes one page that changes nothing, when the next write would begin the log again.
fn start_log_anew(connection: &Connection) -> Result<()> {
    if !next_write_starts_log(connection)? {
        return Ok(());
    }
    transaction::run(connection, || {
        let version: i64 = connection.pragma_query_value(None, "user_version", |row| row.get(0))?;
        Ok(connection.pragma_update(None, "user_version", version)?)
    })
}

/// Returns the log's pages and those of them that are in the file.
fn run(connection: &Connection, mode: CheckpointMode) -> Result<(i32, i32)> {
    Ok(connection.wal_checkpoint_v2(None::<&str>, mode)?)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::test_folder::TestFolder;

    fn log_bytes(config: &DatabaseConfig) -> u64 {
        let path = format!("{}-wal", config.path.display());
        std::fs::metadata(path).map_or(0, |metadata| metadata.len())
    }

    fn noop(connection: &Connection) -> (i32, i32) {
        run(connection, CheckpointMode::NOOP).unwrap()
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
        checkpoint(&config).unwrap();
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
        checkpoint(&config).unwrap();
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
        prepare_log(&config).unwrap();
        assert_eq!(noop(&main).0, 1);
        prepare_log(&config).unwrap();
        assert_eq!(noop(&main).0, 1);
    }

    #[test]
    fn closing_the_last_handle_removes_the_log() {
        let folder = TestFolder::new();
        let config = folder.config();
        let main = connection::open(&config, Role::EventLoop).unwrap();
        main.execute_batch("CREATE TABLE t(x)").unwrap();
        let reader = connection::open(&config, Role::EventLoopReader).unwrap();
        sync_log(&config).unwrap();
        assert!(log_bytes(&config) > 0);
        close(vec![main, reader]).unwrap();
        assert_eq!(log_bytes(&config), 0);
    }

    #[test]
    fn syncing_without_a_log_is_no_error() {
        let folder = TestFolder::new();
        let config = DatabaseConfig {
            enable_wal: false,
            ..folder.config()
        };
        sync_log(&config).unwrap();
    }
}
