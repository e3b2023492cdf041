//! Owns the ledger's methods and functions on sessions: reading their arguments, packing their
//! records.

use super::Ledger;
use super::function::{Answer, Call};
use super::list;
use super::packing::{List, pack_record};
use crate::ledger::session;
use crate::node::error::Failure;
use crate::node::value::{Argument, TextRoom};
use crate::record::{NewSession, SessionChanges, SessionDeltas, SessionStatus};
use crate::record_row::RecordRow;
use napi::Env;
use napi::bindgen_prelude::Unknown;
use napi_derive::napi;

/// `getSession(id)`: its record, or undefined.
pub(super) fn get(call: &Call<'_>) -> Answer {
    let mut room = TextRoom::new();
    let id = call.argument(0, "id").text_in(&mut room)?;
    call.pack(|manager, packer| {
        let visit = |row: &RecordRow<'_>| pack_record(packer, row);
        let found = manager.ledger(|connection| session::visit_one(connection, id, visit))?;
        Ok(found.is_some())
    })
}

/// `listSessions(status, limit)`: the records, newest first.
pub(super) fn list(call: &Call<'_>) -> Answer {
    let status = read_status(&call.argument(0, "status"))?;
    list::answer(call, 1, &List::Sessions { status })
}

/// Reads a status, or nothing.
pub(super) fn read_status(argument: &Argument<'_>) -> Result<Option<SessionStatus>, Failure> {
    let mut room = TextRoom::new();
    let status = argument.optional_text_in(&mut room)?;
    Ok(status.map(SessionStatus::parse).transpose()?)
}

#[napi]
impl Ledger {
    #[napi]
    #[allow(clippy::too_many_arguments)]
    pub fn create_session(
        &self,
        env: &Env,
        chat_id: Unknown<'_>,
        chat_name: Unknown<'_>,
        start_time: Unknown<'_>,
        last_update: Unknown<'_>,
        total_files: Unknown<'_>,
        processed_files: Unknown<'_>,
        success_count: Unknown<'_>,
        error_count: Unknown<'_>,
        duplicate_count: Unknown<'_>,
        status: Unknown<'_>,
        last_processed_file: Unknown<'_>,
        id: Unknown<'_>,
        created_at: Unknown<'_>,
    ) -> napi::Result<String> {
        self.run(env, "createSession", |manager| {
            let status = Argument::new("status", status).optional_text()?;
            let session = NewSession {
                id: Argument::new("id", id).optional_text()?,
                chat_id: Argument::new("chat_id", chat_id).text()?,
                chat_name: Argument::new("chat_name", chat_name).text()?,
                start_time: Argument::new("start_time", start_time).text()?,
                last_update: Argument::new("last_update", last_update).text()?,
                total_files: Argument::new("total_files", total_files).counter()?,
                processed_files: Argument::new("processed_files", processed_files)
                    .counter_or_zero()?,
                success_count: Argument::new("success_count", success_count).counter_or_zero()?,
                error_count: Argument::new("error_count", error_count).counter_or_zero()?,
                duplicate_count: Argument::new("duplicate_count", duplicate_count)
                    .counter_or_zero()?,
                status: match status {
                    Some(status) => SessionStatus::parse(&status)?,
                    None => SessionStatus::Running,
                },
                last_processed_file: Argument::new("last_processed_file", last_processed_file)
                    .optional_text()?,
                created_at: Argument::new("created_at", created_at).optional_text()?,
            };
            Ok(manager.create_session(&session)?)
        })
    }

    #[napi]
    #[allow(clippy::too_many_arguments)]
    pub fn update_session(
        &self,
        env: &Env,
        id: Unknown<'_>,
        chat_id: Unknown<'_>,
        chat_name: Unknown<'_>,
        start_time: Unknown<'_>,
        last_update: Unknown<'_>,
        total_files: Unknown<'_>,
        processed_files: Unknown<'_>,
        success_count: Unknown<'_>,
        error_count: Unknown<'_>,
        duplicate_count: Unknown<'_>,
        status: Unknown<'_>,
        last_processed_file: Unknown<'_>,
    ) -> napi::Result<()> {
        // A column that cannot hold NULL is left alone by undefined and refuses null.
        let text = |field, value| {
            let argument = Argument::new(field, value);
            argument.is_given().then(|| argument.text()).transpose()
        };
        let counter = |field, value| {
            let argument = Argument::new(field, value);
            argument.is_given().then(|| argument.counter()).transpose()
        };
        let last_file = Argument::new("last_processed_file", last_processed_file);
        self.run(env, "updateSession", |manager| {
            let id = Argument::new("id", id).text()?;
            let changes = SessionChanges {
                chat_id: text("chat_id", chat_id)?,
                chat_name: text("chat_name", chat_name)?,
                start_time: text("start_time", start_time)?,
                last_update: text("last_update", last_update)?,
                total_files: counter("total_files", total_files)?,
                processed_files: counter("processed_files", processed_files)?,
                success_count: counter("success_count", success_count)?,
                error_count: counter("error_count", error_count)?,
                duplicate_count: counter("duplicate_count", duplicate_count)?,
                status: text("status", status)?
                    .map(|status| SessionStatus::parse(&status))
                    .transpose()?,
                last_processed_file: last_file
                    .is_given()
                    .then(|| last_file.optional_text())
                    .transpose()?,
            };
            Ok(manager.update_session(&id, &changes)?)
        })
    }

    #[napi]
    #[allow(clippy::too_many_arguments)]
    pub fn increment_session(
        &self,
        env: &Env,
        id: Unknown<'_>,
        total_files: Unknown<'_>,
        processed_files: Unknown<'_>,
        success_count: Unknown<'_>,
        error_count: Unknown<'_>,
        duplicate_count: Unknown<'_>,
    ) -> napi::Result<()> {
        self.run(env, "incrementSession", |manager| {
            let id = Argument::new("id", id).text()?;
            let deltas = SessionDeltas {
                total_files: Argument::new("total_files", total_files).delta_or_zero()?,
                processed_files: Argument::new("processed_files", processed_files)
                    .delta_or_zero()?,
                success_count: Argument::new("success_count", success_count).delta_or_zero()?,
                error_count: Argument::new("error_count", error_count).delta_or_zero()?,
                duplicate_count: Argument::new("duplicate_count", duplicate_count)
                    .delta_or_zero()?,
            };
            Ok(manager.increment_session(&id, deltas)?)
        })
    }

    #[napi]
    pub fn delete_session(&self, env: &Env, id: Unknown<'_>) -> napi::Result<()> {
        self.run(env, "deleteSession", |manager| {
            Ok(manager.delete_session(&Argument::new("id", id).text()?)?)
        })
    }
}
