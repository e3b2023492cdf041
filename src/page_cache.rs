//! Owns what is changed about SQLite's page cache: a split of a page makes the next commit look at every
//! page there is, which is corrected, and a leaf is fetched from memory at once, not line by line.
//!
//! It may not know tables, files or connections. It changes the numbers that one call passes on and looks at
//! what another has found, and leaves the cache itself SQLite's own.
//!
//! # Splits
//!
//! SQLite keeps the pages of a split in the order of their numbers, and swaps two by giving one of
//! them the number of the lock-byte page for a moment (`balance_nonroot`). That number is so high that
//! the cache takes itself to have pages behind the file's end from then on, which the next commit
//! removes, looking at all there are (`pcache1Truncate`): a tenth of a millisecond and more when some
//! thousands are in it. No page has number 0 (<https://www.sqlite.org/fileformat2.html#pages>), so
//! that is given to it instead.
//!
//! # Leaves
//!
//! A search of a leaf that the processor's caches do not hold goes from one line of the page to the
//! next, and waits for memory at each: the page's header, the place of the cell in the middle, that cell,
//! the place of the next. All lines of the page asked for at once take little longer than one.

#![allow(unsafe_code)]

use crate::KNOWN_SQLITE_VERSION;
use rusqlite::ffi;
use std::ffi::{c_int, c_uint};
use std::ptr;
use std::sync::{Mutex, OnceLock, PoisonError};

/// The only size of pages that is corrected: the cache does not tell its own.
const PAGE_BYTES: c_int = 4096;

/// The page with the bytes that are locked, from 1 GiB on; it never has content
/// (<https://www.sqlite.org/fileformat2.html#the_lock_byte_page>).
const LOCK_BYTE_PAGE: c_uint = 0x4000_0000 / PAGE_BYTES as c_uint + 1;

/// A number that no page has.
const NO_PAGE: c_uint = 0;

/// The first byte of a leaf, of an index and of a table
/// (<https://www.sqlite.org/fileformat2.html#b_tree_pages>).
const LEAVES: [u8; 2] = [0x0a, 0x0d];

/// What an x86-64 processor fetches from memory at a time.
#[cfg(target_arch = "x86_64")]
const CACHE_LINE_BYTES: usize = 64;

/// What SQLite keeps about each page (`PgHdr` and `MemPage`), in whole lines.
const DESCRIPTION_BYTES: usize = 192;

/// SQLite's own way, where it was replaced.
static ORIGINAL: OnceLock<Option<Original>> = OnceLock::new();

/// The addresses of the caches whose pages have the size that is corrected.
static CACHES: Mutex<Vec<usize>> = Mutex::new(Vec::new());

type Create = unsafe extern "C" fn(c_int, c_int, c_int) -> *mut ffi::sqlite3_pcache;
type Fetch =
    unsafe extern "C" fn(*mut ffi::sqlite3_pcache, c_uint, c_int) -> *mut ffi::sqlite3_pcache_page;
type Rekey =
    unsafe extern "C" fn(*mut ffi::sqlite3_pcache, *mut ffi::sqlite3_pcache_page, c_uint, c_uint);
type Destroy = unsafe extern "C" fn(*mut ffi::sqlite3_pcache);

/// The methods that are replaced.
struct Original {
    create: Create,
    fetch: Fetch,
    rekey: Rekey,
    destroy: Destroy,
}

/// Changes the page cache of all connections that this process opens from here on; does nothing when one
/// was opened before, since SQLite must be configured before it is used
/// (<https://www.sqlite.org/c3ref/config.html>).
///
/// For the addon, which has an SQLite of its own: a Rust program's is not this crate's to configure.
pub(crate) fn configure() {
    ORIGINAL.get_or_init(|| {
        // SAFETY: this has no conditions.
        if unsafe { ffi::sqlite3_libversion_number() } != KNOWN_SQLITE_VERSION {
            return None;
        }
        // SAFETY: a number, a pointer and functions that may be absent can all be zero.
        let mut methods: ffi::sqlite3_pcache_methods2 = unsafe { std::mem::zeroed() };
        // SAFETY: this option writes the present methods to where its one argument points.
        let code = unsafe { ffi::sqlite3_config(ffi::SQLITE_CONFIG_GETPCACHE2, &raw mut methods) };
        let original = Original {
            create: methods.xCreate.filter(|_| code == ffi::SQLITE_OK)?,
            fetch: methods.xFetch?,
            rekey: methods.xRekey?,
            destroy: methods.xDestroy?,
        };
        methods.xCreate = Some(create);
        if cfg!(target_arch = "x86_64") {
            methods.xFetch = Some(fetch);
        }
        methods.xRekey = Some(rekey);
        methods.xDestroy = Some(destroy);
        // SAFETY: SQLite copies the methods, of which those that are new call the others.
        let code = unsafe { ffi::sqlite3_config(ffi::SQLITE_CONFIG_PCACHE2, &raw mut methods) };
        (code == ffi::SQLITE_OK).then_some(original)
    });
}

