//! Owns reading a database's files as bytes, through SQLite's own system layer.
//!
//! Closing a file that was opened in any other way would drop the POSIX locks that this process's
//! connections hold on it (<https://www.sqlite.org/howtocorrupt.html>, section 2.2); this layer
//! knows of them and waits with the closing. It also takes SQLite's own locks without reading a
//! byte of the file, so a damaged one can be locked. Nothing is ever written here.

#![allow(unsafe_code)]

use crate::error::{Error, Result};
use rusqlite::ffi;
use std::ffi::{CString, c_char, c_void};
use std::path::{Path, PathBuf};
use std::ptr;

/// The bytes before the index of a log in shared memory that are read here.
const SHARED_HEADER_BYTES: usize = 136;

/// Shared memory comes in parts of this size.
const SHARED_PART_BYTES: i32 = 32_768;

/// Which of a database's files.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Part {
    Database,
    Log,
}

/// One open file.
pub(super) struct RawFile {
    /// What SQLite's layer keeps of it; aligned as that needs, and never moved while open.
    file: Box<[u64]>,
    /// It keeps pointers into the name.
    name: FileName,
    level: i32,
}

/// A name in the form that SQLite's layer expects: with those of the log and the journal.
struct FileName(*const c_char);

impl FileName {
    fn new(path: &Path) -> Option<Self> {
        let text = path.to_str()?;
        let part = |suffix: &str| CString::new(format!("{text}{suffix}")).ok();
        let (database, journal, log) = (part("")?, part("-journal")?, part("-wal")?);
        // SAFETY: three texts that end with NUL and outlive the call, which copies them; no
        // parameters, so none are read.
        let name = unsafe {
            ffi::sqlite3_create_filename(
                database.as_ptr(),
                journal.as_ptr(),
                log.as_ptr(),
                0,
                ptr::null_mut(),
            )
        };
        (!name.is_null()).then_some(Self(name))
    }

    fn of(&self, part: Part) -> *const c_char {
        match part {
            Part::Database => self.0,
            // SAFETY: made by sqlite3_create_filename.
            Part::Log => unsafe { ffi::sqlite3_filename_wal(self.0) },
        }
    }
}

impl Drop for FileName {
    fn drop(&mut self) {
        // SAFETY: made by sqlite3_create_filename, freed once.
        unsafe { ffi::sqlite3_free_filename(self.0.cast_mut()) }
    }
}

impl RawFile {
    /// Opens a database's file, or its log; nothing when it does not exist.
    ///
    /// # Errors
    ///
    /// SQLite's own `SQLITE_CANTOPEN` for a file that is there.
    pub(super) fn open(database: &Path, part: Part) -> Result<Option<Self>> {
        let is_there = match part {
            Part::Database => database.exists(),
            Part::Log => log_path(database).exists(),
        };
        if !is_there {
            return Ok(None);
        }
        let failed = |extended_code| Error::Sqlite {
            extended_code,
            message: "unable to open database file".into(),
        };
        // A lock for writing needs a descriptor that may write.
        let for_writing = Self::open_with(database, part, ffi::SQLITE_OPEN_READWRITE);
        match for_writing.or_else(|_| Self::open_with(database, part, ffi::SQLITE_OPEN_READONLY)) {
            Ok(file) => Ok(Some(file)),
            Err(code) => Err(failed(code)),
        }
    }

    fn open_with(database: &Path, part: Part, access: i32) -> Result<Self, i32> {
        let name = FileName::new(database).ok_or(ffi::SQLITE_CANTOPEN)?;
        let kind = match part {
            Part::Database => ffi::SQLITE_OPEN_MAIN_DB,
            Part::Log => ffi::SQLITE_OPEN_WAL,
        };
        // SAFETY: a null name asks for the default layer, which lives as long as the process.
        let (vfs, layer) = unsafe {
            let vfs = ffi::sqlite3_vfs_find(ptr::null());
            (vfs, vfs.as_ref().ok_or(ffi::SQLITE_ERROR)?)
        };
        let bytes = usize::try_from(layer.szOsFile).unwrap_or(0);
        let mut opened = Self {
            file: vec![0; bytes / 8 + 1].into_boxed_slice(),
            name,
            level: ffi::SQLITE_LOCK_NONE,
        };
        let open = layer.xOpen.ok_or(ffi::SQLITE_ERROR)?;
        let mut answered = 0;
        // SAFETY: `file` has the room that the layer asks for, zeroed and aligned; the name is in
        // its form, and both outlive the file: `drop` closes it first.
        let code = unsafe {
            open(
                vfs,
                opened.name.of(part),
                opened.file.as_mut_ptr().cast(),
                access | kind,
                &raw mut answered,
            )
        };
        // Dropping it closes what a failed opening has left open.
        if code == ffi::SQLITE_OK {
            Ok(opened)
        } else {
            Err(code)
        }
    }

