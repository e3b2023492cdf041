//! Owns the pages of one cache: which number each has, and which is given up for another.
//!
//! It may not know tables, files or connections, nor what a page holds. SQLite uses a cache from one
//! thread at a time, and from one that has seen what the last did with it.
//!
//! What is looked at to find a page (`Entry`) lies apart from the pages, so that it stays in the processor's
//! caches, and no page has neighbours in a list that a reader of it must change. Which page is given up is
//! found by a hand that goes round over all (the clock algorithm): a page that was used since the hand
//! passed it is spared once.

#![allow(unsafe_code)]

use super::chunk::{Chunk, Entry, MAX_PAGES_OF_CHUNK, State, slot_bytes};
use rusqlite::ffi;
use std::ptr;

/// A power of two, as all numbers of buckets are.
const FIRST_BUCKETS: usize = 256;

/// The first byte that is locked (<https://www.sqlite.org/fileformat2.html#the_lock_byte_page>).
const LOCK_BYTE: usize = 0x4000_0000;

/// Whether a page that is not there is made.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Creation {
    Never,
    /// Not when nearly all pages are in use: SQLite then writes some of them first.
    WhenEasy,
    Always,
}

/// One connection's pages of one file.
///
/// Every address of an entry that it holds, or that SQLite was given, is of one of its chunks.
pub(super) struct Cache {
    page_bytes: usize,
    slot_bytes: usize,
    is_purgeable: bool,
    max_pages: usize,
    /// By a page's number, each the first of its entries.
    buckets: Vec<*mut Entry>,
    chunks: Vec<Chunk>,
    first_free: *mut Entry,
    /// Those that are free, too.
    entry_count: usize,
    page_count: usize,
    pinned_count: usize,
    /// No page but the lock-byte page has a higher number.
    highest: u32,
    lock_byte_page: u32,
    /// Where the hand is: a chunk, and an entry of it.
    hand: (usize, usize),
}

impl Cache {
    /// None for lack of memory. SQLite gives only sizes of pages that are multiples of eight.
    pub(super) fn new(page_bytes: usize, extra_bytes: usize, is_purgeable: bool) -> Option<Self> {
        Some(Self {
            page_bytes,
            slot_bytes: slot_bytes(page_bytes + extra_bytes),
            is_purgeable,
            max_pages: 0,
            buckets: empty_buckets(FIRST_BUCKETS)?,
            chunks: Vec::new(),
            first_free: ptr::null_mut(),
            entry_count: 0,
            page_count: 0,
            pinned_count: 0,
            highest: 0,
            lock_byte_page: (LOCK_BYTE / page_bytes + 1) as u32,
            hand: (0, 0),
        })
    }

    pub(super) fn page_count(&self) -> usize {
        self.page_count
    }

    #[cfg(test)]
    pub(super) fn highest(&self) -> u32 {
        self.highest
    }

    /// How much memory there is for pages.
    #[cfg(test)]
    pub(super) fn chunk_bytes(&self) -> usize {
        self.chunks.iter().map(|chunk| chunk.bytes()).sum()
    }

    /// Sets how many pages are kept, when so many need not be in use.
    pub(super) fn set_max_pages(&mut self, pages: usize) {
        self.max_pages = pages;
        while self.is_purgeable && self.page_count > self.max_pages && self.give_up().is_some() {}
        self.trim_if_worthwhile();
    }

    /// Finds a page, or makes one whose content is anything; it is in use from then on. Null when it is not
    /// there and was not made.
    pub(super) fn fetch(
        &mut self,
        number: u32,
        creation: Creation,
    ) -> *mut ffi::sqlite3_pcache_page {
        let entry = self.find(number);
        // SAFETY: null, or one of the cache's.
        if let Some(found) = unsafe { entry.as_mut() } {
            if found.state != State::Pinned {
                found.state = State::Pinned;
                self.pinned_count += 1;
            }
            return entry.cast();
        }
        let is_crowded = self.is_purgeable && self.pinned_count >= self.max_pages * 9 / 10;
        match creation {
            Creation::Always => self.insert(number).cast(),
            Creation::WhenEasy if !is_crowded => self.insert(number).cast(),
            Creation::WhenEasy | Creation::Never => ptr::null_mut(),
        }
    }

