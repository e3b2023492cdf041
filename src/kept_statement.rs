//! Owns a connection together with statements that stay prepared: those that are asked so often
//! that finding them in rusqlite's cache by their text, copying what is bound and checking each
//! access to a column would cost more than their own work.
//!
//! This module may not know tables.

#![allow(unsafe_code)]

use crate::connection;
use crate::error::{Error, Result};
use rusqlite::hooks::Wal;
use rusqlite::types::ValueRef;
use rusqlite::{Connection, ffi};
use std::cell::RefCell;
use std::ffi::{CStr, c_int};
use std::marker::PhantomData;
use std::ops::Deref;
use std::ptr::{self, NonNull};

/// A connection and the statements that it keeps.
pub(crate) struct KeepingConnection {
    // Fields are dropped in their order: no statement may outlive its connection. There are as
    // many as there are texts in this crate's source.
    statements: RefCell<Vec<Statement>>,
    connection: Connection,
}

impl KeepingConnection {
    pub(crate) fn new(connection: Connection) -> Self {
        Self {
            statements: RefCell::default(),
            connection,
        }
    }

    /// Gives the connection alone.
    pub(crate) fn into_connection(self) -> Connection {
        drop(self.statements);
        self.connection
    }

    /// Stops what runs once `must_stop` says so.
    pub(crate) fn stop_when(
        &mut self,
        must_stop: impl Fn() -> bool + Send + 'static,
    ) -> Result<()> {
        connection::stop_when(&mut self.connection, must_stop)
    }

    /// Calls `watch` after each commit that went into the write-ahead log.
    pub(crate) fn watch_commits(&mut self, mut watch: impl FnMut() + Send + 'static) -> Result<()> {
        Ok(self.connection.wal_hook(Some(move |_: &mut Wal, _: i32| {
            watch();
            Ok(())
        }))?)
    }

    /// Runs a statement, which is reset on every way out; its text is one of this crate's, so
    /// that it stays prepared.
    ///
    /// What `work` binds lives for `'bound`, and so until the run has ended.
    pub(crate) fn run<'bound, T>(
        &self,
        sql: &'static str,
        work: impl FnOnce(&mut Run<'bound>) -> Result<T>,
    ) -> Result<T> {
        let kept = self.take(sql);
        let statement = match kept {
            Some(statement) => statement,
            None => Statement::prepare(&self.connection, sql)?,
        };
        let mut lent = Lent {
            run: Run {
                statement: Some(statement),
                bound: PhantomData,
            },
            connection: self,
        };
        work(&mut lent.run)
    }

    /// Takes a statement out while it runs: the same text may be asked for meanwhile.
    fn take(&self, sql: &'static str) -> Option<Statement> {
        let mut statements = self.statements.borrow_mut();
        let index = statements.iter().position(|kept| ptr::eq(kept.sql, sql))?;
        Some(statements.swap_remove(index))
    }
}

impl Deref for KeepingConnection {
    type Target = Connection;

    fn deref(&self) -> &Connection {
        &self.connection
    }
}

/// A run that puts its statement back when it ends.
struct Lent<'bound, 'connection> {
    run: Run<'bound>,
    connection: &'connection KeepingConnection,
}

impl Drop for Lent<'_, '_> {
    fn drop(&mut self) {
        if let Some(statement) = self.run.statement.take() {
            statement.reset();
            let mut statements = self.connection.statements.borrow_mut();
            // A run inside a run of the same text has put its own back.
            if !statements
                .iter()
                .any(|kept| ptr::eq(kept.sql, statement.sql))
            {
                statements.push(statement);
            }
        }
    }
}

/// A value to bind.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Bound<'a> {
    Null,
    Integer(i64),
    Text(&'a str),
}

impl<'a> From<&'a str> for Bound<'a> {
    fn from(text: &'a str) -> Self {
        Self::Text(text)
    }
}

impl<'a> From<Option<&'a str>> for Bound<'a> {
    fn from(text: Option<&'a str>) -> Self {
        text.map_or(Self::Null, Self::Text)
    }
}

impl From<i64> for Bound<'_> {
    fn from(integer: i64) -> Self {
        Self::Integer(integer)
    }
}

