//! The ledger from a Rust program, without Node:
//! `cargo run --example ledger --no-default-features -- FILE`.

use whatsapp_uploader_database::{
    DatabaseConfig, DatabaseManager, Error, NewFileHash, NewSession, OnConflict, SessionChanges,
    SessionDeltas, SessionStatus, UploadService,
};

fn main() -> Result<(), Error> {
    let path = std::env::args()
        .nth(1)
        .unwrap_or_else(|| ":memory:".to_owned());
    let ledger = DatabaseManager::open(DatabaseConfig::new(path))?;
    ledger.initialize_schema()?;

    let files = ["IMG-20260131-WA0001.jpg", "IMG-20260131-WA0002.jpg"];
    let session = ledger.create_session(&NewSession {
        total_files: files.len() as i64,
        ..NewSession::new("chat123", "Family Photos", "2026-01-31T12:00:00Z")
    })?;
    for (number, name) in files.into_iter().enumerate() {
        let file = NewFileHash {
            hash: format!("the-sha256-of-{name}"),
            file_path: format!("WhatsApp Images/{name}"),
            file_name: name.to_owned(),
            file_size: 1024 * (number as i64 + 1),
            mime_type: "image/jpeg".to_owned(),
            upload_service: UploadService::Photos,
            upload_id: None,
            chat_id: "chat123".to_owned(),
            uploaded_at: None,
        };
        let known = ledger.is_file_uploaded(&file.hash)?;
        // The file's outcome and the counters are kept together, or not at all.
        ledger.transaction(|ledger| {
            let mut deltas = SessionDeltas {
                processed_files: 1,
                ..Default::default()
            };
            if known {
                deltas.duplicate_count = 1;
            } else {
                ledger.add_file_hash(&file, OnConflict::Fail)?;
                deltas.success_count = 1;
            }
            ledger.increment_session(&session, deltas)
        })?;
    }
    let done = SessionChanges {
        status: Some(SessionStatus::Completed),
        ..Default::default()
    };
    ledger.update_session(&session, &done)?;

    for session in ledger.list_sessions(None)? {
        println!(
            "{}: {} of {} files, {} uploaded, {} known before",
            session.chat_name,
            session.processed_files,
            session.total_files,
            session.success_count,
            session.duplicate_count
        );
    }
    println!("{} files in the ledger", ledger.get_stats()?.total_files);
    ledger.close()
}
