//! Owns which of a thread's connections keep a reader's lock between their reads, and lets such a
//! lock go when another connection of the thread may need that: it would wait for its own thread.

use super::connection::Shared;
use crate::connection;
use std::cell::RefCell;
use std::rc::{Rc, Weak};

thread_local! {
    static KEEPERS: RefCell<Vec<Weak<Shared>>> = const { RefCell::new(Vec::new()) };
}

/// Keeps the lock of the connection's reads from here on.
pub(super) fn keep(shared: &Rc<Shared>) {
    set(shared, true);
    KEEPERS.with_borrow_mut(|keepers| keepers.push(Rc::downgrade(shared)));
}

/// Lets the connection's lock go, and keeps none from here on.
pub(super) fn release(shared: &Shared) {
    KEEPERS.with_borrow_mut(|keepers| keepers.retain(|keeper| !is_of(keeper, shared)));
    set(shared, false);
}

/// Lets the locks of this thread's other connections go, and keeps none of theirs from here on.
pub(super) fn release_others(shared: &Shared) {
    KEEPERS.with_borrow_mut(|keepers| {
        keepers.retain(|keeper| {
            if is_of(keeper, shared) {
                return true;
            }
            if let Some(other) = keeper.upgrade() {
                set(&other, false);
            }
            false
        });
    });
}

fn is_of(keeper: &Weak<Shared>, shared: &Shared) -> bool {
    std::ptr::eq(keeper.as_ptr(), shared)
}

/// A handle that is closed has no lock; one that is in use belongs to the call that asks.
fn set(shared: &Shared, is_kept: bool) {
    if let Ok(handle) = shared.handle.try_borrow()
        && let Some(handle) = handle.as_ref()
    {
        connection::keep_read_lock(&handle.connection, is_kept);
    }
}
