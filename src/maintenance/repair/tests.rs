//! Owns the tests of repairing: what damage costs how many rows.

use super::{RepairOptions, repair};
use crate::config::DatabaseConfig;
use crate::error::Error;
use crate::maintenance::raw_file::{beside, log_path};
use crate::maintenance::*;
use crate::manager::DatabaseManager;
use crate::test_folder::TestFolder;
use crate::test_random::{Random, seed};
use std::collections::HashMap;
use std::fs;

type Rows = HashMap<(String, i64), String>;

const TABLES: [&str; 4] = ["upload_sessions", "file_hashes", "upload_errors", "config"];

/// A ledger with rows in every table, deleted ones, long ones, and everything in the file.
fn fill(config: &DatabaseConfig, files: usize) -> Rows {
    let mut random = Random(seed());
    let ledger = DatabaseManager::open(config.clone()).unwrap();
    ledger.initialize_schema().unwrap();
    let mut hashes = String::new();
    for _ in 0..files {
        let mut part = || random.next();
        let hash = format!(
            "{:016x}{:016x}{:016x}{:016x}",
            part(),
            part(),
            part(),
            part()
        );
        hashes.push_str(&format!(
            "INSERT INTO temp.hashes (hash) VALUES ('{hash}');"
        ));
    }
    let sql = format!(
        "CREATE TEMP TABLE hashes (i INTEGER PRIMARY KEY, hash TEXT); BEGIN; {hashes}
         WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 40)
         INSERT INTO upload_sessions SELECT 'session-' || i, 'chat' || (i % 7), 'Family ' || i,
           '2026-01-31T12:00:00.000Z', '2026-01-31T12:00:00.000Z', 100, i, i, 0, 0, 'running', NULL,
           '2026-01-31T12:00:00.000Z' FROM n;
         INSERT INTO file_hashes SELECT hash, 'WhatsApp Images/IMG-' || i ||
           CASE WHEN i % 500 = 0 THEN hex(zeroblob(4000)) ELSE '' END, 'IMG-' || i, i, 'image/jpeg',
           CASE i % 2 WHEN 0 THEN 'photos' ELSE 'drive' END, NULL, 'chat' || (i % 50),
           '2026-01-31T12:00:00.000Z' FROM temp.hashes;
         WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 300)
         INSERT INTO upload_errors (session_id, file_path, error_type, error_message, timestamp)
           SELECT 'session-' || (1 + i % 40), 'p' || i, 'network', 'timed out ' || i,
           '2026-01-31T12:00:00.000Z' FROM n;
         WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 20)
         INSERT INTO config SELECT 'key' || i, '\"v' || i || '\"', '2026-01-31T12:00:00.000Z' FROM n;
         DELETE FROM file_hashes WHERE rowid BETWEEN 200 AND 400;
         DELETE FROM upload_errors WHERE id > 290;
         COMMIT;"
    );
    ledger.connection().execute_batch(&sql).unwrap();
    let rows = rows(&ledger);
    ledger.close().unwrap();
    rows
}

fn rows(ledger: &DatabaseManager) -> Rows {
    let mut rows = Rows::new();
    for table in TABLES {
        let mut statement = ledger
            .connection()
            .prepare(&format!("SELECT rowid, * FROM {table}"))
            .unwrap();
        let columns = statement.column_count();
        let mut cursor = statement.query([]).unwrap();
        while let Some(row) = cursor.next().unwrap() {
            let text: Vec<String> = (1..columns)
                .map(|column| format!("{:?}", row.get_ref(column).unwrap()))
                .collect();
            rows.insert((table.to_owned(), row.get(0).unwrap()), text.join("|"));
        }
    }
    rows
}