fn original() -> Option<&'static Original> {
    ORIGINAL.get()?.as_ref()
}

fn with_caches<T>(work: impl FnOnce(&mut Vec<usize>) -> T) -> T {
    work(&mut CACHES.lock().unwrap_or_else(PoisonError::into_inner))
}

unsafe extern "C" fn create(
    page_bytes: c_int,
    extra_bytes: c_int,
    is_purgeable: c_int,
) -> *mut ffi::sqlite3_pcache {
    let Some(original) = original() else {
        return ptr::null_mut();
    };
    // SAFETY: SQLite's own arguments, handed on.
    let cache = unsafe { (original.create)(page_bytes, extra_bytes, is_purgeable) };
    if page_bytes == PAGE_BYTES && !cache.is_null() {
        with_caches(|caches| caches.push(cache.addr()));
    }
    cache
}

unsafe extern "C" fn destroy(cache: *mut ffi::sqlite3_pcache) {
    // Before: another thread's new cache may then lie where this one lay.
    with_caches(|caches| caches.retain(|address| *address != cache.addr()));
    if let Some(original) = original() {
        // SAFETY: SQLite's own argument, handed on.
        unsafe { (original.destroy)(cache) };
    }
}

/// Finds or makes a page in the cache, and lets the processor fetch all of a leaf that is found.
unsafe extern "C" fn fetch(
    cache: *mut ffi::sqlite3_pcache,
    number: c_uint,
    create: c_int,
) -> *mut ffi::sqlite3_pcache_page {
    let Some(original) = original() else {
        return ptr::null_mut();
    };
    // SAFETY: SQLite's own arguments, handed on.
    let page = unsafe { (original.fetch)(cache, number, create) };
    // SAFETY: what was found is null or one of the cache's pages.
    if let Some(page) = unsafe { page.as_ref() }
        && unsafe { is_leaf(page) }
    {
        prefetch(page.pExtra.cast(), DESCRIPTION_BYTES);
        prefetch(page.pBuf.cast(), PAGE_BYTES as usize);
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
        for offset in (0..bytes).step_by(CACHE_LINE_BYTES) {
            // SAFETY: the instruction is of every x86-64 processor, and reads nothing that the program sees.
            unsafe { _mm_prefetch::<_MM_HINT_T0>(start.wrapping_add(offset)) };
        }
    }
    #[cfg(not(target_arch = "x86_64"))]
    let _ = (start, bytes);
}