/// A statement that runs.
pub(crate) struct Run<'bound> {
    /// There until the run ends.
    statement: Option<Statement>,
    /// A run may not be taken for one with a shorter life: what it has bound must outlive it.
    bound: PhantomData<fn(&'bound ()) -> &'bound ()>,
}

impl<'bound> Run<'bound> {
    fn statement(&self) -> Result<&Statement> {
        self.statement
            .as_ref()
            .ok_or_else(|| Error::Internal("a statement is gone".into()))
    }

    /// Binds all parameters, in their order, without copying them, and begins anew.
    pub(crate) fn bind(&mut self, values: &[Bound<'bound>]) -> Result<()> {
        let statement = self.statement()?;
        statement.reset();
        for (index, value) in (1..).zip(values) {
            // SAFETY: the text outlives the run, whose end forgets it.
            unsafe { statement.bind(index, *value) }?;
        }
        Ok(())
    }

    /// Goes on to the next row; answers whether there is one.
    pub(crate) fn step(&mut self) -> Result<bool> {
        self.statement()?.step()
    }

    /// Runs to the end, and answers how many rows were changed.
    pub(crate) fn execute(&mut self) -> Result<usize> {
        let statement = self.statement()?;
        while statement.step()? {}
        // SAFETY: the statement is alive, and so is its connection.
        let changes = unsafe { ffi::sqlite3_changes64(statement.handle()) };
        Ok(usize::try_from(changes).unwrap_or(0))
    }

    /// The row id of the connection's last insert.
    pub(crate) fn last_insert_rowid(&self) -> Result<i64> {
        // SAFETY: the statement is alive, and so is its connection.
        Ok(unsafe { ffi::sqlite3_last_insert_rowid(self.statement()?.handle()) })
    }

    /// The row that the last step has reached.
    pub(crate) fn row(&self) -> Result<KeptRow<'_>> {
        self.statement().map(KeptRow)
    }
}

/// The row of a run, until its next step.
#[derive(Clone, Copy)]
pub(crate) struct KeptRow<'run>(&'run Statement);

impl<'run> KeptRow<'run> {
    /// Reads a column; one that there is not is NULL.
    pub(crate) fn value(self, index: usize) -> Result<ValueRef<'run>> {
        self.0.value(index)
    }
}

/// A prepared statement; whoever holds it drops it before its connection.
struct Statement {
    statement: NonNull<ffi::sqlite3_stmt>,
    sql: &'static str,
}

// SAFETY: a statement may go to another thread as its connection may; both go together.
unsafe impl Send for Statement {}

impl Statement {
    fn prepare(connection: &Connection, sql: &'static str) -> rusqlite::Result<Self> {
        let mut statement = ptr::null_mut();
        let length = c_int::try_from(sql.len()).unwrap_or(c_int::MAX);
        // SAFETY: the handle is open while the connection is borrowed; the pointer and the length
        // are those of the text.
        unsafe {
            let code = ffi::sqlite3_prepare_v3(
                connection.handle(),
                sql.as_ptr().cast(),
                length,
                ffi::SQLITE_PREPARE_PERSISTENT,
                &raw mut statement,
                ptr::null_mut(),
            );
            match NonNull::new(statement) {
                Some(statement) if code == ffi::SQLITE_OK => Ok(Self { statement, sql }),
                _ => Err(failure(connection.handle(), code)),
            }
        }
    }

    fn handle(&self) -> *mut ffi::sqlite3 {
        // SAFETY: the statement is alive.
        unsafe { ffi::sqlite3_db_handle(self.statement.as_ptr()) }
    }

    fn check(&self, code: c_int) -> Result<()> {
        if code == ffi::SQLITE_OK {
            return Ok(());
        }
        // SAFETY: the statement's connection is alive.
        Err(unsafe { failure(self.handle(), code) }.into())
    }

