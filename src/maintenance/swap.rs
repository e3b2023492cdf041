//! Owns putting a repaired file in a damaged one's place, so that a process that dies at any
//! moment leaves one of them under the name and both of what was there before.
//!
//! The order: the damaged file and its log get their second names (`.corrupt-<time>`), the log
//! loses its first, the new file takes the name. A log must never stand beside the new file:
//! SQLite would play it into that. Between the last two steps the damaged file stands without
//! its log; [`unfinished`] finds that by the file that has both names, and the next repair reads
//! the log by the name that it has kept.

use super::image::Image;
use super::raw_file::{Part, RawFile, beside, log_path};
use crate::error::{Error, Result};
use crate::retrying_fs;
use std::fs;
use std::io::{ErrorKind, Write};
use std::path::{Path, PathBuf};

/// What stands between the name of a damaged file and the time of its repair.
const KEPT: &str = ".corrupt-";

/// What a new file is called until it takes the name.
const NEW: &str = ".repairing";

/// How much is copied or compared at once.
const COPY_BYTES: usize = 1 << 20;

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
            let _ = retrying_fs::remove_file(&beside(&path, suffix));
        }
        retrying_fs::create_private(&path).map_err(|source| access(&path, source))?;
        Ok(Self { path })
    }

    pub(super) fn path(&self) -> &Path {
        &self.path
    }
}

impl Drop for NewFile {
    fn drop(&mut self) {
        let _ = retrying_fs::remove_file(&self.path);
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

/// Says whether two names are one file or, where the file system knows no second names, a file
/// and its copy.
fn is_same(kept: &Path, database: &Path) -> bool {
    if is_one_file(kept, database) {
        return true;
    }
    let open = |path| RawFile::open(path, Part::Database).ok().flatten();
    let (Some(left), Some(right)) = (open(kept), open(database)) else {
        return false;
    };
    let length = left.length();
    if length != right.length() {
        return false;
    }
    let mut pieces = [vec![0; COPY_BYTES], vec![0; COPY_BYTES]];
    let mut at = 0;
    while at < length {
        let part = usize::try_from(length - at).map_or(COPY_BYTES, |left| left.min(COPY_BYTES));
        let [first, second] = &mut pieces;
        if !left.read(at, &mut first[..part])
            || !right.read(at, &mut second[..part])
            || first[..part] != second[..part]
        {
            return false;
        }
        at += part as u64;
    }
    true
}

#[cfg(unix)]
fn is_one_file(left: &Path, right: &Path) -> bool {
    use std::os::unix::fs::MetadataExt;
    match (fs::symlink_metadata(left), fs::metadata(right)) {
        (Ok(left), Ok(right)) => (left.dev(), left.ino()) == (right.dev(), right.ino()),
        _ => false,
    }
}

#[cfg(not(unix))]
fn is_one_file(_: &Path, _: &Path) -> bool {
    false
}

/// Puts the new file in the damaged one's place; returns the name that the damaged one has now.
///
/// The caller holds the damaged file's exclusive lock. `kept` is the name of an unfinished repair.
///
/// # Errors
///
/// [`Error::FileAccess`]; the damaged file then has its name still.
pub(super) fn swap(
    database: &Path,
    image: Image,
    new: NewFile,
    kept: Option<PathBuf>,
) -> Result<PathBuf> {
    sync(new.path())?;
    let kept = match kept {
        Some(kept) => kept,
        None => {
            let kept = free_name(database);
            keep(database, &kept, |kept| copy(&image.database, kept))?;
            kept
        }
    };
    for suffix in COMPANIONS {
        let (present, second) = (beside(database, suffix), beside(&kept, suffix));
        if present.exists() {
            if is_one_file(&second, &present) {
                continue;
            }
            // One that came after an unfinished repair stands beside what that has kept.
            let second = if second.exists() {
                beside(&free_name(database), suffix)
            } else {
                second
            };
            keep(&present, &second, |kept| fs::copy(&present, kept).map(drop))?;
        }
    }
    sync_folder(database)?;
    // Only some systems let an open file lose its name.
    #[cfg(not(unix))]
    drop(image);
    for suffix in COMPANIONS {
        remove(&beside(database, suffix))?;
    }
    // The index of a log that is gone.
    remove(&beside(database, "-shm"))?;
    retrying_fs::rename(new.path(), database).map_err(|source| access(database, source))?;
    sync_folder(database)?;
    Ok(kept)
}

/// Gives a file a second name; where the file system has no second names, a copy.
fn keep(file: &Path, kept: &Path, copy: impl FnOnce(&Path) -> std::io::Result<()>) -> Result<()> {
    match fs::hard_link(file, kept) {
        Ok(()) => Ok(()),
        Err(source) if source.kind() == ErrorKind::AlreadyExists => Err(access(kept, source)),
        Err(_) => copy(kept)
            .map_err(|source| access(kept, source))
            .and_then(|()| sync(kept)),
    }
}

/// Copies a locked file: opening it in any other way would drop its lock.
fn copy(file: &RawFile, kept: &Path) -> std::io::Result<()> {
    let mut target = retrying_fs::create_private(kept)?;
    let mut piece = vec![0; COPY_BYTES];
    let (mut at, length) = (0, file.length());
    while at < length {
        let part = usize::try_from(length - at).map_or(COPY_BYTES, |left| left.min(COPY_BYTES));
        if !file.read(at, &mut piece[..part]) {
            return Err(std::io::Error::other("the damaged file could not be read"));
        }
        target.write_all(&piece[..part])?;
        at += part as u64;
    }
    Ok(())
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
    match retrying_fs::remove_file(path) {
        Err(source) if source.kind() != ErrorKind::NotFound => Err(access(path, source)),
        _ => Ok(()),
    }
}

fn sync(path: &Path) -> Result<()> {
    retrying_fs::sync_file(path).map_err(|source| access(path, source))
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::test_folder::TestFolder;

    #[test]
    fn a_copy_is_as_good_as_a_second_name() {
        let folder = TestFolder::new();
        let path = folder.path().join("a.db");
        fs::write(&path, vec![7; 3 * COPY_BYTES + 5]).unwrap();
        assert_eq!(unfinished(&path), None);
        let kept = free_name(&path);
        let file = RawFile::open(&path, Part::Database).unwrap().unwrap();
        copy(&file, &kept).unwrap();
        assert_eq!(unfinished(&path), Some(kept.clone()));
        assert!(!is_one_file(&kept, &path));
        fs::write(&path, vec![8; 3 * COPY_BYTES + 5]).unwrap();
        assert_eq!(unfinished(&path), None);
        assert_ne!(free_name(&path), kept);
    }
}
