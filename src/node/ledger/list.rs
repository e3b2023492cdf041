//! Owns giving lists of records to JavaScript, in as many chunks as it takes: at once, or read on
//! another thread to be taken chunk by chunk.

#![allow(unsafe_code)]

use super::Ledger;
use super::function::{Answer, Call};
use super::packing::List;
use super::session::read_status;
use crate::error::Error;
use crate::manager::DatabaseManager;
use crate::node::error::{Failure, Optional, call};
use crate::node::interruption::Interruption;
use crate::node::task::Job;
use crate::node::value::Argument;
use crate::packed_row::PackedRows;
use napi::Env;
use napi::bindgen_prelude::{AsyncTask, ToNapiValue, Unknown};
use napi_derive::napi;
use std::cell::RefCell;
use std::collections::VecDeque;

/// Answers with a list: a chunk, an array of chunks, or `null` for a list that is longer than the
/// limit that the argument at `limit_index` gives.
pub(super) fn answer(call: &Call<'_>, limit_index: usize, list: &List) -> Answer {
    let limit = call.limit(limit_index)?;
    call.with_packer(|packer| {
        let packed = call.run(|manager| list.pack(manager, limit, packer))?;
        if packed.is_cut {
            return call.null();
        }
        if packed.full.is_empty() {
            return call.deliver(packer);
        }
        let mut chunks = packed.full;
        chunks.push(packer.finish());
        // SAFETY: `env` is the environment of the running call.
        unsafe { Vec::to_napi_value(call.env, chunks) }.map_err(Failure::JavaScript)
    })
}

/// A list that was read on another thread.
#[napi]
pub struct PackedList {
    chunks: RefCell<VecDeque<PackedRows>>,
}

impl PackedList {
    fn new(chunks: Vec<PackedRows>) -> Self {
        Self {
            chunks: RefCell::new(chunks.into()),
        }
    }
}

#[napi]
impl PackedList {
    /// Gives the next chunk, or undefined when there is none left.
    #[napi(ts_return_type = "import('./lib/rows').PackedRows | undefined")]
    pub fn take(&self) -> Optional<PackedRows> {
        Optional(self.chunks.borrow_mut().pop_front())
    }
}

#[napi]
impl Ledger {
    /// Reads a list off the event loop, through a connection of its own, as it is last committed:
    /// `name` is `findFileHashes`, `listSessions` or `getErrors`, and `filter` what that takes.
    ///
    /// A database in memory has no other connection: the work runs at once, on this one.
    #[napi(ts_return_type = "Promise<PackedList>")]
    pub fn read_list(
        &self,
        env: &Env,
        name: String,
        filter: Unknown<'_>,
        interruption: &Interruption,
    ) -> napi::Result<AsyncTask<Job<PackedList>>> {
        let list = call(env, &name, || read_list(&name, filter))?;
        if self.config.is_memory() {
            let chunks = self.run(env, &name, |manager| Ok(list.pack_all(manager)?))?;
            return Ok(Job::start(name, move || Ok(PackedList::new(chunks))));
        }
        let (config, interruption) = (self.config.clone(), interruption.clone());
        Ok(Job::start(name, move || {
            let mut manager = DatabaseManager::open(config)?;
            manager.stop_when(interruption.question())?;
            list.pack_all(&manager).map(PackedList::new)
        }))
    }
}

fn read_list(name: &str, filter: Unknown<'_>) -> Result<List, Failure> {
    match name {
        "findFileHashes" => Ok(List::FileHashes {
            chat_id: Argument::new("chatId", filter).text()?,
        }),
        "listSessions" => Ok(List::Sessions {
            status: read_status(&Argument::new("status", filter))?,
        }),
        "getErrors" => Ok(List::Errors {
            session_id: Argument::new("sessionId", filter).text()?,
        }),
        _ => Err(Error::Internal("there is no such list".into()).into()),
    }
}