    /// # Safety
    ///
    /// A text stays where it is, unchanged, until the reset.
    unsafe fn bind(&self, index: c_int, value: Bound<'_>) -> Result<()> {
        let statement = self.statement.as_ptr();
        // SAFETY: the statement is alive and not running; the length is the text's, which stays,
        // as the caller says.
        self.check(unsafe {
            match value {
                Bound::Null => ffi::sqlite3_bind_null(statement, index),
                Bound::Integer(integer) => ffi::sqlite3_bind_int64(statement, index, integer),
                Bound::Text(text) => ffi::sqlite3_bind_text64(
                    statement,
                    index,
                    text.as_ptr().cast(),
                    text.len() as u64,
                    ffi::SQLITE_STATIC(),
                    ffi::SQLITE_UTF8 as u8,
                ),
            }
        })
    }

    fn step(&self) -> Result<bool> {
        // SAFETY: the statement is alive.
        match unsafe { ffi::sqlite3_step(self.statement.as_ptr()) } {
            ffi::SQLITE_ROW => Ok(true),
            ffi::SQLITE_DONE => Ok(false),
            code => self.check(code).map(|()| false),
        }
    }

    fn value(&self, index: usize) -> Result<ValueRef<'_>> {
        let index = c_int::try_from(index).unwrap_or(c_int::MAX);
        // `sqlite3_column_value` spares the checks of each `sqlite3_column_*`; its value is not
        // protected against other threads, of which none uses this connection. Without a row, or
        // beyond the last column, it is NULL.
        // SAFETY: the statement is alive. What is borrowed stays until the next step or reset,
        // which both need the run, so that neither is possible meanwhile; no column is read as
        // another type.
        unsafe {
            let value = ffi::sqlite3_column_value(self.statement.as_ptr(), index);
            Ok(match ffi::sqlite3_value_type(value) {
                ffi::SQLITE_INTEGER => ValueRef::Integer(ffi::sqlite3_value_int64(value)),
                ffi::SQLITE_FLOAT => ValueRef::Real(ffi::sqlite3_value_double(value)),
                ffi::SQLITE_TEXT => {
                    let text = ffi::sqlite3_value_text(value);
                    if text.is_null() {
                        return self.check(ffi::SQLITE_NOMEM).map(|()| ValueRef::Null);
                    }
                    let length = ffi::sqlite3_value_bytes(value) as usize;
                    ValueRef::Text(std::slice::from_raw_parts(text, length))
                }
                ffi::SQLITE_BLOB => {
                    let bytes = ffi::sqlite3_value_blob(value);
                    let length = ffi::sqlite3_value_bytes(value) as usize;
                    if bytes.is_null() {
                        ValueRef::Blob(&[])
                    } else {
                        ValueRef::Blob(std::slice::from_raw_parts(bytes.cast(), length))
                    }
                }
                _ => ValueRef::Null,
            })
        }
    }

    /// Ends a run, lets go of its locks and forgets what was bound.
    fn reset(&self) {
        // SAFETY: the statement is alive. The answer repeats the last step's error.
        unsafe {
            ffi::sqlite3_reset(self.statement.as_ptr());
            ffi::sqlite3_clear_bindings(self.statement.as_ptr());
        }
    }
}

impl Drop for Statement {
    fn drop(&mut self) {
        // SAFETY: the statement is alive, and so is its connection.
        unsafe { ffi::sqlite3_finalize(self.statement.as_ptr()) };
    }
}

/// Makes an error of a code that a connection has just given.
///
/// # Safety
///
/// `handle` is an open connection.
unsafe fn failure(handle: *mut ffi::sqlite3, code: c_int) -> rusqlite::Error {
    // SAFETY: as the caller says; the message ends with a NUL and is copied at once.
    let message = unsafe { CStr::from_ptr(ffi::sqlite3_errmsg(handle)) };
    let message = message.to_string_lossy().into_owned();
    rusqlite::Error::SqliteFailure(ffi::Error::new(code), Some(message))
}

#[cfg(test)]
mod tests {
    use super::*;

    static SQL: &str = "SELECT 1 FROM t WHERE x = ?1";

    fn open() -> KeepingConnection {
        let connection = Connection::open_in_memory().unwrap();
        connection
            .execute_batch("CREATE TABLE t(x TEXT UNIQUE); INSERT INTO t VALUES ('a'), ('ä')")
            .unwrap();
        KeepingConnection::new(connection)
    }