/// Repairs, checks that nothing wrong came back, and gives the share of rows that did.
fn repaired(config: &DatabaseConfig, before: &Rows) -> (f64, RepairReport) {
    let started = std::time::Instant::now();
    let report = repair(config, RepairOptions::default(), &|_, _| {}, &|| false).unwrap();
    assert!(started.elapsed().as_secs() < 10, "{:?}", started.elapsed());
    let after = rows(&DatabaseManager::open(config.clone()).unwrap());
    let mut kept = 0;
    let mut key_only = 0;
    for (place, row) in &after {
        match before.get(place) {
            Some(expected) if expected == row => kept += 1,
            // The key is right, and what is lost says so.
            Some(expected) if expected.split('|').next() == row.split('|').next() => key_only += 1,
            Some(expected) => panic!("{place:?}: {row} instead of {expected}"),
            None => panic!("{place:?}: {row} was never there, or deleted"),
        }
    }
    let counted: u64 = report.tables.iter().map(|table| table.key_only).sum();
    assert_eq!(key_only, counted);
    (f64::from(kept) / before.len() as f64, report)
}

fn damage(config: &DatabaseConfig, change: impl FnOnce(&mut Vec<u8>)) {
    let mut bytes = fs::read(&config.path).unwrap();
    change(&mut bytes);
    fs::write(&config.path, bytes).unwrap();
}

fn randomize(bytes: &mut [u8], page: usize, random: &mut Random) {
    for byte in &mut bytes[page * 4096..(page + 1) * 4096] {
        *byte = random.next() as u8;
    }
}

#[test]
fn a_sound_ledger_comes_through_whole() {
    let folder = TestFolder::new();
    let config = folder.config();
    let before = fill(&config, 2_000);
    let (share, report) = repaired(&config, &before);
    assert!((share - 1.0).abs() < f64::EPSILON, "{share} {report:?}");
    assert_eq!(report.damaged_pages, 0);
    // Ids that were given away are not given again.
    let ledger = DatabaseManager::open(config).unwrap();
    let last: i64 = ledger
        .connection()
        .query_row("SELECT seq FROM sqlite_sequence", [], |row| row.get(0))
        .unwrap();
    assert_eq!(last, 300);
    let kept = report.kept.unwrap();
    assert!(kept.exists());
    assert!(kept.to_str().unwrap().contains("ledger.db.corrupt-"));
}

#[test]
fn a_lost_first_page_costs_nothing() {
    for is_vacuumed in [false, true] {
        for is_random in [false, true] {
            let folder = TestFolder::new();
            let config = folder.config();
            let mut before = fill(&config, 2_000);
            if is_vacuumed {
                let ledger = DatabaseManager::open(config.clone()).unwrap();
                ledger.connection().execute_batch("VACUUM").unwrap();
                before = rows(&ledger);
                ledger.close().unwrap();
            }
            damage(&config, |bytes| {
                bytes[..4096].fill(0);
                if is_random {
                    randomize(bytes, 0, &mut Random(seed()));
                }
            });
            let error = DatabaseManager::open(config.clone()).err().unwrap();
            assert!(error.to_string().contains("repair()"), "{error}");
            let (share, report) = repaired(&config, &before);
            assert!((share - 1.0).abs() < f64::EPSILON, "{share} {report:?}");
            assert!(!report.has_schema);
        }
    }
}

#[test]
fn five_percent_of_pages_cost_their_own_rows() {
    let seed = seed();
    let mut worst: f64 = 1.0;
    let mut sum = 0.0;
    let mut worst_known: f64 = 1.0;
    for round in 0..12_u64 {
        let mut random = Random(seed + round * 7919);
        let folder = TestFolder::new();
        let config = folder.config();
        let before = fill(&config, 5_000);
        damage(&config, |bytes| {
            let pages = bytes.len() / 4096;
            for _ in 0..pages / 20 {
                let page = 1 + random.below(pages - 1);
                match round % 3 {
                    0 => randomize(bytes, page, &mut random),
                    1 => bytes[page * 4096..(page + 1) * 4096].fill(0),
                    _ => {
                        let other = 1 + random.below(pages - 1);
                        for at in 0..4096 {
                            bytes.swap(page * 4096 + at, other * 4096 + at);
                        }
                    }
                }
            }
        });
        let (share, report) = repaired(&config, &before);
        println!("round {round}: {share:.4} {:?}", report.tables);
        worst = worst.min(share);
        let key_only: u64 = report.tables.iter().map(|table| table.key_only).sum();
        worst_known = worst_known.min(share + key_only as f64 / before.len() as f64);
        sum += share;
    }
    println!("whole rows: worst {worst:.4}, mean {:.4}", sum / 12.0);
    println!("with hashes whose rows are lost: worst {worst_known:.4}");
    assert!(sum / 12.0 >= 0.95 && worst > 0.9, "{worst}");
    assert!(worst_known >= 0.95, "{worst_known}");
}