    /// Lets go of a page that is in use.
    ///
    /// # Safety
    ///
    /// The page is one that [`Cache::fetch`] gave and that is in use.
    pub(super) unsafe fn unpin(&mut self, page: *mut ffi::sqlite3_pcache_page, is_discarded: bool) {
        let entry = page.cast::<Entry>();
        let is_surplus = self.is_purgeable && self.page_count > self.max_pages;
        if is_discarded || is_surplus {
            self.release(entry);
            return;
        }
        self.pinned_count -= 1;
        // SAFETY: the caller's promise.
        unsafe { (*entry).state = State::Recent };
    }

    /// Gives a page another number; another page that has it is let go of.
    ///
    /// # Safety
    ///
    /// The page is one that [`Cache::fetch`] gave and that is in use.
    pub(super) unsafe fn rekey(&mut self, page: *mut ffi::sqlite3_pcache_page, number: u32) {
        let entry = page.cast::<Entry>();
        let other = self.find(number);
        if !other.is_null() && other != entry {
            self.release(other);
        }
        self.unlink(entry);
        self.link(entry, number);
    }

    /// Lets go of every page from a number on, in use or not.
    pub(super) fn truncate(&mut self, first: u32) {
        self.release_from(first);
        self.trim_if_worthwhile();
    }

    fn release_from(&mut self, first: u32) {
        if first <= self.lock_byte_page {
            self.release_number(self.lock_byte_page);
        }
        if first > self.highest {
            return;
        }
        if ((self.highest - first) as usize) < self.page_count {
            for number in first..=self.highest {
                self.release_number(number);
            }
        } else {
            for chunk in 0..self.chunks.len() {
                self.release_where(chunk, |entry| entry.number >= first);
            }
        }
        self.highest = first.saturating_sub(1);
    }

    /// Gives back what memory it can.
    pub(super) fn shrink(&mut self) {
        for chunk in 0..self.chunks.len() {
            self.release_where(chunk, |entry| entry.state != State::Pinned);
        }
        self.trim();
    }

    /// Gives memory back when less than half of it can be of use: a savepoint that is rolled back has more pages in
    /// use than may be kept.
    fn trim_if_worthwhile(&mut self) {
        let useful = if self.is_purgeable {
            self.max_pages.max(self.pinned_count)
        } else {
            self.page_count
        };
        if self.entry_count > 2 * useful + MAX_PAGES_OF_CHUNK {
            self.trim();
        }
    }

    /// Gives back each chunk none of whose pages is in use.
    fn trim(&mut self) {
        for chunk in 0..self.chunks.len() {
            if !self.chunks[chunk].has_pinned() {
                self.release_where(chunk, |_| true);
            }
        }
        self.chunks.retain(Chunk::has_pinned);
        self.hand = (0, 0);
        self.first_free = ptr::null_mut();
        self.entry_count = 0;
        for chunk in &mut self.chunks {
            self.entry_count += chunk.entry_count();
            for index in 0..chunk.entry_count() {
                let Some(entry) = chunk.entry(index) else {
                    break;
                };
                // SAFETY: one of the cache's.
                unsafe {
                    if (*entry).state == State::Free {
                        (*entry).next = self.first_free;
                        self.first_free = entry;
                    }
                }
            }
        }
    }

    fn release_number(&mut self, number: u32) {
        let entry = self.find(number);
        if !entry.is_null() {
            self.release(entry);
        }
    }

    fn release_where(&mut self, chunk: usize, is_meant: impl Fn(&Entry) -> bool) {
        for index in 0..self.chunks[chunk].entry_count() {
            let Some(entry) = self.chunks[chunk].entry(index) else {
                break;
            };
            // SAFETY: one of the cache's.
            if unsafe { (*entry).state != State::Free && is_meant(&*entry) } {
                self.release(entry);
            }
        }
    }

    fn bucket(&mut self, number: u32) -> &mut *mut Entry {
        let index = number as usize & (self.buckets.len() - 1);
        // SAFETY: their number is a power of two, so that the index is lower.
        unsafe { self.buckets.get_unchecked_mut(index) }
    }

    /// Null when the page is not there.
    fn find(&mut self, number: u32) -> *mut Entry {
        let mut entry = *self.bucket(number);
        // SAFETY: null, or one of the cache's.
        while let Some(candidate) = unsafe { entry.as_ref() } {
            if candidate.number == number {
                break;
            }
            entry = candidate.next;
        }
        entry
    }

