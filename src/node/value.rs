//! Owns the reading of JavaScript values: raw, without coercion, and naming the field and the
//! kind of value when it is not what it must be.
//!
//! `u32` arguments would wrap -1 silently and `Option<u32>` would take 1.5, so every number is
//! read as a double and checked.

#![allow(unsafe_code)]

use super::error::Failure;
use crate::error::Error;
use crate::record::MAX_SAFE_INTEGER;
use napi::bindgen_prelude::Unknown;
use napi::{JsValue, Status, ValueType, sys};
use std::mem::MaybeUninit;
use std::ptr;

/// A JavaScript value under the name by which an error calls it.
#[derive(Clone, Copy)]
pub(super) struct Argument<'a> {
    pub(super) field: &'a str,
    pub(super) env: sys::napi_env,
    pub(super) value: sys::napi_value,
}

impl<'a> Argument<'a> {
    pub(super) fn new(field: &'a str, value: Unknown<'_>) -> Self {
        let value = value.value();
        Self {
            field,
            env: value.env,
            value: value.value,
        }
    }

    /// Refuses the value.
    pub(super) fn refuse(&self, expected: &str) -> Failure {
        Failure::Ledger(Error::argument(
            self.field,
            format!("must be {expected}, not {}", kind_name(self.kind())),
        ))
    }

    pub(super) fn kind(&self) -> ValueType {
        let mut kind = 0;
        // SAFETY: both handles belong to the call that is running.
        match unsafe { sys::napi_typeof(self.env, self.value, &raw mut kind) } {
            sys::Status::napi_ok => ValueType::from(kind),
            _ => ValueType::Unknown,
        }
    }

    /// Says whether nothing was given: `undefined`, or `null` for "none".
    pub(super) fn is_absent(&self) -> bool {
        matches!(self.kind(), ValueType::Undefined | ValueType::Null)
    }

    /// Says whether a value was given at all, `null` included.
    pub(super) fn is_given(&self) -> bool {
        self.kind() != ValueType::Undefined
    }

    /// Reads a string.
    pub(super) fn text(&self) -> Result<String, Failure> {
        self.text_in(&mut TextRoom::new()).map(str::to_owned)
    }

    /// Reads a string, or nothing.
    pub(super) fn optional_text(&self) -> Result<Option<String>, Failure> {
        let mut room = TextRoom::new();
        Ok(self.optional_text_in(&mut room)?.map(str::to_owned))
    }

    /// Reads a string into `room`, or nothing.
    pub(super) fn optional_text_in<'r>(
        &self,
        room: &'r mut TextRoom,
    ) -> Result<Option<&'r str>, Failure> {
        if self.is_absent() {
            return Ok(None);
        }
        self.text_in(room).map(Some)
    }

    /// Reads a string into `room`: with one call, unless it is long.
    ///
    /// A lone surrogate has no UTF-8 form; V8 would put U+FFFD in its place and so store
    /// another text than was given: it is refused.
    pub(super) fn text_in<'r>(&self, room: &'r mut TextRoom) -> Result<&'r str, Failure> {
        let mut length = 0;
        // SAFETY: the buffer is as long as is said; both handles belong to the running call.
        let status = unsafe {
            sys::napi_get_value_string_utf8(
                self.env,
                self.value,
                room.short.as_mut_ptr().cast(),
                TextRoom::LENGTH,
                &raw mut length,
            )
        };
        if status == sys::Status::napi_string_expected {
            return Err(self.refuse("a string"));
        }
        check(self.env, status)?;
        let text = if length < TextRoom::SURE {
            // SAFETY: Node-API has written `length` bytes, fewer than there are.
            let bytes = unsafe { std::slice::from_raw_parts(room.short.as_ptr().cast(), length) };
            std::str::from_utf8(bytes).map_err(|_| not_utf8())?
        } else {
            room.long = self.long_text()?;
            &room.long
        };
        if !text.is_ascii() && text.contains('\u{fffd}') {
            self.check_surrogates()?;
        }
        Ok(text)
    }

    /// Reads a whole number from 0 to 2^53-1.
    pub(super) fn counter(&self) -> Result<i64, Failure> {
        self.integer(0)
    }

    /// Reads a whole number from 0 to 2^53-1, or 0 when nothing was given.
    pub(super) fn counter_or_zero(&self) -> Result<i64, Failure> {
        if self.is_absent() {
            Ok(0)
        } else {
            self.counter()
        }
    }

    /// Reads a whole number from -(2^53-1) to 2^53-1, or 0 when nothing was given.
    pub(super) fn delta_or_zero(&self) -> Result<i64, Failure> {
        if self.is_absent() {
            Ok(0)
        } else {
            self.integer(-MAX_SAFE_INTEGER)
        }
    }

    fn integer(&self, min: i64) -> Result<i64, Failure> {
        if self.kind() != ValueType::Number {
            return Err(self.refuse("a number"));
        }
        Ok(whole_number(self.field, self.number()?, min)?)
    }

    /// Reads the number of a value that is one.
    pub(super) fn number(&self) -> Result<f64, Failure> {
        let mut number = 0.0;
        // SAFETY: both handles belong to the call that is running.
        check(self.env, unsafe {
            sys::napi_get_value_double(self.env, self.value, &raw mut number)
        })?;
        Ok(number)
    }

    /// Reads a string of any length.
    fn long_text(&self) -> Result<String, Failure> {
        let mut length = 0;
        // SAFETY: a null buffer asks for the length alone.
        check(self.env, unsafe {
            sys::napi_get_value_string_utf8(
                self.env,
                self.value,
                ptr::null_mut(),
                0,
                &raw mut length,
            )
        })?;
        let mut bytes = vec![0u8; length + 1];
        // SAFETY: the buffer has room for the text and the NUL that is written behind it.
        check(self.env, unsafe {
            sys::napi_get_value_string_utf8(
                self.env,
                self.value,
                bytes.as_mut_ptr().cast(),
                bytes.len(),
                &raw mut length,
            )
        })?;
        bytes.truncate(length);
        Ok(String::from_utf8(bytes).map_err(|_| not_utf8())?)
    }

    pub(super) fn check_surrogates(&self) -> Result<(), Failure> {
        let mut length = 0;
        // SAFETY: a null buffer asks for the length alone.
        check(self.env, unsafe {
            sys::napi_get_value_string_utf16(
                self.env,
                self.value,
                ptr::null_mut(),
                0,
                &raw mut length,
            )
        })?;
        let mut units = vec![0u16; length + 1];
        // SAFETY: the buffer has room for the text and the NUL that is written behind it.
        check(self.env, unsafe {
            sys::napi_get_value_string_utf16(
                self.env,
                self.value,
                units.as_mut_ptr(),
                units.len(),
                &raw mut length,
            )
        })?;
        units.truncate(length);
        if char::decode_utf16(units).any(|unit| unit.is_err()) {
            return Err(Failure::Ledger(lone_surrogate(self.field)));
        }
        Ok(())
    }
}

