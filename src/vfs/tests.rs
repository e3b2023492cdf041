//! Locks that are kept between reads, the file's mapping, and the version that the layer is for.

use super::*;
#[cfg(target_os = "linux")]
use crate::config::DatabaseConfig;
use crate::connection::{Role, open as open_connection};
use crate::test_folder::TestFolder;
use std::time::Duration;

/// Opens a handle that waits for no lock.
fn open_one(folder: &TestFolder) -> Connection {
    let connection = open_connection(&folder.config(), Role::Blocking).unwrap();
    connection.busy_timeout(Duration::ZERO).unwrap();
    connection
}

fn count(connection: &Connection) -> i64 {
    ask(connection, "SELECT count(*) FROM t")
}

fn ask(connection: &Connection, sql: &str) -> i64 {
    connection.query_row(sql, [], |row| row.get(0)).unwrap()
}

fn insert(connection: &Connection) {
    connection.execute("INSERT INTO t VALUES (1)", []).unwrap();
}

/// Says whether the log could be emptied: it cannot while anybody reads.
fn empty_log(connection: &Connection) -> bool {
    ask(connection, "PRAGMA wal_checkpoint(TRUNCATE)") == 0
}

fn open_pair(folder: &TestFolder) -> (Connection, Connection) {
    let (reader, other) = (open_one(folder), open_one(folder));
    other.execute_batch("CREATE TABLE t (a)").unwrap();
    insert(&other);
    (reader, other)
}

#[test]
fn a_new_version_of_sqlite_is_read_before_it_is_trusted() {
    assert_eq!(ffi::SQLITE_VERSION_NUMBER, KNOWN_SQLITE_VERSION);
    assert!(name().is_some());
}

#[test]
fn a_read_lock_is_kept_until_it_is_said_to_go() {
    let folder = TestFolder::new();
    let (reader, other) = open_pair(&folder);
    keep_read_lock(&reader, true);
    assert_eq!(count(&reader), 1);
    assert!(!empty_log(&other));
    keep_read_lock(&reader, false);
    assert!(empty_log(&other));
    assert_eq!(count(&reader), 1);
    assert!(empty_log(&other));
}

#[test]
fn each_read_by_a_kept_lock_sees_what_is_committed() {
    let folder = TestFolder::new();
    let (reader, other) = open_pair(&folder);
    keep_read_lock(&reader, true);
    for rows in 1..200 {
        assert_eq!(count(&reader), rows);
        // As long as a lock stands in its way, the log only grows: both ways of reading are met.
        if rows % 20 == 0 {
            keep_read_lock(&reader, false);
            assert!(empty_log(&other));
            keep_read_lock(&reader, true);
            assert_eq!(count(&reader), rows);
        }
        insert(&other);
    }
}

#[test]
fn a_handle_with_a_kept_lock_writes_and_empties_the_log() {
    let folder = TestFolder::new();
    let (writer, other) = open_pair(&folder);
    keep_read_lock(&writer, true);
    for rows in 1..50 {
        assert_eq!(count(&writer), rows);
        insert(&writer);
        assert_eq!(count(&other), rows + 1);
        if rows % 10 == 0 {
            assert!(empty_log(&writer));
        }
    }
    keep_read_lock(&writer, false);
    assert!(empty_log(&other));
}

#[test]
fn a_kept_lock_goes_with_its_handle() {
    let folder = TestFolder::new();
    let (reader, other) = open_pair(&folder);
    keep_read_lock(&reader, true);
    assert_eq!(count(&reader), 1);
    reader.close().unwrap();
    assert!(empty_log(&other));
    insert(&other);
    assert_eq!(count(&other), 2);
}

#[test]
fn where_there_is_no_log_nothing_is_kept() {
    let connection = Connection::open_in_memory().unwrap();
    keep_read_lock(&connection, true);
    connection.execute_batch("CREATE TABLE t (a)").unwrap();
    insert(&connection);
    assert_eq!(count(&connection), 1);
}

/// How long the mappings of the folder's database are, in bytes.
#[cfg(target_os = "linux")]
fn mapped_bytes(folder: &TestFolder) -> u64 {
    let path = std::fs::canonicalize(folder.config().path).unwrap();
    let maps = std::fs::read_to_string("/proc/self/maps").unwrap();
    maps.lines()
        .filter(|line| line.ends_with(path.to_str().unwrap()))
        .map(|line| {
            let (start, end) = line.split_once(' ').unwrap().0.split_once('-').unwrap();
            u64::from_str_radix(end, 16).unwrap() - u64::from_str_radix(start, 16).unwrap()
        })
        .sum()
}

