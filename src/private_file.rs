//! Owns files beside a ledger that only this user may read: which path may become one, a new file
//! under a name that nobody knows yet, and giving it its name once it is whole and on the disk.
//!
//! A file may be opened here with `std::fs` only while no handle of SQLite's can have it open:
//! closing any descriptor of it would drop the locks of this process on it
//! (<https://www.sqlite.org/howtocorrupt.html>, section 2.2). This module may not know tables.

use crate::connection;
use crate::error::{Error, Result};
use crate::{retrying_fs, windows_path};
use std::fs;
use std::io::ErrorKind;
use std::path::{Path, PathBuf};
use uuid::Uuid;

/// What SQLite keeps beside a database while it is in use, or was when its process died.
const COMPANIONS: [&str; 3] = ["-wal", "-shm", "-journal"];

/// Says how a path may become a new file; returns it absolute, its folder without symbolic links.
///
/// What is there already may be replaced when it is a database that is not in use, and anything
/// else when `overwrite` says so: never a symbolic link, a folder or a special file, and never a
/// file beside a log that SQLite would play into the new one.
///
/// # Errors
///
/// [`Error::FolderMissing`], [`Error::NotAFile`], [`Error::SymbolicLink`], [`Error::FileExists`],
/// [`Error::InUse`], [`Error::FileAccess`].
pub(crate) fn require_target(path: &Path, overwrite: bool) -> Result<PathBuf> {
    let path = resolve(path)?;
    for ending in ["-wal", "-journal"] {
        if fs::symlink_metadata(beside(&path, ending)).is_ok() {
            return Err(Error::InUse {
                problem: format!(
                    "there is a log beside it ({ending}), so it is open somewhere or was when its \
                     process died; close it, or open it once to bring the log into it"
                ),
                path,
            });
        }
    }
    match is_plain_file(&path)? {
        true if !overwrite && !connection::has_database_header(&path)? => {
            Err(Error::FileExists { path })
        }
        _ => Ok(path),
    }
}

/// Finds a file that is there to be read; returns its path as [`require_target`] does.
///
/// # Errors
///
/// [`Error::FileMissing`], [`Error::FolderMissing`], [`Error::NotAFile`],
/// [`Error::SymbolicLink`], [`Error::FileAccess`].
pub(crate) fn require_source(path: &Path) -> Result<PathBuf> {
    let path = resolve(path)?;
    if is_plain_file(&path)? {
        Ok(path)
    } else {
        Err(Error::FileMissing { path })
    }
}

/// Makes a caller's path absolute, before the system can make another of it.
///
/// # Errors
///
/// [`Error::InvalidArgument`] for one that can name no file here; [`Error::FileAccess`].
pub(crate) fn make_absolute(path: &Path) -> Result<PathBuf> {
    if path.as_os_str().is_empty() {
        return Err(Error::argument(
            "path",
            "is an empty string; give the path of a file",
        ));
    }
    if path.as_os_str().as_encoded_bytes().contains(&0) {
        return Err(Error::argument("path", "must not hold a NUL character"));
    }
    if cfg!(windows)
        && let Some(problem) = windows_path::problem(&path.to_string_lossy())
    {
        return Err(Error::argument("path", problem));
    }
    std::path::absolute(path).map_err(|source| Error::FileAccess {
        path: path.to_owned(),
        source,
    })
}

/// Makes a path absolute. The links of its folder are the user's own; of its last part, none is
/// followed, so that part stays as it is.
fn resolve(path: &Path) -> Result<PathBuf> {
    let access = |source| Error::FileAccess {
        path: path.to_owned(),
        source,
    };
    // A separator at the end names a folder.
    let last = path.as_os_str().as_encoded_bytes().last();
    let names_folder = last.is_some_and(|byte| std::path::is_separator(char::from(*byte)));
    let path = make_absolute(path)?;
    let (Some(folder), Some(name), false) = (path.parent(), path.file_name(), names_folder) else {
        return Err(Error::NotAFile { path });
    };
    match canonical(folder) {
        Ok(folder) => Ok(folder.join(name)),
        Err(source) if source.kind() == ErrorKind::NotFound => Err(Error::FolderMissing {
            folder: folder.to_owned(),
        }),
        Err(source) => Err(access(source)),
    }
}

#[cfg(unix)]
fn canonical(folder: &Path) -> std::io::Result<PathBuf> {
    fs::canonicalize(folder)
}

/// What Windows calls canonical (`\\?\C:\…`) not every program takes for a path.
#[cfg(not(unix))]
fn canonical(folder: &Path) -> std::io::Result<PathBuf> {
    fs::metadata(folder).map(|_| folder.to_owned())
}

/// Says whether there is a regular file; anything else that is there is an error.
fn is_plain_file(path: &Path) -> Result<bool> {
    let path = path.to_owned();
    match fs::symlink_metadata(&path) {
        Ok(metadata) if metadata.is_symlink() => Err(Error::SymbolicLink { path }),
        Ok(metadata) if !metadata.is_file() => Err(Error::NotAFile { path }),
        Ok(_) => Ok(true),
        Err(source) if source.kind() == ErrorKind::NotFound => Ok(false),
        Err(source) => Err(Error::FileAccess { path, source }),
    }
}