/// Takes a number that must be whole, from `min` to 2^53-1.
pub(super) fn whole_number(field: &str, number: f64, min: i64) -> Result<i64, Error> {
    let range = min as f64..=MAX_SAFE_INTEGER as f64;
    // A fraction of NaN or an infinity is NaN, which is not 0.
    if number.fract() == 0.0 && range.contains(&number) {
        return Ok(number as i64);
    }
    Err(Error::argument(
        field,
        format!("is a number out of range; give a whole number from {min} to 2^53-1"),
    ))
}

/// Refuses a string that has no UTF-8 form.
pub(super) fn lone_surrogate(field: &str) -> Error {
    Error::argument(
        field,
        "is a string with a lone surrogate, which cannot be stored; use well-formed text",
    )
}

/// Where a string is read to: a short one takes no memory of its own.
pub(super) struct TextRoom {
    short: [MaybeUninit<u8>; TextRoom::LENGTH],
    long: String,
}

impl TextRoom {
    const LENGTH: usize = 256;

    /// A text that leaves this much room is whole: V8 leaves out a last character that does not
    /// fit, of at most four bytes, and needs one byte for a NUL.
    const SURE: usize = Self::LENGTH - 4;

    pub(super) const fn new() -> Self {
        Self {
            short: [const { MaybeUninit::uninit() }; Self::LENGTH],
            long: String::new(),
        }
    }
}

fn not_utf8() -> Error {
    Error::Internal("V8 gave a text that is not UTF-8".into())
}

/// Turns a status into an error: a pending exception of the caller's code is taken as it is.
pub(super) fn check(env: sys::napi_env, status: sys::napi_status) -> Result<(), Failure> {
    if status == sys::Status::napi_ok {
        return Ok(());
    }
    let mut pending = false;
    // SAFETY: `env` is the environment of the running call.
    unsafe { sys::napi_is_exception_pending(env, &raw mut pending) };
    if pending {
        // The exception stays pending and is thrown, unchanged, when the call returns.
        return Err(Failure::JavaScript(napi::Error::from_status(
            Status::PendingException,
        )));
    }
    Err(Failure::Ledger(Error::Internal(format!(
        "Node-API answered {}",
        Status::from(status)
    ))))
}

/// Names a kind of value for people.
pub(super) fn kind_name(kind: ValueType) -> &'static str {
    match kind {
        ValueType::Undefined => "undefined",
        ValueType::Null => "null",
        ValueType::Boolean => "a boolean",
        ValueType::Number => "a number",
        ValueType::String => "a string",
        ValueType::Symbol => "a symbol",
        ValueType::Object => "an object",
        ValueType::Function => "a function",
        ValueType::BigInt => "a bigint",
        _ => "a value of another kind",
    }
}