    fn exists(connection: &KeepingConnection, text: &str) -> Result<bool> {
        connection.run(SQL, |run| {
            run.bind(&[text.into()])?;
            run.step()
        })
    }

    #[test]
    fn a_statement_outlives_changes_of_the_schema_and_of_rows() {
        let connection = open();
        assert!(exists(&connection, "a").unwrap());
        assert!(exists(&connection, "ä").unwrap());
        assert!(!exists(&connection, "").unwrap());
        connection
            .execute_batch("ALTER TABLE t ADD y; DELETE FROM t WHERE x = 'a'; VACUUM")
            .unwrap();
        assert!(!exists(&connection, "a").unwrap());
        connection
            .execute_batch("ALTER TABLE t RENAME TO u")
            .unwrap();
        let error = exists(&connection, "ä").unwrap_err();
        assert_eq!(error.to_string(), "no such table: t");
        connection
            .execute_batch("ALTER TABLE u RENAME TO t")
            .unwrap();
        assert!(exists(&connection, "ä").unwrap());
        assert!(connection.is_autocommit() && !connection.is_busy());
    }

    #[test]
    fn a_statement_that_cannot_be_prepared_is_tried_anew() {
        let connection = open();
        connection
            .execute_batch("ALTER TABLE t RENAME TO u")
            .unwrap();
        assert_eq!(
            exists(&connection, "a").unwrap_err().to_string(),
            "no such table: t"
        );
        connection
            .execute_batch("ALTER TABLE u RENAME TO t")
            .unwrap();
        assert!(exists(&connection, "a").unwrap());
    }

    #[test]
    fn values_of_every_type_are_read_and_bound() {
        let connection = open();
        let sql = "SELECT ?1, ?2, ?3, 1.5, x'6162', x'', '', CAST(x'ff' AS TEXT)";
        connection
            .run(sql, |run| {
                run.bind(&[Bound::Null, i64::MIN.into(), "é\0".into()])?;
                assert!(run.step()?);
                let row = run.row()?;
                assert_eq!(row.value(0)?, ValueRef::Null);
                assert_eq!(row.value(1)?, ValueRef::Integer(i64::MIN));
                assert_eq!(row.value(2)?, ValueRef::Text("é\0".as_bytes()));
                assert_eq!(row.value(3)?, ValueRef::Real(1.5));
                assert_eq!(row.value(4)?, ValueRef::Blob(b"ab"));
                assert_eq!(row.value(5)?, ValueRef::Blob(b""));
                assert_eq!(row.value(6)?, ValueRef::Text(b""));
                assert_eq!(row.value(7)?, ValueRef::Text(b"\xff"));
                assert_eq!(row.value(8)?, ValueRef::Null);
                assert!(!run.step()?);
                Ok(())
            })
            .unwrap();
        let changed = connection
            .run("INSERT INTO t VALUES (?1), (?2)", |run| {
                run.bind(&["c".into(), None.into()])?;
                Ok((run.execute()?, run.last_insert_rowid()?))
            })
            .unwrap();
        assert_eq!(changed, (2, 4));
    }

    #[test]
    fn a_run_may_be_inside_another_and_ends_whatever_happens() {
        let connection = open();
        connection
            .run(SQL, |outer| {
                outer.bind(&["a".into()])?;
                assert!(outer.step()?);
                assert!(!exists(&connection, "z")?);
                assert!(!outer.step()?);
                Ok(())
            })
            .unwrap();
        assert_eq!(connection.statements.borrow().len(), 1);
        let caught = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| {
            let _ = connection.run(SQL, |run| -> Result<()> {
                run.bind(&["a".into()])?;
                run.step()?;
                panic!("made up");
            });
        }));
        assert!(caught.is_err());
        assert!(!connection.is_busy());
        assert!(exists(&connection, "a").unwrap());
    }

    #[test]
    fn the_connection_can_be_closed_after_a_run_on_another_thread() {
        let connection = open();
        assert!(exists(&connection, "a").unwrap());
        let connection = std::thread::spawn(move || connection).join().unwrap();
        connection.into_connection().close().unwrap();
    }
}
