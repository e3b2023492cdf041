//! Owns one correction of SQLite's page cache: that a split of a page makes the next commit look
//! at every page in the cache.
//!
//! It may not know tables, files or connections. It changes the numbers that one call passes on, and
//! leaves the cache itself SQLite's own.
//!
//! SQLite keeps the pages of a split in the order of their numbers, and swaps two by giving one of
//! them the number of the lock-byte page for a moment (`balance_nonroot`). That number is so high that
//! the cache takes itself to have pages behind the file's end from then on, which the next commit
//! removes, looking at all there are (`pcache1Truncate`): a tenth of a millisecond and more when some
//! thousands are in it. No page has number 0 (<https://www.sqlite.org/fileformat2.html#pages>), so
//! that is given to it instead.

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

/// SQLite's own way, where it was replaced.
static ORIGINAL: OnceLock<Option<Original>> = OnceLock::new();

/// The addresses of the caches whose pages have the size that is corrected.
static CACHES: Mutex<Vec<usize>> = Mutex::new(Vec::new());

/// The methods that are replaced.
struct Original {
    create: unsafe extern "C" fn(c_int, c_int, c_int) -> *mut ffi::sqlite3_pcache,
    rekey: unsafe extern "C" fn(
        *mut ffi::sqlite3_pcache,
        *mut ffi::sqlite3_pcache_page,
        c_uint,
        c_uint,
    ),
    destroy: unsafe extern "C" fn(*mut ffi::sqlite3_pcache),
}

/// Corrects the page cache of all connections that this process opens from here on; does nothing when one
/// was opened before, since SQLite must be configured before it is used
/// (<https://www.sqlite.org/c3ref/config.html>).
///
/// For the addon, which has an SQLite of its own: a Rust program's is not this crate's to configure.
pub(crate) fn correct() {
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
            rekey: methods.xRekey?,
            destroy: methods.xDestroy?,
        };
        methods.xCreate = Some(create);
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

    type Rekey = unsafe extern "C" fn(
        *mut ffi::sqlite3_pcache,
        *mut ffi::sqlite3_pcache_page,
        c_uint,
        c_uint,
    );

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
        // SAFETY: as in `correct`.
        unsafe {
            let mut methods: ffi::sqlite3_pcache_methods2 = std::mem::zeroed();
            ffi::sqlite3_config(ffi::SQLITE_CONFIG_GETPCACHE2, &raw mut methods);
            assert!(SPIED.set(methods.xRekey.unwrap()).is_ok());
            methods.xRekey = Some(spy);
            ffi::sqlite3_config(ffi::SQLITE_CONFIG_PCACHE2, &raw mut methods);
        }
        correct();
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
    fn a_process_that_uses_sqlite_already_is_left_as_it_is() {
        rusqlite::Connection::open_in_memory().unwrap();
        correct();
        assert!(original().is_none());
    }
}