#[test]
fn a_hash_without_its_row_is_kept() {
    let folder = TestFolder::new();
    let config = folder.config();
    let before = fill(&config, 2_000);
    let page: u32 = {
        let ledger = DatabaseManager::open(config.clone()).unwrap();
        let page = ledger.connection().query_row(
            "SELECT rootpage FROM sqlite_schema WHERE name = 'file_hashes'",
            [],
            |row| row.get(0),
        );
        page.unwrap()
    };
    // The first child of the root.
    damage(&config, |bytes| {
        let root = (page as usize - 1) * 4096;
        let cell = usize::from(u16::from_be_bytes([bytes[root + 12], bytes[root + 13]]));
        let child = u32::from_be_bytes(bytes[root + cell..root + cell + 4].try_into().unwrap());
        let at = (child as usize - 1) * 4096;
        bytes[at..at + 4096].fill(0);
    });
    let (share, report) = repaired(&config, &before);
    let hashes = &report.tables[1];
    assert!(hashes.key_only > 5 && share > 0.98, "{share} {report:?}");
    let ledger = DatabaseManager::open(config).unwrap();
    let chats: i64 = ledger
        .connection()
        .query_row(
            "SELECT count(*) FROM file_hashes WHERE mime_type = 'application/octet-stream'
             AND chat_id LIKE 'chat%' AND file_path = ''",
            [],
            |row| row.get(0),
        )
        .unwrap();
    assert_eq!(u64::try_from(chats).unwrap(), hashes.key_only);
}

/// Makes a ledger with a row that only its log has; gives it, open, with its files' bytes.
fn fill_log(config: &DatabaseConfig) -> (DatabaseManager, Vec<u8>, Vec<u8>) {
    fill(config, 500);
    let ledger = DatabaseManager::open(config.clone()).unwrap();
    ledger
        .connection()
        .execute_batch("INSERT INTO config VALUES ('in-the-log', '1', '2026-01-31T12:00:00.000Z')")
        .unwrap();
    let database = fs::read(&config.path).unwrap();
    let log = fs::read(log_path(&config.path)).unwrap();
    (ledger, database, log)
}

#[test]
fn what_is_in_the_log_counts_up_to_its_last_valid_commit() {
    let folder = TestFolder::new();
    let config = folder.config();
    let (ledger, database, log) = fill_log(&config);
    let before = rows(&ledger);
    let refused = repair(&config, RepairOptions::default(), &|_, _| {}, &|| false);
    assert!(matches!(refused, Err(Error::InUse { .. })), "{refused:?}");
    drop(ledger);
    fs::write(&config.path, &database).unwrap();
    fs::write(log_path(&config.path), &log).unwrap();
    let (share, report) = repaired(&config, &before);
    assert!((share - 1.0).abs() < f64::EPSILON && report.log_frames > 0);
    let kept = report.kept.unwrap();
    assert_eq!(fs::read(&kept).unwrap(), database);
    assert_eq!(fs::read(log_path(&kept)).unwrap(), log);
}

