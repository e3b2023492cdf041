//! Owns the crossing of records to JavaScript: serde's names and order, nothing said twice.

use napi::Env;
use napi::bindgen_prelude::{ToNapiValue, TypeName};
use napi::{JsValue, ValueType, sys};
use serde::Serialize;

/// A value that becomes a plain JavaScript object, or an array of them.
pub struct Record<T>(pub(super) T);

impl<T> TypeName for Record<T> {
    fn type_name() -> &'static str {
        "Object"
    }

    fn value_type() -> ValueType {
        ValueType::Object
    }
}

impl<T: Serialize> ToNapiValue for Record<T> {
    #[allow(unsafe_code)]
    unsafe fn to_napi_value(env: sys::napi_env, record: Self) -> napi::Result<sys::napi_value> {
        Ok(Env::from_raw(env).to_js_value(&record.0)?.raw())
    }
}
