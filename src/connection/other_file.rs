//! Owns opening files that are not the ledger's own: a copy under way, which nobody else knows, and
//! a file from elsewhere, in which nothing is trusted. It may not know the ledger's tables.

use super::apply_safety;
use crate::error::{Error, Result};
use crate::private_file::beside;
use rusqlite::limits::Limit;
use rusqlite::{Connection, OpenFlags, ffi};
use std::path::Path;

/// What every database file begins with (<https://www.sqlite.org/fileformat2.html>).
const DATABASE_HEADER: &[u8; 16] = b"SQLite format 3\0";

/// How a file that is not the ledger's is opened: to be read, and never through a symbolic link.
const STRANGER_FLAGS: OpenFlags = OpenFlags::SQLITE_OPEN_READ_ONLY
    .union(OpenFlags::SQLITE_OPEN_NO_MUTEX)
    .union(OpenFlags::SQLITE_OPEN_NOFOLLOW);

/// Opens a file that nobody else knows yet, such as a copy under way, outside write-ahead logging.
///
/// Nothing of it is synced: whoever gives it its name does that once (`private_file.rs`).
///
/// # Errors
///
/// SQLite's own.
pub(crate) fn open_private(path: &Path) -> Result<Connection> {
    let flags = OpenFlags::SQLITE_OPEN_READ_WRITE
        | OpenFlags::SQLITE_OPEN_NO_MUTEX
        | OpenFlags::SQLITE_OPEN_NOFOLLOW;
    let connection = Connection::open_with_flags(path, flags)?;
    apply_safety(&connection)?;
    connection.pragma_update(None, "mmap_size", 0)?;
    connection.pragma_update(None, "synchronous", "OFF")?;
    connection.pragma_update(None, "temp_store", "MEMORY")?;
    // The only user of the file: no shared memory is needed to leave the log.
    connection.pragma_update(None, "locking_mode", "EXCLUSIVE")?;
    connection.pragma_update(None, "journal_mode", "DELETE")?;
    Ok(connection)
}

/// Opens a file from elsewhere to be read: nothing in it is trusted, and nothing is left beside it.
///
/// The length of a value needs no limit: SQLite takes none for longer than the file is. The other
/// limits are those of <https://www.sqlite.org/security.html>.
///
/// # Errors
///
/// `SQLITE_NOTADB` for a file that does not begin as a database does; [`Error::InUse`] beside a
/// rollback journal; SQLite's own.
pub(crate) fn open_stranger(path: &Path) -> Result<Connection> {
    let probe = Connection::open_with_flags(path, STRANGER_FLAGS)?;
    let mut header = [0; 20];
    read_bytes(&probe, 0, &mut header)?;
    drop(probe);
    if !header.starts_with(DATABASE_HEADER) {
        return Err(Error::Sqlite {
            extended_code: ffi::SQLITE_NOTADB,
            message: "file is not a database".into(),
        });
    }
    let exists = |ending| std::fs::symlink_metadata(beside(path, ending)).is_ok();
    if exists("-journal") {
        return Err(Error::InUse {
            path: path.to_owned(),
            problem: "a rollback journal is beside it; close it where it is open, or open it once"
                .into(),
        });
    }
    // A file in write-ahead logging whose log is gone is nobody's: read as one that cannot change,
    // it needs none of the files that SQLite would make, and forget, beside it.
    let connection = if header[18] == 2 && !exists("-wal") {
        let flags = STRANGER_FLAGS | OpenFlags::SQLITE_OPEN_URI;
        Connection::open_with_flags(immutable_uri(path), flags)?
    } else {
        Connection::open_with_flags(path, STRANGER_FLAGS)?
    };
    drop_modules(&connection)?;
    apply_safety(&connection)?;
    for (limit, value) in [
        (Limit::SQLITE_LIMIT_SQL_LENGTH, 100_000),
        (Limit::SQLITE_LIMIT_COLUMN, 100),
        (Limit::SQLITE_LIMIT_EXPR_DEPTH, 50),
        (Limit::SQLITE_LIMIT_COMPOUND_SELECT, 10),
        (Limit::SQLITE_LIMIT_VDBE_OP, 25_000),
        (Limit::SQLITE_LIMIT_FUNCTION_ARG, 8),
        (Limit::SQLITE_LIMIT_ATTACHED, 0),
        (Limit::SQLITE_LIMIT_LIKE_PATTERN_LENGTH, 50),
        (Limit::SQLITE_LIMIT_VARIABLE_NUMBER, 10),
        (Limit::SQLITE_LIMIT_TRIGGER_DEPTH, 1),
        (Limit::SQLITE_LIMIT_WORKER_THREADS, 0),
    ] {
        connection.set_limit(limit, value)?;
    }
    connection.pragma_update(None, "mmap_size", 0)?;
    connection.pragma_update(None, "cell_size_check", true)?;
    connection.pragma_update(None, "ignore_check_constraints", true)?;
    connection.pragma_update(None, "temp_store", "MEMORY")?;
    Ok(connection)
}