#[cfg(unix)]
#[test]
fn a_journal_that_cannot_be_read_is_not_taken_for_none() {
    let folder = TestFolder::new();
    let config = DatabaseConfig {
        enable_wal: false,
        ..folder.config()
    };
    drop(DatabaseManager::open(config.clone()).unwrap());
    let journal = beside(&config.path, "-journal");
    std::os::unix::fs::symlink(&journal, &journal).unwrap();
    let before = fs::read(&config.path).unwrap();
    let error = repair(&config, RepairOptions::default(), &|_, _| (), &|| false).unwrap_err();
    assert_eq!(error.code(), "DB_FILE_ACCESS");
    assert!(error.to_string().contains("-journal"), "{error}");
    assert_eq!(fs::read(&config.path).unwrap(), before);
}

#[test]
fn a_transaction_that_a_journal_undoes_is_no_part_of_it() {
    let folder = TestFolder::new();
    let config = DatabaseConfig {
        enable_wal: false,
        ..folder.config()
    };
    let before = fill(&config, 2_000);
    let ledger = DatabaseManager::open(config.clone()).unwrap();
    ledger
        .connection()
        .execute_batch(
            "PRAGMA cache_size = 5; BEGIN; UPDATE file_hashes SET chat_id = 'changed';
             DELETE FROM file_hashes WHERE rowid % 2 = 0",
        )
        .unwrap();
    let copy = DatabaseConfig::new(folder.path().join("copy.db"));
    fs::copy(&config.path, &copy.path).unwrap();
    let journal = fs::read(beside(&config.path, "-journal")).unwrap();
    fs::write(beside(&copy.path, "-journal"), &journal).unwrap();
    let (share, report) = repaired(&copy, &before);
    assert!((share - 1.0).abs() < f64::EPSILON, "{share} {report:?}");
    let kept = report.kept.unwrap();
    assert_eq!(fs::read(beside(&kept, "-journal")).unwrap(), journal);
    assert!(!beside(&copy.path, "-journal").exists());
}

#[test]
fn a_repair_that_died_before_its_last_step_is_taken_up() {
    let folder = TestFolder::new();
    let config = folder.config();
    let (ledger, database, log) = fill_log(&config);
    let before = rows(&ledger);
    drop(ledger);
    fs::write(&config.path, &database).unwrap();
    let kept = beside(&config.path, ".corrupt-20260131T120000000Z");
    fs::hard_link(&config.path, &kept).unwrap();
    fs::write(log_path(&kept), &log).unwrap();
    fs::write(beside(&config.path, ".repairing"), b"half").unwrap();
    let (share, report) = repaired(&config, &before);
    assert!((share - 1.0).abs() < f64::EPSILON, "{report:?}");
    assert_eq!(report.kept.unwrap(), kept);
    assert!(!beside(&config.path, ".repairing").exists());
}

#[test]
fn a_rehearsal_and_a_refusal_change_nothing() {
    let folder = TestFolder::new();
    let config = folder.config();
    fill(&config, 500);
    let bytes = fs::read(&config.path).unwrap();
    let names = || fs::read_dir(folder.path()).unwrap().count();
    let before = names();
    let report = repair(
        &config,
        RepairOptions { dry_run: true },
        &|_, _| {},
        &|| false,
    )
    .unwrap();
    assert_eq!(report.kept, None);
    assert_eq!((fs::read(&config.path).unwrap(), names()), (bytes, before));
    for foreign in [
        vec![],
        b"this is no database at all".to_vec(),
        vec![13; 90_000],
    ] {
        fs::write(&config.path, &foreign).unwrap();
        let refused = repair(&config, RepairOptions::default(), &|_, _| {}, &|| false);
        assert!(matches!(refused, Err(Error::NothingToRepair { .. })));
        assert_eq!(
            (fs::read(&config.path).unwrap(), names()),
            (foreign, before)
        );
    }
}

