//! Owns the memory of some of a cache's pages, and how much is asked for at a time.
//!
//! It may not know which page is where, nor when one is given up.

#![allow(unsafe_code)]

use rusqlite::ffi;
use std::alloc::{Layout, alloc, dealloc};
use std::ptr;

/// What most processors fetch from memory at a time.
pub(super) const CACHE_LINE_BYTES: usize = 64;

/// Where pages are large.
const MAX_CHUNK_BYTES: usize = 256 * 1024;

/// A cache doubles its memory until it has so many pages.
pub(super) const MAX_PAGES_OF_CHUNK: usize = 64;
const MIN_PAGES_OF_CHUNK: usize = 4;

#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum State {
    Free,
    /// In use by SQLite.
    Pinned,
    /// Used since the hand passed.
    Recent,
    Idle,
}

#[repr(C)]
pub(super) struct Entry {
    /// First, since SQLite knows the entry by this part's address.
    pub(super) page: ffi::sqlite3_pcache_page,
    /// The next of the same bucket, or the next that is free.
    pub(super) next: *mut Entry,
    pub(super) number: u32,
    pub(super) state: State,
}

/// The memory of some pages. Neither the slots nor the entries ever move.
pub(super) struct Chunk {
    slots: *mut u8,
    layout: Layout,
    capacity: usize,
    entries: Vec<Entry>,
}

impl Chunk {
    /// A chunk for a cache that has some pages; none for lack of memory.
    pub(super) fn new(slot_bytes: usize, pages: usize) -> Option<Self> {
        let capacity = pages
            .clamp(MIN_PAGES_OF_CHUNK, MAX_PAGES_OF_CHUNK)
            .min((MAX_CHUNK_BYTES / slot_bytes).max(1));
        let layout = Layout::from_size_align(slot_bytes * capacity, CACHE_LINE_BYTES).ok()?;
        let mut entries = Vec::new();
        entries.try_reserve_exact(capacity).ok()?;
        // SAFETY: the size is not zero: a page has 512 bytes at least.
        let slots = unsafe { alloc(layout) };
        if slots.is_null() {
            return None;
        }
        Some(Self {
            slots,
            layout,
            capacity,
            entries,
        })
    }

    /// A new entry with its slot; none when all have been taken.
    pub(super) fn take(&mut self, page_bytes: usize, slot_bytes: usize) -> Option<*mut Entry> {
        let index = self.entries.len();
        if index == self.capacity {
            return None;
        }
        // SAFETY: the slot is within the chunk, and the extra bytes are within the slot.
        let (content, extra) = unsafe {
            let slot = self.slots.add(index * slot_bytes);
            (slot, slot.add(page_bytes))
        };
        self.entries.push(Entry {
            page: ffi::sqlite3_pcache_page {
                pBuf: content.cast(),
                pExtra: extra.cast(),
            },
            next: ptr::null_mut(),
            number: 0,
            state: State::Free,
        });
        self.entry(index)
    }

    /// None behind the last. All entries' addresses come from the vector's own, so that each stays valid when
    /// another is used.
    pub(super) fn entry(&mut self, index: usize) -> Option<*mut Entry> {
        // SAFETY: there are more entries.
        (index < self.entries.len()).then(|| unsafe { self.entries.as_mut_ptr().add(index) })
    }

    /// How many entries were taken.
    pub(super) fn entry_count(&self) -> usize {
        self.entries.len()
    }

    #[cfg(test)]
    pub(super) fn bytes(&self) -> usize {
        self.layout.size()
    }

    pub(super) fn has_pinned(&self) -> bool {
        self.entries
            .iter()
            .any(|entry| entry.state == State::Pinned)
    }
}

impl Drop for Chunk {
    fn drop(&mut self) {
        // SAFETY: allocated so in `new`.
        unsafe { dealloc(self.slots, self.layout) };
    }
}

/// An odd number of lines: were it a power of two's multiple, the same part of each page would lie in the same few
/// places of the processor's caches.
pub(super) fn slot_bytes(bytes: usize) -> usize {
    (bytes.div_ceil(CACHE_LINE_BYTES) | 1) * CACHE_LINE_BYTES
}
