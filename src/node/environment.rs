//! Owns what the addon keeps for each environment: workers and contexts have their own.

#![allow(unsafe_code)]

use super::error::ErrorClass;
use super::row_codec::Codes;
use crate::page_cache;
use napi::bindgen_prelude::{Function, Unknown};
use napi::{Env, JsValue, check_status, sys};
use napi_derive::napi;
use std::ptr;

/// What belongs to an environment.
pub(super) struct Environment {
    pub(super) error_class: ErrorClass,
    pub(super) codes: Codes,
}

/// Says which version of the package the addon was built from: only that one's JavaScript fits it.
#[napi]
pub fn addon_version() -> &'static str {
    env!("CARGO_PKG_VERSION")
}

/// Tells the addon which class its errors are instances of, and where the codes of small results
/// go (see `lib/rows.js`). Says whether SQLite has the addon's page cache.
#[napi]
pub fn initialize(
    env: &Env,
    #[napi(
        ts_arg_type = "new (message: string, details: { code: string; operation: string; retryable: boolean }) => Error"
    )]
    error_class: Function<'_, super::error::ErrorArguments<'static>, Unknown<'static>>,
    #[napi(ts_arg_type = "Int32Array")] codes: Unknown<'_>,
) -> napi::Result<bool> {
    let environment = Environment {
        error_class: ErrorClass::new(&error_class)?,
        codes: keep_codes(codes)?,
    };
    env.set_instance_data(environment, (), |_| {})?;
    Ok(page_cache::configure())
}

/// Keeps an Int32Array for the rest of the environment's life.
fn keep_codes(array: Unknown<'_>) -> napi::Result<Codes> {
    let array = array.value();
    let (mut kind, mut length, mut data) = (0, 0, ptr::null_mut());
    let mut reference = ptr::null_mut();
    // SAFETY: the handles belong to the call that is running.
    unsafe {
        check_status!(sys::napi_get_typedarray_info(
            array.env,
            array.value,
            &raw mut kind,
            &raw mut length,
            &raw mut data,
            ptr::null_mut(),
            ptr::null_mut(),
        ))?;
        if kind != sys::TypedarrayType::int32_array {
            return Err(napi::Error::from_reason("initialize: not an Int32Array"));
        }
        // Never deleted: it holds the array until the environment ends.
        check_status!(sys::napi_create_reference(
            array.env,
            array.value,
            1,
            &raw mut reference
        ))?;
        // SAFETY: the array is held from here on, and `lib/rows.js` never gives it, or its
        // buffer, to anyone who could detach it.
        Ok(Codes::new(data.cast(), length))
    }
}

/// Finds where the codes of small results go.
pub(super) fn codes(env: &Env) -> napi::Result<Codes> {
    match env.get_instance_data::<Environment>()? {
        Some(environment) => Ok(environment.codes),
        None => Err(napi::Error::from_reason("the addon is not initialized")),
    }
}
