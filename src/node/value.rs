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
        if self.kind() != ValueType::String {
            return Err(self.refuse("a string"));
        }
        self.string_content()
    }

    /// Reads a string, or nothing.
    pub(super) fn optional_text(&self) -> Result<Option<String>, Failure> {
        if self.is_absent() {
            return Ok(None);
        }
        self.text().map(Some)
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
        let number = self.number()?;
        let range = min as f64..=MAX_SAFE_INTEGER as f64;
        // A fraction of NaN or an infinity is NaN, which is not 0.
        if number.fract() == 0.0 && range.contains(&number) {
            Ok(number as i64)
        } else {
            Err(Failure::Ledger(Error::argument(
                self.field,
                format!("is a number out of range; give a whole number from {min} to 2^53-1"),
            )))
        }
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

    /// Reads the text of a value that is a string.
    ///
    /// A lone surrogate has no UTF-8 form; V8 would put U+FFFD in its place and so store
    /// another text than was given: it is refused.
    pub(super) fn string_content(&self) -> Result<String, Failure> {
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
        let text = String::from_utf8(bytes)
            .map_err(|_| Error::Internal("V8 gave a text that is not UTF-8".into()))?;
        if text.contains('\u{fffd}') {
            self.check_surrogates()?;
        }
        Ok(text)
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
            return Err(Failure::Ledger(Error::argument(
                self.field,
                "is a string with a lone surrogate, which cannot be stored; use well-formed text",
            )));
        }
        Ok(())
    }
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
