//! Owns the parts of a migration that JavaScript's migrator puts together: its steps may be
//! asynchronous functions, so the way through them is in `lib/migrator.js`.

use super::connection::Connection;
use super::error::{Failure, call};
use super::record::Record;
use super::value::Argument;
use crate::error::Error;
use crate::migration::{self, Lock, Migrator};
use crate::record::SchemaVersion;
use crate::transaction;
use napi::Env;
use napi::bindgen_prelude::Unknown;
use napi_derive::napi;

/// The schema version that the package reads and writes.
#[napi]
pub const SCHEMA_VERSION: u32 = migration::SCHEMA_VERSION as u32;

/// One of the ledger's own migrations.
#[napi(object, object_from_js = false)]
pub struct LedgerMigration {
    /// The version.
    pub version: i64,
    /// What it does.
    pub description: String,
}

/// Lists the ledger's own migrations.
#[napi]
pub fn ledger_migrations() -> Vec<LedgerMigration> {
    let describe = |(version, description): (i64, &str)| LedgerMigration {
        version,
        description: description.to_owned(),
    };
    Migrator::ledger().descriptions().map(describe).collect()
}

/// Checks that a list's versions ascend from 1 or later.
#[napi]
pub fn check_migration_versions(env: &Env, versions: Vec<f64>) -> napi::Result<()> {
    call(env, "DatabaseMigrator", || {
        Ok(migration::check_versions(&read_versions(&versions)?)?)
    })
}

fn read_versions(versions: &[f64]) -> Result<Vec<i64>, Failure> {
    versions
        .iter()
        .map(|version| read_version("version", *version))
        .collect()
}

fn read_version(field: &str, version: f64) -> Result<i64, Failure> {
    if version.fract() == 0.0 && version.abs() <= crate::MAX_SAFE_INTEGER as f64 {
        Ok(version as i64)
    } else {
        Err(Error::argument(field, "is a number out of range; give a whole number").into())
    }
}

#[napi]
impl Connection {
    /// The file's schema version.
    #[napi]
    pub fn schema_version(&self, env: &Env, operation: String) -> napi::Result<i64> {
        self.run_work(env, &operation, |handle| {
            Ok(Migrator::current_version(handle)?)
        })
    }

    /// The file's history of versions.
    #[napi(ts_return_type = "import('./index').SchemaVersion[]")]
    pub fn migration_history(&self, env: &Env) -> napi::Result<Record<Vec<SchemaVersion>>> {
        self.run_work(env, "history", |handle| {
            Ok(Record(migration::read_history(handle)?))
        })
    }

    /// The versions that the file has seen.
    #[napi]
    pub fn applied_versions(&self, env: &Env, operation: String) -> napi::Result<Vec<i64>> {
        self.run_work(env, &operation, |handle| {
            Ok(migration::read_versions(handle)?)
        })
    }

    /// The versions of a list that the file has not seen; here and below, `operation` is the
    /// public method that was called.
    #[napi]
    pub fn pending_migrations(
        &self,
        env: &Env,
        operation: String,
        versions: Vec<f64>,
    ) -> napi::Result<Vec<i64>> {
        self.run_work(env, &operation, |handle| {
            Ok(migration::pending_versions(
                handle,
                &read_versions(&versions)?,
            )?)
        })
    }

    /// Checks that a rollback goes back.
    #[napi]
    pub fn check_rollback(&self, env: &Env, to_version: f64) -> napi::Result<()> {
        self.run_work(env, "rollback", |handle| {
            let target = read_version("toVersion", to_version)?;
            Ok(migration::check_rollback(
                target,
                Migrator::current_version(handle)?,
            )?)
        })
    }

    /// Takes the write lock for one step; enforcement of foreign keys is off meanwhile.
    ///
    /// Answers whether enforcement was on, for `end_migration`.
    #[napi]
    pub fn begin_migration(&self, env: &Env, operation: String) -> napi::Result<bool> {
        self.run_work(env, &operation, |handle| {
            self.file().check_write(self.owner())?;
            let lock = Lock::take(handle)?;
            if let Err(error) = transaction::begin(handle) {
                lock.release(handle)?;
                return Err(error.into());
            }
            transaction::forbid_control(handle, true)?;
            self.file().hold(self.owner());
            Ok(lock.into_foreign_keys())
        })
    }

    /// Ends a step: keeps it when `keep` is true, else undoes it.
    #[napi]
    pub fn end_migration(
        &self,
        env: &Env,
        operation: String,
        keep: bool,
        foreign_keys: bool,
    ) -> napi::Result<()> {
        self.run_work(env, &operation, |handle| {
            transaction::forbid_control(handle, false)?;
            let outcome = if keep {
                transaction::commit(handle)
            } else {
                transaction::roll_back(handle)
            };
            if outcome.is_err() {
                transaction::roll_back(handle)?;
            }
            self.file().release(self.owner());
            Lock::from_foreign_keys(foreign_keys).release(handle)?;
            Ok(outcome?)
        })
    }

    /// Checks foreign keys and writes the step's row of history.
    #[napi]
    pub fn finish_migration(
        &self,
        env: &Env,
        version: i64,
        description: String,
    ) -> napi::Result<()> {
        self.run_work(env, "migrate", |handle| {
            Ok(migration::finish_step(handle, version, &description)?)
        })
    }

    /// Checks foreign keys and takes the step's row out of the history.
    #[napi]
    pub fn undo_migration(&self, env: &Env, version: i64) -> napi::Result<()> {
        self.run_work(env, "rollback", |handle| {
            Ok(migration::remove_step(handle, version)?)
        })
    }

    /// Runs the ledger's own step to `version`, or back from it.
    #[napi]
    pub fn run_ledger_step(&self, env: &Env, version: i64, up: bool) -> napi::Result<()> {
        self.run_work(env, "migrate", |handle| {
            Ok(Migrator::ledger().run_step(handle, version, up)?)
        })
    }

    /// Makes the ledger's schema, and its row of history, where they are missing.
    #[napi]
    pub fn create_initial_schema(&self, env: &Env) -> napi::Result<()> {
        self.run_work(env, "createInitialSchema", |handle| {
            self.file().check_write(self.owner())?;
            Ok(migration::initialize_v1(handle)?)
        })
    }

    /// Makes the table of the history, where it is missing.
    #[napi]
    pub fn create_migration_table(&self, env: &Env) -> napi::Result<()> {
        self.run_work(env, "createMigrationTable", |handle| {
            self.file().check_write(self.owner())?;
            Ok(migration::create_table(handle)?)
        })
    }

    /// Adds a row to the history.
    #[napi]
    pub fn record_migration(
        &self,
        env: &Env,
        version: Unknown<'_>,
        description: Unknown<'_>,
    ) -> napi::Result<()> {
        self.run_work(env, "recordMigration", |handle| {
            let version = Argument::new("version", version).counter()?;
            if version == 0 {
                return Err(Error::argument("version", "must be 1 or more").into());
            }
            let description = Argument::new("description", description).text()?;
            self.file().check_write(self.owner())?;
            transaction::run(handle, || {
                migration::create_table(handle)?;
                migration::record_version(handle, version, &description)
            })?;
            Ok(())
        })
    }
}