#[test]
fn any_bytes_are_survived() {
    let seed = seed();
    let folder = TestFolder::new();
    let config = folder.config();
    fill(&config, 1_500);
    let sound = fs::read(&config.path).unwrap();
    for round in 0..150_u64 {
        let mut random = Random(seed + round * 104_729);
        let mut bytes = sound.clone();
        for _ in 0..=random.below(40) {
            let at = random.below(bytes.len());
            match random.below(3) {
                0 => bytes[at] ^= 1 << random.below(8),
                1 => {
                    let end = (at + random.below(300)).min(bytes.len());
                    for byte in &mut bytes[at..end] {
                        *byte = random.next() as u8;
                    }
                }
                _ => bytes[at / 4096 * 4096 + random.below(16)] = random.next() as u8,
            }
        }
        if round % 5 == 0 {
            bytes.truncate(random.below(bytes.len()));
        }
        fs::write(&config.path, &bytes).unwrap();
        let started = std::time::Instant::now();
        let outcome = repair(
            &config,
            RepairOptions { dry_run: true },
            &|_, _| {},
            &|| false,
        );
        assert!(
            matches!(outcome, Ok(_) | Err(Error::NothingToRepair { .. })),
            "round {round}: {outcome:?}"
        );
        assert!(started.elapsed().as_secs() < 10, "round {round}");
    }
}

/// Pages that are all the same leaf: many cells, each of which claims a record as long as all pages
/// together, whose overflow pages are a ring. It counts how many pages are read.
struct Rings(u32, std::cell::Cell<u64>);

impl salvage::Pages for Rings {
    fn page_bytes(&self) -> usize {
        4096
    }

    fn count(&self) -> u32 {
        self.0
    }

    fn read(&self, number: u32, buffer: &mut [u8]) -> bool {
        let cells = 300_usize;
        self.1.set(self.1.get() + 1);
        buffer.fill(0);
        // Overflow pages begin with the next one's number: the last page names itself.
        let start = if number == 1 { 100 } else { 0 };
        if number == self.0 {
            buffer[..4].copy_from_slice(&number.to_be_bytes());
            return true;
        }
        buffer[start] = 13;
        buffer[start + 3..start + 5].copy_from_slice(&(cells as u16).to_be_bytes());
        buffer[start + 5..start + 7].copy_from_slice(&1000_u16.to_be_bytes());
        let length = self.0 * 4096 - 4000;
        let length = [21, 14, 7, 0].map(|shift| {
            let more = if shift > 0 { 0x80 } else { 0 };
            (length >> shift & 0x7f) as u8 | more
        });
        for index in 0..cells {
            let at = 1000 + index as u16;
            let place = start + 8 + 2 * index;
            buffer[place..place + 2].copy_from_slice(&at.to_be_bytes());
        }
        // Every cell begins with a length, whichever byte it begins at.
        for at in (1000..1400).step_by(4) {
            buffer[at..at + 4].copy_from_slice(&length);
        }
        // Wherever a record's part on the page ends, the ring follows.
        for at in (1400..4092).step_by(4) {
            buffer[at..at + 4].copy_from_slice(&self.0.to_be_bytes());
        }
        true
    }
}

#[test]
fn records_that_share_their_overflow_pages_are_not_all_read() {
    struct Nothing;
    impl salvage::Sink for Nothing {
        fn row(
            &mut self,
            _: salvage::Table,
            _: i64,
            _: &[salvage::Value],
            _: salvage::Source,
        ) -> bool {
            true
        }
        fn has(&mut self, _: salvage::Table, _: i64) -> bool {
            false
        }
        fn key(&mut self, _: salvage::Table, _: i64, _: &str, _: &salvage::Hints) {}
    }
    let pages = Rings(400, std::cell::Cell::default());
    salvage::salvage(&pages, &[], &mut Nothing);
    let reads = pages.1.get();
    println!("{reads} reads of 400 pages");
    // Each of the 400 may ask for all, a few times; not each of their cells.
    assert!(reads < 4 * 400 * 400, "{reads}");
}