/// Takes every module for virtual tables away from a connection.
#[allow(unsafe_code)]
fn drop_modules(connection: &Connection) -> Result<()> {
    // SAFETY: the handle is open and used by this thread alone; a null list keeps no module.
    let code = unsafe { ffi::sqlite3_drop_modules(connection.handle(), std::ptr::null_mut()) };
    if code == ffi::SQLITE_OK {
        Ok(())
    } else {
        Err(Error::Internal("modules could not be taken away".into()))
    }
}

/// Names a file that cannot change (<https://www.sqlite.org/uri.html>).
fn immutable_uri(path: &Path) -> String {
    let mut uri = String::from("file://");
    let bytes = path.as_os_str().as_encoded_bytes();
    if !bytes.starts_with(b"/") {
        uri.push('/');
    }
    for byte in bytes {
        match byte {
            b'\\' if cfg!(windows) => uri.push('/'),
            b'/' | b'-' | b'.' | b'_' | b'0'..=b'9' | b'a'..=b'z' | b'A'..=b'Z' => {
                uri.push(char::from(*byte));
            }
            b':' if cfg!(windows) => uri.push(':'),
            other => uri.push_str(&format!("%{other:02X}")),
        }
    }
    uri.push_str("?immutable=1");
    uri
}

/// Says whether a file begins as a database does.
///
/// It is read through SQLite's own file handle, for the locks that this process may have on it.
///
/// # Errors
///
/// SQLite's own, of opening and reading.
pub(crate) fn has_database_header(path: &Path) -> Result<bool> {
    let connection = Connection::open_with_flags(path, STRANGER_FLAGS)?;
    let mut header = [0; DATABASE_HEADER.len()];
    read_bytes(&connection, 0, &mut header)?;
    Ok(&header == DATABASE_HEADER)
}

/// Reads bytes of the database's file as they stand there; those behind its end are zero.
#[allow(unsafe_code)]
pub(crate) fn read_bytes(connection: &Connection, offset: i64, bytes: &mut [u8]) -> Result<()> {
    let mut file: *mut ffi::sqlite3_file = std::ptr::null_mut();
    let length = i32::try_from(bytes.len()).unwrap_or(i32::MAX);
    // SAFETY: the handle is open and used by this thread alone. This file control writes one
    // pointer to `file`, to a file that stays open as long as the connection, and `bytes` has
    // room for `length` bytes.
    let code = unsafe {
        let found = ffi::sqlite3_file_control(
            connection.handle(),
            c"main".as_ptr(),
            ffi::SQLITE_FCNTL_FILE_POINTER,
            (&raw mut file).cast(),
        );
        let methods = file.as_ref().and_then(|file| file.pMethods.as_ref());
        match methods.and_then(|methods| methods.xRead) {
            Some(read) if found == ffi::SQLITE_OK => {
                read(file, bytes.as_mut_ptr().cast(), length, offset)
            }
            _ => found,
        }
    };
    match code {
        ffi::SQLITE_OK | ffi::SQLITE_IOERR_SHORT_READ => Ok(()),
        code => Err(Error::Sqlite {
            extended_code: code,
            message: "the file could not be read".into(),
        }),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::test_folder::TestFolder;

    #[test]
    fn a_file_whose_log_is_gone_is_read_without_leaving_another() {
        let folder = TestFolder::new();
        let path = folder.path().join("a b%20?#.db");
        let made = Connection::open(&path).unwrap();
        made.execute_batch("PRAGMA journal_mode=WAL; CREATE TABLE t(x); CREATE VIRTUAL TABLE v USING fts5(y); INSERT INTO t VALUES (7)")
            .unwrap();
        made.close().unwrap();
        let source = open_stranger(&path).unwrap();
        let value: i64 = source
            .query_row("SELECT x FROM t", [], |row| row.get(0))
            .unwrap();
        assert_eq!(value, 7);
        assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 1);
        assert!(source.execute_batch("INSERT INTO t VALUES (8)").is_err());
        assert!(
            source.prepare("SELECT * FROM v").is_err(),
            "a module is left"
        );
    }

    #[test]
    fn a_file_with_its_log_is_read_with_it() {
        let folder = TestFolder::new();
        let path = folder.path().join("a.db");
        let made = Connection::open(&path).unwrap();
        made.execute_batch("PRAGMA journal_mode=WAL; CREATE TABLE t(x); INSERT INTO t VALUES (7)")
            .unwrap();
        let source = open_stranger(&path).unwrap();
        let value: i64 = source
            .query_row("SELECT x FROM t", [], |row| row.get(0))
            .unwrap();
        assert_eq!(value, 7);
    }

    #[test]
    fn what_is_no_database_or_has_a_journal_is_refused() {
        let folder = TestFolder::new();
        let path = folder.path().join("a.db");
        std::fs::write(&path, "a text").unwrap();
        assert_eq!(open_stranger(&path).unwrap_err().code(), "SQLITE_NOTADB");
        std::fs::remove_file(&path).unwrap();
        let made = Connection::open(&path).unwrap();
        made.execute_batch("CREATE TABLE t(x)").unwrap();
        std::fs::write(beside(&path, "-journal"), "").unwrap();
        assert_eq!(open_stranger(&path).unwrap_err().code(), "DB_IN_USE");
    }
}
