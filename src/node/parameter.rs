//! Owns reading a statement's parameters: JavaScript values into one run of bytes that SQLite
//! binds without copying it once more.
//!
//! `lib/statement.js` has read the caller's array or object before: nothing of the caller's runs
//! here.

#![allow(unsafe_code)]

use super::error::Failure;
use super::value::{Argument, check};
use crate::error::Error;
use crate::record::MAX_SAFE_INTEGER;
use napi::{ValueType, sys};
use std::ops::Range;
use std::ptr;

/// A value that SQLite can store.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) enum Value<'a> {
    Null,
    Integer(i64),
    Real(f64),
    Text(&'a [u8]),
    Blob(&'a [u8]),
}

#[derive(Debug)]
enum Cell {
    Null,
    Integer(i64),
    Real(f64),
    Text(Range<usize>),
    Blob(Range<usize>),
}

/// How much room a string is read into before its length is asked for.
const FIRST_ROOM: usize = 256;

/// How much memory is kept from one call to the next.
const KEPT_BYTES: usize = 64 * 1024;

/// The values of all parameters of one run of a statement.
#[derive(Debug, Default)]
pub(super) struct Parameters {
    cells: Vec<Cell>,
    bytes: Vec<u8>,
}

impl Parameters {
    pub(super) fn len(&self) -> usize {
        self.cells.len()
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = Value<'_>> {
        self.cells.iter().map(|cell| match cell {
            Cell::Null => Value::Null,
            Cell::Integer(integer) => Value::Integer(*integer),
            Cell::Real(real) => Value::Real(*real),
            Cell::Text(range) => Value::Text(&self.bytes[range.clone()]),
            Cell::Blob(range) => Value::Blob(&self.bytes[range.clone()]),
        })
    }

    /// Forgets the values and keeps the memory, up to a bound.
    pub(super) fn clear(&mut self) {
        self.cells.clear();
        self.bytes.clear();
        self.bytes.shrink_to(KEPT_BYTES);
    }

    /// Reads one more value.
    ///
    /// # Errors
    ///
    /// A refusal that leaves the field's name empty.
    pub(super) fn push(
        &mut self,
        env: sys::napi_env,
        value: sys::napi_value,
    ) -> Result<(), Failure> {
        let argument = Argument {
            field: "",
            env,
            value,
        };
        let cell = match argument.kind() {
            ValueType::String => self.read_text(&argument)?,
            ValueType::Number => read_number(argument.number()?)?,
            ValueType::Undefined | ValueType::Null => Cell::Null,
            ValueType::BigInt => read_bigint(&argument)?,
            ValueType::Object => self.read_bytes(&argument)?,
            _ => return Err(refuse(&argument)),
        };
        self.cells.push(cell);
        Ok(())
    }

    /// Reads a string behind the bytes that are there: with one call, unless it is long.
    ///
    /// A lone surrogate has no UTF-8 form; V8 would put U+FFFD in its place and so store another
    /// text than was given: it is refused.
    fn read_text(&mut self, argument: &Argument<'_>) -> Result<Cell, Failure> {
        let start = self.bytes.len();
        let mut length = self.write_text(argument, start, FIRST_ROOM)?;
        // V8 leaves out a last character that does not fit whole, of at most four bytes, and
        // needs one byte for a NUL.
        if length + 5 > FIRST_ROOM {
            let mut whole = 0;
            // SAFETY: a null buffer asks for the length alone.
            check(argument.env, unsafe {
                sys::napi_get_value_string_utf8(
                    argument.env,
                    argument.value,
                    ptr::null_mut(),
                    0,
                    &raw mut whole,
                )
            })?;
            if whole != length {
                length = self.write_text(argument, start, whole + 1)?;
            }
        }
        self.bytes.truncate(start + length);
        let text = &self.bytes[start..];
        if !text.is_ascii() && text.windows(3).any(|bytes| bytes == "\u{fffd}".as_bytes()) {
            argument.check_surrogates()?;
        }
        Ok(Cell::Text(start..start + length))
    }

    /// Lets V8 write a string from `start`, where there are to be `room` bytes; answers how many
    /// it wrote.
    fn write_text(
        &mut self,
        argument: &Argument<'_>,
        start: usize,
        room: usize,
    ) -> Result<usize, Failure> {
        self.bytes.resize(start + room, 0);
        let mut length = 0;
        // SAFETY: there are `room` bytes from `start`.
        check(argument.env, unsafe {
            sys::napi_get_value_string_utf8(
                argument.env,
                argument.value,
                self.bytes.as_mut_ptr().add(start).cast(),
                room,
                &raw mut length,
            )
        })?;
        Ok(length)
    }

    /// Copies the bytes of a Uint8Array; a Buffer is one.
    fn read_bytes(&mut self, argument: &Argument<'_>) -> Result<Cell, Failure> {
        let mut typed = false;
        // SAFETY: the handles belong to the call that is running.
        check(argument.env, unsafe {
            sys::napi_is_typedarray(argument.env, argument.value, &raw mut typed)
        })?;
        if !typed {
            return Err(refuse(argument));
        }
        let (mut kind, mut length, mut data) = (0, 0, ptr::null_mut());
        let start = self.bytes.len();
        // SAFETY: the value is a typed array; `data` and `length` describe memory that stays
        // where it is until JavaScript runs again, which it does not before the copy is made.
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
                return Err(refuse(argument));
            }
            if !data.is_null() && length > 0 {
                self.bytes
                    .extend_from_slice(std::slice::from_raw_parts(data.cast::<u8>(), length));
            }
        }
        Ok(Cell::Blob(start..self.bytes.len()))
    }
}

fn refuse(argument: &Argument<'_>) -> Failure {
    argument.refuse("a string, a number, a bigint, null or a Uint8Array")
}

/// Whole numbers are stored as integers, so that `typeof` and division mean what they say.
fn read_number(number: f64) -> Result<Cell, Failure> {
    if number.is_nan() {
        return Err(Failure::Ledger(Error::argument(
            "",
            "is NaN, which SQLite would store as NULL; give a number or null",
        )));
    }
    if number.fract() == 0.0 && number.abs() <= MAX_SAFE_INTEGER as f64 {
        Ok(Cell::Integer(number as i64))
    } else {
        Ok(Cell::Real(number))
    }
}

fn read_bigint(argument: &Argument<'_>) -> Result<Cell, Failure> {
    let (mut integer, mut lossless) = (0, false);
    // SAFETY: the handles belong to the call that is running, and the value is a bigint.
    check(argument.env, unsafe {
        sys::napi_get_value_bigint_int64(
            argument.env,
            argument.value,
            &raw mut integer,
            &raw mut lossless,
        )
    })?;
    if lossless {
        return Ok(Cell::Integer(integer));
    }
    Err(Failure::Ledger(Error::argument(
        "",
        "is a bigint beyond 64 bits, which SQLite cannot store",
    )))
}
