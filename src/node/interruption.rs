//! Owns stopping one piece of work that runs on another thread.

use napi_derive::napi;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

/// A request, made at any time, that one piece of work stop.
#[napi]
#[derive(Clone, Default)]
pub struct Interruption {
    is_requested: Arc<AtomicBool>,
}

impl Interruption {
    /// Gives what the work asks now and then: whether it is to stop.
    ///
    /// Asked for, not told: SQLite forgets an interrupt that comes before its first statement
    /// (<https://www.sqlite.org/c3ref/interrupt.html>).
    pub(super) fn question(&self) -> impl Fn() -> bool + Send + 'static {
        let is_requested = Arc::clone(&self.is_requested);
        move || is_requested.load(Ordering::Relaxed)
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
        self.is_requested.store(true, Ordering::Relaxed);
    }
}
