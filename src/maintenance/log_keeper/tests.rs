//! The log's life: what is moved, begun anew, synced and mistrusted.

use super::*;
use crate::test_folder::TestFolder;

fn log_file_bytes(config: &DatabaseConfig) -> u64 {
    let path = format!("{}-wal", config.path.display());
    std::fs::metadata(path).map_or(0, |metadata| metadata.len())
}

fn noop(connection: &Connection) -> (i32, i32) {
    look_at_log(connection).unwrap()
}

/// Opens a handle that reads, and goes on reading what is committed now.
fn start_read(config: &DatabaseConfig) -> Connection {
    let reader = connection::open(config, Role::EventLoopReader).unwrap();
    reader
        .execute_batch("BEGIN; SELECT count(*) FROM t")
        .unwrap();
    reader
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
    let reader = start_read(&config);
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
    let reader = start_read(&config);
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
    let reader = start_read(&config);
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
    let reader = start_read(&folder.config());
    main.execute_batch("INSERT INTO t VALUES (1)").unwrap();
    let failure = |extended_code| Error::Sqlite {
        extended_code,
        message: String::new(),
    };
    let mut keeper = LogKeeper::new(folder.config());
    keeper.note_failure(&failure(ffi::SQLITE_IOERR_FSYNC));
    assert!(
        !keeper.needs_vacuum,
        "there was nothing to lose in the file"
    );
    assert!(keeper.needs_checkpoint, "but in the log");
    keeper.needs_checkpoint = false;
    assert_eq!(keeper.relieve().unwrap(), None);
    let (log_pages, moved_pages) = noop(&main);
    assert!(0 < moved_pages && moved_pages < log_pages);
    assert!(!keeper.checkpoint().unwrap(), "not whole");
    keeper.note_failure(&failure(ffi::SQLITE_FULL));
    assert!(!keeper.needs_vacuum, "a full disk forgets nothing");
    keeper.note_failure(&failure(ffi::SQLITE_IOERR_FSYNC));
    assert!(keeper.needs_vacuum);
    reader.execute_batch("COMMIT").unwrap();
    // All is written anew first, so that the log that is begun anew holds nothing that the file lacks.
    keeper.rewrite_lost_pages().unwrap();
    assert!(!keeper.needs_vacuum && !begin_log(&main).unwrap());
    keeper.flush().unwrap();
    assert!(!keeper.needs_checkpoint);
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
