//! Owns one statement's way through the addon: its parameters in, its rows out.
//!
//! Reading a parameter may run the caller's code (a getter, a proxy). It happens before SQLite
//! is asked for anything, and rows are built after it has answered, so whatever that code does
//! to the connection cannot reach a statement that is in use.

#![allow(unsafe_code)]

use super::config::property;
use super::error::Failure;
use super::value::{Argument, check};
use crate::error::Error;
use crate::record::MAX_SAFE_INTEGER;
use crate::transaction;
use crate::wording::is_name;
use napi::bindgen_prelude::{BigInt, BufferSlice, FromNapiValue, Null, ToNapiValue, Unknown};
use napi::{Env, ValueType, sys};
use rusqlite::types::{Value, ValueRef};
use rusqlite::{Connection, Statement};
use std::ptr;

/// What a statement's parameters are called; an unnamed one has no name.
pub(super) type ParameterNames = Vec<Option<String>>;

/// Returns a statement's parameter names, in order, without their prefix.
pub(super) fn parameter_names(statement: &Statement<'_>) -> ParameterNames {
    (1..=statement.parameter_count())
        .map(|index| {
            let name = statement.parameter_name(index)?;
            (!name.starts_with('?')).then(|| name[1..].to_owned())
        })
        .collect()
}

/// Reads a statement's parameters: an array for `?`, an object for names, nothing for none.
pub(super) fn read_parameters(
    params: Unknown<'_>,
    names: &ParameterNames,
) -> Result<Vec<Value>, Failure> {
    let params = Argument::new("params", params);
    match params.kind() {
        ValueType::Undefined | ValueType::Null => {
            require_count(0, names)?;
            Ok(Vec::new())
        }
        ValueType::Object if is_array(&params)? => read_positional(&params, names),
        ValueType::Object => read_named(&params, names),
        _ => Err(params.refuse("an array or an object")),
    }
}

fn require_count(given: usize, names: &ParameterNames) -> Result<(), Error> {
    if given == names.len() {
        return Ok(());
    }
    let expected = names.len();
    Err(Error::argument(
        "params",
        format!("holds {given} value(s), but the statement takes {expected}"),
    ))
}

fn read_positional(params: &Argument<'_>, names: &ParameterNames) -> Result<Vec<Value>, Failure> {
    let mut length = 0;
    // SAFETY: the handles belong to the call that is running, and the value is an array.
    check(params.env, unsafe {
        sys::napi_get_array_length(params.env, params.value, &raw mut length)
    })?;
    require_count(length as usize, names)?;
    (0..length)
        .map(|index| {
            let mut value = ptr::null_mut();
            // SAFETY: as above; a hole or a getter gives whatever it gives.
            check(params.env, unsafe {
                sys::napi_get_element(params.env, params.value, index, &raw mut value)
            })?;
            let field = format!("params[{index}]");
            read_value(&Argument {
                field: &field,
                value,
                ..*params
            })
        })
        .collect()
}

fn read_named(params: &Argument<'_>, names: &ParameterNames) -> Result<Vec<Value>, Failure> {
    names
        .iter()
        .map(|name| {
            let Some(name) = name else {
                return Err(Failure::Ledger(Error::argument(
                    "params",
                    "is an object, but the statement has a parameter without a name; give an array",
                )));
            };
            let value = property(params, name)?;
            let field = format!("params.{name}");
            if value.kind() == ValueType::Undefined && !has_property(params, name)? {
                return Err(Failure::Ledger(Error::argument(field, "is missing")));
            }
            read_value(&Argument {
                field: &field,
                ..value
            })
        })
        .collect()
}

fn has_property(object: &Argument<'_>, name: &str) -> Result<bool, Failure> {
    let mut key = ptr::null_mut();
    let mut found = false;
    // SAFETY: the name's pointer and length are those of a valid text; the handles belong to the
    // call that is running.
    unsafe {
        check(
            object.env,
            sys::napi_create_string_utf8(
                object.env,
                name.as_ptr().cast(),
                name.len() as isize,
                &raw mut key,
            ),
        )?;
        check(
            object.env,
            sys::napi_has_property(object.env, object.value, key, &raw mut found),
        )?;
    }
    Ok(found)
}

fn is_array(value: &Argument<'_>) -> Result<bool, Failure> {
    let mut array = false;
    // SAFETY: the handles belong to the call that is running.
    check(value.env, unsafe {
        sys::napi_is_array(value.env, value.value, &raw mut array)
    })?;
    Ok(array)
}

