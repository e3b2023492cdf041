//! Owns the tests of checking: what is sound has no fault, what is damaged has one.

use crate::config::DatabaseConfig;
use crate::maintenance::*;
use crate::manager::DatabaseManager;
use crate::test_folder::TestFolder;
use std::fs;
use std::path::PathBuf;
use std::time::Duration;

fn check_file(config: &DatabaseConfig) -> IntegrityReport {
    DatabaseManager::check_file(config, IntegrityOptions::default()).unwrap()
}

fn kinds(report: &IntegrityReport) -> Vec<(&'static str, Severity)> {
    let kinds = report.findings.iter();
    kinds
        .map(|finding| (finding.kind, finding.severity))
        .collect()
}

fn log_of(config: &DatabaseConfig) -> PathBuf {
    crate::maintenance::raw_file::log_path(&config.path)
}

const ROWS: &str = "
    INSERT INTO upload_sessions (id, chat_id, chat_name, start_time, last_update, total_files)
      VALUES ('s', 'c', 'n', '2026-01-31T12:00:00.000Z', '2026-01-31 12:00:00', 3);
    INSERT INTO file_hashes VALUES
      ('9f86d081884c7d659a2feaa0c55ad0159f86d081884c7d659a2feaa0c55ad015',
       'p', 'n', 1, 'image/jpeg', 'photos', NULL, 'c', CURRENT_TIMESTAMP);";

/// A ledger whose rows are all in its log, and copies of both files that nobody has open.
fn with_log(folder: &TestFolder) -> (DatabaseConfig, Vec<u8>) {
    let config = folder.config();
    let ledger = DatabaseManager::open(config.clone()).unwrap();
    ledger.initialize_schema().unwrap();
    ledger.connection().execute_batch(ROWS).unwrap();
    for value in 0..5 {
        let insert =
            format!("INSERT INTO config VALUES ('k{value}', '{value}', CURRENT_TIMESTAMP)");
        ledger.connection().execute_batch(&insert).unwrap();
    }
    let copy = DatabaseConfig::new(folder.path().join("copy.db"));
    fs::copy(&config.path, &copy.path).unwrap();
    let log = fs::read(log_of(&config)).unwrap();
    fs::write(log_of(&copy), &log).unwrap();
    (copy, log)
}

#[test]
fn a_sound_ledger_has_no_findings_and_stays_as_it_is() {
    let folder = TestFolder::new();
    let (config, log) = with_log(&folder);
    let bytes = fs::read(&config.path).unwrap();
    for deep in [false, true] {
        let options = IntegrityOptions {
            deep,
            ..IntegrityOptions::default()
        };
        let report = DatabaseManager::check_file(&config, options).unwrap();
        assert!(report.ok && report.findings.is_empty(), "{report:?}");
    }
    assert_eq!(fs::read(&config.path).unwrap(), bytes);
    assert_eq!(fs::read(log_of(&config)).unwrap(), log);
    // While it is in use, too.
    let ledger = DatabaseManager::open(config).unwrap();
    let report = ledger.check_integrity(IntegrityOptions::default()).unwrap();
    assert!(report.findings.is_empty(), "{report:?}");
}

#[test]
fn every_flipped_bit_of_a_log_is_reported() {
    let folder = TestFolder::new();
    let (config, log) = with_log(&folder);
    let (mut tried, mut reported, mut faults) = (0, 0, 0);
    for bit in (0..log.len() * 8).step_by(log.len() * 8 / 300) {
        let mut damaged = log.clone();
        damaged[bit / 8] ^= 1 << (bit % 8);
        fs::write(log_of(&config), damaged).unwrap();
        let _ = fs::remove_file(format!("{}-shm", config.path.display()));
        let report = check_file(&config);
        tried += 1;
        reported += usize::from(
            kinds(&report)
                .iter()
                .any(|(kind, _)| kind.starts_with("log_")),
        );
        faults += usize::from(!report.ok);
    }
    println!("{reported} of {tried} flips reported, {faults} as faults");
    assert_eq!(reported, tried);
    // The last frame's cannot be told from a write that a crash cut short.
    assert!(faults * 10 >= tried * 8, "{faults} of {tried}");
}

