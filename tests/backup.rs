//! Backups and restores through the Rust door.

use std::ops::ControlFlow;
use std::path::PathBuf;
use whatsapp_uploader_database::{
    CopyProgress, DatabaseConfig, DatabaseManager, NewSession, RestorePhase,
};

struct Folder(PathBuf);

impl Folder {
    fn new(name: &str) -> Self {
        let path = std::env::temp_dir().join(format!("ledger-{name}-{}", std::process::id()));
        std::fs::create_dir_all(&path).unwrap();
        Self(path)
    }

    fn names(&self) -> Vec<String> {
        let entries = std::fs::read_dir(&self.0).unwrap().flatten();
        let mut names: Vec<_> = entries
            .map(|entry| entry.file_name().to_string_lossy().into_owned())
            .collect();
        names.sort();
        names
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

fn open(path: impl Into<PathBuf>) -> DatabaseManager {
    let ledger = DatabaseManager::open(DatabaseConfig::new(path)).unwrap();
    ledger.initialize_schema().unwrap();
    let session = NewSession::new("chat", "Family", "2026-01-31T12:00:00Z");
    ledger.create_session(&session).unwrap();
    ledger
}

#[test]
fn a_backup_tells_how_far_it_is_and_can_be_ended() {
    let folder = Folder::new("told");
    let ledger = open(folder.0.join("ledger.db"));
    let target = folder.0.join("a.backup");
    let mut seen = Vec::new();
    let ended = ledger.backup(&target, false, |_| ControlFlow::Break(()));
    assert_eq!(ended.unwrap_err().code(), "SQLITE_INTERRUPT");
    assert!(!folder.names().iter().any(|name| name.contains("backup")));
    let report = ledger.backup(&target, false, |progress| {
        seen.push(progress);
        ControlFlow::Continue(())
    });
    let report = report.unwrap();
    let end = CopyProgress {
        copied_pages: report.pages,
        total_pages: report.pages,
    };
    assert_eq!(seen.last(), Some(&end));
    assert_eq!(
        std::fs::metadata(&target).unwrap().len(),
        report.bytes as u64
    );
}

#[test]
fn a_restore_that_is_ended_before_its_commit_changes_nothing() {
    for path in ["ledger.db", ":memory:"] {
        let folder = Folder::new(&format!("ended-{}", path.len()));
        let is_memory = path == ":memory:";
        let ledger = if is_memory {
            open(path)
        } else {
            open(folder.0.join(path))
        };
        let target = folder.0.join("a.backup");
        let go_on = |_| ControlFlow::Continue(());
        ledger.backup(&target, false, go_on).unwrap();
        let session = NewSession::new("chat", "Later", "2026-01-31T12:00:00Z");
        ledger.create_session(&session).unwrap();
        let ended = ledger.restore(&target, |progress| match progress.phase {
            RestorePhase::Reading => ControlFlow::Break(()),
            _ => ControlFlow::Continue(()),
        });
        assert_eq!(ended.unwrap_err().code(), "SQLITE_INTERRUPT", "{path}");
        assert_eq!(ledger.get_stats().unwrap().total_sessions, 2);
        let report = ledger
            .restore(&target, |_| ControlFlow::Continue(()))
            .unwrap();
        assert_eq!(report.kept.is_none(), is_memory);
        assert_eq!(ledger.get_stats().unwrap().total_sessions, 1);
        ledger.create_session(&session).unwrap();
        assert!(!folder.names().iter().any(|name| name.contains(".tmp")));
    }
}

#[test]
fn nothing_is_backed_up_or_restored_inside_a_transaction_in_memory() {
    let folder = Folder::new("inside");
    let ledger = open(":memory:");
    let target = folder.0.join("a.backup");
    let go_on = |_| ControlFlow::Continue(());
    ledger.backup(&target, false, go_on).unwrap();
    ledger
        .transaction(|ledger| {
            let refused = ledger.backup(folder.0.join("b"), false, |_| ControlFlow::Continue(()));
            assert_eq!(refused.unwrap_err().code(), "DB_TRANSACTION_STATE");
            let refused = ledger.restore(&target, |_| ControlFlow::Continue(()));
            assert_eq!(refused.unwrap_err().code(), "DB_TRANSACTION_STATE");
            Ok::<_, whatsapp_uploader_database::Error>(())
        })
        .unwrap();
}
