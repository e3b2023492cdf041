//! The page cache alone, beside a model, and under SQLite.

use super::*;
use crate::page_cache::cache::Creation::{Always, Never, WhenEasy};
use crate::test_random::{Random, seed};
use std::collections::{BTreeMap, BTreeSet};
use std::process::Command;

const PAGE_BYTES: usize = 4096;
const EXTRA_BYTES: usize = 216;
const LOCK_BYTE_PAGE: u32 = 0x4000_0000 / PAGE_BYTES as u32 + 1;

type Page = *mut ffi::sqlite3_pcache_page;

/// Lets go of a page; every test gives one that is in use.
fn unpin(cache: &mut Cache, page: Page) {
    // SAFETY: it is in use.
    unsafe { cache.unpin(page, false) };
}

fn discard(cache: &mut Cache, page: Page) {
    // SAFETY: as in `unpin`.
    unsafe { cache.unpin(page, true) };
}

fn rekey(cache: &mut Cache, page: Page, number: u32) {
    // SAFETY: as in `unpin`.
    unsafe { cache.rekey(page, number) };
}

fn cache_of_pages(pages: usize) -> Cache {
    let mut cache = Cache::new(PAGE_BYTES, EXTRA_BYTES, true).unwrap();
    cache.set_max_pages(pages);
    cache
}

/// Writes over all of a page's memory, as SQLite may.
fn fill(page: Page, number: u32) {
    // SAFETY: a page that the cache gave.
    unsafe {
        let (content, extra) = ((*page).pBuf.cast::<u8>(), (*page).pExtra.cast::<u8>());
        content.write_bytes(number as u8, PAGE_BYTES);
        extra.write_bytes(number as u8 | 1, EXTRA_BYTES);
        content.cast::<u32>().write(number);
    }
}

fn is_filled(page: Page, number: u32) -> bool {
    // SAFETY: a page that the cache gave and that was filled.
    unsafe {
        let (content, extra) = ((*page).pBuf.cast::<u8>(), (*page).pExtra.cast::<u8>());
        content.cast::<u32>().read() == number
            && content.add(PAGE_BYTES - 1).read() == number as u8
            && extra.read() == number as u8 | 1
            && extra.add(EXTRA_BYTES - 1).read() == number as u8 | 1
    }
}

fn is_new(page: Page) -> bool {
    // SAFETY: a page that the cache gave.
    unsafe { (*page).pExtra.cast::<usize>().read() == 0 }
}

#[test]
fn a_page_keeps_its_content_and_a_new_one_begins_with_zeros() {
    let mut cache = cache_of_pages(1000);
    assert!(cache.fetch(7, Never).is_null());
    let page = cache.fetch(7, WhenEasy);
    assert!(is_new(page));
    fill(page, 7);
    assert_eq!(cache.fetch(7, Never), page);
    unpin(&mut cache, page);
    assert_eq!(cache.fetch(7, Never), page);
    assert!(is_filled(page, 7));
    discard(&mut cache, page);
    assert!(cache.fetch(7, Never).is_null());
    assert!(is_new(cache.fetch(8, Always)), "its memory is used again");
    assert_eq!(cache.page_count(), 1);
}

#[test]
fn what_was_not_used_lately_is_given_up_and_nothing_that_is_in_use() {
    let mut cache = cache_of_pages(100);
    let used: Vec<Page> = (1..=10).map(|number| cache.fetch(number, Always)).collect();
    for number in 11..=100 {
        let page = cache.fetch(number, WhenEasy);
        unpin(&mut cache, page);
    }
    // The hand takes their marks, and the first of them.
    let page = cache.fetch(101, WhenEasy);
    unpin(&mut cache, page);
    let often = cache.fetch(50, Never);
    assert!(!often.is_null());
    unpin(&mut cache, often);
    for number in 102..=180 {
        let page = cache.fetch(number, WhenEasy);
        unpin(&mut cache, page);
    }
    assert_eq!(cache.page_count(), 100);
    assert!(
        !cache.fetch(50, Never).is_null(),
        "used since the hand passed"
    );
    assert!(cache.fetch(11, Never).is_null() && cache.fetch(49, Never).is_null());
    for (page, number) in used.into_iter().zip(1..) {
        assert_eq!(cache.fetch(number, Never), page);
    }
}

