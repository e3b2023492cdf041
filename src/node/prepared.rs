//! Owns one prepared statement of SQLite's C interface: rusqlite's statements borrow their
//! connection, and so cannot be kept beside it under a number that JavaScript holds.
//!
//! It knows no napi. Whoever holds a [`Prepared`] drops it before its connection closes.

#![allow(unsafe_code)]

use super::parameter::{Parameters, Value};
use crate::error::{Error, Result};
use crate::packed_row::{CellProblem, RowPacker};
use crate::wording::{is_name, without_texts};
use rusqlite::{Connection, ffi};
use std::ffi::{CStr, c_char, c_int};
use std::ptr::{self, NonNull};

/// A prepared statement.
#[derive(Debug)]
pub(super) struct Prepared(NonNull<ffi::sqlite3_stmt>);

impl Drop for Prepared {
    fn drop(&mut self) {
        // SAFETY: the statement is finalized once, here. Its answer repeats the last step's.
        unsafe { ffi::sqlite3_finalize(self.0.as_ptr()) };
    }
}

/// Where a column comes from.
pub(super) struct Column {
    pub(super) name: String,
    pub(super) column: Option<String>,
    pub(super) table: Option<String>,
    pub(super) database: Option<String>,
    pub(super) declared_type: Option<String>,
}

/// Copies a text of SQLite's.
///
/// # Safety
///
/// `text` is null or ends with a NUL.
unsafe fn copy(text: *const c_char) -> Option<String> {
    if text.is_null() {
        return None;
    }
    // SAFETY: as the caller says.
    Some(
        unsafe { CStr::from_ptr(text) }
            .to_string_lossy()
            .into_owned(),
    )
}

/// Makes an error of a result code of `handle`'s last call.
///
/// # Safety
///
/// `handle` is an open connection.
unsafe fn failure(handle: *mut ffi::sqlite3, code: c_int) -> rusqlite::Error {
    // SAFETY: as the caller says; the message is a text that ends with a NUL.
    let message = unsafe { copy(ffi::sqlite3_errmsg(handle)) };
    rusqlite::Error::SqliteFailure(ffi::Error::new(code), message)
}

/// Compiles the first statement of `sql`; gives it, if there is one, and what is behind it.
fn compile<'sql>(
    connection: &Connection,
    sql: &'sql str,
) -> Result<(Option<Prepared>, &'sql str), rusqlite::Error> {
    let Ok(length) = c_int::try_from(sql.len()) else {
        return Err(rusqlite::Error::SqliteFailure(
            ffi::Error::new(ffi::SQLITE_TOOBIG),
            None,
        ));
    };
    let (mut statement, mut tail) = (ptr::null_mut(), ptr::null());
    // SAFETY: the handle is open while the connection is borrowed; the pointer and the length
    // are those of the text, and SQLite sets `tail` to a place inside of it.
    unsafe {
        // What is kept lives long; that is what SQLITE_PREPARE_PERSISTENT means.
        let code = ffi::sqlite3_prepare_v3(
            connection.handle(),
            sql.as_ptr().cast(),
            length,
            ffi::SQLITE_PREPARE_PERSISTENT,
            &raw mut statement,
            &raw mut tail,
        );
        if code != ffi::SQLITE_OK {
            return Err(failure(connection.handle(), code));
        }
        let consumed = if tail.is_null() {
            sql.len()
        } else {
            tail.cast::<u8>().offset_from(sql.as_ptr()) as usize
        };
        let rest = sql.get(consumed..).unwrap_or_default();
        Ok((NonNull::new(statement).map(Prepared), rest))
    }
}

impl Prepared {
    /// Compiles a text that is one statement.
    pub(super) fn new(connection: &Connection, sql: &str) -> Result<Self> {
        let (statement, mut rest) = compile(connection, sql).map_err(Error::of_sql)?;
        let Some(statement) = statement else {
            return Err(rusqlite::Error::Empty.into());
        };
        // Behind it may stand comments, space and empty statements.
        while !rest.is_empty() {
            match compile(connection, rest) {
                Ok((None, next)) if next.len() < rest.len() => rest = next,
                Ok((None, _)) => break,
                _ => return Err(rusqlite::Error::MultipleStatement.into()),
            }
        }
        Ok(statement)
    }