/// Says whether two paths name one file, by looking at both without opening them.
#[cfg(unix)]
pub(crate) fn is_same_file(one: &Path, other: &Path) -> bool {
    use std::os::unix::fs::MetadataExt;
    let key = |path| fs::metadata(path).map(|metadata| (metadata.dev(), metadata.ino()));
    matches!((key(one), key(other)), (Ok(one), Ok(other)) if one == other)
}

/// Says whether two paths name one file, by looking at both without opening them.
#[cfg(not(unix))]
pub(crate) fn is_same_file(one: &Path, other: &Path) -> bool {
    matches!((fs::canonicalize(one), fs::canonicalize(other)), (Ok(one), Ok(other)) if one == other)
}

/// Names a file beside `path`: the same name with an ending.
pub(crate) fn beside(path: &Path, ending: &str) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(ending);
    name.into()
}

/// A new file in the folder of the one that it is to become: removed with what SQLite may have
/// left beside it when it is dropped, unless it got its name.
#[derive(Debug)]
pub(crate) struct TemporaryFile {
    path: PathBuf,
    is_named: bool,
}

impl TemporaryFile {
    /// Makes an empty file, mode 0600, under a name that was free:
    /// `<target>.<purpose>-<random>.tmp`.
    ///
    /// A process that is killed leaves it behind. Nothing removes it later: it could be the work of
    /// a process that still runs.
    ///
    /// # Errors
    ///
    /// [`Error::FileAccess`] with the system's reason.
    pub(crate) fn new_beside(target: &Path, purpose: &str) -> Result<Self> {
        let path = beside(
            target,
            &format!(".{purpose}-{}.tmp", Uuid::now_v7().simple()),
        );
        match retrying_fs::create_private(&path) {
            Ok(_) => Ok(Self {
                path,
                is_named: false,
            }),
            Err(source) => Err(Error::FileAccess { path, source }),
        }
    }

    pub(crate) fn path(&self) -> &Path {
        &self.path
    }

    /// Waits until the disk has the file, gives it its name in one step, and waits until the disk
    /// has that too. Every handle of SQLite's on it must be closed.
    ///
    /// # Errors
    ///
    /// [`Error::FileAccess`]. What had the name before has it still, unless syncing the folder
    /// failed: then the new file has it, and a loss of power might undo that.
    pub(crate) fn persist(mut self, target: &Path) -> Result<()> {
        let access = |source| Error::FileAccess {
            path: target.to_owned(),
            source,
        };
        retrying_fs::sync_file(&self.path).map_err(access)?;
        retrying_fs::rename(&self.path, target).map_err(access)?;
        self.is_named = true;
        remove_companions(&self.path);
        sync_folder(target)
    }
}

impl Drop for TemporaryFile {
    fn drop(&mut self) {
        if !self.is_named {
            // Whoever drops it has an error to tell already, or no use for the file.
            let _ = retrying_fs::remove_file(&self.path);
            remove_companions(&self.path);
        }
    }
}

/// Removes what SQLite may have left beside a file that no handle of its has open.
fn remove_companions(path: &Path) {
    for ending in COMPANIONS {
        let _ = retrying_fs::remove_file(&beside(path, ending));
    }
}

/// Waits until the disk has the names in the folder of `path`.
///
/// # Errors
///
/// [`Error::FileAccess`] of the folder.
#[cfg(unix)]
pub(crate) fn sync_folder(path: &Path) -> Result<()> {
    let folder = match path.parent() {
        // A relative path of one part has an empty parent.
        Some(folder) if folder.as_os_str().is_empty() => Path::new("."),
        Some(folder) => folder,
        None => return Ok(()),
    };
    fs::File::open(folder)
        .and_then(|folder| folder.sync_all())
        .map_err(|source| Error::FileAccess {
            path: folder.to_owned(),
            source,
        })
}

