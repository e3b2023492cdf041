//! Many records at once: lists in pages, and batches with an outcome for each record.

use std::fmt::Debug;
use whatsapp_uploader_database::{
    Added, Cursor, DatabaseConfig, DatabaseManager, NewFileHash, NewSession, NewUploadError,
    OnConflict, Page, Result, SessionChanges, SessionStatus, UploadService,
};

const NOW: &str = "2026-01-31T12:00:00.000Z";

fn open() -> DatabaseManager {
    let ledger = DatabaseManager::open(DatabaseConfig::new(":memory:")).unwrap();
    ledger.initialize_schema().unwrap();
    ledger
}

fn file(hash: &str, chat_id: &str) -> NewFileHash {
    NewFileHash {
        hash: hash.into(),
        file_path: "p".into(),
        file_name: "f".into(),
        file_size: 1,
        mime_type: "image/jpeg".into(),
        upload_service: UploadService::Photos,
        upload_id: None,
        chat_id: chat_id.into(),
        uploaded_at: None,
    }
}

fn session(id: &str, start_time: &str) -> NewSession {
    NewSession {
        id: Some(id.into()),
        ..NewSession::new("chat", "Chat", start_time)
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

/// Walks through all pages of a list.
fn walk<T: Debug>(
    first: Option<Cursor>,
    mut page: impl FnMut(Option<&Cursor>) -> Result<Page<T>>,
) -> Vec<T> {
    let mut all = Vec::new();
    let mut after = first;
    loop {
        let page = page(after.as_ref()).unwrap();
        all.extend(page.records);
        after = page.next;
        if after.is_none() {
            return all;
        }
    }
}

#[test]
fn pages_of_files_are_the_list_in_parts() {
    let ledger = open();
    for index in 0..25 {
        let chat = if index % 3 == 0 { "a" } else { "b" };
        ledger
            .add_file_hash(&file(&format!("h{index}"), chat), OnConflict::Fail)
            .unwrap();
    }
    for limit in [1, 4, 9, 25, 100, usize::MAX] {
        for chat in ["a", "b", "none"] {
            let list = ledger.find_file_hashes(chat).unwrap();
            let pages = walk(None, |after| {
                ledger.file_hash_page(Some(chat), after, limit)
            });
            assert_eq!(pages, list, "{chat} by {limit}");
        }
        let all = walk(None, |after| ledger.file_hash_page(None, after, limit));
        let hashes: Vec<_> = all.into_iter().map(|file| file.hash).collect();
        assert_eq!(hashes, (0..25).map(|i| format!("h{i}")).collect::<Vec<_>>());
    }
    let behind = walk(Some(Cursor::after("h20")), |after| {
        ledger.file_hash_page(None, after, 2)
    });
    assert_eq!(behind.len(), 4);
    let error = ledger.file_hash_page(None, Some(&Cursor::after("none")), 2);
    assert_eq!(error.unwrap_err().code(), "DB_NOT_FOUND");
}

#[test]
fn a_page_goes_on_although_its_last_record_was_deleted() {
    let ledger = open();
    for index in 0..6 {
        let hash = format!("h{index}");
        ledger
            .add_file_hash(&file(&hash, "a"), OnConflict::Fail)
            .unwrap();
        ledger
            .create_session(&session(&hash, &format!("2026-01-0{}", 9 - index)))
            .unwrap();
    }
    for _ in 0..6 {
        ledger.log_error(&error("h0")).unwrap();
    }
    let mut seen = Vec::new();
    walk(None, |after| {
        let page = ledger.file_hash_page(Some("a"), after, 2)?;
        for file in &page.records {
            seen.push(file.hash.clone());
            ledger.delete_file_hash(&file.hash)?;
        }
        ledger.vacuum()?;
        Ok(page)
    });
    // A vacuum may number the rows that are left anew, so those behind a deleted row may be seen
    // from their new place: never one twice.
    assert!(seen.is_sorted_by(|a, b| a < b), "{seen:?}");
    let errors = walk(None, |after| {
        let page = ledger.error_page(Some("h0"), after, 2)?;
        ledger.clear_errors("none")?;
        Ok(page)
    });
    assert_eq!(errors.len(), 6);
    let mut seen = Vec::new();
    walk(None, |after| {
        let page = ledger.session_page(None, after, 1)?;
        for session in &page.records {
            seen.push(session.id.clone());
            ledger.delete_session(&session.id)?;
        }
        Ok(page)
    });
    assert_eq!(seen, ["h0", "h1", "h2", "h3", "h4", "h5"]);
}

#[test]
fn a_page_goes_on_after_a_vacuum() {
    let ledger = open();
    for index in 0..9 {
        ledger
            .add_file_hash(&file(&format!("h{index}"), "a"), OnConflict::Fail)
            .unwrap();
    }
    for hash in ["h0", "h1", "h2"] {
        ledger.delete_file_hash(hash).unwrap();
    }
    let all = walk(None, |after| {
        let page = ledger.file_hash_page(None, after, 2)?;
        ledger.vacuum()?;
        Ok(page)
    });
    let hashes: Vec<_> = all.into_iter().map(|file| file.hash).collect();
    assert_eq!(hashes, ["h3", "h4", "h5", "h6", "h7", "h8"]);
}

#[test]
fn pages_of_sessions_are_newest_first() {
    let ledger = open();
    for (id, time) in [
        ("a", "2026-01-01T00:00:00.000Z"),
        ("b", "2026-01-03T00:00:00.000Z"),
        ("c", "2026-01-02T00:00:00.000Z"),
        ("d", "2026-01-03T00:00:00.000Z"),
        ("e", "2026-01-02T00:00:00.000Z"),
    ] {
        ledger.create_session(&session(id, time)).unwrap();
    }
    let failed = SessionChanges {
        status: Some(SessionStatus::Failed),
        ..SessionChanges::default()
    };
    ledger.update_session("c", &failed).unwrap();
    ledger.update_session("d", &failed).unwrap();
    for status in [
        None,
        Some(SessionStatus::Failed),
        Some(SessionStatus::Paused),
    ] {
        let list = ledger.list_sessions(status).unwrap();
        for limit in [1, 2, 5, 9] {
            let pages = walk(None, |after| ledger.session_page(status, after, limit));
            assert_eq!(pages, list, "{status:?} by {limit}");
        }
    }
    let page = ledger
        .session_page(None, Some(&Cursor::after("e")), 9)
        .unwrap();
    let ids: Vec<_> = page.records.into_iter().map(|session| session.id).collect();
    assert_eq!(ids, ["c", "a"]);
    // A session that moves while a caller looks at a page is not seen twice.
    let first = ledger.session_page(None, None, 1).unwrap();
    assert_eq!(first.records[0].id, "d");
    let changes = SessionChanges {
        start_time: Some("2025-12-31T00:00:00.000Z".into()),
        ..SessionChanges::default()
    };
    ledger.update_session("d", &changes).unwrap();
    let second = ledger.session_page(None, first.next.as_ref(), 1).unwrap();
    assert_eq!(second.records[0].id, "b");
}

#[test]
fn pages_of_errors_go_by_id() {
    let ledger = open();
    for id in ["s", "t"] {
        ledger.create_session(&session(id, NOW)).unwrap();
    }
    for index in 0..10 {
        let id = if index % 2 == 0 { "s" } else { "t" };
        ledger.log_error(&error(id)).unwrap();
    }
    let list = ledger.get_errors("s").unwrap();
    for limit in [1, 2, 5, 9] {
        let pages = walk(None, |after| ledger.error_page(Some("s"), after, limit));
        assert_eq!(pages, list);
        let all = walk(None, |after| ledger.error_page(None, after, limit));
        assert_eq!(all.len(), 10);
    }
    let after = Cursor::after(list[2].id);
    let behind = ledger.error_page(Some("s"), Some(&after), 9).unwrap();
    assert_eq!(behind.records, list[3..]);
    for key in ["99", "x", ""] {
        let error = ledger.error_page(None, Some(&Cursor::after(key)), 2);
        assert_eq!(error.unwrap_err().code(), "DB_NOT_FOUND", "{key}");
    }
}

#[test]
fn a_batch_of_files_has_an_outcome_for_each() {
    let ledger = open();
    let bad_time = NewFileHash {
        uploaded_at: Some("secret".into()),
        ..file("x", "c")
    };
    let files = [
        file("a", "c"),
        file("a", "d"),
        file("", "c"),
        bad_time,
        file("b", "c"),
    ];
    let outcomes = ledger.add_file_hashes(&files, OnConflict::Fail).unwrap();
    assert!(matches!(outcomes[0], Ok(Added::Written)));
    let code = |index: usize| outcomes[index].as_ref().unwrap_err().code().to_owned();
    assert_eq!(code(1), "SQLITE_CONSTRAINT_PRIMARYKEY");
    let message = |index: usize| outcomes[index].as_ref().unwrap_err().to_string();
    assert!(message(2).starts_with("records[2].hash is an empty"));
    assert!(message(3).starts_with("records[3].uploaded_at is a text that is no time"));
    assert!(!message(3).contains("secret"));
    assert!(outcomes[4].is_ok());
    assert_eq!(ledger.find_file_hashes("c").unwrap().len(), 2);

    let outcomes = ledger
        .add_file_hashes(&files[..2], OnConflict::Ignore)
        .unwrap();
    assert!(outcomes.iter().all(|o| matches!(o, Ok(Added::Ignored))));
    let outcomes = ledger
        .add_file_hashes(&files[..2], OnConflict::Replace)
        .unwrap();
    assert!(outcomes.iter().all(|o| matches!(o, Ok(Added::Written))));
    let replaced = ledger.get_file_hash("a").unwrap().unwrap();
    assert_eq!(replaced.chat_id, "d");
    assert!(
        ledger
            .add_file_hashes(&[], OnConflict::Fail)
            .unwrap()
            .is_empty()
    );
}

#[test]
fn hashes_are_found_in_the_order_asked() {
    let ledger = open();
    let names = ["abcdefgh1", "abcdefgh2", "b", "ä", "a\0b", "z"];
    for name in names {
        ledger
            .add_file_hash(&file(name, "c"), OnConflict::Fail)
            .unwrap();
    }
    let asked = [
        "z",
        "none",
        "abcdefgh2",
        "abcdefgh3",
        "b",
        "b",
        "a",
        "a\0b",
        "ä",
        "abcdefgh1",
    ];
    let expected: Vec<_> = asked.iter().map(|name| names.contains(name)).collect();
    assert_eq!(ledger.find_uploaded(&asked).unwrap(), expected);
    assert!(ledger.find_uploaded(&[]).unwrap().is_empty());
    let error = ledger.find_uploaded(&["a", ""]).unwrap_err().to_string();
    assert!(error.starts_with("hashes[1] is an empty string"), "{error}");
}

#[test]
fn batches_of_errors_and_updates_have_an_outcome_for_each() {
    let ledger = open();
    ledger.create_session(&session("s", NOW)).unwrap();
    let too_many = NewUploadError {
        retry_count: -1,
        ..error("s")
    };
    let outcomes = ledger
        .log_errors(&[error("s"), error("none"), too_many, error("s")])
        .unwrap();
    let ids: Vec<_> = outcomes.iter().map(|o| o.as_ref().ok().copied()).collect();
    assert_eq!(ids[1..3], [None, None]);
    assert!(ids[0] < ids[3]);
    let message = outcomes[2].as_ref().unwrap_err().to_string();
    assert!(message.starts_with("records[2].retry_count"), "{message}");

    let changes = |total_files| SessionChanges {
        total_files: Some(total_files),
        ..SessionChanges::default()
    };
    let outcomes = ledger
        .update_sessions(&[("s", changes(1)), ("none", changes(2)), ("s", changes(-1))])
        .unwrap();
    assert!(outcomes[0].is_ok());
    assert_eq!(outcomes[1].as_ref().unwrap_err().code(), "DB_NOT_FOUND");
    let message = outcomes[2].as_ref().unwrap_err().to_string();
    assert!(message.starts_with("records[2].total_files"), "{message}");
    assert_eq!(ledger.get_session("s").unwrap().unwrap().total_files, 1);
}

#[test]
fn a_batch_without_a_schema_says_so_of_each_record() {
    let ledger = DatabaseManager::open(DatabaseConfig::new(":memory:")).unwrap();
    let outcomes = ledger
        .add_file_hashes(&[file("a", "c")], OnConflict::Fail)
        .unwrap();
    assert_eq!(
        outcomes[0].as_ref().unwrap_err().code(),
        "DB_SCHEMA_MISSING"
    );
}
