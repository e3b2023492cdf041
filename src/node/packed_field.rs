//! Owns taking packed values out of JavaScript's string and arrays, and reading one under the name by
//! which an error calls it.
//!
//! All is copied before anything runs: JavaScript may do with its arrays what it likes after.

#![allow(unsafe_code)]

use super::error::Failure;
use super::value::{check, lone_surrogate, whole_number};
use crate::error::{Error, Result};
use crate::packed_value::{PackedValue, PackedValues, malformed};
use napi::sys;
use std::ptr;

/// A packed value under the name by which an error calls it; it is read as an `Argument` is.
#[derive(Debug, Clone, Copy)]
pub(super) struct Field<'a> {
    name: &'static str,
    value: PackedValue<'a>,
}

impl<'a> Field<'a> {
    pub(super) fn new(name: &'static str, value: PackedValue<'a>) -> Self {
        Self { name, value }
    }

    fn refuse(self, expected: &str) -> Error {
        let kind = self.value.kind_name();
        Error::argument(self.name, format!("must be {expected}, not {kind}"))
    }

    fn is_absent(self) -> bool {
        matches!(self.value, PackedValue::Undefined | PackedValue::Null)
    }

    /// Says whether a value was given at all, `null` included.
    pub(super) fn is_given(self) -> bool {
        self.value != PackedValue::Undefined
    }

    /// Reads a string.
    pub(super) fn text(self) -> Result<&'a str> {
        match self.value {
            PackedValue::Text(text) => Ok(text),
            PackedValue::Torn => Err(lone_surrogate(self.name)),
            _ => Err(self.refuse("a string")),
        }
    }

    /// Reads a string, or nothing.
    pub(super) fn optional_text(self) -> Result<Option<&'a str>> {
        if self.is_absent() {
            return Ok(None);
        }
        self.text().map(Some)
    }

    /// Reads a whole number from 0 to 2^53-1.
    pub(super) fn counter(self) -> Result<i64> {
        match self.value {
            PackedValue::Number(number) => whole_number(self.name, number, 0),
            _ => Err(self.refuse("a number")),
        }
    }

    /// Reads a whole number from 0 to 2^53-1, or 0 when nothing was given.
    pub(super) fn counter_or_zero(self) -> Result<i64> {
        if self.is_absent() {
            Ok(0)
        } else {
            self.counter()
        }
    }
}

impl PackedValues {
    /// Reads what a packer packed: its string, its codes, and its blobs, if there are any.
    pub(super) fn read(
        env: sys::napi_env,
        text: sys::napi_value,
        codes: sys::napi_value,
        blobs: Option<sys::napi_value>,
    ) -> std::result::Result<Self, Failure> {
        let codes = read_array::<i32>(env, codes)?;
        let blobs = match blobs {
            Some(blobs) => read_array::<u8>(env, blobs)?,
            None => Vec::new(),
        };
        let utf8 = String::from_utf8(read_utf8(env, text)?).map_err(|_| malformed())?;
        Self::from_packed(utf8, codes, blobs, || read_utf16(env, text))
    }
}

/// Reads a string as UTF-8.
fn read_utf8(env: sys::napi_env, string: sys::napi_value) -> std::result::Result<Vec<u8>, Failure> {
    let mut length = 0;
    // SAFETY: a null buffer asks for the length alone.
    check(env, unsafe {
        sys::napi_get_value_string_utf8(env, string, ptr::null_mut(), 0, &raw mut length)
    })?;
    let mut bytes = Vec::<u8>::with_capacity(length + 1);
    // SAFETY: there is room for the text and the NUL that is written behind it; of that, Node-API
    // has written `length` bytes.
    unsafe {
        check(
            env,
            sys::napi_get_value_string_utf8(
                env,
                string,
                bytes.as_mut_ptr().cast(),
                length + 1,
                &raw mut length,
            ),
        )?;
        bytes.set_len(length);
    }
    Ok(bytes)
}

/// Reads a string as it is.
fn read_utf16(
    env: sys::napi_env,
    string: sys::napi_value,
) -> std::result::Result<Vec<u16>, Failure> {
    let mut length = 0;
    // SAFETY: a null buffer asks for the length alone.
    check(env, unsafe {
        sys::napi_get_value_string_utf16(env, string, ptr::null_mut(), 0, &raw mut length)
    })?;
    let mut units = vec![0u16; length + 1];
    // SAFETY: there is room for the text and the NUL that is written behind it.
    check(env, unsafe {
        sys::napi_get_value_string_utf16(
            env,
            string,
            units.as_mut_ptr(),
            units.len(),
            &raw mut length,
        )
    })?;
    units.truncate(length);
    Ok(units)
}

/// An element of the arrays that a packer makes.
trait Element: Copy {
    const KIND: sys::napi_typedarray_type;
}

impl Element for i32 {
    const KIND: sys::napi_typedarray_type = sys::TypedarrayType::int32_array;
}

impl Element for u8 {
    const KIND: sys::napi_typedarray_type = sys::TypedarrayType::uint8_array;
}

/// Copies a typed array's elements.
fn read_array<T: Element>(
    env: sys::napi_env,
    array: sys::napi_value,
) -> std::result::Result<Vec<T>, Failure> {
    let (mut kind, mut length, mut data) = (0, 0, ptr::null_mut());
    // SAFETY: the handles belong to the call that is running.
    check(env, unsafe {
        sys::napi_get_typedarray_info(
            env,
            array,
            &raw mut kind,
            &raw mut length,
            &raw mut data,
            ptr::null_mut(),
            ptr::null_mut(),
        )
    })?;
    if kind != T::KIND {
        return Err(malformed().into());
    }
    if data.is_null() || length == 0 {
        return Ok(Vec::new());
    }
    // SAFETY: `data` and `length` describe elements of this kind, which stay where they are until
    // JavaScript runs again; V8 aligns them by their size.
    Ok(unsafe { std::slice::from_raw_parts(data.cast::<T>(), length) }.to_vec())
}
