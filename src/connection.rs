//! Owns opening and closing: the only file that opens a database.
//!
//! It decides which pragmas a handle gets and in which order; `location.rs` how a file comes to be,
//! `safety.rs` what makes a hostile one harmless. It may not know the ledger's tables.

use crate::config::{DatabaseConfig, MEMORY_PATH, Synchronous};
use crate::error::{Error, Result};
use rusqlite::config::DbConfig;
use rusqlite::{Connection, OpenFlags, ffi};
use std::ffi::CStr;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

mod location;
mod other_file;
mod safety;
#[cfg(test)]
mod sync_recorder;

pub(crate) use location::resolve;
pub(crate) use other_file::{has_database_header, open_private, open_stranger, read_bytes};
#[cfg(test)]
pub(crate) use sync_recorder::{open_recorded, take_sync_flags};

/// After how many steps of its machine SQLite asks whether to stop: some ten microseconds.
const STOP_CHECK_STEPS: i32 = 1_000;

/// How many prepared statements one connection keeps.
const STATEMENT_CACHE_CAPACITY: usize = 64;

/// What a handle is for, where that changes how it is set up.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Role {
    /// A handle that may block its thread: it waits for locks and checkpoints by itself.
    Blocking,
    /// A handle on an event loop's thread: it never waits for a lock, never checkpoints and never syncs
    /// there; others do that for it, or have it begin the log anew on their thread.
    EventLoop,
    /// As [`Role::EventLoop`], and it never writes.
    EventLoopReader,
}

/// Opens a database as `config` says, for `role`.
///
/// # Errors
///
/// A typed error for a missing file or folder, a path that is no file, a file that is no
/// database and a journal mode that cannot be had; SQLite's own otherwise.
pub(crate) fn open(config: &DatabaseConfig, role: Role) -> Result<Connection> {
    config.validate()?;
    let path = if config.is_memory() {
        PathBuf::from(MEMORY_PATH)
    } else {
        location::locate_file(config)?
    };
    // Never SQLITE_OPEN_CREATE for a file: `locate_file` made it, with its mode. Never
    // SQLITE_OPEN_URI; and an absolute path cannot begin with `file:`, which the bundled build
    // would take for a URI even so (<https://www.sqlite.org/uri.html>).
    let flags = if config.readonly {
        OpenFlags::SQLITE_OPEN_READ_ONLY
    } else {
        OpenFlags::SQLITE_OPEN_READ_WRITE
    } | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let connection = match layer_name() {
        Some(layer) => Connection::open_with_flags_and_vfs(&path, flags, layer)?,
        None => Connection::open_with_flags(&path, flags)?,
    };
    configure(&connection, config, role, &path)?;
    Ok(connection)
}

/// Returns the name of the layer between SQLite and the system's files, where there is one.
fn layer_name() -> Option<&'static CStr> {
    #[cfg(unix)]
    return crate::vfs::name();
    #[cfg(not(unix))]
    None
}

/// Lets the lock of a reader stay between two reads, until told otherwise; see [`crate::vfs`]. Does
/// nothing where that layer is not used, in memory and without a write-ahead log.
pub(crate) fn keep_read_lock(connection: &Connection, is_kept: bool) {
    #[cfg(unix)]
    crate::vfs::keep_read_lock(connection, is_kept);
    #[cfg(not(unix))]
    let _ = (connection, is_kept);
}

/// Maps the file anew if it has grown by much, while nobody waits; see [`crate::vfs`].
pub(crate) fn refresh_mapping(connection: &Connection) {
    #[cfg(unix)]
    crate::vfs::refresh_mapping(connection);
    #[cfg(not(unix))]
    let _ = connection;
}

