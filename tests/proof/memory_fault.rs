//! Negative control of `npm run prove:memory`: does with memory what must be caught.
//!
//! `memory_fault read` reads a column's text after its statement is gone, `memory_fault leak` loses memory of
//! SQLite's.

use std::ffi::c_char;
use std::hint::black_box;
use std::ptr;
use whatsapp_uploader_database::rusqlite::{Connection, ffi};

fn main() {
    match std::env::args().nth(1).as_deref() {
        Some("read") => read_too_late(),
        Some("leak") => (0..100).for_each(|_| lose()),
        _ => panic!("name what to do: read or leak"),
    }
}

fn read_too_late() {
    let connection = Connection::open_in_memory().expect("a connection");
    let mut statement = ptr::null_mut();
    // SAFETY: the last read alone is wrong, on purpose: the text ended with its statement.
    let first = unsafe {
        let sql = c"SELECT 'a' || 'b'".as_ptr();
        ffi::sqlite3_prepare_v2(
            connection.handle(),
            sql,
            -1,
            &raw mut statement,
            ptr::null_mut(),
        );
        ffi::sqlite3_step(statement);
        let text: *const c_char = ffi::sqlite3_column_text(statement, 0).cast();
        ffi::sqlite3_finalize(statement);
        text.read_volatile()
    };
    black_box(first);
}

#[inline(never)]
fn lose() {
    // SAFETY: any number of bytes may be asked for.
    black_box(unsafe { ffi::sqlite3_malloc(64) });
}
