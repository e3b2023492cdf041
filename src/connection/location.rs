//! Owns where a database file is and how it comes to be.
//!
//! It may not open it as a database.

use crate::config::DatabaseConfig;
use crate::error::{Error, Result};
use std::fs::OpenOptions;
use std::io::ErrorKind;
use std::path::{Path, PathBuf};
use std::sync::Mutex;

/// The longest path that SQLite opens: `mxPathname` of its layer for this system, less the room for
/// the endings of the journal and the log (`sqlite3PagerOpen` in `pager.c`).
const MAX_PATH_BYTES: usize = if cfg!(windows) { 1_032 } else { 504 };

/// Finds the file of `config` and, when it may, makes it; returns its own absolute path, with no
/// symbolic link in it.
pub(super) fn locate_file(config: &DatabaseConfig) -> Result<PathBuf> {
    let access = |source| Error::FileAccess {
        path: config.path.clone(),
        source,
    };
    let path = std::path::absolute(&config.path).map_err(access)?;
    check_length(&path)?;
    if config.create && !config.readonly {
        create_file(&path)?;
    }
    match std::fs::metadata(&path) {
        // The log stands beside the file itself, whatever name it was opened by.
        Ok(metadata) if metadata.is_file() => Ok(resolve(&path)),
        Ok(_) => Err(Error::NotAFile { path }),
        Err(source) if source.kind() == ErrorKind::NotFound => match path.parent() {
            Some(folder) if !folder.exists() => Err(Error::FolderMissing {
                folder: folder.to_owned(),
            }),
            _ => Err(Error::FileMissing { path }),
        },
        Err(source) => Err(Error::FileAccess { path, source }),
    }
}

/// Refuses a path that SQLite would not open, before a file is made for nothing.
fn check_length(path: &Path) -> Result<()> {
    let own = match (path.parent(), path.file_name()) {
        (Some(folder), Some(name)) if !path.exists() => resolve(folder).join(name),
        _ => resolve(path),
    };
    let bytes = own.as_os_str().len();
    if bytes <= MAX_PATH_BYTES {
        return Ok(());
    }
    Err(Error::InvalidConfig {
        problems: vec![format!(
            "path has {bytes} bytes together with its folder, and SQLite opens none of more than \
             {MAX_PATH_BYTES}; choose a shorter one"
        )],
    })
}

/// Makes an empty file with mode 0600 where there is none; leaves an existing one alone.
fn create_file(path: &Path) -> Result<()> {
    /// Closing any descriptor of a file drops all POSIX locks of this process on it
    /// (<https://www.sqlite.org/howtocorrupt.html>, section 2.2). Whoever opens passes here
    /// first, so no handle of ours can hold a lock while this descriptor is open.
    static CREATING: Mutex<()> = Mutex::new(());
    let _guard = CREATING
        .lock()
        .unwrap_or_else(|poisoned| poisoned.into_inner());
    let mut options = OpenOptions::new();
    options.write(true).create_new(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    match options.open(path) {
        Ok(_) => Ok(()),
        // What is there, or not there, `locate_file` judges.
        Err(source)
            if matches!(
                source.kind(),
                ErrorKind::AlreadyExists | ErrorKind::NotFound
            ) =>
        {
            Ok(())
        }
        Err(source) if path.exists() => {
            // Some systems answer so for a folder; `locate_file` says it better.
            let _ = source;
            Ok(())
        }
        Err(source) => Err(Error::FileAccess {
            path: path.to_owned(),
            source,
        }),
    }
}

/// Returns a file's own path, with no symbolic link in it, or the path as it is when there is no
/// such file: its log and index stand beside the file itself.
#[cfg(unix)]
pub(crate) fn resolve(path: &Path) -> PathBuf {
    std::fs::canonicalize(path).unwrap_or_else(|_| path.to_owned())
}

/// Returns the path: SQLite opens the system's canonical form (`\\\\?\\`) under other names there.
#[cfg(not(unix))]
pub(crate) fn resolve(path: &Path) -> PathBuf {
    path.to_owned()
}

#[cfg(test)]
#[cfg(unix)]
mod tests {
    use super::super::{Role, open};
    use super::*;
    use crate::test_folder::TestFolder;

    #[test]
    fn a_short_link_to_a_long_folder_is_no_way_around() {
        let folder = TestFolder::new();
        let long = folder.path().join("a".repeat(250)).join("b".repeat(250));
        std::fs::create_dir_all(&long).unwrap();
        let link = folder.path().join("link");
        std::os::unix::fs::symlink(&long, &link).unwrap();
        let path = link.join("a.db");
        let error = open(&DatabaseConfig::new(&path), Role::Blocking).unwrap_err();
        assert_eq!(error.code(), "DB_INVALID_CONFIG");
        assert!(!path.exists());
    }
}
