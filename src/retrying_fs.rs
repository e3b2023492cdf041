//! Owns the file operations beside SQLite's own, and trying them again where another program is in
//! the way for a moment only: a virus scanner or an indexer opens a file on Windows as soon as it
//! is new, and until it lets go, the file can be neither renamed nor removed.
//!
//! SQLite does the same for what it opens, reads and writes (`winRetryIoerr` in `os_win.c`). What
//! is here may sleep, so an event loop's thread has no business with it.

use std::fs::{self, File, OpenOptions};
use std::io;
use std::path::Path;
use std::time::Duration;

/// How often SQLite tries again (`SQLITE_WIN32_IOERR_RETRY`).
const RETRIES: u32 = 10;

/// How much longer SQLite waits each time (`SQLITE_WIN32_IOERR_RETRY_DELAY`): 1.4 s in all.
const DELAY: Duration = Duration::from_millis(25);

const ERROR_ACCESS_DENIED: i32 = 5;
const ERROR_SHARING_VIOLATION: i32 = 32;
const ERROR_LOCK_VIOLATION: i32 = 33;

/// Renames a file, over one that has the name already.
pub(crate) fn rename(from: &Path, to: &Path) -> io::Result<()> {
    retry(|| fs::rename(from, to))
}

pub(crate) fn remove_file(path: &Path) -> io::Result<()> {
    retry(|| fs::remove_file(path))
}

/// Opens a file to be read.
pub(crate) fn open(path: &Path) -> io::Result<File> {
    retry(|| File::open(path))
}

/// Makes an empty file, mode 0600, under a name that is free.
pub(crate) fn create_private(path: &Path) -> io::Result<File> {
    let mut options = OpenOptions::new();
    options.write(true).create_new(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    retry(|| options.open(path))
}

/// Waits until the disk has a file that no handle of SQLite's has open.
pub(crate) fn sync_file(path: &Path) -> io::Result<()> {
    // For writing: Windows syncs no other handle.
    retry(|| OpenOptions::new().write(true).open(path))?.sync_all()
}

fn retry<T>(attempt: impl FnMut() -> io::Result<T>) -> io::Result<T> {
    retry_with(cfg!(windows), std::thread::sleep, attempt)
}

/// Repeats `attempt` while it fails for a reason that may pass, as often as SQLite would.
fn retry_with<T>(
    is_windows: bool,
    mut sleep: impl FnMut(Duration),
    mut attempt: impl FnMut() -> io::Result<T>,
) -> io::Result<T> {
    for retry in 1..=RETRIES {
        match attempt() {
            Err(error) if is_windows && may_pass(&error) => sleep(DELAY * retry),
            outcome => return outcome,
        }
    }
    attempt()
}

/// Says whether an error of Windows may be gone in a moment.
///
/// A file that is still open elsewhere is also called a denied access, by a rename over it and by
/// whatever comes after its removal.
fn may_pass(error: &io::Error) -> bool {
    matches!(
        error.raw_os_error(),
        Some(ERROR_ACCESS_DENIED | ERROR_SHARING_VIOLATION | ERROR_LOCK_VIOLATION)
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Fails `failures` times with the system's `error`; returns the outcome and the pauses.
    fn play(is_windows: bool, error: i32, failures: usize) -> (io::Result<()>, Vec<u128>) {
        let mut pauses = Vec::new();
        let mut attempts = 0;
        let outcome = retry_with(
            is_windows,
            |pause| pauses.push(pause.as_millis()),
            || {
                attempts += 1;
                if attempts <= failures {
                    Err(io::Error::from_raw_os_error(error))
                } else {
                    Ok(())
                }
            },
        );
        (outcome, pauses)
    }

    #[test]
    fn what_passes_is_waited_for() {
        for error in [
            ERROR_ACCESS_DENIED,
            ERROR_SHARING_VIOLATION,
            ERROR_LOCK_VIOLATION,
        ] {
            let (outcome, pauses) = play(true, error, 3);
            outcome.unwrap();
            assert_eq!(pauses, [25, 50, 75]);
        }
    }

    #[test]
    fn nobody_waits_for_ever() {
        let (outcome, pauses) = play(true, ERROR_SHARING_VIOLATION, 1_000);
        let error = outcome.unwrap_err().raw_os_error();
        assert_eq!(error, Some(ERROR_SHARING_VIOLATION));
        assert_eq!(pauses.len(), 10);
        assert_eq!(pauses.iter().sum::<u128>(), 1_375);
        assert!(play(true, ERROR_SHARING_VIOLATION, 10).0.is_ok());
    }

    #[test]
    fn any_other_error_is_told_at_once() {
        const ERROR_FILE_NOT_FOUND: i32 = 2;
        for (is_windows, error) in [(true, ERROR_FILE_NOT_FOUND), (false, ERROR_ACCESS_DENIED)] {
            let (outcome, pauses) = play(is_windows, error, 1);
            assert_eq!(outcome.unwrap_err().raw_os_error(), Some(error));
            assert!(pauses.is_empty());
        }
    }
}