/// Applies the safety switches and the pragmas, in an order that matters.
fn configure(
    connection: &Connection,
    config: &DatabaseConfig,
    role: Role,
    path: &Path,
) -> Result<()> {
    let timeout = Duration::from_millis(config.timeout_ms.into());
    // 1. Wait for others while opening, whatever the role: opening is off the event loop.
    connection.busy_timeout(timeout)?;
    // 2. Safety before the first byte of the file is interpreted.
    safety::apply(connection, role)?;
    // Without these a sync on macOS ends in the drive's own cache, and a power loss can take what
    // was synced, or a checkpoint half. Elsewhere they change nothing
    // (<https://www.sqlite.org/pragma.html#pragma_fullfsync>). A recovery and a change of the
    // journal mode sync too.
    connection.pragma_update(None, "fullfsync", true)?;
    connection.pragma_update(None, "checkpoint_fullfsync", true)?;
    connection.set_prepared_statement_cache_capacity(STATEMENT_CACHE_CAPACITY);
    // 3. The first read: says whether this is a database at all, and runs a recovery.
    retry_while_busy(timeout, || {
        Ok(connection.pragma_query_value(None, "schema_version", |row| row.get::<_, i64>(0))?)
    })?;
    // 4. The journal mode, before `synchronous`, whose meaning depends on it.
    if !config.is_memory() && !config.readonly {
        set_journal_mode(connection, config.enable_wal, timeout, path)?;
    }
    // 5. The rest of the specification's list.
    let synchronous = match role {
        // The event loop's handle must not sync by itself; see `maintenance::checkpoint`.
        Role::EventLoop | Role::EventLoopReader if config.enable_wal => "NORMAL",
        _ if config.enable_wal => config.synchronous.as_str(),
        // With a rollback journal each level keeps less than with a log: a power loss can damage
        // the file under SQLite's NORMAL, and undo a commit under its FULL, which does not sync
        // the folder once the journal is deleted
        // (<https://www.sqlite.org/pragma.html#pragma_synchronous>).
        _ if config.synchronous == Synchronous::Full => "EXTRA",
        _ => "FULL",
    };
    connection.pragma_update(None, "foreign_keys", config.enable_foreign_keys)?;
    connection.pragma_update(None, "synchronous", synchronous)?;
    connection.pragma_update(None, "temp_store", "MEMORY")?;
    connection.pragma_update(None, "mmap_size", config.mmap_size_bytes)?;
    connection.pragma_update(None, "cache_size", config.cache_size)?;
    // 6. What the role asks for.
    if role != Role::Blocking {
        if config.enable_wal {
            connection.pragma_update(None, "wal_autocheckpoint", 0)?;
            connection.set_db_config(DbConfig::SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, true)?;
        }
        if role == Role::EventLoopReader {
            connection.pragma_update(None, "query_only", true)?;
        }
        connection.busy_timeout(Duration::ZERO)?;
    }
    Ok(())
}

/// Brings the file into the wanted journal mode, and proves that it is.
fn set_journal_mode(
    connection: &Connection,
    enable_wal: bool,
    timeout: Duration,
    path: &Path,
) -> Result<()> {
    let wanted = if enable_wal { "wal" } else { "delete" };
    let present =
        connection.pragma_query_value(None, "journal_mode", |row| row.get::<_, String>(0))?;
    // Asking for the mode that is there already would still need no lock, but also says nothing.
    if present == wanted {
        return Ok(());
    }
    let refused = |found: String| Error::JournalMode {
        path: path.to_owned(),
        wanted,
        found,
    };
    // SQLite does not call its busy handler for this change of mode.
    let outcome = retry_while_busy(timeout, || switch_journal_mode(connection, wanted));
    match outcome {
        Ok(found) if found == wanted => Ok(()),
        Ok(found) => Err(refused(found)),
        Err(Error::Sqlite { extended_code, .. }) if is_shared_memory_failure(extended_code) => {
            Err(refused(present))
        }
        Err(error) => Err(error),
    }
}

/// Asks for another journal mode; returns the one that is then there.
fn switch_journal_mode(connection: &Connection, wanted: &str) -> Result<String> {
    let mut statement = connection.prepare(&format!("PRAGMA journal_mode = {wanted}"))?;
    let mut rows = statement.query([])?;
    let found = rows.next()?.map_or(Ok(String::new()), |row| row.get(0))?;
    // SQLite commits the change behind the row that tells of it, and says only there that it failed.
    while rows.next()?.is_some() {}
    Ok(found)
}

