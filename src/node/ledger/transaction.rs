//! Owns the ledger's transactions that may stay open across awaits, and a turn's snapshot.

use super::Ledger;
use super::handle::Handle;
use crate::error::{Error, Result};
use crate::maintenance::LogKeeper;
use crate::manager::DatabaseManager;
use crate::node::error::call;
use crate::node::open_file::{OpenFile, Owner};
use crate::transaction;
use napi::Env;
use napi::bindgen_prelude::Object;
use napi_derive::napi;
use std::sync::Arc;

/// From so many changed rows on a commit, which writes all that is changed at once, is work for a thread: each row
/// changes up to four pages.
const MANY_CHANGES: u64 = 500;

fn commit(handle: &Handle, file: &OpenFile, owner: Owner) -> Result<()> {
    handle.with(|manager| {
        let outcome = transaction::commit(manager.connection());
        if manager.connection().is_autocommit() {
            file.release(owner);
        }
        outcome
    })
}

#[napi]
impl Ledger {
    /// Lets all reads see the state of the next one, until `release_snapshot` or a write.
    #[napi]
    pub fn hold_snapshot(&self, env: &Env) -> napi::Result<()> {
        call(env, "read", || Ok(self.handle.hold_snapshot()?))
    }

    /// Lets go of the snapshot, if one is held.
    #[napi]
    pub fn release_snapshot(&self, env: &Env) -> napi::Result<()> {
        call(env, "read", || Ok(self.handle.release_snapshot()?))
    }

    /// Whether a transaction is open on this handle.
    #[napi(getter)]
    pub fn in_transaction(&self) -> bool {
        let is_open = |manager: &DatabaseManager| Ok(!manager.connection().is_autocommit());
        self.handle.with::<_, Error>(is_open).unwrap_or(false)
    }

    /// Opens a transaction that may stay open across awaits.
    #[napi]
    pub fn begin(&self, env: &Env) -> napi::Result<()> {
        call(env, "transaction", || {
            self.handle.with_writable(|manager| {
                let connection = manager.connection();
                self.changes_at_begin.set(connection.total_changes());
                transaction::begin(connection)
            })?;
            // On a read-only database this begins a read, which holds no lock.
            if !self.config.readonly {
                self.file.hold(self.owner);
            }
            Ok(())
        })
    }

    /// Commits the open transaction.
    #[napi]
    pub fn commit(&self, env: &Env) -> napi::Result<()> {
        call(env, "transaction", || {
            Ok(commit(&self.handle, &self.file, self.owner)?)
        })
    }

    /// Whether the open transaction's commit would keep the loop, and there is a log, whose thread can do it.
    #[napi(getter)]
    pub fn has_much_to_commit(&self) -> bool {
        let count = |manager: &DatabaseManager| Ok(manager.connection().total_changes());
        let changes = self.handle.with::<_, Error>(count).unwrap_or(0);
        let has_log = self.config.enable_wal && !self.config.is_memory();
        has_log && changes.saturating_sub(self.changes_at_begin.get()) >= MANY_CHANGES
    }

    /// Commits the open transaction on the log's thread: nothing else may use this handle until the promise settles.
    #[napi(ts_return_type = "Promise<void>")]
    pub fn commit_aside<'env>(&self, env: &'env Env) -> napi::Result<Object<'env>> {
        let (handle, file, owner) = (Arc::clone(&self.handle), Arc::clone(&self.file), self.owner);
        let commit = move |_: &mut LogKeeper| commit(&handle, &file, owner);
        self.keep_log(env, "transaction".to_owned(), Box::new(commit))
    }

    /// Rolls the open transaction back.
    #[napi]
    pub fn roll_back(&self, env: &Env) -> napi::Result<()> {
        self.run(env, "transaction", |manager| {
            self.file.release(self.owner);
            Ok(transaction::roll_back(manager.connection())?)
        })
    }

    /// Opens a savepoint.
    #[napi]
    pub fn open_savepoint(&self, env: &Env) -> napi::Result<()> {
        self.run(env, "transaction", |manager| {
            Ok(transaction::open_savepoint(manager.connection())?)
        })
    }

    /// Keeps what was done since the innermost savepoint.
    #[napi]
    pub fn release_savepoint(&self, env: &Env) -> napi::Result<()> {
        self.run(env, "transaction", |manager| {
            Ok(transaction::release_savepoint(manager.connection())?)
        })
    }

    /// Undoes what was done since the innermost savepoint.
    #[napi]
    pub fn roll_back_savepoint(&self, env: &Env) -> napi::Result<()> {
        self.run(env, "transaction", |manager| {
            Ok(transaction::roll_back_savepoint(manager.connection())?)
        })
    }
}
