//! Owns the ledger's methods on sessions: reading their arguments, giving back their records.

use super::Ledger;
use crate::node::error::Optional;
use crate::node::record::Record;
use crate::node::value::Argument;
use crate::record::{NewSession, SessionChanges, SessionDeltas, SessionStatus, UploadSession};
use napi::Env;
use napi::bindgen_prelude::Unknown;
use napi_derive::napi;

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

    #[napi(ts_return_type = "import('./index').UploadSession | undefined")]
    pub fn get_session(
        &self,
        env: &Env,
        id: Unknown<'_>,
    ) -> napi::Result<Optional<Record<UploadSession>>> {
        self.run(env, "getSession", |manager| {
            let id = Argument::new("id", id).text()?;
            Ok(Optional(manager.get_session(&id)?.map(Record)))
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

    #[napi(ts_return_type = "import('./index').UploadSession[]")]
    pub fn list_sessions(
        &self,
        env: &Env,
        status: Unknown<'_>,
    ) -> napi::Result<Record<Vec<UploadSession>>> {
        self.run(env, "listSessions", |manager| {
            let status = Argument::new("status", status).optional_text()?;
            let status = status
                .map(|status| SessionStatus::parse(&status))
                .transpose()?;
            Ok(Record(manager.list_sessions(status)?))
        })
    }

    #[napi]
    pub fn delete_session(&self, env: &Env, id: Unknown<'_>) -> napi::Result<()> {
        self.run(env, "deleteSession", |manager| {
            Ok(manager.delete_session(&Argument::new("id", id).text()?)?)
        })
    }
}