/// Gives a page in the cache another number.
unsafe extern "C" fn rekey(
    cache: *mut ffi::sqlite3_pcache,
    page: *mut ffi::sqlite3_pcache_page,
    old: c_uint,
    new: c_uint,
) {
    let is_corrected = [old, new].contains(&LOCK_BYTE_PAGE)
        && with_caches(|caches| caches.contains(&cache.addr()));
    let number_of = |number| match number {
        LOCK_BYTE_PAGE if is_corrected => NO_PAGE,
        _ => number,
    };
    if let Some(original) = original() {
        // SAFETY: SQLite's own arguments, handed on; a page that was given number 0 is called so again.
        unsafe { (original.rekey)(cache, page, number_of(old), number_of(new)) };
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::process::Command;
    use std::sync::atomic::{AtomicU32, Ordering};

    static HIGHEST: AtomicU32 = AtomicU32::new(0);
    static SPIED: OnceLock<Rekey> = OnceLock::new();

    unsafe extern "C" fn spy(
        cache: *mut ffi::sqlite3_pcache,
        page: *mut ffi::sqlite3_pcache_page,
        old: c_uint,
        new: c_uint,
    ) {
        HIGHEST.fetch_max(new, Ordering::Relaxed);
        // SAFETY: SQLite's own arguments, handed on.
        unsafe { SPIED.get().unwrap()(cache, page, old, new) }
    }

    /// Splits many pages; returns the highest number that one was given by SQLite's own cache.
    fn split_pages(page_bytes: i32) -> u32 {
        HIGHEST.store(0, Ordering::Relaxed);
        let connection = rusqlite::Connection::open_in_memory().unwrap();
        connection
            .pragma_update(None, "page_size", page_bytes)
            .unwrap();
        connection
            .execute_batch(
                "CREATE TABLE t(x TEXT PRIMARY KEY);
                 WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 20000)
                 INSERT INTO t SELECT hex(i * 2654435761 % 4294967296) || ' and more' FROM n",
            )
            .unwrap();
        let check: String = connection
            .pragma_query_value(None, "integrity_check", |row| row.get(0))
            .unwrap();
        assert_eq!(check, "ok");
        HIGHEST.load(Ordering::Relaxed)
    }

    /// Says to a process of this test that it is one.
    const CHILD: &str = "PAGE_CACHE_TEST_CHILD";

    fn split_pages_with_a_spy() {
        // SAFETY: as in `configure`.
        unsafe {
            let mut methods: ffi::sqlite3_pcache_methods2 = std::mem::zeroed();
            ffi::sqlite3_config(ffi::SQLITE_CONFIG_GETPCACHE2, &raw mut methods);
            assert!(SPIED.set(methods.xRekey.unwrap()).is_ok());
            methods.xRekey = Some(spy);
            ffi::sqlite3_config(ffi::SQLITE_CONFIG_PCACHE2, &raw mut methods);
        }
        configure();
        // SAFETY: as in `configure`.
        let is_prefetching = unsafe {
            let mut methods: ffi::sqlite3_pcache_methods2 = std::mem::zeroed();
            ffi::sqlite3_config(ffi::SQLITE_CONFIG_GETPCACHE2, &raw mut methods);
            std::ptr::fn_addr_eq(methods.xFetch.unwrap(), fetch as Fetch)
        };
        assert_eq!(is_prefetching, cfg!(target_arch = "x86_64"));
        let highest = split_pages(PAGE_BYTES);
        assert!((1..10_000).contains(&highest), "{highest}");
        // Their numbers say nothing about pages of another size.
        assert_eq!(split_pages(8192), 0x4000_0000 / 8192 + 1);
        assert_eq!(with_caches(|caches| caches.len()), 0, "all are closed");
    }

    #[test]
    fn a_split_never_makes_the_cache_believe_in_far_pages() {
        // In a process of its own: SQLite can be configured only before it is used.
        if std::env::var_os(CHILD).is_some() {
            return split_pages_with_a_spy();
        }
        let test = "page_cache::tests::a_split_never_makes_the_cache_believe_in_far_pages";
        let output = Command::new(std::env::current_exe().unwrap())
            .args(["--exact", test])
            .env(CHILD, "1")
            .output()
            .unwrap();
        let text = String::from_utf8_lossy(&output.stdout);
        assert!(
            output.status.success() && text.contains("1 passed"),
            "{text}"
        );
    }

    #[test]
    fn only_leaves_that_were_read_are_fetched_ahead() {
        let page_of = |extra: &mut usize, kind: &mut u8| ffi::sqlite3_pcache_page {
            pBuf: ptr::from_mut(kind).cast(),
            pExtra: ptr::from_mut(extra).cast(),
        };
        for (extra, kind, expected) in [
            (1, 0x0a, true),
            (1, 0x0d, true),
            (1, 0x02, false),
            (1, 0x05, false),
            (0, 0x0d, false),
        ] {
            let (mut extra, mut kind) = (extra, kind);
            let page = page_of(&mut extra, &mut kind);
            // SAFETY: both are as large as it looks at.
            assert_eq!(unsafe { is_leaf(&page) }, expected, "{extra} {kind}");
        }
    }

    #[test]
    fn a_process_that_uses_sqlite_already_is_left_as_it_is() {
        rusqlite::Connection::open_in_memory().unwrap();
        configure();
        assert!(original().is_none());
    }
}
