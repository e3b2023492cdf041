//! Owns the ledger's methods and functions on errors: reading their arguments, packing their
//! records.

use super::Ledger;
use super::function::{Answer, Call};
use super::list;
use super::packing::List;
use crate::ledger::upload_error;
use crate::node::value::{Argument, TextRoom};
use napi::Env;
use napi::bindgen_prelude::Unknown;
use napi_derive::napi;

/// `logError(...fields)`: the error's id.
pub(super) fn log(call: &Call<'_>) -> Answer {
    let mut rooms = [const { TextRoom::new() }; 4];
    let [session, path, kind, message] = &mut rooms;
    let error = upload_error::NewRow {
        session_id: call.argument(0, "session_id").text_in(session)?,
        file_path: call.argument(1, "file_path").text_in(path)?,
        error_type: call.argument(2, "error_type").text_in(kind)?,
        error_message: call.argument(3, "error_message").text_in(message)?,
        retry_count: call.argument(4, "retry_count").counter_or_zero()?,
    };
    let id =
        call.run(|manager| manager.ledger(|connection| upload_error::log(connection, &error)))?;
    call.integer(id)
}

/// `getErrors(sessionId, limit)`: the session's records, by id.
pub(super) fn list(call: &Call<'_>) -> Answer {
    let session_id = call.argument(0, "sessionId").text()?;
    list::answer(call, 1, &List::Errors { session_id })
}

#[napi]
impl Ledger {
    #[napi]
    pub fn increment_retry_count(&self, env: &Env, error_id: Unknown<'_>) -> napi::Result<i64> {
        self.run(env, "incrementRetryCount", |manager| {
            Ok(manager.increment_retry_count(Argument::new("errorId", error_id).counter()?)?)
        })
    }

    #[napi]
    pub fn clear_errors(&self, env: &Env, session_id: Unknown<'_>) -> napi::Result<()> {
        self.run(env, "clearErrors", |manager| {
            Ok(manager.clear_errors(&Argument::new("sessionId", session_id).text()?)?)
        })
    }
}
