//! Owns the functions that run statements, as Node-API makes them: a method of a napi-rs class
//! costs more than all of a small lookup. Each belongs to one connection, which it keeps alive.
//!
//! The first argument is the statement's number and, in its three low bits, flags; the
//! parameters follow, one by one or as an array.

#![allow(unsafe_code)]

use super::connection::Shared;
use super::error::{Failure, call};
use super::parameter::Parameters;
use super::statement::Answer;
use super::value::check;
use napi::bindgen_prelude::JsError;
use napi::{Env, check_status, sys};
use std::ffi::{CStr, c_void};
use std::mem::MaybeUninit;
use std::ptr;
use std::rc::Rc;

/// How many arguments are taken one by one, the statement's number included.
const MAX_ARGUMENTS: usize = 34;

/// Which statement to run, and how.
#[derive(Clone, Copy)]
pub(super) struct Key {
    pub(super) id: u64,
    /// Whether integers become bigints.
    pub(super) big_integers: bool,
    /// Whether the parameters were given by name, for errors.
    pub(super) is_named: bool,
    /// Whether the parameters come as an array, being too many.
    is_list: bool,
}

impl Key {
    fn new(number: f64) -> Self {
        let number = number as u64;
        Self {
            id: number >> 3,
            big_integers: number & 1 != 0,
            is_named: number & 2 != 0,
            is_list: number & 4 != 0,
        }
    }
}

/// The arguments of a running call.
pub(super) struct Arguments<'a> {
    pub(super) env: sys::napi_env,
    values: &'a [sys::napi_value],
}

impl Arguments<'_> {
    fn number(&self, index: usize) -> Result<f64, Failure> {
        let mut number = 0.0;
        // SAFETY: the handles belong to the call that is running; Node-API refuses null.
        check(self.env, unsafe {
            sys::napi_get_value_double(self.env, self.value(index), &raw mut number)
        })?;
        Ok(number)
    }

    pub(super) fn key(&self) -> Result<Key, Failure> {
        self.number(0).map(Key::new)
    }

    pub(super) fn cursor(&self) -> Result<u64, Failure> {
        Ok(self.number(0)? as u64)
    }

    pub(super) fn batch(&self) -> Result<u64, Failure> {
        Ok(self.number(1)? as u64)
    }

    /// An argument as it is; null when there are not so many.
    pub(super) fn value(&self, index: usize) -> sys::napi_value {
        self.values.get(index).copied().unwrap_or(ptr::null_mut())
    }

    /// An argument that may be left out.
    pub(super) fn given(&self, index: usize) -> Option<sys::napi_value> {
        self.values.get(index).copied()
    }

    pub(super) fn limit(&self) -> Result<usize, Failure> {
        Ok(self.number(1)? as usize)
    }

    /// Reads the parameters; a refusal names them by position, unless it could say better.
    pub(super) fn read_parameters(
        &self,
        key: Key,
        into: &mut Parameters,
    ) -> Result<(), (usize, Failure)> {
        into.clear();
        let values = self.values.get(1..).unwrap_or_default();
        if key.is_list
            && let [list] = values
        {
            return self.read_list(*list, into);
        }
        for (index, value) in values.iter().enumerate() {
            into.push(self.env, *value)
                .map_err(|failure| (index, failure))?;
        }
        Ok(())
    }

    fn read_list(
        &self,
        list: sys::napi_value,
        into: &mut Parameters,
    ) -> Result<(), (usize, Failure)> {
        let mut length = 0;
        // SAFETY: the handles belong to the call that is running.
        check(self.env, unsafe {
            sys::napi_get_array_length(self.env, list, &raw mut length)
        })
        .map_err(|failure| (0, failure))?;
        for index in 0..length {
            let mut value = ptr::null_mut();
            // SAFETY: as above. The array is one of `lib/statement.js`, without getters.
            check(self.env, unsafe {
                sys::napi_get_element(self.env, list, index, &raw mut value)
            })
            .and_then(|()| into.push(self.env, value))
            .map_err(|failure| (index as usize, failure))?;
        }
        Ok(())
    }
}

