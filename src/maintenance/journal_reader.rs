//! Owns reading a rollback journal that a process left behind as it died: the pages as they were
//! before its last transaction.
//!
//! Source: <https://www.sqlite.org/fileformat2.html#the_rollback_journal>.

use std::collections::HashMap;

/// What every journal's header begins with.
const MAGIC: [u8; 8] = [0xd9, 0xd5, 0x05, 0xf9, 0x20, 0xa1, 0x63, 0xd7];

/// What a journal holds.
#[derive(Debug, Default)]
pub struct JournalContents {
    /// Where each page's old version begins in the journal.
    pub pages: HashMap<u32, u64>,
    /// How many pages the database had, when anything is to be rolled back.
    pub database_pages: Option<u32>,
}

/// Reads a journal; `read` fills a buffer from an offset and says whether it could.
///
/// It stops at the first record that does not verify, as SQLite does.
pub fn read_journal(
    page_bytes: u32,
    mut read: impl FnMut(u64, &mut [u8]) -> bool,
) -> JournalContents {
    let mut contents = JournalContents::default();
    let page_length = page_bytes as usize;
    let mut record = vec![0; page_length + 8];
    let mut at = 0;
    loop {
        let mut header = [0; 28];
        if !read(at, &mut header) || header[..8] != MAGIC {
            return contents;
        }
        let number = |from: usize| {
            let bytes = [
                header[from],
                header[from + 1],
                header[from + 2],
                header[from + 3],
            ];
            u32::from_be_bytes(bytes)
        };
        let (records, nonce, database_pages) = (number(8), number(12), number(16));
        let (sector, size) = (u64::from(number(20)), number(24));
        // Records that were never synced: the database has not been written to since.
        if records == 0 || size != page_bytes || !(32..=65_536).contains(&sector) {
            return contents;
        }
        contents.database_pages.get_or_insert(database_pages);
        at += sector;
        for _ in 0..records {
            if !read(at, &mut record) {
                return contents;
            }
            let word = |from: usize| {
                let bytes = [
                    record[from],
                    record[from + 1],
                    record[from + 2],
                    record[from + 3],
                ];
                u32::from_be_bytes(bytes)
            };
            let page = &record[4..4 + page_length];
            let sum = (1..)
                .map_while(|step: usize| page_length.checked_sub(200 * step))
                .take_while(|place| *place > 0)
                .fold(nonce, |sum, place| sum.wrapping_add(page[place].into()));
            if word(0) == 0 || sum != word(4 + page_length) {
                return contents;
            }
            // The first version is the oldest.
            contents.pages.entry(word(0)).or_insert(at + 4);
            at += u64::from(page_bytes) + 8;
        }
        at = at.div_ceil(sector) * sector;
    }
}
