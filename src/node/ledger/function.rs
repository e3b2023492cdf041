//! Owns the functions of a ledger, as Node-API makes them: a method of a napi-rs class costs more
//! than all of a small lookup. Each keeps its ledger's handle, which may be closed meanwhile.
//!
//! Records cross packed, to be decoded at once by `lib/ledger.js`.

#![allow(unsafe_code)]

use super::handle::Handle;
use super::{batch, file_hash, page, session, setting, upload_error};
use crate::error::Result;
use crate::manager::DatabaseManager;
use crate::node::error::{Failure, call};
use crate::node::row_codec::{Codes, RowPacker};
use crate::node::value::{Argument, check};
use napi::bindgen_prelude::JsError;
use napi::{Env, check_status, sys};
use std::cell::Cell;
use std::ffi::{CStr, c_void};
use std::ptr;
use std::rc::Rc;
use std::sync::Arc;

/// How many arguments a function takes at most.
const MAX_ARGUMENTS: usize = 10;

/// What a function answers: a value of the running call.
pub(super) type Answer = std::result::Result<sys::napi_value, Failure>;

/// What the functions of one ledger share.
struct Shared {
    handle: Arc<Handle>,
    codes: Codes,
    /// Kept from one call to the next.
    packer: Cell<Option<Box<RowPacker>>>,
}

/// A running call.
pub(super) struct Call<'a> {
    pub(super) env: sys::napi_env,
    values: &'a [sys::napi_value; MAX_ARGUMENTS],
    shared: &'a Shared,
}

impl<'a> Call<'a> {
    /// The argument at `index`, which errors call `field`.
    pub(super) fn argument<'f>(&self, index: usize, field: &'f str) -> Argument<'f> {
        Argument {
            field,
            env: self.env,
            value: self.values[index],
        }
    }

    pub(super) fn value(&self, index: usize) -> sys::napi_value {
        self.values[index]
    }

    /// Reads how many records to give at most; without it, all.
    pub(super) fn limit(&self, index: usize) -> std::result::Result<usize, Failure> {
        let limit = self.argument(index, "limit");
        if !limit.is_given() {
            return Ok(usize::MAX);
        }
        Ok(usize::try_from(limit.counter()?).unwrap_or(usize::MAX))
    }

    /// Works with the open manager; arguments are read before, and answers made after.
    pub(super) fn run<T>(&self, work: impl FnOnce(&DatabaseManager) -> Result<T>) -> Result<T> {
        self.shared.handle.with(work)
    }

    /// Packs rows, and answers with them unless `work` says that there is nothing to give.
    pub(super) fn pack(
        &self,
        work: impl FnOnce(&DatabaseManager, &mut RowPacker) -> Result<bool>,
    ) -> Answer {
        self.with_packer(|packer| {
            if !self.run(|manager| work(manager, packer))? {
                return self.undefined();
            }
            self.deliver(packer)
        })
    }

    /// Lends the packer that calls share; one that runs inside another would get its own.
    pub(super) fn with_packer<T>(&self, work: impl FnOnce(&mut RowPacker) -> T) -> T {
        let kept = self.shared.packer.take();
        let mut packer = kept.unwrap_or_else(|| Box::new(RowPacker::new()));
        packer.clear();
        let value = work(&mut packer);
        self.shared.packer.set(Some(packer));
        value
    }

    pub(super) fn deliver(&self, packer: &mut RowPacker) -> Answer {
        // SAFETY: `env` is the environment of the running call, in which the functions were made,
        // and so the one of their codes.
        unsafe { packer.deliver(self.env, self.shared.codes) }.map_err(Failure::JavaScript)
    }

    pub(super) fn undefined(&self) -> Answer {
        // SAFETY: `env` is the environment of the running call; so too below.
        self.made(|value| unsafe { sys::napi_get_undefined(self.env, value) })
    }

    pub(super) fn null(&self) -> Answer {
        self.made(|value| unsafe { sys::napi_get_null(self.env, value) })
    }

    pub(super) fn boolean(&self, boolean: bool) -> Answer {
        self.made(|value| unsafe { sys::napi_get_boolean(self.env, boolean, value) })
    }

    pub(super) fn integer(&self, integer: i64) -> Answer {
        self.made(|value| unsafe { sys::napi_create_int64(self.env, integer, value) })
    }

    fn made(&self, make: impl FnOnce(*mut sys::napi_value) -> sys::napi_status) -> Answer {
        let mut value = ptr::null_mut();
        check(self.env, make(&raw mut value))?;
        Ok(value)
    }
}

