//! Owns stopping one piece of work that runs on another thread.

use napi_derive::napi;
use rusqlite::InterruptHandle;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// A request, made now or later, that one piece of work stop.
#[napi]
#[derive(Clone, Default)]
pub struct Interruption {
    state: Arc<State>,
}

#[derive(Default)]
struct State {
    is_requested: AtomicBool,
    running: Mutex<Option<InterruptHandle>>,
}

impl Interruption {
    fn running(&self) -> MutexGuard<'_, Option<InterruptHandle>> {
        let running = self.state.running.lock();
        running.unwrap_or_else(PoisonError::into_inner)
    }

    /// Lets the request reach the connection that does the work.
    pub(super) fn watch(&self, handle: InterruptHandle) {
        let mut running = self.running();
        if self.state.is_requested.load(Ordering::SeqCst) {
            handle.interrupt();
        }
        *running = Some(handle);
    }
}

#[napi]
impl Interruption {
    #[napi(constructor)]
    pub fn new() -> Self {
        Self::default()
    }

    /// Asks the work to stop; it fails then with `SQLITE_INTERRUPT`.
    #[napi]
    pub fn request(&self) {
        self.state.is_requested.store(true, Ordering::SeqCst);
        if let Some(handle) = self.running().as_ref() {
            handle.interrupt();
        }
    }
}
