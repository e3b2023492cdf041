//! Owns the ledger's methods on errors: reading their arguments, giving back their records.

use super::Ledger;
use crate::node::record::Record;
use crate::node::value::Argument;
use crate::record::{NewUploadError, UploadError};
use napi::Env;
use napi::bindgen_prelude::Unknown;
use napi_derive::napi;

#[napi]
impl Ledger {
    #[napi]
    pub fn log_error(
        &self,
        env: &Env,
        session_id: Unknown<'_>,
        file_path: Unknown<'_>,
        error_type: Unknown<'_>,
        error_message: Unknown<'_>,
        retry_count: Unknown<'_>,
    ) -> napi::Result<i64> {
        self.run(env, "logError", |manager| {
            let error = NewUploadError {
                session_id: Argument::new("session_id", session_id).text()?,
                file_path: Argument::new("file_path", file_path).text()?,
                error_type: Argument::new("error_type", error_type).text()?,
                error_message: Argument::new("error_message", error_message).text()?,
                retry_count: Argument::new("retry_count", retry_count).counter_or_zero()?,
            };
            Ok(manager.log_error(&error)?)
        })
    }

    #[napi(ts_return_type = "import('./index').UploadError[]")]
    pub fn get_errors(
        &self,
        env: &Env,
        session_id: Unknown<'_>,
    ) -> napi::Result<Record<Vec<UploadError>>> {
        self.run(env, "getErrors", |manager| {
            Ok(Record(manager.get_errors(
                &Argument::new("sessionId", session_id).text()?,
            )?))
        })
    }

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
