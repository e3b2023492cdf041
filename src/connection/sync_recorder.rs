//! Owns a layer under SQLite that notes how its files are asked to sync; compiled for tests only.

#![allow(unsafe_code)]

use super::{Role, configure, location};
use crate::config::DatabaseConfig;
use crate::error::Result;
use rusqlite::{Connection, OpenFlags, ffi};
use std::cell::RefCell;
use std::ffi::{CStr, c_int};
use std::ptr;
use std::sync::Once;

const NAME: &CStr = c"sync-recorder";

thread_local! {
    static FLAGS: RefCell<Vec<c_int>> = const { RefCell::new(Vec::new()) };
}

/// What an open file leads to in place of its own methods, until it is closed.
#[repr(C)]
struct Recorded {
    methods: ffi::sqlite3_io_methods,
    sync: Option<unsafe extern "C" fn(*mut ffi::sqlite3_file, c_int) -> c_int>,
    close: Option<unsafe extern "C" fn(*mut ffi::sqlite3_file) -> c_int>,
}

/// Opens a database as [`super::open`] does, through the layer.
pub(crate) fn open_recorded(config: &DatabaseConfig, role: Role) -> Result<Connection> {
    static REGISTERED: Once = Once::new();
    REGISTERED.call_once(register);
    let path = location::locate_file(config)?;
    let flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let connection = Connection::open_with_flags_and_vfs(&path, flags, NAME)?;
    configure(&connection, config, role, &path)?;
    Ok(connection)
}

/// Returns what the syncs on this thread asked for since the last call
/// (<https://www.sqlite.org/c3ref/c_sync_dataonly.html>), without the hint that only data counts.
pub(crate) fn take_sync_flags() -> Vec<c_int> {
    FLAGS
        .take()
        .into_iter()
        .map(|flags| flags & !ffi::SQLITE_SYNC_DATAONLY)
        .collect()
}

fn register() {
    // SAFETY: a null name asks for the default VFS, which lives as long as the process and does
    // not change; the copy of it is never freed.
    unsafe {
        let mut vfs = *ffi::sqlite3_vfs_find(ptr::null());
        vfs.zName = NAME.as_ptr();
        vfs.pNext = ptr::null_mut();
        vfs.xOpen = Some(open);
        ffi::sqlite3_vfs_register(Box::into_raw(Box::new(vfs)), 0);
    }
}

unsafe extern "C" fn open(
    _: *mut ffi::sqlite3_vfs,
    name: ffi::sqlite3_filename,
    file: *mut ffi::sqlite3_file,
    flags: c_int,
    out_flags: *mut c_int,
) -> c_int {
    // SAFETY: SQLite calls this with what the default VFS, of which this one is a copy, may be
    // called with; an open file's methods are replaced by ones that live until it is closed.
    unsafe {
        let base = ffi::sqlite3_vfs_find(ptr::null());
        let Some(open) = (*base).xOpen else {
            return ffi::SQLITE_CANTOPEN;
        };
        let code = open(base, name, file, flags, out_flags);
        if code == ffi::SQLITE_OK && !(*file).pMethods.is_null() {
            let mut methods = *(*file).pMethods;
            let original = (methods.xSync, methods.xClose);
            methods.xSync = Some(sync);
            methods.xClose = Some(close);
            let recorded = Recorded {
                methods,
                sync: original.0,
                close: original.1,
            };
            (*file).pMethods = Box::into_raw(Box::new(recorded)).cast();
        }
        code
    }
}

unsafe extern "C" fn close(file: *mut ffi::sqlite3_file) -> c_int {
    // SAFETY: `open` let the methods lead to what it recorded, whose first field they are, and SQLite closes a
    // file once, and uses its methods no more.
    unsafe {
        let recorded = Box::from_raw((*file).pMethods.cast_mut().cast::<Recorded>());
        recorded.close.map_or(ffi::SQLITE_OK, |close| close(file))
    }
}

unsafe extern "C" fn sync(file: *mut ffi::sqlite3_file, flags: c_int) -> c_int {
    FLAGS.with_borrow_mut(|noted| noted.push(flags));
    // SAFETY: `open` let the methods lead to what it recorded, whose first field they are.
    unsafe {
        let recorded = (*file).pMethods.cast::<Recorded>();
        (*recorded)
            .sync
            .map_or(ffi::SQLITE_OK, |sync| sync(file, flags))
    }
}
