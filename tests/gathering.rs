//! What reaches the write-ahead log's file, seen by copies of the files: a copy has nothing but
//! what is in them, as after a kill of the process.
#![cfg(unix)]

use std::path::{Path, PathBuf};
use whatsapp_uploader_database::{Connection, DatabaseConfig, rusqlite};

struct Folder(PathBuf);

impl Folder {
    fn new(name: &str) -> Self {
        let path = std::env::temp_dir().join(format!("gathering-{}-{name}", std::process::id()));
        std::fs::create_dir_all(&path).unwrap();
        Self(path)
    }

    fn open(&self) -> Connection {
        let connection = Connection::open(&DatabaseConfig::new(self.0.join("a.db"))).unwrap();
        connection
            .handle()
            .execute_batch("PRAGMA wal_autocheckpoint = 0")
            .unwrap();
        connection
    }

    /// Opens a copy of the file and its log by SQLite's own means; the locks that closing the
    /// files drops are those of connections that are idle here.
    fn open_copy(&self) -> rusqlite::Connection {
        let copy = self.0.join("copy.db");
        for suffix in ["", "-wal", "-shm"] {
            let _ = std::fs::remove_file(with_suffix(&copy, suffix));
        }
        for suffix in ["", "-wal"] {
            let from = with_suffix(&self.0.join("a.db"), suffix);
            std::fs::copy(from, with_suffix(&copy, suffix)).unwrap();
        }
        rusqlite::Connection::open(copy).unwrap()
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

fn with_suffix(path: &Path, suffix: &str) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(suffix);
    name.into()
}

fn ask<T: rusqlite::types::FromSql>(connection: &rusqlite::Connection, sql: &str) -> T {
    connection.query_row(sql, [], |row| row.get(0)).unwrap()
}

fn assert_same(connection: &Connection, copy: &rusqlite::Connection, when: &str) {
    let digest = "SELECT count(*) || ' ' || ifnull(sum(id * length(text)), 0) || ' ' \
                  || ifnull(sum(unicode(text)), 0) FROM t";
    let wanted: String = ask(connection.handle(), digest);
    assert_eq!(ask::<String>(copy, digest), wanted, "{when}");
    assert_eq!(
        ask::<String>(copy, "PRAGMA integrity_check"),
        "ok",
        "{when}"
    );
}

const MANY: &str = "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 2000) \
                    INSERT INTO t(text) SELECT hex(randomblob(200)) FROM n";

#[test]
fn each_commit_is_in_the_file_when_it_returns() {
    let folder = Folder::new("commits");
    let connection = folder.open();
    let handle = connection.handle();
    handle
        .execute_batch("CREATE TABLE t (id INTEGER PRIMARY KEY, text TEXT)")
        .unwrap();
    for round in 0..20 {
        handle
            .execute("INSERT INTO t(text) VALUES (hex(randomblob(9000)))", [])
            .unwrap();
        assert_same(&connection, &folder.open_copy(), &format!("round {round}"));
    }
}

/// A cache of few pages spills them into the log before the commit, changes them there, and
/// makes SQLite write checksums of frames anew (`walRewriteChecksums`).
#[test]
fn what_spills_and_is_changed_again_is_whole_at_the_commit() {
    let folder = Folder::new("spill");
    let connection = folder.open();
    let handle = connection.handle();
    handle
        .execute_batch("CREATE TABLE t (id INTEGER PRIMARY KEY, text TEXT); PRAGMA cache_size = 10")
        .unwrap();
    handle.execute_batch(MANY).unwrap();
    for round in 0..10 {
        handle.execute_batch("BEGIN").unwrap();
        for step in 0..40 {
            let first = (round * 97 + step * 191) % 1900;
            handle
                .execute(
                    "UPDATE t SET text = hex(randomblob(200)) WHERE id BETWEEN ?1 AND ?1 + 60",
                    [first],
                )
                .unwrap();
        }
        handle.execute_batch("COMMIT").unwrap();
        assert_same(&connection, &folder.open_copy(), &format!("round {round}"));
    }
}

/// Spills less from a small cache than is gathered at most.
const FEW: &str = "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 250) \
                   INSERT INTO t(text) SELECT hex(randomblob(200)) FROM n";

#[test]
fn what_is_rolled_back_never_stands_in_the_next_writers_place() {
    let folder = Folder::new("rollback");
    let (one, other) = (folder.open(), folder.open());
    one.handle()
        .execute_batch("CREATE TABLE t (id INTEGER PRIMARY KEY, text TEXT); PRAGMA cache_size = 10")
        .unwrap();
    for round in 0..10 {
        // With page 1 in the file, a rollback reads nothing from the log.
        other
            .handle()
            .execute_batch("PRAGMA wal_checkpoint(TRUNCATE)")
            .unwrap();
        one.handle().execute_batch("BEGIN IMMEDIATE").unwrap();
        one.handle().execute_batch(FEW).unwrap();
        one.handle().execute_batch("ROLLBACK").unwrap();
        other
            .handle()
            .execute("INSERT INTO t(text) VALUES (hex(randomblob(3000)))", [])
            .unwrap();
        let _: i64 = ask(one.handle(), "SELECT count(*) FROM t");
        one.handle().execute_batch("BEGIN; SAVEPOINT a").unwrap();
        one.handle().execute_batch(FEW).unwrap();
        one.handle()
            .execute_batch("ROLLBACK TO a; INSERT INTO t(text) VALUES ('after'); COMMIT")
            .unwrap();
        assert_same(&other, &folder.open_copy(), &format!("round {round}"));
        assert_eq!(
            ask::<i64>(other.handle(), "SELECT count(*) FROM t"),
            2 * (round + 1)
        );
    }
}

#[test]
fn a_log_begun_anew_and_one_kept_alone_are_whole() {
    let folder = Folder::new("reset");
    let connection = folder.open();
    let handle = connection.handle();
    handle
        .execute_batch("CREATE TABLE t (id INTEGER PRIMARY KEY, text TEXT)")
        .unwrap();
    for round in 0..6 {
        handle.execute_batch(MANY).unwrap();
        handle
            .execute_batch(
                "PRAGMA wal_checkpoint(RESTART); UPDATE t SET text = text || 'x' WHERE id % 7 = 0",
            )
            .unwrap();
        assert_same(&connection, &folder.open_copy(), &format!("round {round}"));
    }
    // Without shared memory nothing tells when a writer lets go.
    handle
        .execute_batch("PRAGMA locking_mode = EXCLUSIVE; PRAGMA cache_size = 10")
        .unwrap();
    for round in 0..6 {
        handle.execute_batch("BEGIN").unwrap();
        handle.execute_batch(MANY).unwrap();
        handle.execute_batch("ROLLBACK").unwrap();
        handle
            .execute_batch("UPDATE t SET text = text || 'y' WHERE id % 11 = 0")
            .unwrap();
        assert_same(
            &connection,
            &folder.open_copy(),
            &format!("alone, round {round}"),
        );
    }
}

/// Counts how often pages were found in the cache, and how often not.
fn count_cache(connection: &Connection) -> (i32, i32) {
    [
        rusqlite::ffi::SQLITE_DBSTATUS_CACHE_HIT,
        rusqlite::ffi::SQLITE_DBSTATUS_CACHE_MISS,
    ]
    .map(|which| {
        let (mut now, mut most) = (0, 0);
        // SAFETY: the handle is open and used by this thread alone.
        let code = unsafe {
            rusqlite::ffi::sqlite3_db_status(
                connection.handle().handle(),
                which,
                &raw mut now,
                &raw mut most,
                0,
            )
        };
        assert_eq!(code, rusqlite::ffi::SQLITE_OK);
        now
    })
    .into()
}

#[test]
fn pages_are_copied_from_the_mapping_and_used_from_the_cache() {
    let folder = Folder::new("mapped");
    let writer = folder.open();
    writer
        .handle()
        .execute_batch(
            "CREATE TABLE t (id INTEGER PRIMARY KEY, text TEXT);
             WITH RECURSIVE n (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 1000)
             INSERT INTO t SELECT i, printf('%0200d', i) FROM n;
             PRAGMA wal_checkpoint(TRUNCATE);",
        )
        .unwrap();
    let reader = folder.open();
    let mapped_bytes: i64 = ask(reader.handle(), "PRAGMA mmap_size");
    assert_eq!(mapped_bytes, 268_435_456);
    let sum = "SELECT sum(length(text)) FROM t";
    assert_eq!(ask::<i64>(reader.handle(), sum), 200_000);
    let (_, misses) = count_cache(&reader);
    assert!(misses >= 50, "{misses}");
    if cfg!(target_os = "linux") {
        let maps = std::fs::read_to_string("/proc/self/maps").unwrap();
        let path = std::fs::canonicalize(folder.0.join("a.db")).unwrap();
        let is_mapped = |line: &str| line.ends_with(path.to_str().unwrap());
        assert!(maps.lines().any(is_mapped), "{maps}");
    }
    let (hits, misses) = count_cache(&reader);
    assert_eq!(ask::<i64>(reader.handle(), sum), 200_000);
    let (more_hits, more_misses) = count_cache(&reader);
    assert_eq!(more_misses, misses);
    assert!(more_hits - hits >= 50, "{hits}, {more_hits}");
}
