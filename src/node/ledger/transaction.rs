//! Owns the ledger's transactions: those that may stay open across awaits, and the snapshot that
//! reads of one turn of the loop share.
//!
//! A small read outside a transaction is mostly file locking: held for a turn, the lock is taken
//! once (<https://www.sqlite.org/isolation.html>). When to hold it and when to let go is decided
//! in `lib/turn.js`; here it is only kept from hiding a commit of this process.

use super::Ledger;
use crate::error::Result;
use crate::manager::DatabaseManager;
use crate::transaction;
use napi::Env;
use napi_derive::napi;
use rusqlite::TransactionBehavior;

impl Ledger {
    /// Takes another snapshot when a handle of this process has committed since this one's.
    pub(super) fn renew_snapshot(&self, manager: &DatabaseManager) -> Result<()> {
        match self.snapshot.get() {
            Some(commits) if commits != self.file.commits() => {
                self.release(manager)?;
                self.hold(manager)
            }
            _ => Ok(()),
        }
    }

    fn hold(&self, manager: &DatabaseManager) -> Result<()> {
        // Before: a commit that comes between is one too many, never one too few.
        let commits = self.file.commits();
        transaction::begin_as(manager.connection(), TransactionBehavior::Deferred)?;
        self.snapshot.set(Some(commits));
        Ok(())
    }

    /// Lets go of the snapshot, if one is held.
    pub(super) fn release(&self, manager: &DatabaseManager) -> Result<()> {
        match self.snapshot.take() {
            Some(_) => transaction::roll_back(manager.connection()),
            None => Ok(()),
        }
    }
}

#[napi]
impl Ledger {
    /// Lets all reads see the state of the next one, until `release_snapshot` or a write.
    #[napi]
    pub fn hold_snapshot(&self, env: &Env) -> napi::Result<()> {
        self.run(env, "read", |manager| {
            if manager.connection().is_autocommit() {
                self.hold(manager)?;
            }
            Ok(())
        })
    }

    /// Lets go of the snapshot, if one is held.
    #[napi]
    pub fn release_snapshot(&self, env: &Env) -> napi::Result<()> {
        self.run(env, "read", |manager| Ok(self.release(manager)?))
    }

    /// Whether a transaction is open on this handle.
    #[napi(getter)]
    pub fn in_transaction(&self) -> bool {
        let manager = self.manager.borrow();
        manager
            .as_ref()
            .is_some_and(|manager| !manager.connection().is_autocommit())
    }

    /// Opens a transaction that may stay open across awaits.
    #[napi]
    pub fn begin(&self, env: &Env) -> napi::Result<()> {
        self.run(env, "transaction", |manager| {
            self.release(manager)?;
            transaction::begin(manager.connection())?;
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