    pub(super) fn is_readonly(&self) -> bool {
        // SAFETY: the statement is alive.
        unsafe { ffi::sqlite3_stmt_readonly(self.0.as_ptr()) != 0 }
    }

    /// How often SQLite has compiled the statement anew, as it does after changes of the schema.
    pub(super) fn recompilations(&self) -> c_int {
        // SAFETY: the statement is alive.
        unsafe { ffi::sqlite3_stmt_status(self.0.as_ptr(), ffi::SQLITE_STMTSTATUS_REPREPARE, 0) }
    }

    pub(super) fn column_count(&self) -> usize {
        // SAFETY: the statement is alive.
        unsafe { ffi::sqlite3_column_count(self.0.as_ptr()) as usize }
    }

    fn column_name(&self, index: usize) -> Option<String> {
        // SAFETY: the statement is alive; for an index out of range the answer is null.
        unsafe { copy(ffi::sqlite3_column_name(self.0.as_ptr(), index as c_int)) }
    }

    pub(super) fn column_names(&self) -> Vec<String> {
        (0..self.column_count())
            .map(|index| self.column_name(index).unwrap_or_default())
            .collect()
    }

    pub(super) fn columns(&self) -> Vec<Column> {
        let statement = self.0.as_ptr();
        (0..self.column_count())
            .map(|index| {
                let column = index as c_int;
                // SAFETY: the statement is alive, and each text is copied before the next call.
                unsafe {
                    Column {
                        name: self.column_name(index).unwrap_or_default(),
                        column: copy(ffi::sqlite3_column_origin_name(statement, column)),
                        table: copy(ffi::sqlite3_column_table_name(statement, column)),
                        database: copy(ffi::sqlite3_column_database_name(statement, column)),
                        declared_type: copy(ffi::sqlite3_column_decltype(statement, column)),
                    }
                }
            })
            .collect()
    }

    /// What the parameters are called, in order and without their prefix; `?` has no name.
    pub(super) fn parameter_names(&self) -> Vec<Option<String>> {
        // SAFETY: the statement is alive.
        let count = unsafe { ffi::sqlite3_bind_parameter_count(self.0.as_ptr()) };
        (1..=count)
            .map(|index| {
                // SAFETY: as above; the name is copied before the next call.
                let name =
                    unsafe { copy(ffi::sqlite3_bind_parameter_name(self.0.as_ptr(), index)) }?;
                (!name.starts_with('?')).then(|| name[1..].to_owned())
            })
            .collect()
    }

    fn check(&self, code: c_int) -> Result<()> {
        if code == ffi::SQLITE_OK {
            return Ok(());
        }
        // SAFETY: the statement is alive, and so is its connection.
        Err(unsafe { failure(ffi::sqlite3_db_handle(self.0.as_ptr()), code) }.into())
    }

    /// Binds all parameters, without copying them.
    ///
    /// # Safety
    ///
    /// `parameters` stays alive and unchanged until [`Prepared::reset`].
    pub(super) unsafe fn bind(&self, parameters: &Parameters) -> Result<()> {
        for (index, value) in parameters.iter().enumerate() {
            // SAFETY: as the caller says.
            unsafe { self.bind_value(index, value) }?;
        }
        Ok(())
    }

    /// Binds the parameter at an index, without copying it.
    ///
    /// # Safety
    ///
    /// What `value` borrows stays alive and unchanged until [`Prepared::reset`], or until the
    /// parameter is bound again.
    pub(super) unsafe fn bind_value(&self, index: usize, value: Value<'_>) -> Result<()> {
        let statement = self.0.as_ptr();
        let index = index as c_int + 1;
        // SAFETY: the statement is alive and not running; texts and bytes stay where they are,
        // as the caller says, and their lengths are right. A blob's pointer is not null, even
        // that of no bytes: null would bind NULL.
        self.check(unsafe {
            match value {
                Value::Null => ffi::sqlite3_bind_null(statement, index),
                Value::Integer(integer) => ffi::sqlite3_bind_int64(statement, index, integer),
                Value::Real(real) => ffi::sqlite3_bind_double(statement, index, real),
                Value::Text(text) => ffi::sqlite3_bind_text64(
                    statement,
                    index,
                    text.as_ptr().cast(),
                    text.len() as u64,
                    ffi::SQLITE_STATIC(),
                    ffi::SQLITE_UTF8 as u8,
                ),
                Value::Blob(bytes) => ffi::sqlite3_bind_blob64(
                    statement,
                    index,
                    bytes.as_ptr().cast(),
                    bytes.len() as u64,
                    ffi::SQLITE_STATIC(),
                ),
            }
        })
    }

