//! The Rust users' door: every method of the synchronous manager, without Node.

use std::path::PathBuf;
use std::sync::atomic::{AtomicU32, Ordering};
use whatsapp_uploader_database::{
    Connection, DatabaseConfig, DatabaseManager, Error, NewFileHash, NewSession, NewUploadError,
    OnConflict, Result, SessionChanges, SessionDeltas, SessionStatus, Synchronous, UploadService,
};

const NOW: &str = "2026-01-31T12:00:00.000Z";

struct Folder(PathBuf);

impl Folder {
    fn new() -> Self {
        static NEXT: AtomicU32 = AtomicU32::new(0);
        let name = format!(
            "whatsapp-uploader-manager-{}-{}",
            std::process::id(),
            NEXT.fetch_add(1, Ordering::Relaxed)
        );
        let path = std::env::temp_dir().join(name);
        std::fs::create_dir_all(&path).unwrap();
        Self(path)
    }

    fn config(&self) -> DatabaseConfig {
        DatabaseConfig::new(self.0.join("ledger.db"))
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

fn open() -> DatabaseManager {
    let ledger = DatabaseManager::open(DatabaseConfig::new(":memory:")).unwrap();
    ledger.initialize_schema().unwrap();
    ledger
}

fn file(hash: &str) -> NewFileHash {
    NewFileHash {
        hash: hash.into(),
        file_path: "p".into(),
        file_name: "f".into(),
        file_size: 1,
        mime_type: "image/jpeg".into(),
        upload_service: UploadService::Photos,
        upload_id: Some("id".into()),
        chat_id: "chat".into(),
        uploaded_at: Some(NOW.into()),
    }
}

fn error(session_id: &str) -> NewUploadError {
    NewUploadError {
        session_id: session_id.into(),
        file_path: "p".into(),
        error_type: "t".into(),
        error_message: "m".into(),
        retry_count: 0,
    }
}

#[test]
fn sessions() {
    let ledger = open();
    let id = ledger
        .create_session(&NewSession::new("chat", "Chat", "2026-01-31 12:00:00"))
        .unwrap();
    let session = ledger.get_session(&id).unwrap().unwrap();
    assert_eq!(
        (session.start_time.as_str(), session.last_update.as_str()),
        (NOW, NOW)
    );
    assert_eq!(session.status, SessionStatus::Running);

    let deltas = SessionDeltas {
        total_files: 5,
        processed_files: 3,
        success_count: 1,
        error_count: 1,
        duplicate_count: 1,
    };
    ledger.increment_session(&id, deltas).unwrap();
    ledger.increment_session(&id, deltas).unwrap();
    let changes = SessionChanges {
        status: Some(SessionStatus::Paused),
        last_processed_file: Some(Some("a.jpg".into())),
        chat_name: Some("Renamed".into()),
        ..Default::default()
    };
    ledger.update_session(&id, &changes).unwrap();
    let session = ledger.get_session(&id).unwrap().unwrap();
    assert_eq!(
        (
            session.total_files,
            session.processed_files,
            session.duplicate_count
        ),
        (10, 6, 2)
    );
    assert_eq!(
        (session.chat_name.as_str(), session.status),
        ("Renamed", SessionStatus::Paused)
    );
    assert_eq!(session.last_processed_file.as_deref(), Some("a.jpg"));
    assert!(session.last_update.as_str() > NOW);

    let cleared = SessionChanges {
        last_processed_file: Some(None),
        ..Default::default()
    };
    ledger.update_session(&id, &cleared).unwrap();
    assert_eq!(
        ledger
            .get_session(&id)
            .unwrap()
            .unwrap()
            .last_processed_file,
        None
    );
    assert_eq!(ledger.list_sessions(None).unwrap().len(), 1);
    assert_eq!(
        ledger
            .list_sessions(Some(SessionStatus::Running))
            .unwrap()
            .len(),
        0
    );
    ledger.delete_session(&id).unwrap();
    assert!(ledger.get_session(&id).unwrap().is_none());
}

#[test]
fn values_out_of_range_are_refused_before_sql() {
    let ledger = open();
    let session = |change: fn(&mut NewSession)| {
        let mut session = NewSession::new("chat", "Chat", NOW);
        change(&mut session);
        ledger.create_session(&session).unwrap_err()
    };
    for error in [
        session(|s| s.total_files = -1),
        session(|s| s.processed_files = i64::MAX),
        session(|s| s.start_time = "soon".into()),
        session(|s| s.created_at = Some(String::new())),
        session(|s| s.id = Some(String::new())),
        ledger
            .add_file_hash(&file(""), OnConflict::Fail)
            .unwrap_err(),
        ledger
            .add_file_hash(
                &NewFileHash {
                    file_size: -1,
                    ..file("h")
                },
                OnConflict::Fail,
            )
            .unwrap_err(),
        ledger.is_file_uploaded("").unwrap_err(),
        ledger.get_file_hash("").unwrap_err(),
        ledger.delete_file_hash("").unwrap_err(),
        ledger.set_config_json("key", "{").unwrap_err(),
        ledger
            .increment_session(
                "x",
                SessionDeltas {
                    error_count: i64::MIN,
                    ..Default::default()
                },
            )
            .unwrap_err(),
    ] {
        assert_eq!(error.code(), "DB_INVALID_ARGUMENT", "{error}");
    }
    assert_eq!(ledger.get_stats().unwrap().total_sessions, 0);
}

#[test]
fn what_does_not_exist() {
    let ledger = open();
    let not_found = |outcome: Result<()>| assert_eq!(outcome.unwrap_err().code(), "DB_NOT_FOUND");
    not_found(ledger.update_session("none", &SessionChanges::default()));
    not_found(ledger.increment_session("none", SessionDeltas::default()));
    not_found(ledger.increment_retry_count(7).map(drop));
    ledger.delete_session("none").unwrap();
    ledger.delete_file_hash("none").unwrap();
    ledger.delete_config("none").unwrap();
    ledger.clear_errors("none").unwrap();
}

#[test]
fn file_hashes() {
    let ledger = open();
    ledger.add_file_hash(&file("a"), OnConflict::Fail).unwrap();
    let refused = ledger
        .add_file_hash(&file("a"), OnConflict::Fail)
        .unwrap_err();
    assert_eq!(
        (refused.code(), refused.errno()),
        ("SQLITE_CONSTRAINT_PRIMARYKEY", Some(1555))
    );
    assert!(!refused.is_retryable());
    let other = NewFileHash {
        file_path: "other".into(),
        uploaded_at: None,
        ..file("a")
    };
    ledger.add_file_hash(&other, OnConflict::Ignore).unwrap();
    assert_eq!(ledger.get_file_hash("a").unwrap().unwrap().file_path, "p");
    ledger.add_file_hash(&other, OnConflict::Replace).unwrap();
    assert_eq!(
        ledger.get_file_hash("a").unwrap().unwrap().file_path,
        "other"
    );
    assert_eq!(ledger.find_file_hashes("chat").unwrap().len(), 1);
    assert!(ledger.is_file_uploaded("a").unwrap());
    ledger.delete_file_hash("a").unwrap();
    assert!(!ledger.is_file_uploaded("a").unwrap());
    assert!(ledger.get_file_hash("a").unwrap().is_none());
}

#[test]
fn errors_and_retries() {
    let ledger = open();
    let session = ledger
        .create_session(&NewSession::new("chat", "Chat", NOW))
        .unwrap();
    let id = ledger.log_error(&error(&session)).unwrap();
    assert_eq!(ledger.increment_retry_count(id).unwrap(), 1);
    assert_eq!(ledger.get_errors(&session).unwrap()[0].retry_count, 1);
    assert_eq!(
        ledger.log_error(&error("none")).unwrap_err().code(),
        "SQLITE_CONSTRAINT_FOREIGNKEY"
    );
    ledger.clear_errors(&session).unwrap();
    assert!(ledger.get_errors(&session).unwrap().is_empty());
}

#[test]
fn settings() {
    let ledger = open();
    ledger.set_config("numbers", &[1, 2]).unwrap();
    assert_eq!(
        ledger.get_config::<Vec<u8>>("numbers").unwrap(),
        Some(vec![1, 2])
    );
    let mismatch = ledger.get_config::<String>("numbers").unwrap_err();
    assert_eq!(mismatch.code(), "DB_INVALID_DATA");
    assert_eq!(
        ledger.get_config_json("numbers").unwrap().as_deref(),
        Some("[1,2]")
    );
    assert_eq!(ledger.get_config::<u8>("none").unwrap(), None);
    assert_eq!(ledger.list_config().unwrap().len(), 1);
    ledger.delete_config("numbers").unwrap();
    assert!(ledger.list_config().unwrap().is_empty());
    let keys = std::collections::HashMap::from([((1, 2), 3)]);
    assert_eq!(
        ledger.set_config("key", &keys).unwrap_err().code(),
        "DB_INVALID_ARGUMENT"
    );
}

#[test]
fn maintenance_and_numbers() {
    let folder = Folder::new();
    let ledger = DatabaseManager::open(folder.config()).unwrap();
    ledger.initialize_schema().unwrap();
    assert_eq!(ledger.get_schema_version().unwrap(), 1);
    let session = NewSession {
        success_count: 4,
        error_count: 3,
        duplicate_count: 2,
        ..NewSession::new("c", "C", NOW)
    };
    ledger.create_session(&session).unwrap();
    ledger.add_file_hash(&file("a"), OnConflict::Fail).unwrap();
    ledger.vacuum().unwrap();
    ledger.analyze().unwrap();
    let stats = ledger.get_stats().unwrap();
    assert_eq!(
        (
            stats.total_sessions,
            stats.active_sessions,
            stats.total_files
        ),
        (1, 1, 1)
    );
    assert_eq!(
        (
            stats.successful_uploads,
            stats.failed_uploads,
            stats.duplicates_found
        ),
        (4, 3, 2)
    );
    assert!(stats.last_vacuum.is_some() && stats.database_size > 0);
    let inside = ledger.transaction(|ledger| ledger.vacuum());
    assert_eq!(inside.unwrap_err().code(), "DB_TRANSACTION_STATE");
    ledger.close().unwrap();
    assert!(
        !folder.0.join("ledger.db-wal").exists(),
        "closing moves the log into the file"
    );
}

#[test]
fn transactions_nest_and_undo() {
    let ledger = open();
    let outcome: Result<()> = ledger.transaction(|ledger| {
        ledger.add_file_hash(&file("a"), OnConflict::Fail)?;
        let inner: Result<()> = ledger.transaction(|ledger| {
            ledger.add_file_hash(&file("b"), OnConflict::Fail)?;
            Err(Error::SchemaMissing)
        });
        assert!(inner.is_err());
        ledger.add_file_hash(&file("c"), OnConflict::Fail)
    });
    outcome.unwrap();
    let known = |hash| ledger.is_file_uploaded(hash).unwrap();
    assert_eq!((known("a"), known("b"), known("c")), (true, false, true));
}

#[test]
fn a_ledger_without_its_schema_says_what_to_do() {
    let ledger = DatabaseManager::open(DatabaseConfig::new(":memory:")).unwrap();
    assert_eq!(ledger.get_schema_version().unwrap(), 0);
    assert_eq!(ledger.get_stats().unwrap_err().code(), "DB_SCHEMA_MISSING");
    assert_eq!(
        ledger.get_session("x").unwrap_err().code(),
        "DB_SCHEMA_MISSING"
    );
}

#[test]
fn rows_of_other_tools_are_read_or_named() {
    let folder = Folder::new();
    let ledger = DatabaseManager::open(folder.config()).unwrap();
    ledger.initialize_schema().unwrap();
    let other = Connection::open(&folder.config()).unwrap();
    let sql = |text: &str| other.handle().execute_batch(text).unwrap();
    sql("INSERT INTO upload_sessions (id, chat_id, chat_name, start_time, last_update, total_files, processed_files)
         VALUES ('s', 'c', 'n', '2026-01-31 12:00:00', 'whenever', 1, NULL)");
    let session = ledger.get_session("s").unwrap().unwrap();
    assert_eq!(
        (session.start_time.as_str(), session.last_update.as_str()),
        (NOW, "whenever")
    );
    assert_eq!(session.processed_files, 0);
    ledger
        .increment_session(
            "s",
            SessionDeltas {
                processed_files: 2,
                ..Default::default()
            },
        )
        .unwrap();
    assert_eq!(ledger.get_session("s").unwrap().unwrap().processed_files, 2);
    sql("UPDATE upload_sessions SET total_files = 'many'");
    let error = ledger.get_session("s").unwrap_err();
    assert_eq!(
        error.to_string().split(',').next(),
        Some("upload_sessions.total_files holds a text")
    );
    sql("UPDATE upload_sessions SET total_files = 1, chat_name = x'00'");
    assert_eq!(
        ledger.list_sessions(None).unwrap_err().code(),
        "DB_INVALID_DATA"
    );
}

#[test]
fn options_reach_the_database() {
    let folder = Folder::new();
    let config = DatabaseConfig {
        synchronous: Synchronous::Full,
        timeout_ms: 1_500,
        ..folder.config()
    };
    let ledger = DatabaseManager::open(config.clone()).unwrap();
    assert_eq!(ledger.config(), &config);
    let connection = Connection::open(&config).unwrap();
    let pragma = |name: &str| {
        connection
            .handle()
            .pragma_query_value(None, name, |row| row.get::<_, i64>(0))
            .unwrap()
    };
    assert_eq!((pragma("synchronous"), pragma("busy_timeout")), (2, 1_500));
    let invalid = DatabaseConfig {
        timeout_ms: 10,
        ..config
    };
    assert_eq!(
        DatabaseManager::open(invalid).err().unwrap().code(),
        "DB_INVALID_CONFIG"
    );
}

#[test]
fn a_connection_runs_sql_of_ones_own_in_a_transaction() {
    let connection = Connection::open(&DatabaseConfig::new(":memory:")).unwrap();
    let outcome: Result<()> = connection.transaction(|handle| {
        handle.execute_batch("CREATE TABLE t(x)")?;
        Err(Error::SchemaMissing)
    });
    assert!(outcome.is_err());
    assert!(connection.handle().prepare("SELECT * FROM t").is_err());
}

/// A leaf of the table where a later one was gives rows whose ids go back: the next page would begin
/// where an earlier one did.
#[test]
fn pages_of_a_damaged_table_come_to_an_end() {
    let folder = Folder::new();
    let config = folder.config();
    let leaves: Vec<usize> = {
        let ledger = DatabaseManager::open(config.clone()).unwrap();
        ledger.initialize_schema().unwrap();
        let files: Vec<_> = (0..2_000).map(|i| file(&format!("hash-{i:05}"))).collect();
        ledger.add_file_hashes(&files, OnConflict::Fail).unwrap();
        ledger.close().unwrap();
        let connection = Connection::open(&config).unwrap();
        let mut statement = connection
            .handle()
            .prepare("SELECT pageno FROM dbstat WHERE name = 'file_hashes' AND pagetype = 'leaf'")
            .unwrap();
        let leaves = statement
            .query_map([], |row| row.get::<_, u32>(0).map(|page| page as usize))
            .unwrap();
        leaves.collect::<std::result::Result<_, _>>().unwrap()
    };
    let page_bytes = 4096;
    let mut bytes = std::fs::read(&config.path).unwrap();
    let range = |leaf: usize| (leaf - 1) * page_bytes..leaf * page_bytes;
    let later = range(leaves[leaves.len() / 2]).start;
    bytes.copy_within(range(leaves[leaves.len() / 4]), later);
    std::fs::write(&config.path, &bytes).unwrap();
    for page_size in [7, 30, 100] {
        let ledger = DatabaseManager::open(config.clone()).unwrap();
        let mut after = None;
        let mut pages = 0;
        let end = loop {
            pages += 1;
            assert!(pages <= 2_001, "page after page, and no end");
            match ledger.file_hash_page(None, after.as_ref(), page_size) {
                Ok(page) if page.next.is_none() => break Ok(()),
                Ok(page) => after = page.next,
                Err(error) => break Err(error),
            }
        };
        let code = end.map_err(|error| error.code()).unwrap_err();
        assert_eq!(code, "SQLITE_CORRUPT", "{page_size}");
    }
}
