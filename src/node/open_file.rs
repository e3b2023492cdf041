//! Owns what this process knows of a database file that it has open: whether an asynchronous
//! transaction of its own holds the write lock, and on which thread's event loop; and how often
//! its handles have committed.
//!
//! A synchronous write on that thread could wait for ever: the loop that must commit would be
//! the one that waits. And a snapshot that one handle holds must not hide another's commit.

use crate::config::DatabaseConfig;
use crate::connection;
use crate::error::{Error, Result};
use crate::private_file;
use crate::retrying_fs;
use std::collections::HashMap;
use std::io::ErrorKind;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError, Weak};
use std::thread::ThreadId;
use std::time::{SystemTime, UNIX_EPOCH};

#[cfg(unix)]
type FileKey = (u64, u64);
#[cfg(not(unix))]
type FileKey = std::path::PathBuf;

/// Whoever may hold a file's write lock: one handle of this process.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) struct Owner(u64);

impl Owner {
    /// Makes an owner that is like no other.
    pub(super) fn new() -> Self {
        static NEXT: AtomicU64 = AtomicU64::new(0);
        Self(NEXT.fetch_add(1, Ordering::Relaxed))
    }
}

/// One open database file of this process.
#[derive(Default)]
pub(super) struct OpenFile {
    holder: Mutex<Option<Holder>>,
    commits: AtomicU64,
    key: Option<FileKey>,
    /// The write-ahead log that was beside it when that was last looked at.
    log_key: Mutex<Option<FileKey>>,
}

/// Who holds the write lock across awaits.
#[derive(Clone, Copy, PartialEq, Eq)]
struct Holder {
    thread: ThreadId,
    owner: Owner,
}

impl OpenFile {
    /// Finds the entry of a file that exists; databases in memory have one each.
    pub(super) fn of(config: &DatabaseConfig) -> Arc<Self> {
        static FILES: OnceLock<Mutex<HashMap<FileKey, Weak<OpenFile>>>> = OnceLock::new();
        if config.is_memory() {
            return Arc::default();
        }
        let Some(key) = file_key(&config.path) else {
            return Arc::default();
        };
        let mut files = lock(FILES.get_or_init(Mutex::default));
        files.retain(|_, file| file.strong_count() > 0);
        if let Some(file) = files.get(&key).and_then(Weak::upgrade) {
            return file;
        }
        let file = Arc::new(Self {
            key: file_key(&config.path),
            log_key: Mutex::new(file_key(&beside(&config.path, "-wal"))),
            ..Self::default()
        });
        files.insert(key, Arc::downgrade(&file));
        file
    }

    /// Notes a commit of this process, after which older snapshots hide something.
    pub(super) fn count_commit(&self) {
        self.commits.fetch_add(1, Ordering::SeqCst);
    }

    /// Returns how many commits were noted.
    pub(super) fn commits(&self) -> u64 {
        self.commits.load(Ordering::SeqCst)
    }

    /// Says whether the path that was opened names another file by now, or none.
    pub(super) fn is_replaced(&self, config: &DatabaseConfig) -> bool {
        self.key.is_some() && file_key(&config.path) != self.key
    }

    /// Looks which log is beside the file: SQLite makes it when it first needs it.
    pub(super) fn look_at_log(&self, config: &DatabaseConfig) {
        if !self.is_replaced(config) {
            *lock(&self.log_key) = file_key(&beside(&config.path, "-wal"));
        }
    }

    /// Moves the log of a replaced file aside, which SQLite would play into the file that has its
    /// name now; does nothing when that has brought its own, or is gone.
    ///
    /// Renaming closes no descriptor, so no lock is lost, and whoever has the log open keeps it.
    ///
    /// # Errors
    ///
    /// The system's: then the new file must not be opened.
    pub(super) fn set_log_aside(&self, config: &DatabaseConfig) -> Result<()> {
        let log = beside(&config.path, "-wal");
        let present = file_key(&log);
        let is_ours = present.is_some() && present == *lock(&self.log_key);
        if !is_ours || file_key(&config.path).is_none() || !self.is_replaced(config) {
            return Ok(());
        }
        let now_ms = SystemTime::now()
            .duration_since(UNIX_EPOCH)
            .unwrap_or_default();
        let aside = beside(
            &config.path,
            &format!("-wal.replaced-{}", now_ms.as_millis()),
        );
        let access = |path: &Path, source| Error::FileAccess {
            path: path.to_owned(),
            source,
        };
        retrying_fs::rename(&log, &aside).map_err(|source| access(&log, source))?;
        // The log's index holds nothing of its own.
        let index = beside(&config.path, "-shm");
        match retrying_fs::remove_file(&index) {
            Err(source) if source.kind() != ErrorKind::NotFound => Err(access(&index, source)),
            _ => Ok(()),
        }
    }