    fn pointer(&self) -> *mut ffi::sqlite3_file {
        self.file.as_ptr().cast_mut().cast()
    }

    fn methods(&self) -> Option<&ffi::sqlite3_io_methods> {
        // SAFETY: the room begins with an `sqlite3_file`, whose methods are null unless it is open.
        unsafe { (*self.pointer()).pMethods.as_ref() }
    }

    /// Returns the file's bytes.
    pub(super) fn length(&self) -> u64 {
        let mut bytes = 0;
        let size = self.methods().and_then(|methods| methods.xFileSize);
        // SAFETY: the file is open, and these are its own methods.
        let code = size.map(|size| unsafe { size(self.pointer(), &raw mut bytes) });
        if code == Some(ffi::SQLITE_OK) {
            u64::try_from(bytes).unwrap_or(0)
        } else {
            0
        }
    }

    /// Fills `buffer` from an offset and says whether the file had so much and could be read.
    pub(super) fn read(&self, offset: u64, buffer: &mut [u8]) -> bool {
        let (Ok(offset), Ok(length)) = (i64::try_from(offset), i32::try_from(buffer.len())) else {
            return false;
        };
        let read = self.methods().and_then(|methods| methods.xRead);
        // SAFETY: the file is open, and the buffer has the length that is said.
        let code = read.map(|read| unsafe {
            read(self.pointer(), buffer.as_mut_ptr().cast(), length, offset)
        });
        code == Some(ffi::SQLITE_OK)
    }

    /// Takes the lock that no other connection of any process can share; says whether it could.
    ///
    /// In WAL mode each connection that has read holds a shared lock for as long as it is open, so
    /// success means that there is none.
    pub(super) fn lock_exclusively(&mut self) -> bool {
        let Some(lock) = self.methods().and_then(|methods| methods.xLock) else {
            return false;
        };
        for level in [
            ffi::SQLITE_LOCK_SHARED,
            ffi::SQLITE_LOCK_RESERVED,
            ffi::SQLITE_LOCK_EXCLUSIVE,
        ] {
            // SAFETY: the file is open, and its levels are taken one after the other.
            if unsafe { lock(self.pointer(), level) } != ffi::SQLITE_OK {
                self.unlock();
                return false;
            }
            self.level = level;
        }
        true
    }

    fn unlock(&mut self) {
        if let Some(unlock) = self.methods().and_then(|methods| methods.xUnlock) {
            // SAFETY: the file is open; unlocking one that holds nothing does nothing.
            unsafe { unlock(self.pointer(), ffi::SQLITE_LOCK_NONE) };
        }
        self.level = ffi::SQLITE_LOCK_NONE;
    }

    /// Reads how many frames the log has by the shared memory of the connections that use it, and
    /// the salts of the round of the log that these belong to.
    ///
    /// Call it only when some do: the first to come would empty a file that was left behind.
    pub(super) fn frames_in_use(&self) -> Option<(u64, [u8; 8])> {
        let methods = self.methods()?;
        let (map, unmap) = (methods.xShmMap?, methods.xShmUnmap?);
        let mut shared: *mut c_void = ptr::null_mut();
        let mut header = [0_u8; SHARED_HEADER_BYTES];
        // SAFETY: the file is open as a database. The part that is mapped has 32 KB, stays mapped
        // until it is unmapped here, and is copied before; others may write it meanwhile, which
        // the two copies in it tell.
        unsafe {
            let code = map(self.pointer(), 0, SHARED_PART_BYTES, 0, &raw mut shared);
            if code == ffi::SQLITE_OK && !shared.is_null() {
                ptr::copy(
                    shared.cast_const().cast(),
                    header.as_mut_ptr(),
                    header.len(),
                );
            }
            unmap(self.pointer(), 0);
        }
        let (first, second) = (header.get(..48)?, header.get(48..96)?);
        // The fields: version, -, change, initialized, order, page size, mxFrame at 16, salts at 32.
        if first != second || header[12] == 0 {
            return None;
        }
        let frames = first.get(16..20)?.try_into().ok()?;
        let salts = first.get(32..40)?.try_into().ok()?;
        Some((u64::from(u32::from_ne_bytes(frames)), salts))
    }
}

impl Drop for RawFile {
    fn drop(&mut self) {
        if self.level > ffi::SQLITE_LOCK_NONE {
            self.unlock();
        }
        if let Some(close) = self.methods().and_then(|methods| methods.xClose) {
            // SAFETY: open, or left so by a failed opening; closed once.
            unsafe { close(self.pointer()) };
        }
    }
}

/// Returns the path of a database's log.
pub(super) fn log_path(database: &Path) -> PathBuf {
    beside(database, "-wal")
}

/// Returns a path that is another's with something behind its name.
pub(super) fn beside(path: &Path, suffix: &str) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(suffix);
    name.into()
}
