//! Owns the manager of a ledger, for its methods and for its functions.

use crate::error::Error;
use crate::manager::DatabaseManager;
use std::sync::{Mutex, MutexGuard, PoisonError, TryLockError};

/// An open manager, or none after closing.
///
/// Only the event loop's thread uses it. The lock is never waited for: work that finds it taken
/// runs inside other work, which must not be.
pub(in crate::node) struct Handle(Mutex<Option<DatabaseManager>>);

impl Handle {
    pub(super) fn new(manager: DatabaseManager) -> Self {
        Self(Mutex::new(Some(manager)))
    }

    fn lock(&self) -> Result<MutexGuard<'_, Option<DatabaseManager>>, Error> {
        match self.0.try_lock() {
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
        let guard = self.lock()?;
        work(guard.as_ref().ok_or(Error::Closed)?)
    }

    /// Takes the manager out, to close it.
    pub(super) fn take(&self) -> Option<DatabaseManager> {
        self.lock().ok()?.take()
    }
}