    /// Goes on to the next row; answers whether there is one.
    pub(super) fn step(&self) -> Result<bool> {
        // SAFETY: the statement is alive.
        match unsafe { ffi::sqlite3_step(self.0.as_ptr()) } {
            ffi::SQLITE_ROW => Ok(true),
            ffi::SQLITE_DONE => Ok(false),
            code => self.check(code).map(|()| false),
        }
    }

    /// Ends a run and keeps what is bound.
    pub(super) fn rewind(&self) {
        // SAFETY: the statement is alive. The answer repeats the last step's error.
        unsafe { ffi::sqlite3_reset(self.0.as_ptr()) };
    }

    /// Ends a run, forgets what was bound, and lets go of the statement's locks.
    pub(super) fn reset(&self) {
        // SAFETY: the statement is alive. The answer repeats the last step's error.
        unsafe {
            ffi::sqlite3_reset(self.0.as_ptr());
            ffi::sqlite3_clear_bindings(self.0.as_ptr());
        }
    }

    /// Packs the row that the last step has reached.
    pub(super) fn pack_row(&self, packer: &mut RowPacker, columns: usize) -> Result<()> {
        for index in 0..columns {
            if let Err(problem) = self.pack_cell(packer, index as c_int)? {
                return Err(self.cell_error(index, problem));
            }
        }
        packer.end_row();
        Ok(())
    }

    fn pack_cell(
        &self,
        packer: &mut RowPacker,
        index: c_int,
    ) -> Result<std::result::Result<(), CellProblem>> {
        // `sqlite3_column_value` spares the checks of each `sqlite3_column_*`; its value is not
        // protected against other threads, of which none uses this connection.
        // SAFETY: the statement is alive and stands on a row. A text or blob stays where it is
        // until its value is read in another way, and its bytes are copied at once.
        Ok(unsafe {
            let value = ffi::sqlite3_column_value(self.0.as_ptr(), index);
            match ffi::sqlite3_value_type(value) {
                ffi::SQLITE_INTEGER => packer.push_integer(ffi::sqlite3_value_int64(value)),
                ffi::SQLITE_FLOAT => {
                    packer.push_real(ffi::sqlite3_value_double(value));
                    Ok(())
                }
                ffi::SQLITE_TEXT => {
                    let text = ffi::sqlite3_value_text(value);
                    if text.is_null() {
                        return self.check(ffi::SQLITE_NOMEM).map(Ok);
                    }
                    let length = ffi::sqlite3_value_bytes(value) as usize;
                    packer.push_text(std::slice::from_raw_parts(text, length))
                }
                ffi::SQLITE_BLOB => {
                    let bytes = ffi::sqlite3_value_blob(value);
                    let length = ffi::sqlite3_value_bytes(value) as usize;
                    if bytes.is_null() || length == 0 {
                        packer.push_blob(&[])
                    } else {
                        packer.push_blob(std::slice::from_raw_parts(bytes.cast(), length))
                    }
                }
                _ => {
                    packer.push_null();
                    Ok(())
                }
            }
        })
    }

    fn cell_error(&self, index: usize, problem: CellProblem) -> Error {
        // A column without a name of its own is called by its whole expression.
        let column = match self.column_name(index) {
            Some(name) if is_name(&name) => name,
            _ => format!("number {}", index + 1),
        };
        match problem {
            CellProblem::Integer => Error::IntegerRange {
                what: format!("column {column}"),
            },
            CellProblem::Text => Error::InvalidText { column },
            CellProblem::Length => Error::Sqlite {
                extended_code: ffi::SQLITE_TOOBIG,
                message: without_texts(&format!("a row with column {column} is too big")),
            },
        }
    }
}