#[test]
fn what_a_connection_knows_makes_the_last_frame_a_fault() {
    let folder = TestFolder::new();
    let config = folder.config();
    let ledger = DatabaseManager::open(config.clone()).unwrap();
    ledger.initialize_schema().unwrap();
    ledger.connection().execute_batch(ROWS).unwrap();
    // The log's own file carries no locks.
    let mut log = fs::read(log_of(&config)).unwrap();
    let last = log.len() - 10;
    log[last] ^= 1;
    fs::write(log_of(&config), log).unwrap();
    let report = check_file(&config);
    assert!(
        kinds(&report).contains(&("log_frames", Severity::Fault)),
        "{report:?}"
    );
}

#[test]
fn what_rows_should_not_hold_is_found() {
    let folder = TestFolder::new();
    let config = folder.config();
    let ledger = DatabaseManager::open(config.clone()).unwrap();
    ledger.initialize_schema().unwrap();
    ledger.connection().execute_batch(ROWS).unwrap();
    for (change, expected) in [
        (
            "UPDATE upload_sessions SET error_count = -1",
            ("counter", Severity::Fault),
        ),
        (
            "UPDATE upload_sessions SET error_count = 0, success_count = 9",
            ("counter", Severity::Remark),
        ),
        (
            "UPDATE upload_sessions SET success_count = 0, start_time = 'soon'",
            ("timestamp", Severity::Fault),
        ),
        (
            "UPDATE file_hashes SET hash = 'short'",
            ("hash", Severity::Remark),
        ),
        (
            "INSERT INTO config VALUES ('k', '{', CURRENT_TIMESTAMP)",
            ("setting", Severity::Fault),
        ),
        (
            "UPDATE config SET value = '\"never\"', key = '__whatsapp_uploader_last_vacuum'",
            ("last_vacuum", Severity::Remark),
        ),
        (
            "PRAGMA foreign_keys = OFF; INSERT INTO upload_errors (session_id, file_path,
             error_type, error_message) VALUES ('gone', 'p', 't', 'm')",
            ("orphans", Severity::Fault),
        ),
        ("DROP TABLE config", ("schema", Severity::Fault)),
    ] {
        assert!(!kinds(&check_file(&config)).contains(&expected), "{change}");
        ledger.connection().execute_batch(change).unwrap();
        let report = check_file(&config);
        assert!(kinds(&report).contains(&expected), "{change}: {report:?}");
        assert!(!format!("{report:?}").contains("soon"));
    }
}

#[test]
fn damage_is_a_finding_and_a_missing_file_an_error() {
    let folder = TestFolder::new();
    let (config, _) = with_log(&folder);
    drop(DatabaseManager::open(config.clone()).unwrap());
    let sound = fs::read(&config.path).unwrap();
    assert!(check_file(&config).ok);
    let changes: [fn(&mut Vec<u8>); 5] = [
        |bytes| bytes[..4096].fill(0),
        |bytes| bytes[5 * 4096..6 * 4096].fill(0),
        |bytes| bytes.truncate(bytes.len() - 5000),
        |bytes| bytes[100] = 77,
        // A schema format that no version of SQLite has.
        |bytes| bytes[47] = 77,
    ];
    for (index, change) in changes.iter().enumerate() {
        let mut bytes = sound.clone();
        change(&mut bytes);
        fs::write(&config.path, bytes).unwrap();
        let report = check_file(&config);
        assert!(!report.ok, "{index}: {report:?}");
        assert_eq!(
            index == 2,
            kinds(&report).contains(&("file_size", Severity::Fault))
        );
    }
    fs::remove_file(&config.path).unwrap();
    let error = DatabaseManager::check_file(&config, IntegrityOptions::default()).unwrap_err();
    assert_eq!(error.code(), "DB_FILE_MISSING");
}

#[test]
fn a_check_ends_when_its_time_is_over_or_it_is_told_to() {
    let folder = TestFolder::new();
    let (config, _) = with_log(&folder);
    let options = IntegrityOptions {
        max_time: Some(Duration::ZERO),
        ..IntegrityOptions::default()
    };
    let report = DatabaseManager::check_file(&config, options).unwrap();
    assert_eq!(kinds(&report), [("not_finished", Severity::Remark)]);
    assert!(report.ok);
    let ledger = DatabaseManager::open(config.clone()).unwrap();
    ledger
        .connection()
        .execute_batch(
            "WITH RECURSIVE n(i) AS (SELECT 10 UNION ALL SELECT i + 1 FROM n WHERE i < 20000)
             INSERT INTO config SELECT 'k' || i, i, CURRENT_TIMESTAMP FROM n",
        )
        .unwrap();
    let error = check(&config, IntegrityOptions::default(), || true).unwrap_err();
    assert_eq!(error.code(), "SQLITE_INTERRUPT");
}