#[test]
fn a_crowded_cache_makes_a_page_only_when_it_must() {
    let mut cache = cache_of_pages(20);
    for number in 1..=18 {
        assert!(!cache.fetch(number, WhenEasy).is_null());
    }
    assert!(
        cache.fetch(19, WhenEasy).is_null(),
        "nine tenths are in use"
    );
    let surplus: Vec<Page> = (19..=30)
        .map(|number| cache.fetch(number, Always))
        .collect();
    assert_eq!(cache.page_count(), 30);
    for page in surplus {
        unpin(&mut cache, page);
    }
    assert_eq!(
        cache.page_count(),
        20,
        "what is too much goes when it is let go of"
    );
    let mut kept = Cache::new(PAGE_BYTES, EXTRA_BYTES, false).unwrap();
    kept.set_max_pages(1);
    for number in 1..=30 {
        let page = kept.fetch(number, WhenEasy);
        unpin(&mut kept, page);
    }
    assert_eq!(kept.page_count(), 30, "what has no file is never given up");
}

#[test]
fn the_lock_byte_pages_number_makes_no_truncation_look_at_all_pages() {
    let mut cache = cache_of_pages(100);
    let pages: Vec<Page> = (1..=50).map(|number| cache.fetch(number, Always)).collect();
    assert_eq!(cache.highest(), 50);
    rekey(&mut cache, pages[0], LOCK_BYTE_PAGE);
    assert_eq!(cache.highest(), 50);
    cache.truncate(51);
    assert_eq!(cache.page_count(), 49, "it is behind the end all the same");
    rekey(&mut cache, pages[1], LOCK_BYTE_PAGE);
    rekey(&mut cache, pages[1], 1);
    cache.truncate(51);
    assert_eq!(cache.fetch(1, Never), pages[1]);
}

/// What SQLite's own cache would have for so many pages, and half as much again.
fn fair_bytes(pages: usize) -> usize {
    pages * (PAGE_BYTES + EXTRA_BYTES) * 3 / 2
}

#[test]
fn memory_is_given_back_when_no_page_is_in_use() {
    let mut cache = cache_of_pages(2000);
    let first = cache.fetch(1, Always);
    for number in 2..=1500 {
        let page = cache.fetch(number, Always);
        unpin(&mut cache, page);
    }
    assert!(cache.chunk_bytes() <= fair_bytes(1500));
    fill(first, 1);
    cache.shrink();
    assert_eq!(cache.page_count(), 1);
    assert!(
        cache.chunk_bytes() <= fair_bytes(4),
        "{}",
        cache.chunk_bytes()
    );
    assert!(is_filled(cache.fetch(1, Never), 1));
    unpin(&mut cache, first);
    cache.shrink();
    assert_eq!((cache.page_count(), cache.chunk_bytes()), (0, 0));
    fill(cache.fetch(3, Always), 3);
}

#[test]
fn a_crowds_memory_is_given_back_at_the_end_of_the_transaction_or_when_less_is_to_be_kept() {
    for is_purgeable in [true, false] {
        let mut cache = Cache::new(PAGE_BYTES, EXTRA_BYTES, is_purgeable).unwrap();
        cache.set_max_pages(100);
        let pages: Vec<Page> = (1..=5000)
            .map(|number| cache.fetch(number, Always))
            .collect();
        assert!(cache.chunk_bytes() >= 5000 * PAGE_BYTES);
        fill(pages[17], 18);
        for (index, page) in pages.into_iter().enumerate() {
            if index != 17 {
                let let_go = if is_purgeable { unpin } else { discard };
                let_go(&mut cache, page);
            }
        }
        cache.truncate(6000);
        assert!(cache.chunk_bytes() <= fair_bytes(264), "{is_purgeable}");
        assert!(is_filled(cache.fetch(18, Never), 18));
    }
    let mut cache = cache_of_pages(3000);
    for number in 1..=3000 {
        let page = cache.fetch(number, Always);
        unpin(&mut cache, page);
    }
    cache.set_max_pages(50);
    assert!(cache.chunk_bytes() <= fair_bytes(164));
}

