//! Owns the mapping of a database file: pages are copied from it into SQLite's cache, and looked at there
//! once (`cell_size_check`), instead of used in place, where they would be looked at whenever they are used.
//!
//! It may not read the mapping itself: the system's layer copies from it, and from the file what is not
//! mapped. SQLite knows of no mapping, for it would ask for each page there, and search the log for it,
//! before it looks into its cache.
//!
//! A mapping may be longer than its file has become, and reading behind the file's end would end the process.
//! With a log nobody does: SQLite reads pages of the database as it is, and shortens the file only when nobody
//! reads an older one (<https://www.sqlite.org/wal.html>). Without one, SQLite measures the file whenever it
//! begins to read, and a mapping of one that has become shorter goes.

use rusqlite::ffi;
use std::ffi::{CStr, c_char, c_int, c_void};
use std::ptr;

/// So many reads from outside the mapping are borne before the file's size is looked at.
const PATIENCE_READS: u32 = 256;

/// How much longer the file must be than its mapping before that is made anew, as a share of its length:
/// letting go of one takes time, 5 ms when 256 MB of it were read, which a reader does not have.
const GROWTH_WHILE_READING: i64 = 1;

/// The same while nobody waits.
const GROWTH_WHILE_IDLE: i64 = 8;

/// What is known of a file's mapping.
#[derive(Default)]
pub(super) struct Mapping {
    /// How long the file was when it was mapped anew.
    mapped_bytes: i64,
    /// How long the file was when SQLite last measured it.
    measured_bytes: i64,
    /// How much of it may be mapped.
    limit_bytes: i64,
    unmapped_reads: u32,
}

impl Mapping {
    /// Lets the file be mapped before it is read, if it may be and is not; maps it anew when it has
    /// grown by much.
    ///
    /// # Safety
    ///
    /// `file` is open, used by this thread alone, and `original` are its own methods.
    pub(super) unsafe fn update(
        &mut self,
        file: *mut ffi::sqlite3_file,
        original: &ffi::sqlite3_io_methods,
        offset: i64,
        length: c_int,
    ) {
        let (Some(fetch), Some(unfetch)) = (original.xFetch, original.xUnfetch) else {
            return;
        };
        let mut page: *mut c_void = ptr::null_mut();
        // SAFETY: as the caller promises. A page that was fetched is given back at once.
        unsafe {
            // Reading will tell of a failure.
            if fetch(file, offset, length, &raw mut page) == ffi::SQLITE_OK && !page.is_null() {
                unfetch(file, offset, page);
                return;
            }
        }
        self.unmapped_reads += 1;
        if self.unmapped_reads < PATIENCE_READS {
            return;
        }
        self.unmapped_reads = 0;
        // SAFETY: as the caller promises.
        unsafe { self.renew(file, original, GROWTH_WHILE_READING) };
    }

    /// Maps the file anew when it has grown by much, while nobody waits for it.
    ///
    /// # Safety
    ///
    /// As [`update`](Self::update).
    pub(super) unsafe fn refresh(
        &mut self,
        file: *mut ffi::sqlite3_file,
        original: &ffi::sqlite3_io_methods,
    ) {
        // SAFETY: as the caller promises.
        unsafe { self.renew(file, original, GROWTH_WHILE_IDLE) };
    }

    /// Lets go of the mapping when the file has grown by one part of so many; the next read makes another.
    ///
    /// # Safety
    ///
    /// As [`update`](Self::update).
    unsafe fn renew(
        &mut self,
        file: *mut ffi::sqlite3_file,
        original: &ffi::sqlite3_io_methods,
        parts: i64,
    ) {
        let (Some(size), Some(unfetch)) = (original.xFileSize, original.xUnfetch) else {
            return;
        };
        let mut bytes = 0;
        // SAFETY: as the caller promises; the size is written where it is asked to be.
        let is_known = unsafe { size(file, &raw mut bytes) } == ffi::SQLITE_OK;
        let has_grown = bytes > self.mapped_bytes + self.mapped_bytes / parts;
        if is_known && has_grown && self.mapped_bytes < self.limit_bytes {
            self.mapped_bytes = bytes;
            // SAFETY: as the caller promises. Without a page, this lets go of the mapping
            // (<https://www.sqlite.org/c3ref/io_methods.html>).
            unsafe { unfetch(file, 0, ptr::null_mut()) };
        }
    }

    /// Notes the file's size; lets go of a mapping of what is not there any more.
    ///
    /// # Safety
    ///
    /// As [`update`](Self::update).
    pub(super) unsafe fn note_size(
        &mut self,
        file: *mut ffi::sqlite3_file,
        original: &ffi::sqlite3_io_methods,
        bytes: i64,
    ) {
        if bytes < self.measured_bytes.max(self.mapped_bytes) {
            self.mapped_bytes = 0;
            if let Some(unfetch) = original.xUnfetch {
                // SAFETY: as the caller promises, and as in `update`.
                unsafe { unfetch(file, 0, ptr::null_mut()) };
            }
        }
        self.measured_bytes = bytes;
    }

    /// Lets `PRAGMA mmap_size` reach the system's layer, to which SQLite does not hand it on.
    ///
    /// # Safety
    ///
    /// As [`update`](Self::update); `pragma` holds an answer's place, a name and a value, which may be null
    /// (<https://www.sqlite.org/c3ref/c_fcntl_begin_atomic_write.html#sqlitefcntlpragma>).
    pub(super) unsafe fn hear_pragma(
        &mut self,
        file: *mut ffi::sqlite3_file,
        original: &ffi::sqlite3_io_methods,
        pragma: *const *const c_char,
    ) {
        // SAFETY: as the caller promises; texts end with zero.
        unsafe {
            let (name, value) = (*pragma.add(1), *pragma.add(2));
            if value.is_null()
                || !CStr::from_ptr(name)
                    .to_bytes()
                    .eq_ignore_ascii_case(b"mmap_size")
            {
                return;
            }
            let limit = CStr::from_ptr(value)
                .to_str()
                .ok()
                .and_then(|text| text.parse::<i64>().ok())
                .filter(|limit| *limit >= 0);
            if let (Some(mut limit), Some(control)) = (limit, original.xFileControl) {
                self.limit_bytes = limit;
                // SQLite reads back what became of it.
                control(file, ffi::SQLITE_FCNTL_MMAP_SIZE, (&raw mut limit).cast());
            }
        }
    }
}