type Work = fn(&Call<'_>) -> Answer;

/// Runs a function's work, and throws what goes wrong.
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
    let mut values = [ptr::null_mut(); MAX_ARGUMENTS];
    let mut data = ptr::null_mut::<c_void>();
    // SAFETY: the array has room for `count` values; Node-API writes undefined where none is
    // given.
    let status = unsafe {
        sys::napi_get_cb_info(
            env,
            info,
            &raw mut count,
            values.as_mut_ptr(),
            ptr::null_mut(),
            &raw mut data,
        )
    };
    if status != sys::Status::napi_ok || data.is_null() {
        return ptr::null_mut();
    }
    // SAFETY: this function keeps its data alive, and it is alive itself while it runs.
    let shared = unsafe { &*data.cast::<Shared>() };
    let running = Call {
        env,
        values: &values,
        shared,
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
            env: sys::napi_env,
            info: sys::napi_callback_info,
        ) -> sys::napi_value {
            // SAFETY: handed on as it came.
            unsafe { run(env, info, $operation, $work) }
        }
        callback as Callback
    }};
}

type Callback = unsafe extern "C" fn(sys::napi_env, sys::napi_callback_info) -> sys::napi_value;

/// Makes the object of a ledger's functions; `codes` are those of the environment.
pub(super) fn functions(
    env: &Env,
    handle: &Arc<Handle>,
    codes: Codes,
) -> napi::Result<sys::napi_value> {
    let shared = Rc::new(Shared {
        handle: Arc::clone(handle),
        codes,
        packer: Cell::default(),
    });
    let callbacks = [
        (
            c"isFileUploaded",
            callback!("isFileUploaded", file_hash::is_uploaded),
        ),
        (c"getFileHash", callback!("getFileHash", file_hash::get)),
        (
            c"findFileHashes",
            callback!("findFileHashes", file_hash::list),
        ),
        (c"addFileHash", callback!("addFileHash", file_hash::add)),
        (c"getSession", callback!("getSession", session::get)),
        (c"listSessions", callback!("listSessions", session::list)),
        (c"getErrors", callback!("getErrors", upload_error::list)),
        (c"logError", callback!("logError", upload_error::log)),
        (c"listConfig", callback!("listConfig", setting::list)),
        (
            c"fileHashPage",
            callback!("iterateFileHashes", page::file_hashes),
        ),
        (c"sessionPage", callback!("iterateSessions", page::sessions)),
        (c"errorPage", callback!("iterateErrors", page::errors)),
        (
            c"findUploaded",
            callback!("findUploaded", batch::find_uploaded),
        ),
        (
            c"addFileHashes",
            callback!("addFileHashes", batch::add_file_hashes),
        ),
        (c"logErrors", callback!("logErrors", batch::log_errors)),
        (
            c"updateSessions",
            callback!("updateSessions", batch::update_sessions),
        ),
    ];
    let mut object = ptr::null_mut();
    // SAFETY: the environment is that of the running call.
    check_status!(unsafe { sys::napi_create_object(env.raw(), &raw mut object) })?;
    for (name, callback) in callbacks {
        add(env.raw(), object, name, callback, Rc::clone(&shared))?;
    }
    Ok(object)
}

fn add(
    env: sys::napi_env,
    object: sys::napi_value,
    name: &CStr,
    callback: Callback,
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
