//! Owns the reading of a JavaScript configuration object.

#![allow(unsafe_code)]

use super::error::{Failure, call};
use super::record::Record;
use super::value::{Argument, check, kind_name};
use crate::config::{DatabaseConfig, RawValue};
use crate::error::Error;
use napi::bindgen_prelude::Unknown;
use napi::{Env, ValueType, sys};
use napi_derive::napi;
use std::ptr;

/// Validates a configuration and returns it with every default filled in; `operation` is the
/// public name that was called.
#[napi(ts_return_type = "import('./index').ResolvedConfig")]
pub fn validate_config(
    env: &Env,
    config: Unknown<'_>,
    operation: String,
) -> napi::Result<Record<DatabaseConfig>> {
    call(env, &operation, || Ok(Record(read_config(config)?)))
}

/// Reads and validates a configuration.
pub(super) fn read_config(config: Unknown<'_>) -> Result<DatabaseConfig, Failure> {
    let object = Argument::new("config", config);
    if object.kind() != ValueType::Object {
        let problem = format!("it must be an object, not {}", kind_name(object.kind()));
        return Err(Failure::Ledger(Error::InvalidConfig {
            problems: vec![problem],
        }));
    }
    let mut options = Vec::new();
    for name in own_names(&object)? {
        let value = Argument {
            field: &name,
            ..property(&object, &name)?
        };
        let raw = match value.kind() {
            ValueType::Undefined | ValueType::Null => RawValue::Absent,
            ValueType::Boolean => RawValue::Bool(boolean(&value)?),
            ValueType::Number => RawValue::Number(value.number()?),
            ValueType::String => match value.text() {
                Ok(text) => RawValue::Text(text),
                Err(Failure::Ledger(_)) => RawValue::Other("a string with a lone surrogate"),
                Err(exception) => return Err(exception),
            },
            other => RawValue::Other(kind_name(other)),
        };
        options.push((name, raw));
    }
    let options = options
        .iter()
        .map(|(name, raw)| (name.as_str(), raw.clone()));
    Ok(DatabaseConfig::from_options(options)?)
}

fn own_names(object: &Argument<'_>) -> Result<Vec<String>, Failure> {
    let env = object.env;
    let mut names = ptr::null_mut();
    let mut length = 0;
    // SAFETY: the handles belong to the call that is running; a proxy's traps may run, and
    // nothing of ours is borrowed meanwhile.
    unsafe {
        check(
            env,
            sys::napi_get_all_property_names(
                env,
                object.value,
                sys::KeyCollectionMode::own_only,
                sys::KeyFilter::enumerable | sys::KeyFilter::skip_symbols,
                sys::KeyConversion::numbers_to_strings,
                &raw mut names,
            ),
        )?;
        check(env, sys::napi_get_array_length(env, names, &raw mut length))?;
    }
    (0..length)
        .map(|index| {
            let mut value = ptr::null_mut();
            // SAFETY: `index` is below the array's length.
            check(env, unsafe {
                sys::napi_get_element(env, names, index, &raw mut value)
            })?;
            let name = Argument {
                field: "config",
                env,
                value,
            };
            match name.text() {
                // No option is called so: the report says that it is not known.
                Err(Failure::Ledger(_)) => Ok("an option whose name is not well-formed".to_owned()),
                name => name,
            }
        })
        .collect()
}

/// Reads a property, which may call a getter of the caller's.
pub(super) fn property<'a>(object: &Argument<'a>, name: &str) -> Result<Argument<'a>, Failure> {
    let env = object.env;
    let (mut key, mut value) = (ptr::null_mut(), ptr::null_mut());
    // SAFETY: the name's pointer and length are those of a valid text; the handles belong to the
    // call that is running.
    unsafe {
        check(
            env,
            sys::napi_create_string_utf8(
                env,
                name.as_ptr().cast(),
                name.len() as isize,
                &raw mut key,
            ),
        )?;
        check(
            env,
            sys::napi_get_property(env, object.value, key, &raw mut value),
        )?;
    }
    Ok(Argument { value, ..*object })
}

fn boolean(value: &Argument<'_>) -> Result<bool, Failure> {
    let mut flag = false;
    // SAFETY: both handles belong to the call that is running.
    check(value.env, unsafe {
        sys::napi_get_value_bool(value.env, value.value, &raw mut flag)
    })?;
    Ok(flag)
}
