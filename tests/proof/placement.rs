//! Owns where each row of an undamaged ledger stands: on which pages of its file.
//!
//! It reads the trees by itself, in few lines that believe every byte: the repair's own parsers are
//! what is measured with it. Source: <https://www.sqlite.org/fileformat2.html#b_tree_pages>.

use crate::Outcome;
use crate::damage::{FRAME_BYTES, LOG_HEADER_BYTES, Ledger, PAGE_BYTES};
use std::collections::{HashMap, HashSet};
use std::path::Path;
use whatsapp_uploader_database::rusqlite::Connection;

/// The tables with the columns that name their rows.
const TABLES: [(&str, &str); 4] = [
    ("upload_sessions", "id"),
    ("file_hashes", "hash"),
    ("upload_errors", "id"),
    ("config", "key"),
];

/// The most bytes of a row that stand on its leaf.
const MOST_LOCAL: usize = PAGE_BYTES - 35;

/// Bytes of an overflow page beside the next one's number.
const OVERFLOW_BYTES: usize = PAGE_BYTES - 4;

pub struct Placement(HashMap<&'static str, HashMap<String, Vec<u32>>>);

impl Placement {
    /// Finds the pages of every row; `path` is where the ledger is put for that.
    pub fn of(ledger: &Ledger, path: &Path) -> Outcome<Self> {
        ledger.put(path)?;
        let connection = Connection::open(path)?;
        connection.query_row("PRAGMA wal_checkpoint(TRUNCATE)", [], |_| Ok(()))?;
        let mut named = Vec::new();
        for (table, key) in TABLES {
            let root: u32 = connection.query_row(
                "SELECT rootpage FROM sqlite_schema WHERE name = ?1",
                [table],
                |row| row.get(0),
            )?;
            let sql = format!("SELECT rowid, CAST({key} AS TEXT) FROM {table}");
            let mut statement = connection.prepare(&sql)?;
            let keys = statement
                .query_map([], |row| Ok((row.get(0)?, row.get(1)?)))?
                .collect::<Result<Vec<(i64, String)>, _>>()?;
            named.push((table, root, keys));
        }
        connection.close().map_err(|(_, error)| error)?;
        let file = std::fs::read(path)?;
        // The file's own version of these does not count.
        let in_log = pages_in_log(&ledger.log);
        let mut places = HashMap::new();
        for (table, root, keys) in named {
            let mut pages = HashMap::new();
            walk(&file, root, &mut pages);
            let mut of_keys = HashMap::new();
            for (rowid, key) in keys {
                let mut pages: Vec<u32> = pages
                    .remove(&rowid)
                    .ok_or_else(|| format!("row {rowid} of {table} stands nowhere"))?;
                pages.retain(|page| !in_log.contains(page));
                of_keys.insert(key, pages);
            }
            places.insert(table, of_keys);
        }
        Ok(Self(places))
    }

    /// Says whether no page of a row is among the damaged ones.
    pub fn is_intact(&self, table: &str, key: &str, damaged: &HashSet<u32>) -> bool {
        let pages = self.0.get(table).and_then(|keys| keys.get(key));
        pages.is_some_and(|pages| pages.iter().all(|page| !damaged.contains(page)))
    }
}

/// The pages that a log which was written by one process holds.
fn pages_in_log(log: &[u8]) -> HashSet<u32> {
    if log.is_empty() {
        return HashSet::new();
    }
    // Frames of before the log last began again have other salts.
    log[LOG_HEADER_BYTES..]
        .chunks_exact(FRAME_BYTES)
        .take_while(|frame| frame[8..16] == log[16..24])
        .map(|frame| long(frame, 0))
        .collect()
}

/// Finds the pages of each row of a table's tree, by rowid.
fn walk(file: &[u8], number: u32, rows: &mut HashMap<i64, Vec<u32>>) {
    let page = page_of(file, number);
    let is_leaf = page[0] == 13;
    let array = if is_leaf { 8 } else { 12 };
    for index in 0..short(page, 3) {
        let at = short(page, array + 2 * index);
        if !is_leaf {
            walk(file, long(page, at), rows);
            continue;
        }
        let (length, used) = varint(page, at);
        let (rowid, used_too) = varint(page, at + used);
        let mut pages = vec![number];
        overflow(
            file,
            page,
            at + used + used_too,
            length as usize,
            &mut pages,
        );
        rows.insert(rowid, pages);
    }
    if !is_leaf {
        walk(file, long(page, 8), rows);
    }
}

/// Adds the overflow pages of a row whose bytes begin at `at`
/// (<https://www.sqlite.org/fileformat2.html#cell_payload_overflow_pages>).
fn overflow(file: &[u8], page: &[u8], at: usize, length: usize, pages: &mut Vec<u32>) {
    if length <= MOST_LOCAL {
        return;
    }
    let least = (PAGE_BYTES - 12) * 32 / 255 - 23;
    let wanted = least + (length - least) % OVERFLOW_BYTES;
    let local = if wanted <= MOST_LOCAL { wanted } else { least };
    let mut next = long(page, at + local);
    while next != 0 {
        pages.push(next);
        next = long(page_of(file, next), 0);
    }
}

/// A page, from 1. No table's root is the first, which begins with the file's header.
fn page_of(file: &[u8], number: u32) -> &[u8] {
    let start = (number as usize - 1) * PAGE_BYTES;
    &file[start..start + PAGE_BYTES]
}

fn short(bytes: &[u8], at: usize) -> usize {
    usize::from(u16::from_be_bytes([bytes[at], bytes[at + 1]]))
}

fn long(bytes: &[u8], at: usize) -> u32 {
    u32::from_be_bytes([bytes[at], bytes[at + 1], bytes[at + 2], bytes[at + 3]])
}

/// A number and how many bytes it takes; rowids and lengths here take no ninth byte.
fn varint(bytes: &[u8], at: usize) -> (i64, usize) {
    let mut value = 0;
    let mut used = 0;
    loop {
        let byte = bytes[at + used];
        value = (value << 7) | i64::from(byte & 0x7f);
        used += 1;
        if byte < 0x80 {
            return (value, used);
        }
    }
}
