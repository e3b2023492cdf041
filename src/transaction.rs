//! Owns transactions: BEGIN IMMEDIATE at the outside, savepoints within, rollback on every way
//! out but success.
//!
//! BEGIN IMMEDIATE takes the write lock at once, so a transaction can never find out at its
//! first write that another has written since its first read
//! (<https://www.sqlite.org/lang_transaction.html>). This module may not know tables.

use crate::error::{Error, Result};
use rusqlite::{Connection, TransactionBehavior, ffi};
use std::ffi::{c_char, c_int, c_void};

/// Runs `work` inside a transaction, or inside a savepoint when one is open already.
///
/// # Errors
///
/// What `work` returns, after a rollback; SQLite's own error of the begin or the commit.
pub(crate) fn run<T, E: From<Error>>(
    connection: &Connection,
    work: impl FnOnce() -> std::result::Result<T, E>,
) -> std::result::Result<T, E> {
    let transaction = Guard::begin(connection)?;
    let value = work()?;
    transaction.commit()?;
    Ok(value)
}

/// Runs reads that see one state and take its locks once, unless a transaction is open already.
///
/// # Errors
///
/// What `work` returns; SQLite's own error of the begin or the end.
pub(crate) fn read<T>(connection: &Connection, work: impl FnOnce() -> Result<T>) -> Result<T> {
    if !connection.is_autocommit() {
        return work();
    }
    begin_as(connection, TransactionBehavior::Deferred)?;
    let outcome = work();
    let ended = roll_back(connection);
    let value = outcome?;
    ended?;
    Ok(value)
}

/// An open transaction or savepoint that rolls back when it is dropped uncommitted.
struct Guard<'connection> {
    connection: &'connection Connection,
    nested: bool,
    open: bool,
}

impl<'connection> Guard<'connection> {
    fn begin(connection: &'connection Connection) -> Result<Self> {
        let nested = !connection.is_autocommit();
        if nested {
            open_savepoint(connection)?;
        } else {
            begin(connection)?;
        }
        Ok(Self {
            connection,
            nested,
            open: true,
        })
    }

    fn commit(mut self) -> Result<()> {
        if self.nested {
            release_savepoint(self.connection)?;
        } else {
            commit(self.connection)?;
        }
        self.open = false;
        Ok(())
    }
}

impl Drop for Guard<'_> {
    fn drop(&mut self) {
        if self.open {
            // The error that led here is what the caller must see; a rollback, whose statement
            // is ready, can only fail when SQLite has rolled back by itself.
            let _ = if self.nested {
                roll_back_savepoint(self.connection)
            } else {
                roll_back(self.connection)
            };
        }
    }
}

/// The name of every savepoint: SQLite finds the innermost one of a name.
macro_rules! savepoint {
    ($before:literal) => {
        concat!($before, " whatsapp_uploader_nested")
    };
}

const ROLL_BACK: &str = "ROLLBACK";
const ROLL_BACK_SAVEPOINT: &str = savepoint!("ROLLBACK TO");
const RELEASE_SAVEPOINT: &str = savepoint!("RELEASE");

/// Opens a transaction and takes the write lock.
pub(crate) fn begin(connection: &Connection) -> Result<()> {
    begin_as(connection, TransactionBehavior::Immediate)
}

/// Opens a transaction of a given behavior: a caller of the driver object may choose.
pub(crate) fn begin_as(connection: &Connection, behavior: TransactionBehavior) -> Result<()> {
    make_ready(connection, &[ROLL_BACK])?;
    execute(
        connection,
        match behavior {
            TransactionBehavior::Exclusive => "BEGIN EXCLUSIVE",
            TransactionBehavior::Deferred => "BEGIN DEFERRED",
            _ => "BEGIN IMMEDIATE",
        },
    )
}

/// Commits; a commit that fails is rolled back, so that no transaction stays open behind it.
///
/// One that meets a lock (possible without write-ahead logging only) stays open: it can be
/// committed again a little later, or rolled back.
pub(crate) fn commit(connection: &Connection) -> Result<()> {
    if connection.is_autocommit() {
        return Err(Error::TransactionState(
            "the transaction is over already: SQLite rolled it back after an error, or a statement \
             of yours ended it; look what was kept",
        ));
    }
    execute(connection, "COMMIT").inspect_err(|error| {
        if !error.is_busy() {
            let _ = roll_back(connection);
        }
    })
}

/// Rolls back, if a transaction is still open: SQLite ends some by itself (disk full, I/O).
pub(crate) fn roll_back(connection: &Connection) -> Result<()> {
    if connection.is_autocommit() {
        return Ok(());
    }
    execute(connection, ROLL_BACK)
}

/// Opens a savepoint inside the open transaction.
pub(crate) fn open_savepoint(connection: &Connection) -> Result<()> {
    make_ready(connection, &[ROLL_BACK_SAVEPOINT, RELEASE_SAVEPOINT])?;
    execute(connection, savepoint!("SAVEPOINT"))
}

/// Keeps what was done since the innermost savepoint.
pub(crate) fn release_savepoint(connection: &Connection) -> Result<()> {
    execute(connection, RELEASE_SAVEPOINT)
}

/// Undoes what was done since the innermost savepoint, and removes it.
pub(crate) fn roll_back_savepoint(connection: &Connection) -> Result<()> {
    if connection.is_autocommit() {
        return Ok(());
    }
    let undone =
        execute(connection, ROLL_BACK_SAVEPOINT).and_then(|()| release_savepoint(connection));
    if undone.is_err() {
        // What cannot be undone in part is undone whole, or a commit would keep the half of it.
        roll_back(connection)?;
    }
    undone
}