/// Reads one value that SQLite can store.
fn read_value(argument: &Argument<'_>) -> Result<Value, Failure> {
    match argument.kind() {
        ValueType::Undefined | ValueType::Null => Ok(Value::Null),
        ValueType::String => argument.string_content().map(Value::Text),
        ValueType::Number => read_number(argument),
        ValueType::BigInt => read_bigint(argument),
        ValueType::Object => read_bytes(argument),
        _ => Err(refuse_value(argument)),
    }
}

fn refuse_value(argument: &Argument<'_>) -> Failure {
    argument.refuse("a string, a number, a bigint, null or a Uint8Array")
}

/// Whole numbers are stored as integers, so that `typeof` and division mean what they say.
fn read_number(argument: &Argument<'_>) -> Result<Value, Failure> {
    let number = argument.number()?;
    if number.is_nan() {
        return Err(Failure::Ledger(Error::argument(
            argument.field,
            "is NaN, which SQLite would store as NULL; give a number or null",
        )));
    }
    if number.fract() == 0.0 && number.abs() <= MAX_SAFE_INTEGER as f64 {
        Ok(Value::Integer(number as i64))
    } else {
        Ok(Value::Real(number))
    }
}

fn read_bigint(argument: &Argument<'_>) -> Result<Value, Failure> {
    // SAFETY: the value is a bigint of the call that is running.
    let bigint = unsafe { BigInt::from_napi_value(argument.env, argument.value) }
        .map_err(Failure::JavaScript)?;
    let (integer, lossless) = bigint.get_i64();
    if lossless {
        Ok(Value::Integer(integer))
    } else {
        Err(Failure::Ledger(Error::argument(
            argument.field,
            "is a bigint beyond 64 bits, which SQLite cannot store",
        )))
    }
}

/// Copies the bytes of a Uint8Array; a Buffer is one.
fn read_bytes(argument: &Argument<'_>) -> Result<Value, Failure> {
    let mut typed = false;
    // SAFETY: the handles belong to the call that is running.
    check(argument.env, unsafe {
        sys::napi_is_typedarray(argument.env, argument.value, &raw mut typed)
    })?;
    if !typed {
        return Err(refuse_value(argument));
    }
    let (mut kind, mut length, mut data) = (0, 0, ptr::null_mut());
    // SAFETY: the value is a typed array; `data` and `length` describe memory that stays where
    // it is until JavaScript runs again, which it does not before the copy is made.
    unsafe {
        check(
            argument.env,
            sys::napi_get_typedarray_info(
                argument.env,
                argument.value,
                &raw mut kind,
                &raw mut length,
                &raw mut data,
                ptr::null_mut(),
                ptr::null_mut(),
            ),
        )?;
        if kind != sys::TypedarrayType::uint8_array {
            return Err(refuse_value(argument));
        }
        if data.is_null() || length == 0 {
            return Ok(Value::Blob(Vec::new()));
        }
        Ok(Value::Blob(
            std::slice::from_raw_parts(data.cast::<u8>(), length).to_vec(),
        ))
    }
}

/// The rows of a result, each as many cells as there are columns.
pub struct Rows {
    /// The columns' names.
    pub(super) columns: Vec<String>,
    /// All cells, row by row.
    pub(super) cells: Vec<Value>,
}

/// Runs a bound statement and takes at most `limit` rows.
pub(super) fn take_rows(statement: &mut Statement<'_>, limit: usize) -> Result<Rows, Error> {
    let mut cells = Vec::new();
    let mut taken = 0;
    {
        let mut rows = statement.raw_query();
        while taken < limit {
            let Some(row) = rows.next()? else { break };
            let count = row.as_ref().column_count();
            for index in 0..count {
                let value = row.get_ref(index)?;
                cells.push(own_cell(value).map_err(|problem| {
                    // A column without a name of its own is called by its whole expression.
                    let column = match row.as_ref().column_name(index) {
                        Ok(name) if is_name(name) => name.to_owned(),
                        _ => format!("number {}", index + 1),
                    };
                    match problem {
                        CellProblem::Integer => Error::IntegerRange {
                            what: format!("column {column}"),
                        },
                        CellProblem::Text => Error::InvalidText { column },
                    }
                })?);
            }
            taken += 1;
        }
    }
    // After the first step: a schema that has changed since the statement was prepared may have
    // given it other columns.
    let columns = statement.column_names().map(str::to_owned).collect();
    Ok(Rows { columns, cells })
}

