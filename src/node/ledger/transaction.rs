//! Owns the ledger's transactions that may stay open across awaits, and a turn's snapshot.

use super::Ledger;
use crate::error::Error;
use crate::manager::DatabaseManager;
use crate::node::error::call;
use crate::transaction;
use napi::Env;
use napi_derive::napi;

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
            self.handle
                .with_writable(|manager| transaction::begin(manager.connection()))?;
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
        self.run(env, "transaction", |manager| {
            let outcome = transaction::commit(manager.connection());
            if manager.connection().is_autocommit() {
                self.file.release(self.owner);
            }
            Ok(outcome?)
        })
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
