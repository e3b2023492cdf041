//! Owns answering with a list of records, in as many chunks as it takes.

#![allow(unsafe_code)]

use super::function::{Answer, Call};
use super::packing::List;
use crate::node::error::Failure;
use napi::bindgen_prelude::ToNapiValue;

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
