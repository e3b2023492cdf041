//! Owns what the event loop can see of how far work on another thread is.
//!
//! JavaScript looks now and then (`lib/progress.js`): a thread that calls would need a handle on
//! the loop, could not tell when its last call has run, and could meet one that is being torn down.

use napi_derive::napi;
use std::sync::{Arc, Mutex, PoisonError};

/// How far one piece of work is.
#[napi]
#[derive(Clone, Default)]
pub struct Progress {
    state: Arc<Mutex<State>>,
}

#[derive(Clone, Copy, Default)]
struct State {
    phase: &'static str,
    done: i64,
    total: i64,
}

impl Progress {
    /// Notes how far the work is; from any thread.
    pub(super) fn note(&self, phase: &'static str, done: i64, total: i64) {
        *self.state.lock().unwrap_or_else(PoisonError::into_inner) = State { phase, done, total };
    }

    fn state(&self) -> State {
        *self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[napi]
impl Progress {
    #[napi(constructor)]
    pub fn new() -> Self {
        Self::default()
    }

    /// Gives the phase, what is done in it and all that there is to do; the total is 0 before the
    /// work has begun.
    #[napi(ts_return_type = "[phase: string, done: number, total: number]")]
    pub fn read(&self) -> (String, i64, i64) {
        let State { phase, done, total } = self.state();
        (phase.to_owned(), done, total)
    }
}
