//! Owns the addon's checking and repairing of files, which need not be openable: functions over a
//! configuration, each a job on another thread.

use super::Ledger;
use crate::error::Error;
use crate::maintenance::{self, IntegrityOptions, IntegrityReport, RepairOptions, RepairReport};
use crate::node::config::read_config;
use crate::node::error::call;
use crate::node::interruption::Interruption;
use crate::node::progress::Progress;
use crate::node::record::Record;
use crate::node::task::Job;
use napi::Env;
use napi::bindgen_prelude::{AsyncTask, Unknown};
use napi_derive::napi;
use std::time::Duration;

fn options(deep: bool, max_ms: Option<f64>) -> IntegrityOptions {
    IntegrityOptions {
        deep,
        max_time: max_ms
            .map(|time| Duration::try_from_secs_f64(time / 1_000.0).unwrap_or_default()),
    }
}

/// Checks a file through connections of its own.
#[napi(ts_return_type = "Promise<import('./index').IntegrityReport>")]
pub fn check_integrity(
    env: &Env,
    config: Unknown<'_>,
    deep: bool,
    max_ms: Option<f64>,
    interruption: &Interruption,
) -> napi::Result<AsyncTask<Job<Record<IntegrityReport>>>> {
    let config = call(env, "checkIntegrity", || read_config(config))?;
    let question = interruption.question();
    Ok(Job::start("checkIntegrity", move || {
        maintenance::check(&config, options(deep, max_ms), question).map(Record)
    }))
}

/// Repairs a file.
#[napi(ts_return_type = "Promise<import('./index').RepairReport>")]
pub fn repair(
    env: &Env,
    config: Unknown<'_>,
    dry_run: bool,
    progress: &Progress,
    interruption: &Interruption,
) -> napi::Result<AsyncTask<Job<Record<RepairReport>>>> {
    let config = call(env, "repair", || read_config(config))?;
    let (progress, must_stop) = (progress.clone(), interruption.question());
    Ok(Job::start("repair", move || {
        let hear = |done, total| progress.note("pages", i64::from(done), i64::from(total));
        maintenance::repair(&config, RepairOptions { dry_run }, &hear, &must_stop).map(Record)
    }))
}

#[napi]
impl Ledger {
    /// Checks a database in memory, at once: it has no other connection.
    #[napi(ts_return_type = "import('./index').IntegrityReport")]
    pub fn check_integrity(
        &self,
        env: &Env,
        deep: bool,
        max_ms: Option<f64>,
    ) -> napi::Result<Record<IntegrityReport>> {
        self.run(env, "checkIntegrity", |manager| {
            if !self.config.is_memory() {
                return Err(Error::Internal("only for a database in memory".into()).into());
            }
            Ok(Record(manager.check_integrity(options(deep, max_ms))?))
        })
    }
}
