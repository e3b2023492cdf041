//! Owns the page cache that SQLite has in the addon, in place of its own: the functions that SQLite calls,
//! and the fetching of a leaf from memory at once, not line by line.
//!
//! It may not know tables, files or connections; which page is where is `cache.rs`'s, their memory `chunk.rs`'s.
//!
//! SQLite's own cache keeps what it knows of a page behind its content, and each page that is not in use in a
//! list: to find a page, three that were not asked for are touched, each a wait for memory. And when a
//! page is split, it gives one the number of the lock-byte page for a moment (`balance_nonroot`), and
//! then takes itself to have pages behind the file's end: the next commit looks at all that it has.
//!
//! # Leaves
//!
//! A search of a leaf that the processor's caches do not hold goes from one line of the page to the
//! next, and waits for memory at each: the page's header, the place of the cell in the middle, that cell,
//! the place of the next. All lines of the page asked for at once take little longer than one.

#![allow(unsafe_code)]

mod cache;
mod chunk;
#[cfg(test)]
mod tests;

use cache::{Cache, Creation};
use rusqlite::ffi;
use std::ffi::{c_int, c_uint, c_void};
use std::ptr;
use std::sync::OnceLock;

/// How much of a leaf is fetched at once: all of it, at the size of page that ledgers have.
const LEAF_BYTES: usize = 4096;

/// What SQLite keeps about each page (`PgHdr` and `MemPage`), in whole lines.
const DESCRIPTION_BYTES: usize = 192;

/// The first byte of a leaf, of an index and of a table
/// (<https://www.sqlite.org/fileformat2.html#b_tree_pages>).
const LEAVES: [u8; 2] = [0x0a, 0x0d];

/// Gives this page cache to all connections that this process opens from here on; does nothing when one was
/// opened before, since SQLite must be configured before it is used
/// (<https://www.sqlite.org/c3ref/config.html>).
///
/// For the addon, which has an SQLite of its own: a Rust program's is not this crate's to configure. Says
/// whether SQLite has it.
pub(crate) fn configure() -> bool {
    static IS_CONFIGURED: OnceLock<bool> = OnceLock::new();
    *IS_CONFIGURED.get_or_init(|| {
        // <https://www.sqlite.org/c3ref/pcache_methods2.html>
        let mut methods = ffi::sqlite3_pcache_methods2 {
            iVersion: 1,
            pArg: ptr::null_mut(),
            xInit: Some(init),
            xShutdown: None,
            xCreate: Some(create),
            xCachesize: Some(set_max_pages),
            xPagecount: Some(count_pages),
            xFetch: Some(fetch),
            xUnpin: Some(unpin),
            xRekey: Some(rekey),
            xTruncate: Some(truncate),
            xDestroy: Some(destroy),
            xShrink: Some(shrink),
        };
        // SAFETY: SQLite copies the methods. Where it was used already it refuses them, and keeps its own.
        let code = unsafe { ffi::sqlite3_config(ffi::SQLITE_CONFIG_PCACHE2, &raw mut methods) };
        code == ffi::SQLITE_OK
    })
}

unsafe extern "C" fn init(_: *mut c_void) -> c_int {
    ffi::SQLITE_OK
}

unsafe extern "C" fn create(
    page_bytes: c_int,
    extra_bytes: c_int,
    is_purgeable: c_int,
) -> *mut ffi::sqlite3_pcache {
    let (Ok(page_bytes), Ok(extra_bytes)) =
        (usize::try_from(page_bytes), usize::try_from(extra_bytes))
    else {
        return ptr::null_mut();
    };
    Cache::new(page_bytes, extra_bytes, is_purgeable != 0)
        .map_or(ptr::null_mut(), |cache| Box::into_raw(Box::new(cache)))
        .cast()
}

unsafe extern "C" fn destroy(cache: *mut ffi::sqlite3_pcache) {
    // SAFETY: `create` made it so, and SQLite destroys it once.
    drop(unsafe { Box::from_raw(cache.cast::<Cache>()) });
}

