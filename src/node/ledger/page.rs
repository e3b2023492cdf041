//! Owns the ledger's functions on pages of lists: where one begins, and its packed records.
//!
//! They take `(filter, after, rowid, sort, limit)`: the record behind which the page begins, and,
//! from a page that came before, its place. They answer `[rows, rowid, sort]`, the place of the
//! page's last record, or `[rows]` when the list has ended. A page is one chunk.

#![allow(unsafe_code)]

use super::function::{Answer, Call};
use super::packing::pack_record;
use super::session::read_status;
use crate::error::{Error, Result};
use crate::ledger::{file_hash, session, upload_error};
use crate::manager::DatabaseManager;
use crate::node::error::Failure;
use crate::node::value::check;
use crate::packed_row::RowPacker;
use crate::page::{Cursor, Place};
use crate::record_row::RecordRow;
use napi::bindgen_prelude::ToNapiValue;
use napi::sys;
use std::ops::ControlFlow;
use std::ptr;

/// `fileHashPage(chatId, …)`: in the order of insertion.
pub(super) fn file_hashes(call: &Call<'_>) -> Answer {
    let chat_id = call.argument(0, "chat_id").optional_text()?;
    let after = call.argument(1, "after").optional_text()?;
    answer(call, after, |manager, after, limit, visit| {
        manager.ledger(|connection| {
            file_hash::visit_page(connection, chat_id.as_deref(), after, limit, visit)
        })
    })
}

/// `sessionPage(status, …)`: newest first.
pub(super) fn sessions(call: &Call<'_>) -> Answer {
    let status = read_status(&call.argument(0, "status"))?;
    let after = call.argument(1, "after").optional_text()?;
    answer(call, after, |manager, after, limit, visit| {
        manager.ledger(|connection| session::visit_page(connection, status, after, limit, visit))
    })
}

/// `errorPage(sessionId, …)`: by id.
pub(super) fn errors(call: &Call<'_>) -> Answer {
    let session_id = call.argument(0, "session_id").optional_text()?;
    let after = call.argument(1, "after");
    let after = if after.is_absent() {
        None
    } else {
        Some(after.counter()?.to_string())
    };
    answer(call, after, |manager, after, limit, visit| {
        manager.ledger(|connection| {
            upload_error::visit_page(connection, session_id.as_deref(), after, limit, visit)
        })
    })
}

type VisitRow<'a> = &'a mut dyn FnMut(&RecordRow<'_>) -> Result<ControlFlow<()>>;

fn answer(
    call: &Call<'_>,
    after: Option<String>,
    page: impl FnOnce(&DatabaseManager, Option<&Cursor>, usize, VisitRow<'_>) -> Result<Option<Cursor>>,
) -> Answer {
    let after = read_cursor(call, after)?;
    let limit = call.limit(4)?;
    call.with_packer(|packer| {
        let next = call.run(|manager| {
            let mut visit = |row: &RecordRow<'_>| pack_into_chunk(packer, row);
            page(manager, after.as_ref(), limit, &mut visit)
        })?;
        let rows = call.deliver(packer)?;
        make_answer(call.env, rows, next)
    })
}

/// Packs a record, and ends the page once the chunk is full.
fn pack_into_chunk(packer: &mut RowPacker, row: &RecordRow<'_>) -> Result<ControlFlow<()>> {
    pack_record(packer, row)?;
    Ok(if packer.is_full() {
        ControlFlow::Break(())
    } else {
        ControlFlow::Continue(())
    })
}

fn read_cursor(
    call: &Call<'_>,
    after: Option<String>,
) -> std::result::Result<Option<Cursor>, Failure> {
    let Some(key) = after else { return Ok(None) };
    let Some(rowid) = call.argument(2, "rowid").optional_text()? else {
        return Ok(Some(Cursor::after(key)));
    };
    let rowid = rowid
        .parse()
        .map_err(|_| Error::argument("rowid", "is not what a page gave"))?;
    let sort = call
        .argument(3, "sort")
        .optional_text()?
        .unwrap_or_default();
    Ok(Some(Cursor::at(key, Place { rowid, sort })))
}

fn make_answer(env: sys::napi_env, rows: sys::napi_value, next: Option<Cursor>) -> Answer {
    let mut answer = ptr::null_mut();
    // SAFETY: `env` is the environment of the running call, and the values belong to that.
    unsafe {
        check(env, sys::napi_create_array(env, &raw mut answer))?;
        check(env, sys::napi_set_element(env, answer, 0, rows))?;
        if let Some(place) = next.as_ref().and_then(Cursor::place) {
            let texts = [&place.rowid.to_string(), &place.sort];
            for (index, text) in (1..).zip(texts) {
                let text = <&str>::to_napi_value(env, text).map_err(Failure::JavaScript)?;
                check(env, sys::napi_set_element(env, answer, index, text))?;
            }
        }
    }
    Ok(answer)
}