    /// Notes that `owner`'s asynchronous transaction holds the write lock from now on.
    pub(super) fn hold(&self, owner: Owner) {
        *lock(&self.holder) = Some(Holder {
            thread: std::thread::current().id(),
            owner,
        });
    }

    /// Notes that `owner`'s asynchronous transaction is over.
    pub(super) fn release(&self, owner: Owner) {
        let mut holder = lock(&self.holder);
        if holder.is_some_and(|holder| holder.owner == owner) {
            *holder = None;
        }
    }

    /// Refuses a synchronous write that this thread's own event loop would wait for.
    pub(super) fn check_write(&self, owner: Owner) -> Result<()> {
        match *lock(&self.holder) {
            Some(holder)
                if holder.owner != owner && holder.thread == std::thread::current().id() =>
            {
                Err(Error::Busy(
                    "an asynchronous transaction of this process is open on the same file, and a \
                     synchronous write would keep it from ending; await the transaction first, \
                     then try again"
                        .into(),
                ))
            }
            _ => Ok(()),
        }
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Names what stands beside the file itself, whatever name the file was opened by.
fn beside(path: &Path, ending: &str) -> PathBuf {
    private_file::beside(&connection::resolve(path), ending)
}

/// Finds the file's identity by stat alone: opening it would endanger SQLite's locks.
#[cfg(unix)]
fn file_key(path: &Path) -> Option<FileKey> {
    use std::os::unix::fs::MetadataExt;
    let metadata = std::fs::metadata(path).ok()?;
    Some((metadata.dev(), metadata.ino()))
}

#[cfg(not(unix))]
fn file_key(path: &Path) -> Option<FileKey> {
    std::fs::canonicalize(path).ok()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::test_folder::TestFolder;

    #[test]
    fn one_file_has_one_entry_whatever_its_name() {
        let folder = TestFolder::new();
        let config = folder.config();
        std::fs::write(&config.path, "").unwrap();
        let twice = DatabaseConfig::new(folder.path().join(".").join("ledger.db"));
        let file = OpenFile::of(&config);
        assert!(Arc::ptr_eq(&file, &OpenFile::of(&twice)));
        let memory = DatabaseConfig::new(":memory:");
        assert!(!Arc::ptr_eq(&OpenFile::of(&memory), &OpenFile::of(&memory)));
    }

    #[test]
    fn a_replaced_or_deleted_file_is_noticed() {
        let folder = TestFolder::new();
        let config = folder.config();
        std::fs::write(&config.path, "").unwrap();
        let file = OpenFile::of(&config);
        assert!(!file.is_replaced(&config));
        let other = folder.path().join("other.db");
        std::fs::write(&other, "").unwrap();
        std::fs::rename(&other, &config.path).unwrap();
        // Elsewhere than on unix a file's name is all that is known of it.
        assert_eq!(file.is_replaced(&config), cfg!(unix));
        std::fs::remove_file(&config.path).unwrap();
        assert!(file.is_replaced(&config));
        let memory = DatabaseConfig::new(":memory:");
        assert!(!OpenFile::of(&memory).is_replaced(&memory));
    }

    #[cfg(unix)]
    #[test]
    fn only_the_log_of_a_replaced_file_is_set_aside() {
        let folder = TestFolder::new();
        let config = folder.config();
        let log = beside(&config.path, "-wal");
        let replace = |path: &Path, text: &str| {
            let other = folder.path().join("other");
            std::fs::write(&other, text).unwrap();
            std::fs::rename(&other, path).unwrap();
        };
        std::fs::write(&config.path, "").unwrap();
        std::fs::write(&log, "old").unwrap();
        let file = OpenFile::of(&config);
        file.set_log_aside(&config).unwrap();
        assert!(log.exists(), "the file is the same");
        replace(&config.path, "new");
        file.set_log_aside(&config).unwrap();
        assert!(!log.exists());
        let kept = std::fs::read_dir(folder.path()).unwrap().flatten();
        let kept = kept.filter(|entry| entry.file_name().to_string_lossy().contains("replaced"));
        assert_eq!(kept.count(), 1);
        replace(&log, "its own");
        file.set_log_aside(&config).unwrap();
        assert!(log.exists(), "the new file brought it");
    }

    #[test]
    fn only_another_owner_on_the_same_thread_is_refused() {
        let (one, two) = (Owner::new(), Owner::new());
        let file = Arc::<OpenFile>::default();
        file.check_write(one).unwrap();
        file.hold(one);
        file.check_write(one).unwrap();
        assert_eq!(file.check_write(two).unwrap_err().code(), "DB_BUSY");
        let elsewhere = Arc::clone(&file);
        std::thread::spawn(move || elsewhere.check_write(two).unwrap())
            .join()
            .unwrap();
        file.release(two);
        assert!(file.check_write(two).is_err());
        file.release(one);
        file.check_write(two).unwrap();
    }
}
