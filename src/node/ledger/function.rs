//! Owns the list of a ledger's functions, and what they share. Each keeps its ledger's handle,
//! which may be closed meanwhile.
//!
//! Records cross packed, to be decoded at once by `lib/ledger.js`.

#![allow(unsafe_code)]

use super::handle::Handle;
use super::{batch, file_hash, page, session, setting, upload_error};
use crate::error::Result;
use crate::manager::DatabaseManager;
use crate::node::error::Failure;
pub(super) use crate::node::function::Answer;
use crate::node::function::{self, callback};
use crate::node::row_codec::Codes;
use crate::node::value::{Argument, check};
use crate::packed_row::RowPacker;
use napi::{Env, sys};
use std::cell::Cell;
use std::ptr;
use std::rc::Rc;
use std::sync::Arc;

/// How many arguments a function takes at most.
const MAX_ARGUMENTS: usize = 10;

/// What the functions of one ledger share.
pub(super) struct Shared {
    handle: Arc<Handle>,
    codes: Codes,
    /// Kept from one call to the next.
    packer: Cell<Option<Box<RowPacker>>>,
}

/// A running call, with its ledger.
pub(super) type Call<'a> = function::Call<'a, Shared, MAX_ARGUMENTS>;

impl Call<'_> {
    /// The argument at `index`, which errors call `field`.
    pub(super) fn argument<'f>(&self, index: usize, field: &'f str) -> Argument<'f> {
        Argument {
            field,
            env: self.env,
            value: self.value(index),
        }
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
        // SAFETY: `env` is the environment of the running call.
        self.made(|value| unsafe { sys::napi_get_undefined(self.env, value) })
    }

    pub(super) fn null(&self) -> Answer {
        // SAFETY: `env` is the environment of the running call.
        self.made(|value| unsafe { sys::napi_get_null(self.env, value) })
    }

    pub(super) fn boolean(&self, boolean: bool) -> Answer {
        // SAFETY: `env` is the environment of the running call.
        self.made(|value| unsafe { sys::napi_get_boolean(self.env, boolean, value) })
    }

    pub(super) fn integer(&self, integer: i64) -> Answer {
        // SAFETY: `env` is the environment of the running call.
        self.made(|value| unsafe { sys::napi_create_int64(self.env, integer, value) })
    }

    fn made(&self, make: impl FnOnce(*mut sys::napi_value) -> sys::napi_status) -> Answer {
        let mut value = ptr::null_mut();
        check(self.env, make(&raw mut value))?;
        Ok(value)
    }
}

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
    // SAFETY: the environment is that of the running call, and all work is on this `Shared`.
    unsafe { function::object(env.raw(), &callbacks, &shared) }
}