/// Forbids, or allows again, statements that begin or end a transaction; savepoints stay.
///
/// A migration's step is given a connection inside a transaction that is not its own to end.
#[allow(unsafe_code)]
pub(crate) fn forbid_control(connection: &Connection, forbid: bool) -> Result<()> {
    unsafe extern "C" fn authorize(
        _: *mut c_void,
        action: c_int,
        _: *const c_char,
        _: *const c_char,
        _: *const c_char,
        _: *const c_char,
    ) -> c_int {
        match action {
            ffi::SQLITE_TRANSACTION => ffi::SQLITE_DENY,
            _ => ffi::SQLITE_OK,
        }
    }
    // SAFETY: the handle is open and used by this thread alone; the callback is a function
    // without state, valid for as long as the program.
    let code = unsafe {
        ffi::sqlite3_set_authorizer(
            connection.handle(),
            forbid.then_some(authorize as _),
            std::ptr::null_mut(),
        )
    };
    if code == ffi::SQLITE_OK {
        Ok(())
    } else {
        Err(Error::Internal(
            "a migration's step could not be fenced in".into(),
        ))
    }
}

/// Has statements prepared that must not fail later: when SQLite is out of memory, it cannot
/// prepare the rollback that this calls for, and what comes next would run inside the transaction
/// that was never ended, be acknowledged, and be lost.
fn make_ready(connection: &Connection, statements: &[&str]) -> Result<()> {
    for sql in statements {
        connection.prepare_cached(sql)?;
    }
    Ok(())
}

fn execute(connection: &Connection, sql: &str) -> Result<()> {
    connection.prepare_cached(sql)?.execute([])?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn connection() -> Connection {
        let connection = Connection::open_in_memory().unwrap();
        connection.execute_batch("CREATE TABLE t(x)").unwrap();
        connection
    }

    fn insert(connection: &Connection, x: i64) -> Result<()> {
        connection.execute("INSERT INTO t VALUES (?1)", [x])?;
        Ok(())
    }

    fn rows(connection: &Connection) -> Vec<i64> {
        let mut statement = connection.prepare("SELECT x FROM t ORDER BY x").unwrap();
        let rows = statement.query_map([], |row| row.get(0)).unwrap();
        rows.map(|row| row.unwrap()).collect()
    }

    fn fail() -> Error {
        Error::TransactionState("made up")
    }

    #[test]
    fn success_keeps_and_failure_undoes() {
        let connection = connection();
        run(&connection, || insert(&connection, 1)).unwrap();
        let error = run::<(), Error>(&connection, || {
            insert(&connection, 2)?;
            Err(fail())
        });
        assert_eq!(error.unwrap_err().to_string(), "made up");
        assert_eq!(rows(&connection), [1]);
        assert!(connection.is_autocommit());
    }

    #[test]
    fn a_nested_failure_undoes_only_its_own_part() {
        let connection = connection();
        run(&connection, || {
            insert(&connection, 1)?;
            let inner = run::<(), Error>(&connection, || {
                insert(&connection, 2)?;
                run(&connection, || insert(&connection, 3))?;
                Err(fail())
            });
            assert!(inner.is_err());
            run(&connection, || insert(&connection, 4))
        })
        .unwrap();
        assert_eq!(rows(&connection), [1, 4]);
    }

    #[test]
    fn reads_end_their_own_transaction_alone() {
        let connection = connection();
        assert!(!read(&connection, || Ok(connection.is_autocommit())).unwrap());
        assert!(read::<()>(&connection, || Err(fail())).is_err());
        assert!(connection.is_autocommit());
        run(&connection, || {
            insert(&connection, 1)?;
            read(&connection, || Ok(()))
        })
        .unwrap();
        assert_eq!(rows(&connection), [1]);
    }

    #[test]
    fn a_panic_rolls_back() {
        let connection = connection();
        let caught = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| {
            let _ = run::<(), Error>(&connection, || {
                insert(&connection, 1)?;
                panic!("made up");
            });
        }));
        assert!(caught.is_err());
        assert!(connection.is_autocommit());
        assert!(rows(&connection).is_empty());
    }

    #[test]
    fn a_transaction_that_ended_underneath_is_an_error() {
        let connection = connection();
        let error = run::<(), Error>(&connection, || {
            insert(&connection, 1)?;
            connection.execute_batch("ROLLBACK")?;
            Ok(())
        });
        assert_eq!(error.unwrap_err().code(), "DB_TRANSACTION_STATE");
        roll_back(&connection).unwrap();
        roll_back_savepoint(&connection).unwrap();
    }

    #[test]
    fn a_failing_commit_leaves_no_transaction_open() {
        let connection = connection();
        connection
            .execute_batch(
                "PRAGMA foreign_keys = ON; CREATE TABLE p(id INTEGER PRIMARY KEY);
                 CREATE TABLE c(p REFERENCES p(id) DEFERRABLE INITIALLY DEFERRED);",
            )
            .unwrap();
        let outcome = run::<(), Error>(&connection, || {
            connection.execute("INSERT INTO c VALUES (7)", [])?;
            Ok(())
        });
        assert_eq!(outcome.unwrap_err().code(), "SQLITE_CONSTRAINT_FOREIGNKEY");
        assert!(connection.is_autocommit());
    }
}
