//! Owns the ledger's methods and functions on settings, which cross as JSON texts.

use super::Ledger;
use super::function::{Answer, Call};
use super::list;
use super::packing::List;
use crate::manager::DatabaseManager;
use crate::node::error::Optional;
use crate::node::value::Argument;
use napi::Env;
use napi::bindgen_prelude::Unknown;
use napi_derive::napi;

/// `listConfig(limit)`: the records, by key.
pub(super) fn list(call: &Call<'_>) -> Answer {
    list::answer(call, 0, &List::Settings)
}

#[napi]
impl Ledger {
    #[napi]
    pub fn set_config(&self, env: &Env, key: Unknown<'_>, json: Unknown<'_>) -> napi::Result<()> {
        self.run(env, "setConfig", |manager| {
            let key = Argument::new("key", key).text()?;
            Ok(manager.set_config_json(&key, &Argument::new("value", json).text()?)?)
        })
    }

    #[napi(ts_return_type = "string | undefined")]
    pub fn get_config(&self, env: &Env, key: Unknown<'_>) -> napi::Result<Optional<String>> {
        self.run(env, "getConfig", |manager| {
            let key = Argument::new("key", key).text()?;
            match manager.get_config_json(&key)? {
                // JSON.parse would repeat a part of the value in its message.
                Some(json) if serde_json::from_str::<serde::de::IgnoredAny>(&json).is_err() => {
                    Err(DatabaseManager::setting_mismatch().into())
                }
                json => Ok(Optional(json)),
            }
        })
    }

    #[napi]
    pub fn delete_config(&self, env: &Env, key: Unknown<'_>) -> napi::Result<()> {
        self.run(env, "deleteConfig", |manager| {
            Ok(manager.delete_config(&Argument::new("key", key).text()?)?)
        })
    }
}