/// Other systems keep a file's name with its contents.
#[cfg(not(unix))]
pub(crate) fn sync_folder(_: &Path) -> Result<()> {
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::test_folder::TestFolder;

    fn names(folder: &TestFolder) -> Vec<String> {
        let entries = fs::read_dir(folder.path()).unwrap().flatten();
        entries
            .map(|entry| entry.file_name().to_string_lossy().into_owned())
            .collect()
    }

    fn database(path: &Path) {
        let connection = rusqlite::Connection::open(path).unwrap();
        connection.execute_batch("CREATE TABLE t(x)").unwrap();
    }

    #[test]
    fn a_temporary_file_is_private_and_goes_unless_it_gets_its_name() {
        let folder = TestFolder::new();
        let target = folder.path().join("a.db");
        let file = TemporaryFile::new_beside(&target, "backup").unwrap();
        #[cfg(unix)]
        {
            use std::os::unix::fs::PermissionsExt;
            let mode = fs::metadata(file.path()).unwrap().permissions().mode();
            assert_eq!(mode & 0o777, 0o600);
        }
        fs::write(beside(file.path(), "-wal"), "x").unwrap();
        drop(file);
        assert!(names(&folder).is_empty(), "{:?}", names(&folder));
        let file = TemporaryFile::new_beside(&target, "backup").unwrap();
        fs::write(file.path(), "whole").unwrap();
        file.persist(&target).unwrap();
        assert_eq!(names(&folder), ["a.db"]);
        assert_eq!(fs::read(&target).unwrap(), b"whole");
    }

    #[test]
    fn a_name_that_cannot_be_given_leaves_nothing_behind() {
        let folder = TestFolder::new();
        let file = TemporaryFile::new_beside(&folder.path().join("a.db"), "backup").unwrap();
        let error = file.persist(&folder.path().join("no/a.db")).unwrap_err();
        assert_eq!(error.code(), "DB_FILE_ACCESS");
        assert!(names(&folder).is_empty());
    }

    #[test]
    fn only_what_nobody_misses_is_a_target() {
        let folder = TestFolder::new();
        let path = |name: &str| folder.path().join(name);
        let code = |name: &str, overwrite| match require_target(&path(name), overwrite) {
            Ok(_) => "",
            Err(error) => error.code(),
        };
        assert_eq!(code("new.db", false), "");
        assert_eq!(code("no/such.db", false), "DB_FOLDER_MISSING");
        database(&path("old.db"));
        assert_eq!(code("old.db", false), "");
        for (name, text) in [
            ("empty", ""),
            ("text", "a text that is longer than a header"),
        ] {
            fs::write(path(name), text).unwrap();
            assert_eq!(code(name, false), "DB_FILE_EXISTS", "{name}");
            assert_eq!(code(name, true), "", "{name}");
        }
        fs::create_dir(path("folder")).unwrap();
        assert_eq!(code("folder", true), "DB_NOT_A_FILE");
        for ending in ["-wal", "-journal"] {
            let log = beside(&path("new.db"), ending);
            fs::write(&log, "").unwrap();
            assert_eq!(code("new.db", true), "DB_IN_USE", "{ending}");
            fs::remove_file(log).unwrap();
        }
        let nul = require_target(Path::new("a\0b"), false).unwrap_err();
        assert_eq!(nul.code(), "DB_INVALID_ARGUMENT");
    }

    #[cfg(unix)]
    #[test]
    fn no_symbolic_link_and_no_special_file_is_followed() {
        use std::os::unix::fs::symlink;
        let folder = TestFolder::new();
        let path = |name: &str| folder.path().join(name);
        database(&path("real.db"));
        symlink(path("real.db"), path("link.db")).unwrap();
        symlink(path("none.db"), path("dangling.db")).unwrap();
        symlink(folder.path(), path("folder")).unwrap();
        for name in ["link.db", "dangling.db"] {
            for overwrite in [false, true] {
                let error = require_target(&path(name), overwrite).unwrap_err();
                assert_eq!(error.code(), "DB_NOT_A_FILE", "{name}");
                assert!(error.to_string().contains("symbolic link"), "{error}");
            }
            assert!(require_source(&path(name)).is_err());
        }
        let device = require_target(Path::new("/dev/null"), true).unwrap_err();
        assert_eq!(device.code(), "DB_NOT_A_FILE");
        // A link on the way is the user's own.
        let below = require_target(&path("folder/new.db"), false).unwrap();
        assert_eq!(below.file_name().unwrap(), "new.db");
        assert!(is_same_file(&path("real.db"), &path("folder/real.db")));
        assert!(!is_same_file(&path("real.db"), &path("none.db")));
    }

    #[test]
    fn a_source_must_be_there() {
        let folder = TestFolder::new();
        let error = require_source(&folder.path().join("none.db")).unwrap_err();
        assert_eq!(error.code(), "DB_FILE_MISSING");
        let error = require_source(folder.path()).unwrap_err();
        assert_eq!(error.code(), "DB_NOT_A_FILE");
    }

    #[cfg(unix)]
    #[test]
    fn looking_at_a_target_keeps_the_locks_of_this_process() {
        let folder = TestFolder::new();
        let path = folder.path().join("busy.db");
        database(&path);
        let holder = rusqlite::Connection::open(&path).unwrap();
        holder.execute_batch("BEGIN IMMEDIATE; SELECT 1").unwrap();
        let locks = || {
            let metadata = fs::metadata(&path).unwrap();
            let device = std::os::unix::fs::MetadataExt::dev(&metadata);
            let inode = std::os::unix::fs::MetadataExt::ino(&metadata);
            // Other file systems may have a file of the same number, locked by somebody else.
            let (major, minor) = (
                (device >> 8) & 0xfff,
                (device & 0xff) | ((device >> 12) & 0xfff00),
            );
            let locks = fs::read_to_string("/proc/locks").unwrap_or_default();
            locks
                .matches(&format!(" {major:02x}:{minor:02x}:{inode} "))
                .count()
        };
        let before = locks();
        assert!(before > 0 || !cfg!(target_os = "linux"));
        assert!(connection::has_database_header(&path).unwrap());
        assert_eq!(locks(), before);
    }
}
