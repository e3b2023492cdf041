//! Owns the addon's checking and repairing of files, which need not be openable: functions over a
//! configuration, each a job on another thread.

use super::Ledger;
use crate::error::Error;
use crate::maintenance::{self, IntegrityOptions, IntegrityReport, RepairOptions, RepairReport};
use crate::manager::DatabaseManager;
use crate::node::config::read_config;
use crate::node::error::call;
use crate::node::interruption::Interruption;
use crate::node::record::Record;
use crate::node::task::Job;
use napi::Env;
use napi::bindgen_prelude::{AsyncTask, Unknown};
use napi_derive::napi;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

/// How far a job is: looked at by JavaScript, so that nothing of the job reaches it once it ended.
#[napi]
#[derive(Clone, Default)]
pub struct Progress {
    done: Arc<AtomicU32>,
    total: Arc<AtomicU32>,
}

#[napi]
impl Progress {
    #[napi(constructor)]
    pub fn new() -> Self {
        Self::default()
    }

    /// How many pages are done.
    #[napi(getter)]
    pub fn done(&self) -> u32 {
        self.done.load(Ordering::Relaxed)
    }

    /// How many there are; 0 until that is known.
    #[napi(getter)]
    pub fn total(&self) -> u32 {
        self.total.load(Ordering::Relaxed)
    }
}

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
) -> napi::Result<AsyncTask<Job<Record<RepairReport>>>> {
    let config = call(env, "repair", || read_config(config))?;
    let progress = progress.clone();
    Ok(Job::start("repair", move || {
        let hear = |done, total| {
            progress.total.store(total, Ordering::Relaxed);
            progress.done.store(done, Ordering::Relaxed);
        };
        DatabaseManager::repair(&config, RepairOptions { dry_run }, hear).map(Record)
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
