//! Owns the ledger's methods that copy it as a whole: out to another file, and back in.

use super::Ledger;
use crate::maintenance::{self, Control};
use crate::node::error::{Failure, call};
use crate::node::interruption::Interruption;
use crate::node::progress::Progress;
use crate::node::record::Record;
use crate::node::task::Job;
use crate::node::value::Argument;
use crate::private_file;
use crate::record::{BackupReport, CopyProgress, RestoreProgress, RestoreReport};
use napi::Env;
use napi::bindgen_prelude::{AsyncTask, Unknown};
use napi_derive::napi;
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// Reads a path, absolute from here on: the working directory may change before it is used.
fn read_path(path: Unknown<'_>) -> Result<PathBuf, Failure> {
    let path = Argument::new("path", path).text()?;
    Ok(private_file::make_absolute(Path::new(&path))?)
}

#[napi]
impl Ledger {
    /// Copies the ledger into one new file, off the event loop (a database in memory: on it).
    #[napi(ts_return_type = "Promise<import('./index').BackupReport>")]
    pub fn backup(
        &self,
        env: &Env,
        path: Unknown<'_>,
        overwrite: bool,
        progress: &Progress,
        interruption: &Interruption,
    ) -> napi::Result<AsyncTask<Job<Record<BackupReport>>>> {
        let path = call(env, "backup", || read_path(path))?;
        let (progress, must_stop) = (progress.clone(), Arc::new(interruption.question()));
        let mut report = move |CopyProgress {
                                   copied_pages,
                                   total_pages,
                               }: CopyProgress| {
            progress.note("copying", copied_pages, total_pages);
        };
        if self.config.is_memory() {
            let mut control = Control {
                must_stop,
                report: &mut report,
            };
            let report = self.run(env, "backup", |manager| {
                let connection = manager.connection();
                Ok(maintenance::backup_with(
                    connection,
                    &path,
                    overwrite,
                    &mut control,
                )?)
            })?;
            return Ok(Job::start("backup", move || Ok(Record(report))));
        }
        let config = self.config.clone();
        Ok(Job::start("backup", move || {
            let mut control = Control {
                must_stop,
                report: &mut report,
            };
            maintenance::backup(&config, &path, overwrite, &mut control).map(Record)
        }))
    }

    /// Brings back what a backup holds, off the event loop (a database in memory: on it).
    #[napi(ts_return_type = "Promise<import('./index').RestoreReport>")]
    pub fn restore(
        &self,
        env: &Env,
        path: Unknown<'_>,
        progress: &Progress,
        interruption: &Interruption,
    ) -> napi::Result<AsyncTask<Job<Record<RestoreReport>>>> {
        let path = call(env, "restore", || read_path(path))?;
        let (progress, must_stop) = (progress.clone(), Arc::new(interruption.question()));
        let mut report = move |RestoreProgress { phase, done, total }: RestoreProgress| {
            progress.note(phase.as_str(), done, total);
        };
        if self.config.is_memory() {
            let mut control = Control {
                must_stop,
                report: &mut report,
            };
            let report = self.run(env, "restore", |manager| {
                let connection = manager.connection();
                Ok(maintenance::restore_with(
                    connection,
                    &self.config,
                    &path,
                    &mut control,
                )?)
            })?;
            return Ok(Job::start("restore", move || Ok(Record(report))));
        }
        let (config, file) = (self.config.clone(), Arc::clone(&self.file));
        Ok(Job::start("restore", move || {
            let mut control = Control {
                must_stop,
                report: &mut report,
            };
            let outcome = maintenance::restore(&config, &path, &mut control);
            // Snapshots that handles of this process hold hide it.
            file.count_commit();
            outcome.map(Record)
        }))
    }
}
