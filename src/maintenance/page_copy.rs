//! Owns SQLite's way of copying a database page by page (<https://www.sqlite.org/backup.html>).

#![allow(unsafe_code)]

use crate::error::{Error, Result};
use crate::record::CopyProgress;
use rusqlite::{Connection, ffi};
use std::marker::PhantomData;
use std::ptr::NonNull;

/// A copy under way: all of `from` over all of `to`, in one transaction of `to` that is undone
/// unless the copy is finished.
pub(super) struct PageCopy<'connection> {
    copy: NonNull<ffi::sqlite3_backup>,
    connections: PhantomData<&'connection Connection>,
}

impl<'connection> PageCopy<'connection> {
    /// Makes ready; nothing is locked or read yet.
    ///
    /// # Errors
    ///
    /// SQLite's own, when a transaction is open on `to`.
    pub(super) fn new(from: &'connection Connection, to: &'connection Connection) -> Result<Self> {
        // SAFETY: both handles are open, used by this thread alone, and outlive the copy.
        let (copy, code) = unsafe {
            let name = c"main".as_ptr();
            let copy = ffi::sqlite3_backup_init(to.handle(), name, from.handle(), name);
            (copy, ffi::sqlite3_extended_errcode(to.handle()))
        };
        match NonNull::new(copy) {
            Some(copy) => Ok(Self {
                copy,
                connections: PhantomData,
            }),
            None => Err(failed(code)),
        }
    }

    /// Copies up to so many pages, all when negative; says whether all are copied and committed.
    ///
    /// From the first step on, `to` is locked for writing, even when no page is asked for.
    ///
    /// # Errors
    ///
    /// A lock that was in the way for as long as the connections wait; SQLite's own.
    pub(super) fn step(&mut self, pages: i32) -> Result<bool> {
        // SAFETY: the copy was made by `new` and is not finished; this thread has both handles.
        match unsafe { ffi::sqlite3_backup_step(self.copy.as_ptr(), pages) } {
            ffi::SQLITE_DONE => Ok(true),
            ffi::SQLITE_OK => Ok(false),
            code => Err(failed(code)),
        }
    }

    /// Says how far the last step came.
    pub(super) fn progress(&self) -> CopyProgress {
        // SAFETY: as in `step`; both only read what the last step noted.
        let (total, left) = unsafe {
            (
                ffi::sqlite3_backup_pagecount(self.copy.as_ptr()),
                ffi::sqlite3_backup_remaining(self.copy.as_ptr()),
            )
        };
        CopyProgress {
            copied_pages: (total - left).into(),
            total_pages: total.into(),
        }
    }
}

impl Drop for PageCopy<'_> {
    fn drop(&mut self) {
        // SAFETY: the copy was made by `new`, and is finished once, here.
        unsafe {
            ffi::sqlite3_backup_finish(self.copy.as_ptr());
        }
    }
}

fn failed(extended_code: i32) -> Error {
    Error::Sqlite {
        extended_code,
        message: ffi::code_to_str(extended_code).to_owned(),
    }
}
