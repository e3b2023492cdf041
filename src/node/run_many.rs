//! Owns running one statement with many rows of parameters, in one transaction: all or nothing.
//!
//! JavaScript packs the rows and hands them over in pieces, which are staged here; only then does
//! the statement run, so no code of the caller's can come between two rows.

#![allow(unsafe_code)]

use super::connection::OpenHandle;
use super::direct::{Call, Key};
use super::function::Answer;
use super::parameter::Value;
use super::statement::{gone, null, number, write_changes};
use super::statement_cache::Entry;
use crate::error::{Error, Result};
use crate::packed_value::{PackedValue, PackedValues};
use crate::record::MAX_SAFE_INTEGER;
use crate::transaction;
use rusqlite::Connection;
use std::ptr;

/// Rows that wait for their statement to run, under a number of JavaScript's.
#[derive(Debug, Default)]
pub(super) struct Stage {
    batches: Vec<(u64, Vec<PackedValues>)>,
    last: u64,
}

impl Stage {
    fn add(&mut self, batch: u64, values: PackedValues) -> Result<u64> {
        if batch == 0 {
            self.last += 1;
            self.batches.push((self.last, vec![values]));
            return Ok(self.last);
        }
        let place = self.batches.iter_mut().find(|(known, _)| *known == batch);
        place.ok_or_else(gone)?.1.push(values);
        Ok(batch)
    }

    fn take(&mut self, batch: u64) -> Vec<PackedValues> {
        match self.batches.iter().position(|(known, _)| *known == batch) {
            Some(index) => self.batches.swap_remove(index).1,
            None => Vec::new(),
        }
    }
}

/// Stages a piece of a batch, a new one when its number is 0, and gives the number:
/// `(batch, text, codes, blobs)`.
pub(super) fn stage(call: &Call<'_>) -> Answer {
    let batch = call.cursor()?;
    let values = PackedValues::read(
        call.env,
        call.value(1),
        call.value(2),
        call.given().get(3).copied(),
    )?;
    let batch = {
        let mut handle = call.shared.handle.borrow_mut();
        let handle = handle.as_mut().ok_or(Error::Closed)?;
        handle.stage.add(batch, values)?
    };
    number(call.env, batch as f64)
}

/// Forgets a batch: `(batch)`.
pub(super) fn discard(call: &Call<'_>) -> Answer {
    let batch = call.cursor()?;
    if let Some(handle) = call.shared.handle.borrow_mut().as_mut() {
        handle.stage.take(batch);
    }
    Ok(ptr::null_mut())
}

/// Runs a statement with a batch: `(key, batch)`. Like `run`, it writes what has changed where
/// codes go, and answers `null` for a statement that is unknown.
pub(super) fn run_many(call: &Call<'_>) -> Answer {
    let (key, batch) = (call.key()?, call.batch()?);
    let mut handle = call.shared.handle.borrow_mut();
    let handle = handle.as_mut().ok_or(Error::Closed)?;
    handle.forget_rest();
    if handle.statements.find(key.id).is_none() {
        return null(call.env);
    }
    call.shared.check_write(!handle.cursors.is_empty())?;
    let pieces = handle.stage.take(batch);
    let before = handle.connection.last_insert_rowid();
    let changes = run_pieces(handle, key, &pieces)?;
    write_changes(call.shared, &handle.connection, before, changes, key)?;
    Ok(ptr::null_mut())
}

fn run_pieces(handle: &mut OpenHandle, key: Key, pieces: &[PackedValues]) -> Result<u64> {
    let entry = handle.statements.find(key.id).ok_or_else(gone)?;
    if pieces.is_empty() {
        return Ok(0);
    }
    let connection = &handle.connection;
    transaction::run(connection, || {
        // Whatever happens, nothing of the pieces stays bound.
        let _reset = Reset(entry);
        let (mut changes, mut row) = (0, 0);
        for piece in pieces {
            let mut values = piece.iter();
            while !values.is_empty() {
                for index in 0..entry.parameters.len() {
                    let value = take_value(values.take()?)
                        .map_err(|problem| refuse(entry, key, row, index, problem))?;
                    // SAFETY: the pieces stay alive and unchanged until the reset.
                    unsafe { entry.statement.bind_value(index, value) }?;
                }
                if entry.parameters.is_empty() {
                    values.take()?;
                }
                changes += run_row(connection, entry)?;
                row += 1;
            }
        }
        Ok(changes)
    })
}

/// Resets a statement on every way out, a panic included.
struct Reset<'a>(&'a Entry);

impl Drop for Reset<'_> {
    fn drop(&mut self) {
        self.0.statement.reset();
    }
}

fn run_row(connection: &Connection, entry: &Entry) -> Result<u64> {
    let before = connection.total_changes();
    while entry.statement.step()? {}
    entry.statement.rewind();
    // `changes()` keeps the number of an earlier run when this one changes no row.
    Ok(if connection.total_changes() == before {
        0
    } else {
        connection.changes()
    })
}

fn take_value(value: PackedValue<'_>) -> Result<Value<'_>, String> {
    Ok(match value {
        PackedValue::Undefined | PackedValue::Null => Value::Null,
        PackedValue::Integer(integer) => Value::Integer(integer),
        PackedValue::Number(number) if number.is_nan() => {
            return Err("is NaN, which SQLite would store as NULL; give a number or null".into());
        }
        PackedValue::Number(number)
            if number.fract() == 0.0 && number.abs() <= MAX_SAFE_INTEGER as f64 =>
        {
            Value::Integer(number as i64)
        }
        PackedValue::Number(number) => Value::Real(number),
        PackedValue::Text(text) => Value::Text(text.as_bytes()),
        PackedValue::Blob(bytes) => Value::Blob(bytes),
        PackedValue::Torn => {
            return Err(
                "is a string with a lone surrogate, which cannot be stored; use well-formed text"
                    .into(),
            );
        }
        PackedValue::Other(kind) => {
            return Err(format!(
                "must be a string, a number, a bigint, null or a Uint8Array, not {kind}"
            ));
        }
    })
}

fn refuse(entry: &Entry, key: Key, row: usize, index: usize, problem: String) -> Error {
    let field = match entry.parameters.get(index) {
        Some(Some(name)) if key.is_named => format!("rows[{row}].{name}"),
        _ => format!("rows[{row}][{index}]"),
    };
    Error::argument(field, problem)
}