#[test]
fn a_small_cache_takes_little_memory() {
    for pages in [1, 5, 50, 464] {
        let mut cache = cache_of_pages(pages);
        for number in 1..=pages as u32 {
            fill(cache.fetch(number, Always), number);
        }
        assert!(
            cache.chunk_bytes() <= fair_bytes(pages.max(4) + 30),
            "{pages}"
        );
    }
    let mut cache = Cache::new(65_536, EXTRA_BYTES, true).unwrap();
    cache.fetch(1, Always);
    assert!(cache.chunk_bytes() < 300_000);
}

/// What the cache must do, as simply as it can be said.
#[derive(Default)]
struct Model {
    pinned: BTreeMap<u32, Page>,
    /// Those that may have been given up.
    idle: BTreeSet<u32>,
}

/// Random calls as SQLite makes them; after each, what is in use is as it was, and what is found is right.
fn compare_with_model(seed: u64) {
    let mut source = Random(seed);
    let mut random = move |below: usize| source.below(below) as u32;
    let max_pages = random(300) as usize;
    let numbers = 1 + random(500) as usize;
    let mut cache = cache_of_pages(max_pages);
    let mut model = Model::default();
    for _ in 0..3000 {
        let number = 1 + random(numbers);
        match random(100) {
            0..50 => {
                let creation = [Never, WhenEasy, Always][random(3) as usize];
                let page = cache.fetch(number, creation);
                let was_idle = model.idle.remove(&number);
                match model.pinned.get(&number) {
                    Some(pinned) => assert_eq!(page, *pinned, "seed {seed}"),
                    None if page.is_null() => assert!(creation != Always, "seed {seed}"),
                    None => {
                        assert!(creation != Never || was_idle, "seed {seed}");
                        let is_as_left = || was_idle && is_filled(page, number);
                        assert!(is_new(page) || is_as_left(), "seed {seed}");
                        fill(page, number);
                        model.pinned.insert(number, page);
                    }
                }
            }
            50..90 => {
                let Some((&number, &page)) = model.pinned.range(number..).next() else {
                    continue;
                };
                let is_discarded = random(5) == 0;
                model.pinned.remove(&number);
                if is_discarded {
                    discard(&mut cache, page);
                } else {
                    unpin(&mut cache, page);
                    model.idle.insert(number);
                }
            }
            90..97 => {
                let Some((&old, &page)) = model.pinned.range(number..).next() else {
                    continue;
                };
                let new = [1 + random(numbers), LOCK_BYTE_PAGE][usize::from(random(4) == 0)];
                if model.pinned.contains_key(&new) {
                    continue;
                }
                rekey(&mut cache, page, new);
                model.pinned.remove(&old);
                model.idle.remove(&new);
                fill(page, new);
                model.pinned.insert(new, page);
            }
            97 => {
                cache.truncate(number);
                model.pinned.retain(|pinned, _| *pinned < number);
                model.idle.retain(|idle| *idle < number);
            }
            98 => cache.set_max_pages(random(300) as usize),
            _ => {
                cache.shrink();
                model.idle.clear();
            }
        }
        let (pinned, all) = (model.pinned.len(), model.pinned.len() + model.idle.len());
        assert!((pinned..=all).contains(&cache.page_count()), "seed {seed}");
    }
    for (number, page) in model.pinned {
        assert!(is_filled(page, number), "seed {seed}");
        assert_eq!(cache.fetch(number, Never), page, "seed {seed}");
    }
}

#[test]
fn random_calls_find_what_a_simple_model_finds() {
    let first = seed();
    for round in 0..300 {
        compare_with_model(first + round * 7919);
    }
}

#[test]
fn only_leaves_that_were_read_are_fetched_ahead() {
    for (extra, kind, expected) in [
        (1_usize, 0x0a_u8, true),
        (1, 0x0d, true),
        (1, 0x02, false),
        (1, 0x05, false),
        (0, 0x0d, false),
    ] {
        let (mut extra, mut kind) = (extra, kind);
        let page = ffi::sqlite3_pcache_page {
            pBuf: ptr::from_mut(&mut kind).cast(),
            pExtra: ptr::from_mut(&mut extra).cast(),
        };
        // SAFETY: both are as large as it looks at.
        assert_eq!(unsafe { is_leaf(&page) }, expected, "{extra} {kind}");
    }
}