#[cfg(target_os = "linux")]
#[test]
fn a_file_that_has_grown_a_little_is_mapped_anew_while_nobody_waits() {
    let folder = TestFolder::new();
    let (reader, other) = open_pair(&folder);
    other.pragma_update(None, "mmap_size", 0).unwrap();
    let grow = |rows: u32| {
        let insert = format!(
            "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < {rows})
             INSERT INTO t SELECT zeroblob(3000) FROM n"
        );
        other.execute_batch(&insert).unwrap();
        assert!(empty_log(&other));
        count(&reader);
        std::fs::metadata(folder.config().path).unwrap().len()
    };
    grow(1000);
    refresh_mapping(&reader);
    let small = grow(10);
    assert!(mapped_bytes(&folder) >= small);
    let large = grow(400);
    assert!(
        mapped_bytes(&folder) < large,
        "a reader does not wait for it"
    );
    refresh_mapping(&reader);
    count(&reader);
    grow(1);
    assert!(mapped_bytes(&folder) >= large);
    reader.pragma_update(None, "mmap_size", 4096).unwrap();
    grow(2000);
    refresh_mapping(&reader);
    grow(1);
    assert!(mapped_bytes(&folder) <= 4096);
}

#[cfg(target_os = "linux")]
#[test]
fn a_mapping_follows_a_file_that_others_shorten_and_let_grow() {
    let folder = TestFolder::new();
    let (reader, writer) = (open_one(&folder), open_one(&folder));
    let file = folder.config().path;
    let fill = |rows: u32| {
        writer
            .execute_batch(&format!(
                "DROP TABLE IF EXISTS t; CREATE TABLE t (text TEXT);
                 WITH RECURSIVE n (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < {rows})
                 INSERT INTO t SELECT printf('%01000d', i) FROM n;
                 VACUUM; PRAGMA wal_checkpoint(TRUNCATE);"
            ))
            .unwrap();
        std::fs::metadata(&file).unwrap().len()
    };
    let sum = "SELECT sum(length(text)) FROM t";
    let read = |rows: i64| assert_eq!(ask(&reader, sum), rows * 1_000);
    writer.pragma_update(None, "mmap_size", 0).unwrap();
    let large = fill(5_000);
    read(5_000);
    assert!(mapped_bytes(&folder) >= large);
    // What is behind the file's end is mapped still, and would kill who reads it.
    let small = fill(1_000);
    assert!(small < large / 2, "{small} {large}");
    read(1_000);
    read(1_000);
    let larger = fill(20_000);
    read(20_000);
    // The first read went beyond the mapping; the next finds all of it there.
    fill(20_001);
    read(20_001);
    assert!(
        mapped_bytes(&folder) >= larger,
        "{} {larger}",
        mapped_bytes(&folder)
    );
    reader.pragma_update(None, "mmap_size", 0).unwrap();
    assert_eq!(ask(&reader, "PRAGMA mmap_size"), 0);
    fill(1_002);
    read(1_002);
    assert_eq!(mapped_bytes(&folder), 0);
}

#[cfg(target_os = "linux")]
#[test]
fn without_a_log_a_shortened_files_mapping_goes() {
    let folder = TestFolder::new();
    let file = folder.config().path;
    let config = DatabaseConfig {
        enable_wal: false,
        ..folder.config()
    };
    let open = || open_connection(&config, Role::Blocking).unwrap();
    let (reader, writer) = (open(), open());
    writer
        .execute_batch(
            "PRAGMA mmap_size = 0; CREATE TABLE t (text TEXT);
             WITH RECURSIVE n (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 5000)
             INSERT INTO t SELECT printf('%01000d', i) FROM n;",
        )
        .unwrap();
    let sum = "SELECT sum(length(text)) FROM t";
    assert_eq!(ask(&reader, sum), 5_000_000);
    let large = std::fs::metadata(&file).unwrap().len();
    assert!(mapped_bytes(&folder) >= large);
    writer
        .execute_batch("DELETE FROM t WHERE rowid > 1000; VACUUM;")
        .unwrap();
    let small = std::fs::metadata(&file).unwrap().len();
    assert!(small < large / 2);
    assert_eq!(ask(&reader, sum), 1_000_000);
    assert!(
        mapped_bytes(&folder) < large / 2,
        "{}",
        mapped_bytes(&folder)
    );
}
