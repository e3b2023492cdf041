//! Owns the making and running of plain functions of Node-API: a method of a napi-rs class costs
//! more than all of a small lookup. The functions of one object share data, which each keeps
//! alive until it is collected; what the data is, and what the functions do, others decide.

#![allow(unsafe_code)]

use super::error::{Failure, call};
use napi::bindgen_prelude::JsError;
use napi::{Env, check_status, sys};
use std::ffi::{CStr, c_void};
use std::mem::MaybeUninit;
use std::ptr;
use std::rc::Rc;

/// What a function answers: a value of the running call.
pub(super) type Answer = Result<sys::napi_value, Failure>;

pub(super) type Callback =
    unsafe extern "C" fn(sys::napi_env, sys::napi_callback_info) -> sys::napi_value;

/// A running call of a function that takes at most `N` arguments; further ones are ignored.
pub(super) struct Call<'a, S, const N: usize> {
    pub(super) env: sys::napi_env,
    pub(super) shared: &'a S,
    values: &'a [sys::napi_value; N],
    count: usize,
}

impl<S, const N: usize> Call<'_, S, N> {
    /// The argument at `index`, undefined when there are not so many.
    pub(super) fn value(&self, index: usize) -> sys::napi_value {
        self.values[index]
    }

    /// The arguments that were given.
    pub(super) fn given(&self) -> &[sys::napi_value] {
        self.values.get(..self.count).unwrap_or(self.values)
    }
}

/// Runs a function's work, and throws what goes wrong.
///
/// # Safety
///
/// Node-API calls this with the data that [`object`] gave it, which is an `S`.
pub(super) unsafe fn run<S, const N: usize>(
    env: sys::napi_env,
    info: sys::napi_callback_info,
    operation: &str,
    work: fn(&Call<'_, S, N>) -> Answer,
) -> sys::napi_value {
    let mut count = N;
    let mut values = MaybeUninit::<[sys::napi_value; N]>::uninit();
    let mut data = ptr::null_mut::<c_void>();
    // SAFETY: the array has room for `count` values.
    let status = unsafe {
        sys::napi_get_cb_info(
            env,
            info,
            &raw mut count,
            values.as_mut_ptr().cast(),
            ptr::null_mut(),
            &raw mut data,
        )
    };
    if status != sys::Status::napi_ok || data.is_null() {
        return ptr::null_mut();
    }
    // SAFETY: Node-API has filled all of the array, with undefined where no argument is given;
    // the function keeps its data alive, and is alive itself while it runs.
    let (values, shared) = unsafe { (values.assume_init_ref(), &*data.cast::<S>()) };
    let running = Call {
        env,
        shared,
        values,
        count,
    };
    match call(&Env::from_raw(env), operation, || work(&running)) {
        Ok(value) => value,
        Err(error) => {
            // SAFETY: `env` is the environment of the running call.
            unsafe { JsError::from(error).throw_into(env) };
            ptr::null_mut()
        }
    }
}

/// Makes a callback of Node-API's out of the public method's name and a piece of work.
macro_rules! callback {
    ($operation:literal, $work:expr) => {{
        unsafe extern "C" fn callback(
            env: napi::sys::napi_env,
            info: napi::sys::napi_callback_info,
        ) -> napi::sys::napi_value {
            // SAFETY: handed on as it came.
            unsafe { $crate::node::function::run(env, info, $operation, $work) }
        }
        callback as $crate::node::function::Callback
    }};
}
pub(super) use callback;

/// Makes an object of functions that share data.
///
/// # Safety
///
/// `env` is the environment of the running call; each callback is `callback!`'s, its work on an
/// `S`.
pub(super) unsafe fn object<S>(
    env: sys::napi_env,
    callbacks: &[(&CStr, Callback)],
    shared: &Rc<S>,
) -> napi::Result<sys::napi_value> {
    let mut object = ptr::null_mut();
    // SAFETY: `env` is as the caller says.
    check_status!(unsafe { sys::napi_create_object(env, &raw mut object) })?;
    for (name, callback) in callbacks {
        // SAFETY: as the caller says; the object is of the same environment.
        unsafe { add(env, object, name, *callback, Rc::clone(shared)) }?;
    }
    Ok(object)
}

/// # Safety
///
/// As for [`object`].
unsafe fn add<S>(
    env: sys::napi_env,
    object: sys::napi_value,
    name: &CStr,
    callback: Callback,
    shared: Rc<S>,
) -> napi::Result<()> {
    let data = Rc::into_raw(shared).cast_mut().cast::<c_void>();
    let mut function = ptr::null_mut();
    // SAFETY: the name ends with a NUL; the data stays until the function is collected or the
    // environment ends, when Node-API calls `release`.
    unsafe {
        let status = sys::napi_create_function(
            env,
            name.as_ptr(),
            name.count_bytes() as isize,
            Some(callback),
            data,
            &raw mut function,
        );
        let status = if status == sys::Status::napi_ok {
            sys::napi_add_finalizer(
                env,
                function,
                data,
                Some(release::<S>),
                ptr::null_mut(),
                ptr::null_mut(),
            )
        } else {
            status
        };
        if status != sys::Status::napi_ok {
            release::<S>(env, data, ptr::null_mut());
        }
        check_status!(status)?;
        check_status!(sys::napi_set_named_property(
            env,
            object,
            name.as_ptr(),
            function
        ))
    }
}

/// # Safety
///
/// `data` is the count of an `Rc<S>` that [`add`] gave away, and is released once.
unsafe extern "C" fn release<S>(_: sys::napi_env, data: *mut c_void, _: *mut c_void) {
    // SAFETY: as the caller says.
    drop(unsafe { Rc::from_raw(data.cast::<S>().cast_const()) });
}