/// As [`take_rows`]; a statement that writes and gives rows (RETURNING) is undone when a row
/// cannot be given.
pub(super) fn take_rows_whole(
    handle: &Connection,
    statement: &mut Statement<'_>,
    sql: &str,
    limit: usize,
) -> Result<Rows, Error> {
    if statement.readonly() || statement.column_count() == 0 || is_pragma(sql) {
        return take_rows(statement, limit);
    }
    transaction::run(handle, || take_rows(statement, limit))
}

/// Of what writes and has columns, pragmas alone may not run inside a transaction.
fn is_pragma(sql: &str) -> bool {
    let mut rest = sql.trim_start();
    loop {
        let comment_end = match rest.get(..2) {
            Some("--") => rest.find('\n').map(|end| end + 1),
            Some("/*") => rest.find("*/").map(|end| end + 2),
            _ => break,
        };
        rest = rest[comment_end.unwrap_or(rest.len())..].trim_start();
    }
    let word = rest.get(..6);
    word.is_some_and(|word| word.eq_ignore_ascii_case("pragma"))
}

enum CellProblem {
    Integer,
    Text,
}

fn own_cell(value: ValueRef<'_>) -> Result<Value, CellProblem> {
    match value {
        ValueRef::Integer(integer) if integer.unsigned_abs() > MAX_SAFE_INTEGER as u64 => {
            Err(CellProblem::Integer)
        }
        ValueRef::Text(bytes) => match std::str::from_utf8(bytes) {
            Ok(text) => Ok(Value::Text(text.to_owned())),
            Err(_) => Err(CellProblem::Text),
        },
        ValueRef::Integer(integer) => Ok(Value::Integer(integer)),
        ValueRef::Real(real) => Ok(Value::Real(real)),
        ValueRef::Blob(bytes) => Ok(Value::Blob(bytes.to_vec())),
        ValueRef::Null => Ok(Value::Null),
    }
}

impl ToNapiValue for Rows {
    /// Becomes `[columns, cells]`; `lib/rows.js` makes objects of them.
    unsafe fn to_napi_value(env: sys::napi_env, rows: Self) -> napi::Result<sys::napi_value> {
        let cells: Vec<Cell> = rows.cells.into_iter().map(Cell).collect();
        // SAFETY: `env` is the environment of the running call, handed on as it came.
        unsafe {
            let pair = vec![
                ToNapiValue::to_napi_value(env, rows.columns)?,
                ToNapiValue::to_napi_value(env, cells)?,
            ];
            ToNapiValue::to_napi_value(env, pair.into_iter().map(Raw).collect::<Vec<_>>())
        }
    }
}

struct Raw(sys::napi_value);

impl ToNapiValue for Raw {
    unsafe fn to_napi_value(_: sys::napi_env, raw: Self) -> napi::Result<sys::napi_value> {
        Ok(raw.0)
    }
}

struct Cell(Value);

impl ToNapiValue for Cell {
    unsafe fn to_napi_value(env: sys::napi_env, cell: Self) -> napi::Result<sys::napi_value> {
        // SAFETY: `env` is the environment of the running call, handed on as it came.
        unsafe {
            match cell.0 {
                Value::Null => ToNapiValue::to_napi_value(env, Null),
                Value::Integer(integer) => ToNapiValue::to_napi_value(env, integer),
                Value::Real(real) => ToNapiValue::to_napi_value(env, real),
                Value::Text(text) => ToNapiValue::to_napi_value(env, text),
                // Copied: memory of ours under a Buffer is refused by some runtimes (Electron).
                Value::Blob(bytes) => {
                    let buffer = BufferSlice::copy_from(&Env::from_raw(env), bytes)?;
                    ToNapiValue::to_napi_value(env, buffer)
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::is_pragma;

    #[test]
    fn a_pragma_is_known_behind_comments() {
        for sql in [
            "PRAGMA x",
            " pragma x",
            "/* why */ PRAGMA x",
            "-- why\n/**/\n PRAGMA x",
        ] {
            assert!(is_pragma(sql), "{sql}");
        }
        for sql in [
            "INSERT INTO pragma VALUES (1)",
            "-- PRAGMA x",
            "/* PRAGMA",
            "é",
            "",
        ] {
            assert!(!is_pragma(sql), "{sql}");
        }
    }
}
