//! Owns the manager of a ledger, for its methods and for its functions, and the snapshot that
//! reads of one turn of the loop share.
//!
//! A small read outside a transaction is mostly file locking: held for a turn, the lock is taken
//! once (<https://www.sqlite.org/isolation.html>). When to hold it and when to let go is decided
//! in `lib/loop_turn.js`; here it is only kept from hiding a commit of this process.

use crate::error::{Error, Result};
use crate::manager::DatabaseManager;
use crate::node::open_file::OpenFile;
use crate::transaction;
use rusqlite::TransactionBehavior;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, TryLockError};

/// An open manager, or none after closing.
///
/// The event loop's thread uses it, and the log's while `lib/handles.js` lends it or a long commit runs.
/// The lock is never waited for: work that finds it taken runs inside other work, or beside it, which must
/// not be.
pub(in crate::node) struct Handle {
    state: Mutex<State>,
    file: Arc<OpenFile>,
}

struct State {
    manager: Option<DatabaseManager>,
    /// The count of this process's commits when the snapshot that is held now was asked for.
    snapshot: Option<u64>,
}

impl State {
    fn manager(&self) -> Result<&DatabaseManager> {
        self.manager.as_ref().ok_or(Error::Closed)
    }

    fn hold(&mut self, file: &OpenFile) -> Result<()> {
        // Before: a commit that comes between is one too many, never one too few.
        let commits = file.commits();
        transaction::begin_as(self.manager()?.connection(), TransactionBehavior::Deferred)?;
        self.snapshot = Some(commits);
        Ok(())
    }

    fn release(&mut self) -> Result<()> {
        match self.snapshot.take() {
            Some(_) => transaction::roll_back(self.manager()?.connection()),
            None => Ok(()),
        }
    }
}

impl Handle {
    pub(super) fn new(manager: DatabaseManager, file: Arc<OpenFile>) -> Self {
        let state = State {
            manager: Some(manager),
            snapshot: None,
        };
        Self {
            state: Mutex::new(state),
            file,
        }
    }

    fn lock(&self) -> Result<MutexGuard<'_, State>> {
        match self.state.try_lock() {
            Ok(guard) => Ok(guard),
            // What a panic left half-done is SQLite's state, which its own guard rolled back.
            Err(TryLockError::Poisoned(poisoned)) => Ok(PoisonError::into_inner(poisoned)),
            Err(TryLockError::WouldBlock) => Err(Error::Internal("a ledger is in use".into())),
        }
    }

    /// Works with the open manager. Nothing of the caller's, and nothing of Node-API's, may run
    /// in `work`: either could come back here.
    pub(super) fn with<T, E: From<Error>>(
        &self,
        work: impl FnOnce(&DatabaseManager) -> Result<T, E>,
    ) -> Result<T, E> {
        let mut state = self.lock()?;
        // Another snapshot, when a handle of this process has committed since this one's.
        if state
            .snapshot
            .is_some_and(|commits| commits != self.file.commits())
        {
            state.release()?;
            state.hold(&self.file)?;
        }
        work(state.manager()?)
    }

    /// As [`with`](Self::with), without a snapshot: for a write.
    pub(super) fn with_writable<T, E: From<Error>>(
        &self,
        work: impl FnOnce(&DatabaseManager) -> Result<T, E>,
    ) -> Result<T, E> {
        self.release_snapshot()?;
        self.with(work)
    }

    /// Lets all reads see the state of the next one, until the snapshot is released.
    pub(super) fn hold_snapshot(&self) -> Result<()> {
        let mut state = self.lock()?;
        if state.manager()?.connection().is_autocommit() {
            state.hold(&self.file)?;
        }
        Ok(())
    }

    /// Lets go of the snapshot, if one is held.
    pub(super) fn release_snapshot(&self) -> Result<()> {
        self.lock()?.release()
    }

    /// Takes the manager out, to close it.
    pub(super) fn take(&self) -> Option<DatabaseManager> {
        let mut state = self.lock().ok()?;
        state.snapshot = None;
        state.manager.take()
    }
}