/// Says to a process of this test that it is one.
const CHILD: &str = "PAGE_CACHE_TEST_CHILD";

/// The rows and soundness of a file after work that needs more pages than its cache has.
fn work(path: &std::path::Path, page_bytes: i32, cache_pages: i32) -> i64 {
    let connection = rusqlite::Connection::open(path).unwrap();
    let pragmas = [("page_size", page_bytes), ("cache_size", cache_pages)];
    for (name, value) in pragmas {
        connection.pragma_update(None, name, value).unwrap();
    }
    connection
        .execute_batch(
            "PRAGMA auto_vacuum = FULL; PRAGMA journal_mode = WAL;
             CREATE TABLE t(x TEXT PRIMARY KEY, y BLOB);
             BEGIN;
             WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 6000)
             INSERT INTO t SELECT hex(i * 2654435761 % 4294967296), zeroblob(i % 900) FROM n;
             SAVEPOINT s; DELETE FROM t; ROLLBACK TO s;
             COMMIT;
             BEGIN; UPDATE t SET y = zeroblob(2000); ROLLBACK;
             DELETE FROM t WHERE rowid % 3 = 0;
             VACUUM;
             CREATE TEMP TABLE u AS SELECT * FROM t ORDER BY length(y), x;
             PRAGMA shrink_memory;
             DELETE FROM t WHERE x IN (SELECT x FROM u WHERE rowid % 2);",
        )
        .unwrap();
    let check: String = connection
        .pragma_query_value(None, "integrity_check", |row| row.get(0))
        .unwrap();
    assert_eq!(check, "ok", "{page_bytes} {cache_pages}");
    connection
        .query_row("SELECT count(*) FROM t", (), |row| row.get(0))
        .unwrap()
}

fn work_with_this_cache() {
    assert!(configure() && configure());
    // SAFETY: this option writes the present methods to where its one argument points.
    let methods = unsafe {
        let mut methods: ffi::sqlite3_pcache_methods2 = std::mem::zeroed();
        ffi::sqlite3_config(ffi::SQLITE_CONFIG_GETPCACHE2, &raw mut methods);
        methods
    };
    assert!(ptr::fn_addr_eq(
        methods.xFetch.unwrap(),
        fetch
            as unsafe extern "C" fn(
                *mut ffi::sqlite3_pcache,
                c_uint,
                c_int,
            ) -> *mut ffi::sqlite3_pcache_page
    ));
    let folder = crate::test_folder::TestFolder::new();
    for page_bytes in [512, 1024, 4096, 65536] {
        for cache_pages in [1, 10, 100, 2000] {
            let path = folder.path().join(format!("{page_bytes}-{cache_pages}.db"));
            assert_eq!(work(&path, page_bytes, cache_pages), 2000);
        }
    }
}

#[test]
fn sqlite_works_with_it_at_every_size_of_page_and_cache() {
    // In a process of its own: SQLite can be configured only before it is used.
    if std::env::var_os(CHILD).is_some() {
        return work_with_this_cache();
    }
    let test = "page_cache::tests::sqlite_works_with_it_at_every_size_of_page_and_cache";
    let output = Command::new(std::env::current_exe().unwrap())
        .args(["--exact", test])
        .env(CHILD, "1")
        .output()
        .unwrap();
    let text = String::from_utf8_lossy(&output.stdout);
    assert!(
        output.status.success() && text.contains("1 passed"),
        "{text}{}",
        String::from_utf8_lossy(&output.stderr)
    );
}

#[test]
fn a_process_that_uses_sqlite_already_keeps_its_own() {
    let connection = rusqlite::Connection::open_in_memory().unwrap();
    assert!(!configure());
    connection.execute_batch("CREATE TABLE t(x)").unwrap();
    rusqlite::Connection::open_in_memory().unwrap();
}
