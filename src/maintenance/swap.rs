//! Owns putting a repaired file in a damaged one's place, so that a process that dies at any
//! moment leaves one of them under the name and both of what was there before.
//!
//! The order: the damaged file and its log get their second names (`.corrupt-<time>`), the log
//! loses its first, the new file takes the name. A log must never stand beside the new file:
//! SQLite would play it into that. Between the last two steps the damaged file stands without
//! its log; [`unfinished`] finds that by the file that has both names, and the next repair reads
//! the log by the name that it has kept.

use super::raw_file::{beside, log_path};
use crate::error::{Error, Result};
use std::fs;
use std::io::{ErrorKind, Read};
use std::path::{Path, PathBuf};

/// What stands between the name of a damaged file and the time of its repair.
const KEPT: &str = ".corrupt-";

/// What a new file is called until it takes the name.
const NEW: &str = ".repairing";

/// Files that belong to a database's own.
const COMPANIONS: [&str; 2] = ["-wal", "-journal"];

/// A new file that is removed again unless it takes a name.
pub(super) struct NewFile {
    path: PathBuf,
}

impl NewFile {
    /// Makes an empty file beside the damaged one, for its owner alone. The caller holds the
    /// damaged file's lock, so one that is there already was left by a process that died.
    pub(super) fn create(database: &Path) -> Result<Self> {
        let path = beside(database, NEW);
        for suffix in ["", "-journal"] {
            let _ = fs::remove_file(beside(&path, suffix));
        }
        let mut options = fs::OpenOptions::new();
        options.write(true).create_new(true);
        #[cfg(unix)]
        std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
        options
            .open(&path)
            .map_err(|source| access(&path, source))?;
        Ok(Self { path })
    }

    pub(super) fn path(&self) -> &Path {
        &self.path
    }
}

impl Drop for NewFile {
    fn drop(&mut self) {
        let _ = fs::remove_file(&self.path);
    }
}

/// Finds the kept name of a repair that ended before the new file took its place.
pub(super) fn unfinished(database: &Path) -> Option<PathBuf> {
    let name = format!("{}{KEPT}", database.file_name()?.to_str()?);
    let mut kept: Vec<PathBuf> = fs::read_dir(folder(database))
        .ok()?
        .filter_map(|entry| Some(entry.ok()?.path()))
        .filter(|path| {
            path.file_name()
                .and_then(|file| file.to_str())
                .is_some_and(|file| {
                    file.starts_with(&name)
                        && !COMPANIONS.iter().any(|suffix| file.ends_with(suffix))
                })
        })
        .collect();
    kept.sort();
    kept.into_iter().rev().find(|kept| is_same(kept, database))
}

/// Says whether two names are one file; where names cannot share one, whether the bytes are the same.
#[cfg(unix)]
fn is_same(left: &Path, right: &Path) -> bool {
    use std::os::unix::fs::MetadataExt;
    match (fs::symlink_metadata(left), fs::metadata(right)) {
        (Ok(left), Ok(right)) => (left.dev(), left.ino()) == (right.dev(), right.ino()),
        _ => false,
    }
}

#[cfg(not(unix))]
fn is_same(left: &Path, right: &Path) -> bool {
    let read = |path: &Path| fs::File::open(path).ok();
    match (read(left), read(right)) {
        (Some(left), Some(right)) => left
            .bytes()
            .zip(right.bytes())
            .all(|(left, right)| matches!((left, right), (Ok(left), Ok(right)) if left == right)),
        _ => false,
    }
}

/// Puts the new file in the damaged one's place; returns the name that the damaged one has now.
///
/// The caller holds the damaged file's exclusive lock. `kept` is the name of an unfinished repair.
///
/// # Errors
///
/// [`Error::FileAccess`]; the damaged file then has its name still.
pub(super) fn swap(database: &Path, new: NewFile, kept: Option<PathBuf>) -> Result<PathBuf> {
    sync(new.path())?;
    let kept = match kept {
        Some(kept) => kept,
        None => {
            let kept = free_name(database);
            keep(database, &kept)?;
            kept
        }
    };
    for suffix in COMPANIONS {
        let (present, second) = (beside(database, suffix), beside(&kept, suffix));
        if present.exists() {
            // One that came after an unfinished repair stands beside what that has kept.
            let second = if second.exists() {
                beside(&free_name(database), suffix)
            } else {
                second
            };
            keep(&present, &second)?;
        }
    }
    sync_folder(database)?;
    for suffix in COMPANIONS {
        remove(&beside(database, suffix))?;
    }
    // The index of a log that is gone.
    remove(&beside(database, "-shm"))?;
    fs::rename(new.path(), database).map_err(|source| access(database, source))?;
    sync_folder(database)?;
    Ok(kept)
}

/// Gives a file a second name; where the file system has no second names, a copy.
fn keep(file: &Path, kept: &Path) -> Result<()> {
    match fs::hard_link(file, kept) {
        Ok(()) => Ok(()),
        Err(source) if source.kind() == ErrorKind::AlreadyExists => Err(access(kept, source)),
        // A copy ends the locks that this process holds on the file as it closes it, which is why
        // only a file system without links gets one: the caller has read all that it needs.
        Err(_) => fs::copy(file, kept)
            .map_err(|source| access(kept, source))
            .and_then(|_| sync(kept)),
    }
}

/// A name for what is kept, by the time, that nothing has yet.
fn free_name(database: &Path) -> PathBuf {
    let time: String = crate::timestamp::now()
        .chars()
        .filter(|character| character.is_ascii_alphanumeric())
        .collect();
    let first = beside(database, &format!("{KEPT}{time}"));
    let is_taken = |path: &Path| {
        path.symlink_metadata().is_ok()
            || COMPANIONS
                .iter()
                .any(|suffix| beside(path, suffix).symlink_metadata().is_ok())
    };
    if !is_taken(&first) {
        return first;
    }
    (2_u32..)
        .map(|number| beside(&first, &format!(".{number}")))
        .find(|path| !is_taken(path))
        .unwrap_or(first)
}

/// Returns the log that belongs to a database after an unfinished repair.
pub(super) fn kept_log(database: &Path, kept: Option<&PathBuf>) -> Option<PathBuf> {
    // A log under the first name is newer: somebody has used the file since.
    let has_own = fs::metadata(log_path(database)).is_ok_and(|log| log.len() > 0);
    kept.filter(|_| !has_own).cloned()
}

fn remove(path: &Path) -> Result<()> {
    match fs::remove_file(path) {
        Err(source) if source.kind() != ErrorKind::NotFound => Err(access(path, source)),
        _ => Ok(()),
    }
}

fn sync(path: &Path) -> Result<()> {
    fs::OpenOptions::new()
        .write(true)
        .open(path)
        .and_then(|file| file.sync_all())
        .map_err(|source| access(path, source))
}

#[cfg(unix)]
fn sync_folder(database: &Path) -> Result<()> {
    let folder = folder(database);
    fs::File::open(folder)
        .and_then(|folder| folder.sync_all())
        .map_err(|source| access(folder, source))
}

/// Other systems keep a file's name with its contents.
#[cfg(not(unix))]
fn sync_folder(_: &Path) -> Result<()> {
    Ok(())
}

fn folder(database: &Path) -> &Path {
    database
        .parent()
        .filter(|folder| !folder.as_os_str().is_empty())
        .unwrap_or(Path::new("."))
}

fn access(path: &Path, source: std::io::Error) -> Error {
    Error::FileAccess {
        path: path.to_owned(),
        source,
    }
}