/// What a function does: it answers with a value of the running call.
type Work = fn(&Shared, &Arguments<'_>) -> Answer;

/// Runs a function's work under its connection, and throws what goes wrong.
///
/// # Safety
///
/// Node-API calls this with the data that [`add`] gave it.
unsafe fn run(
    env: sys::napi_env,
    info: sys::napi_callback_info,
    operation: &str,
    work: Work,
) -> sys::napi_value {
    let mut count = MAX_ARGUMENTS;
    let mut values = [const { MaybeUninit::<sys::napi_value>::uninit() }; MAX_ARGUMENTS];
    let mut data = ptr::null_mut::<c_void>();
    // SAFETY: the array has room for `count` values, and Node-API fills all of it.
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
    // SAFETY: the data is the connection that this function keeps alive, and it is alive itself
    // while it runs; the first `count` values were written.
    let (shared, values) = unsafe {
        let count = count.min(MAX_ARGUMENTS);
        (
            &*data.cast::<Shared>(),
            std::slice::from_raw_parts(values.as_ptr().cast::<sys::napi_value>(), count),
        )
    };
    let arguments = Arguments { env, values };
    match call(&Env::from_raw(env), operation, || work(shared, &arguments)) {
        Ok(value) => value,
        Err(error) => {
            // SAFETY: `env` is the environment of the running call.
            unsafe { JsError::from(error).throw_into(env) };
            ptr::null_mut()
        }
    }
}

/// Makes a callback of Node-API's out of a name and a piece of work.
macro_rules! callback {
    ($operation:literal, $work:expr) => {{
        unsafe extern "C" fn callback(
            env: sys::napi_env,
            info: sys::napi_callback_info,
        ) -> sys::napi_value {
            // SAFETY: handed on as it came.
            unsafe { run(env, info, $operation, $work) }
        }
        ($operation, callback as unsafe extern "C" fn(_, _) -> _)
    }};
}

/// Makes the object of a connection's functions.
pub(super) fn functions(env: &Env, shared: &Rc<Shared>) -> napi::Result<sys::napi_value> {
    use super::{run_many, statement as work};
    let callbacks = [
        (c"get", callback!("get", work::get)),
        (c"all", callback!("all", work::all)),
        (c"run", callback!("run", work::run)),
        (c"more", callback!("all", work::more)),
        (c"iterate", callback!("iterate", work::iterate)),
        (c"next", callback!("iterate", work::next)),
        (c"end", callback!("iterate", work::end)),
        (c"stage", callback!("runMany", run_many::stage)),
        (c"discard", callback!("runMany", run_many::discard)),
        (c"runMany", callback!("runMany", run_many::run_many)),
    ];
    let mut object = ptr::null_mut();
    // SAFETY: the environment is that of the running call.
    check_status!(unsafe { sys::napi_create_object(env.raw(), &raw mut object) })?;
    for (name, (_, callback)) in callbacks {
        add(env.raw(), object, name, callback, Rc::clone(shared))?;
    }
    Ok(object)
}

fn add(
    env: sys::napi_env,
    object: sys::napi_value,
    name: &CStr,
    callback: unsafe extern "C" fn(sys::napi_env, sys::napi_callback_info) -> sys::napi_value,
    shared: Rc<Shared>,
) -> napi::Result<()> {
    unsafe extern "C" fn release(_: sys::napi_env, data: *mut c_void, _: *mut c_void) {
        // SAFETY: this is the count that `add` gave away; Node-API releases it once.
        drop(unsafe { Rc::from_raw(data.cast::<Shared>().cast_const()) });
    }
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
                Some(release),
                ptr::null_mut(),
                ptr::null_mut(),
            )
        } else {
            status
        };
        if status != sys::Status::napi_ok {
            release(env, data, ptr::null_mut());
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