/// # Safety
///
/// SQLite gives what `create` returned, from one thread at a time.
unsafe fn cache_of<'a>(cache: *mut ffi::sqlite3_pcache) -> &'a mut Cache {
    // SAFETY: the caller's promise.
    unsafe { &mut *cache.cast::<Cache>() }
}

unsafe extern "C" fn set_max_pages(cache: *mut ffi::sqlite3_pcache, pages: c_int) {
    // SAFETY: SQLite's own argument.
    unsafe { cache_of(cache) }.set_max_pages(usize::try_from(pages).unwrap_or(0));
}

unsafe extern "C" fn count_pages(cache: *mut ffi::sqlite3_pcache) -> c_int {
    // SAFETY: SQLite's own argument.
    unsafe { cache_of(cache) }.page_count() as c_int
}

/// Finds or makes a page, and lets the processor fetch all of a leaf that is found.
unsafe extern "C" fn fetch(
    cache: *mut ffi::sqlite3_pcache,
    number: c_uint,
    creation: c_int,
) -> *mut ffi::sqlite3_pcache_page {
    let creation = match creation {
        0 => Creation::Never,
        1 => Creation::WhenEasy,
        _ => Creation::Always,
    };
    // SAFETY: SQLite's own argument.
    let page = unsafe { cache_of(cache) }.fetch(number, creation);
    // SAFETY: it is null or one of the cache's pages.
    if let Some(page) = unsafe { page.as_ref() } {
        prefetch(page.pExtra.cast(), DESCRIPTION_BYTES);
        // SAFETY: so its extra bytes and its content are as large as is looked at.
        if unsafe { is_leaf(page) } {
            prefetch(page.pBuf.cast(), LEAF_BYTES);
        }
    }
    page
}

/// Tells whether a page has been read before and is a leaf. The branches on it are foreseen by the processor,
/// so that it waits for neither line that is looked at here.
///
/// # Safety
///
/// The page is one of a cache's: its extra bytes are a pointer at least, zero until SQLite uses the
/// page (<https://www.sqlite.org/c3ref/pcache_methods2.html>), and its content is a byte at least.
unsafe fn is_leaf(page: &ffi::sqlite3_pcache_page) -> bool {
    // SAFETY: as above; the content is not looked at before SQLite has used the page.
    unsafe {
        !page.pExtra.cast::<*const ()>().read().is_null()
            && LEAVES.contains(&page.pBuf.cast::<u8>().read())
    }
}

/// Asks the processor for memory that is soon read; a hint, which may name any address.
///
/// Only where it was measured: elsewhere it does nothing, and is not asked for.
fn prefetch(start: *const i8, bytes: usize) {
    #[cfg(target_arch = "x86_64")]
    {
        use std::arch::x86_64::{_MM_HINT_T0, _mm_prefetch};
        for offset in (0..bytes).step_by(chunk::CACHE_LINE_BYTES) {
            // SAFETY: the instruction is of every x86-64 processor, and reads nothing that the program sees.
            unsafe { _mm_prefetch::<_MM_HINT_T0>(start.wrapping_add(offset)) };
        }
    }
    #[cfg(not(target_arch = "x86_64"))]
    let _ = (start, bytes);
}

unsafe extern "C" fn unpin(
    cache: *mut ffi::sqlite3_pcache,
    page: *mut ffi::sqlite3_pcache_page,
    is_discarded: c_int,
) {
    // SAFETY: SQLite's own arguments: a page that is in use.
    unsafe { cache_of(cache).unpin(page, is_discarded != 0) };
}

unsafe extern "C" fn rekey(
    cache: *mut ffi::sqlite3_pcache,
    page: *mut ffi::sqlite3_pcache_page,
    _: c_uint,
    number: c_uint,
) {
    // SAFETY: SQLite's own arguments: a page that is in use.
    unsafe { cache_of(cache).rekey(page, number) };
}

unsafe extern "C" fn truncate(cache: *mut ffi::sqlite3_pcache, first: c_uint) {
    // SAFETY: SQLite's own argument.
    unsafe { cache_of(cache) }.truncate(first);
}

unsafe extern "C" fn shrink(cache: *mut ffi::sqlite3_pcache) {
    // SAFETY: SQLite's own argument.
    unsafe { cache_of(cache) }.shrink();
}
