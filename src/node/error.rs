//! Owns the crossing of errors: a Rust error becomes an instance of JavaScript's
//! `DatabaseError`, an exception of the caller's own code comes through as it is, and a panic
//! becomes `DB_INTERNAL` instead of the end of the process.

use super::environment::Environment;
use crate::error::Error;
use napi::bindgen_prelude::{FnArgs, Function, FunctionRef, Object, ToNapiValue, Unknown};
use napi::{Env, JsValue};
use std::panic::{AssertUnwindSafe, catch_unwind};

/// What can go wrong inside a method: an error of the ledger, or a JavaScript exception that a
/// getter or a proxy of the caller's threw.
pub(super) enum Failure {
    Ledger(Error),
    JavaScript(napi::Error),
}

impl<E: Into<Error>> From<E> for Failure {
    fn from(error: E) -> Self {
        Self::Ledger(error.into())
    }
}

pub(super) type ErrorArguments<'env> = FnArgs<(String, Object<'env>)>;

/// JavaScript's `DatabaseError`.
pub(super) struct ErrorClass(FunctionRef<ErrorArguments<'static>, Unknown<'static>>);

impl ErrorClass {
    pub(super) fn new(
        class: &Function<'_, ErrorArguments<'static>, Unknown<'static>>,
    ) -> napi::Result<Self> {
        Ok(Self(class.create_ref()?))
    }
}

/// Runs a method's work; `operation` is the public method's name.
pub(super) fn call<T>(
    env: &Env,
    operation: &str,
    work: impl FnOnce() -> Result<T, Failure>,
) -> napi::Result<T> {
    match catch_panic(work) {
        Ok(value) => Ok(value),
        Err(Failure::JavaScript(error)) => Err(error),
        Err(Failure::Ledger(error)) => Err(to_javascript(env, operation, &error)),
    }
}

/// Runs `work` and turns a panic into an error.
pub(super) fn catch_panic<T, E: From<Error>>(work: impl FnOnce() -> Result<T, E>) -> Result<T, E> {
    // Unwind safety: what a panic may leave half-done is SQLite's state, which its own
    // transaction guard rolls back, and values that are dropped with the call.
    catch_unwind(AssertUnwindSafe(work)).unwrap_or_else(|payload| {
        let reason = payload
            .downcast_ref::<&str>()
            .map(|text| (*text).to_owned())
            .or_else(|| payload.downcast_ref::<String>().cloned())
            .unwrap_or_else(|| "panic".to_owned());
        Err(E::from(Error::Internal(reason)))
    })
}

/// Builds the `DatabaseError` of an error.
pub(super) fn to_javascript(env: &Env, operation: &str, error: &Error) -> napi::Error {
    match build(env, operation, error) {
        Ok(value) => napi::Error::from_unknown_without_coercion(value),
        // Only an environment that is being torn down cannot build an object.
        Err(failure) => failure,
    }
}

fn build<'env>(env: &'env Env, operation: &str, error: &Error) -> napi::Result<Unknown<'env>> {
    let mut details = Object::new(env)?;
    details.set("code", error.code())?;
    details.set("operation", operation)?;
    details.set("retryable", error.is_retryable())?;
    if let Some(errno) = error.errno() {
        details.set("errno", errno)?;
    }
    if let Error::Migration { source, .. } = error {
        details.set("cause", build(env, operation, source)?)?;
    }
    let message = format!("{operation}: {error}");
    match env.get_instance_data::<Environment>()? {
        Some(environment) => {
            let class: Function<'_, ErrorArguments<'_>, Unknown<'_>> =
                environment.error_class.0.borrow_back(env)?;
            class.new_instance(FnArgs::from((message, details)))
        }
        None => {
            let plain = env.create_error(napi::Error::from_reason(message))?;
            Ok(plain.to_unknown())
        }
    }
}

/// A value that may be missing: `undefined`, never `null`.
pub struct Optional<T>(pub(super) Option<T>);

impl<T: ToNapiValue> ToNapiValue for Optional<T> {
    #[allow(unsafe_code)]
    unsafe fn to_napi_value(
        env: napi::sys::napi_env,
        value: Self,
    ) -> napi::Result<napi::sys::napi_value> {
        // SAFETY: `env` is the environment of the running call, handed on as it came.
        unsafe {
            match value.0 {
                Some(value) => T::to_napi_value(env, value),
                None => <() as ToNapiValue>::to_napi_value(env, ()),
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_panic_becomes_an_internal_error() {
        let error = catch_panic::<(), Error>(|| panic!("made up")).unwrap_err();
        assert_eq!(error.code(), "DB_INTERNAL");
        assert!(error.to_string().contains("made up"));
        let number = 7;
        let error = catch_panic::<(), Error>(|| panic!("made up {number}")).unwrap_err();
        assert!(error.to_string().contains("made up 7"));
        let error = catch_panic::<(), Error>(|| std::panic::panic_any(1)).unwrap_err();
        assert_eq!(error.code(), "DB_INTERNAL");
        assert_eq!(catch_panic::<_, Error>(|| Ok(1)).unwrap(), 1);
    }
}