/// Says whether the file system failed at what write-ahead logging needs: shared memory.
fn is_shared_memory_failure(extended_code: i32) -> bool {
    matches!(
        extended_code,
        ffi::SQLITE_IOERR_SHMOPEN
            | ffi::SQLITE_IOERR_SHMSIZE
            | ffi::SQLITE_IOERR_SHMLOCK
            | ffi::SQLITE_IOERR_SHMMAP
            | ffi::SQLITE_PROTOCOL
    )
}

/// Stops the connection's statements with `SQLITE_INTERRUPT` once `must_stop` says so.
pub(crate) fn stop_when(
    connection: &mut Connection,
    must_stop: impl Fn() -> bool + Send + 'static,
) -> Result<()> {
    Ok(connection.progress_handler(STOP_CHECK_STEPS, Some(must_stop))?)
}

/// Repeats `attempt` while it meets a lock, until `timeout` has passed.
pub(crate) fn retry_while_busy<T>(
    timeout: Duration,
    mut attempt: impl FnMut() -> Result<T>,
) -> Result<T> {
    let deadline = Instant::now() + timeout;
    let mut pause = Duration::from_millis(1);
    loop {
        match attempt() {
            Err(error) if error.is_busy() && Instant::now() < deadline => {
                std::thread::sleep(pause);
                pause = (pause * 2).min(Duration::from_millis(25));
            }
            outcome => return outcome,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::test_folder::TestFolder;

    fn pragma<T: rusqlite::types::FromSql>(connection: &Connection, name: &str) -> T {
        connection
            .pragma_query_value(None, name, |row| row.get(0))
            .unwrap()
    }

    #[test]
    fn the_specifications_pragmas_are_applied() {
        let folder = TestFolder::new();
        let connection = open(&folder.config(), Role::Blocking).unwrap();
        assert_eq!(pragma::<String>(&connection, "journal_mode"), "wal");
        assert_eq!(pragma::<i64>(&connection, "foreign_keys"), 1);
        assert_eq!(pragma::<i64>(&connection, "synchronous"), 1);
        assert_eq!(pragma::<i64>(&connection, "temp_store"), 2);
        assert_eq!(pragma::<i64>(&connection, "mmap_size"), 268_435_456);
        assert_eq!(pragma::<i64>(&connection, "cache_size"), -64_000);
    }

    #[test]
    fn a_sync_reaches_the_disk_on_macos_too() {
        let folder = TestFolder::new();
        for role in [Role::Blocking, Role::EventLoop, Role::EventLoopReader] {
            let connection = open(&folder.config(), role).unwrap();
            assert_eq!(pragma::<i64>(&connection, "fullfsync"), 1, "{role:?}");
            assert_eq!(pragma::<i64>(&connection, "checkpoint_fullfsync"), 1);
        }
        for enable_wal in [true, false] {
            let folder = TestFolder::new();
            let config = DatabaseConfig {
                enable_wal,
                synchronous: Synchronous::Full,
                ..folder.config()
            };
            let connection = open_recorded(&config, Role::Blocking).unwrap();
            let opening = take_sync_flags();
            assert!(!enable_wal || !opening.is_empty(), "it became a log's");
            connection.execute_batch("CREATE TABLE t(x)").unwrap();
            let writing = take_sync_flags();
            assert!(!writing.is_empty());
            connection.execute_batch("PRAGMA wal_checkpoint").unwrap();
            let checkpoint = take_sync_flags();
            assert!(!enable_wal || !checkpoint.is_empty());
            for flags in opening.iter().chain(&writing).chain(&checkpoint) {
                assert_eq!(*flags, ffi::SQLITE_SYNC_FULL, "{enable_wal}");
            }
        }
    }

    #[test]
    fn a_commit_waits_for_the_disk_as_the_option_says() {
        let level = |enable_wal, synchronous, role| {
            let folder = TestFolder::new();
            let config = DatabaseConfig {
                enable_wal,
                synchronous,
                ..folder.config()
            };
            let connection = open(&config, role).unwrap();
            pragma::<i64>(&connection, "synchronous")
        };
        let (normal, full, extra) = (1, 2, 3);
        for (enable_wal, synchronous, blocking, event_loop) in [
            (true, Synchronous::Normal, normal, normal),
            (true, Synchronous::Full, full, normal),
            (false, Synchronous::Normal, full, full),
            (false, Synchronous::Full, extra, extra),
        ] {
            for (role, expected) in [
                (Role::Blocking, blocking),
                (Role::EventLoop, event_loop),
                (Role::EventLoopReader, event_loop),
            ] {
                let found = level(enable_wal, synchronous, role);
                assert_eq!(found, expected, "{enable_wal} {synchronous:?} {role:?}");
            }
        }
    }

    #[test]
    fn options_change_the_pragmas() {
        let folder = TestFolder::new();
        let config = DatabaseConfig {
            enable_wal: false,
            enable_foreign_keys: false,
            synchronous: Synchronous::Full,
            mmap_size_bytes: 0,
            cache_size: 100,
            ..folder.config()
        };
        let connection = open(&config, Role::Blocking).unwrap();
        assert_eq!(pragma::<String>(&connection, "journal_mode"), "delete");
        assert_eq!(pragma::<i64>(&connection, "foreign_keys"), 0);
        assert_eq!(pragma::<i64>(&connection, "synchronous"), 3, "EXTRA");
        assert_eq!(pragma::<i64>(&connection, "mmap_size"), 0);
        assert_eq!(pragma::<i64>(&connection, "cache_size"), 100);
    }

    #[test]
    fn the_event_loops_handle_neither_waits_nor_checkpoints_nor_syncs() {
        let folder = TestFolder::new();
        let config = DatabaseConfig {
            synchronous: Synchronous::Full,
            ..folder.config()
        };
        let connection = open(&config, Role::EventLoop).unwrap();
        assert_eq!(pragma::<i64>(&connection, "busy_timeout"), 0);
        assert_eq!(pragma::<i64>(&connection, "wal_autocheckpoint"), 0);
        assert_eq!(pragma::<i64>(&connection, "synchronous"), 1);
        assert!(
            connection
                .db_config(DbConfig::SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE)
                .unwrap()
        );
        let reader = open(&config, Role::EventLoopReader).unwrap();
        assert!(reader.execute_batch("CREATE TABLE t(x)").is_err());
    }

    #[test]
    fn a_path_like_a_uri_is_a_plain_file_name() {
        let folder = TestFolder::new();
        let path = folder.path().join("file:x?mode=memory");
        drop(open(&DatabaseConfig::new(&path), Role::Blocking).unwrap());
        assert!(path.exists());
    }

    #[test]
    fn what_cannot_be_opened_says_why() {
        let folder = TestFolder::new();
        let code = |config: DatabaseConfig| open(&config, Role::Blocking).unwrap_err().code();
        let missing = folder.path().join("none.db");
        let config = DatabaseConfig {
            create: false,
            ..DatabaseConfig::new(&missing)
        };
        assert_eq!(code(config), "DB_FILE_MISSING");
        let config = DatabaseConfig {
            readonly: true,
            create: false,
            ..DatabaseConfig::new(&missing)
        };
        assert_eq!(code(config), "DB_FILE_MISSING");
        assert!(!missing.exists(), "a refused open makes no file");
        assert_eq!(code(DatabaseConfig::new(folder.path())), "DB_NOT_A_FILE");
        let below = folder.path().join("no/such/folder/a.db");
        assert_eq!(code(DatabaseConfig::new(below)), "DB_FOLDER_MISSING");
        let text = folder.path().join("text.db");
        std::fs::write(&text, "this is no database, but a text that is long enough").unwrap();
        assert_eq!(code(DatabaseConfig::new(text)), "SQLITE_NOTADB");
    }

    #[cfg(unix)]
    #[test]
    fn a_new_file_is_private_and_an_old_ones_mode_is_kept() {
        use std::os::unix::fs::PermissionsExt;
        let folder = TestFolder::new();
        let mode = |path: &Path| std::fs::metadata(path).unwrap().permissions().mode() & 0o777;
        let config = folder.config();
        let connection = open(&config, Role::Blocking).unwrap();
        connection.execute_batch("CREATE TABLE t(x)").unwrap();
        for suffix in ["", "-wal", "-shm"] {
            let path = PathBuf::from(format!("{}{suffix}", config.path.display()));
            assert_eq!(mode(&path), 0o600, "{suffix}");
        }
        drop(connection);
        std::fs::set_permissions(&config.path, std::fs::Permissions::from_mode(0o644)).unwrap();
        drop(open(&config, Role::Blocking).unwrap());
        assert_eq!(mode(&config.path), 0o644);
    }

    #[cfg(unix)]
    #[test]
    fn a_dangling_symlink_is_not_followed_into_a_new_file() {
        let folder = TestFolder::new();
        let target = folder.path().join("target.db");
        let link = folder.path().join("link.db");
        std::os::unix::fs::symlink(&target, &link).unwrap();
        let error = open(&DatabaseConfig::new(&link), Role::Blocking).unwrap_err();
        assert_eq!(error.code(), "DB_FILE_MISSING");
        assert!(!target.exists());
    }

    #[test]
    fn a_read_only_handle_leaves_the_journal_mode_alone() {
        let folder = TestFolder::new();
        let config = DatabaseConfig {
            enable_wal: false,
            ..folder.config()
        };
        open(&config, Role::Blocking)
            .unwrap()
            .execute_batch("CREATE TABLE t(x)")
            .unwrap();
        let config = DatabaseConfig {
            readonly: true,
            create: false,
            ..folder.config()
        };
        let connection = open(&config, Role::Blocking).unwrap();
        assert_eq!(pragma::<String>(&connection, "journal_mode"), "delete");
        assert!(connection.execute_batch("CREATE TABLE u(x)").is_err());
    }

    #[cfg(unix)]
    #[test]
    fn a_file_system_without_shared_memory_gives_a_typed_error() {
        // SQLite's unix-dotfile VFS has no shared memory, as some file systems have none.
        let folder = TestFolder::new();
        let path = folder.path().join("a.db");
        let connection =
            Connection::open_with_flags_and_vfs(&path, OpenFlags::default(), c"unix-dotfile")
                .unwrap();
        let error = configure(
            &connection,
            &DatabaseConfig::new(&path),
            Role::Blocking,
            &path,
        )
        .unwrap_err();
        assert_eq!(error.code(), "DB_JOURNAL_MODE");
        assert!(error.to_string().contains("enableWAL"), "{error}");
        assert!(is_shared_memory_failure(ffi::SQLITE_IOERR_SHMMAP));
    }

    #[test]
    fn leaving_wal_is_refused_while_others_have_the_file_open() {
        let folder = TestFolder::new();
        let other = open(&folder.config(), Role::Blocking).unwrap();
        other.execute_batch("CREATE TABLE t(x)").unwrap();
        let config = DatabaseConfig {
            enable_wal: false,
            timeout_ms: 1_000,
            ..folder.config()
        };
        let error = open(&config, Role::Blocking).unwrap_err();
        assert!(error.is_busy(), "{error}");
    }

    #[test]
    fn a_busy_attempt_is_repeated_until_it_succeeds_or_time_is_up() {
        let busy = || Error::Sqlite {
            extended_code: 5,
            message: "locked".into(),
        };
        let mut left = 3;
        let outcome = retry_while_busy(Duration::from_secs(60), || {
            left -= 1;
            if left > 0 { Err(busy()) } else { Ok(left) }
        });
        assert_eq!(outcome.unwrap(), 0);
        assert!(
            retry_while_busy::<()>(Duration::ZERO, || Err(busy()))
                .unwrap_err()
                .is_busy()
        );
    }
}