    /// Adds a page that is in use; null for lack of memory.
    fn insert(&mut self, number: u32) -> *mut Entry {
        if self.page_count >= self.buckets.len() {
            self.add_buckets();
        }
        if self.is_purgeable && self.page_count >= self.max_pages {
            self.give_up();
        }
        let Some(entry) = self.take() else {
            return ptr::null_mut();
        };
        // SAFETY: it is one of the cache's; its extra bytes hold a pointer, which SQLite wants to be zero.
        unsafe {
            (*entry).state = State::Pinned;
            (*entry).page.pExtra.cast::<*const ()>().write(ptr::null());
        }
        self.page_count += 1;
        self.pinned_count += 1;
        self.link(entry, number);
        entry
    }

    /// An entry that is free; none for lack of memory.
    fn take(&mut self) -> Option<*mut Entry> {
        if self.first_free.is_null() {
            if let Some(entry) = self.take_new() {
                return Some(entry);
            }
            self.give_up()?;
        }
        let entry = self.first_free;
        // SAFETY: one of the cache's.
        self.first_free = unsafe { (*entry).next };
        Some(entry)
    }

    fn take_new(&mut self) -> Option<*mut Entry> {
        let (page_bytes, slot_bytes) = (self.page_bytes, self.slot_bytes);
        let take = |chunk: &mut Chunk| chunk.take(page_bytes, slot_bytes);
        let mut entry = self.chunks.last_mut().and_then(take);
        if entry.is_none() {
            self.chunks.try_reserve(1).ok()?;
            self.chunks.push(Chunk::new(slot_bytes, self.page_count)?);
            entry = self.chunks.last_mut().and_then(take);
        }
        self.entry_count += 1;
        entry
    }

    /// Takes the number from a page that has been idle for long, and its entry becomes free; none when all are
    /// in use.
    fn give_up(&mut self) -> Option<()> {
        if self.pinned_count == self.page_count {
            return None;
        }
        // It ends within two rounds: one page at least is not in use.
        loop {
            let (chunk, index) = self.hand;
            let Some(entry) = self
                .chunks
                .get_mut(chunk)
                .and_then(|chunk| chunk.entry(index))
            else {
                let is_last = chunk + 1 >= self.chunks.len();
                self.hand = (if is_last { 0 } else { chunk + 1 }, 0);
                continue;
            };
            self.hand.1 += 1;
            // SAFETY: one of the cache's.
            let state = unsafe { &mut (*entry).state };
            match *state {
                State::Recent => *state = State::Idle,
                State::Idle => {
                    self.release(entry);
                    return Some(());
                }
                State::Pinned | State::Free => {}
            }
        }
    }

    /// Makes an entry free.
    fn release(&mut self, entry: *mut Entry) {
        self.unlink(entry);
        self.page_count -= 1;
        // SAFETY: one of the cache's.
        unsafe {
            if (*entry).state == State::Pinned {
                self.pinned_count -= 1;
            }
            (*entry).state = State::Free;
            (*entry).next = self.first_free;
        }
        self.first_free = entry;
    }

    fn link(&mut self, entry: *mut Entry, number: u32) {
        if number != self.lock_byte_page {
            self.highest = self.highest.max(number);
        }
        let first = self.bucket(number);
        // SAFETY: one of the cache's.
        unsafe {
            (*entry).number = number;
            (*entry).next = *first;
        }
        *first = entry;
    }

    fn unlink(&mut self, entry: *mut Entry) {
        // SAFETY: the entry and those of its bucket are the cache's, and it is among them.
        unsafe {
            let mut link: *mut *mut Entry = self.bucket((*entry).number);
            while *link != entry {
                link = &raw mut (**link).next;
            }
            *link = (*entry).next;
        }
    }

    /// Doubles the buckets; for lack of memory they stay, and are longer to search.
    fn add_buckets(&mut self) {
        let Some(buckets) = empty_buckets(self.buckets.len() * 2) else {
            return;
        };
        for mut entry in std::mem::replace(&mut self.buckets, buckets) {
            // SAFETY: null, or one of the cache's.
            while let Some(moved) = unsafe { entry.as_mut() } {
                let first = self.bucket(moved.number);
                let next = std::mem::replace(&mut moved.next, *first);
                *first = entry;
                entry = next;
            }
        }
    }
}

/// None for lack of memory.
fn empty_buckets(count: usize) -> Option<Vec<*mut Entry>> {
    let mut buckets = Vec::new();
    buckets.try_reserve_exact(count).ok()?;
    buckets.resize(count, ptr::null_mut());
    Some(buckets)
}
