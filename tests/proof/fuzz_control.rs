//! Owns the parsers of the campaign `fuzz`'s negative control: each believes what an input says of itself.

use crate::fuzz_seed::{LOG_HEADER_BYTES, SMALL_PAGE};
use crate::target::options_of;
use crate::target_packing::{Given, cells_of, packing_of};
use std::hint::black_box;
use whatsapp_uploader_database::DatabaseConfig;

/// Reads the byte at which each cell of each page is said to begin.
pub fn pages(input: &[u8]) {
    let mut sum = 0_u64;
    for page in input[1.min(input.len())..].chunks_exact(SMALL_PAGE) {
        let array = match page[0] {
            2 | 5 => 12,
            10 | 13 => 8,
            _ => continue,
        };
        let cells = usize::from(page[3]) << 8 | usize::from(page[4]);
        for place in page[array..array + 2 * cells].chunks_exact(2) {
            sum += u64::from(page[usize::from(place[0]) << 8 | usize::from(place[1])]);
        }
    }
    black_box(sum);
}

/// Reads a page of the stated size for each frame that has a header.
pub fn log(input: &[u8]) {
    let log = &input[1..];
    let page_bytes = number_at(log, 8) as usize;
    let mut at = LOG_HEADER_BYTES;
    while at < log.len() {
        black_box(number_at(log, at));
        black_box(&log[at + 24..at + 24 + page_bytes]);
        at += 24 + page_bytes;
    }
}

/// Reads as many records as the first header states.
pub fn journal(input: &[u8]) {
    let journal = &input[1..];
    let mut at = number_at(journal, 20) as usize;
    for _ in 0..number_at(journal, 8) {
        black_box(number_at(journal, at));
        black_box(&journal[at + 4..at + 4 + SMALL_PAGE]);
        at += SMALL_PAGE + 8;
    }
}

/// Takes any options for valid.
pub fn config(input: &[u8]) {
    let options = options_of(input);
    let named = options
        .iter()
        .map(|(name, value)| (name.as_str(), value.clone()));
    black_box(DatabaseConfig::from_options(named).expect("valid options"));
}

/// Takes any code that could be a text's end for one.
pub fn values(input: &[u8]) {
    let packing = packing_of(input);
    let mut start = 0;
    let mut codes = packing.codes.iter();
    while let Some(code) = codes.next() {
        match code {
            0.. => {
                let units = &packing.units[start..*code as usize];
                black_box(String::from_utf16(units).expect("a whole text"));
                start = *code as usize;
            }
            -6..=-3 => drop(codes.nth(1)),
            _ => {}
        }
    }
}

/// Takes any bytes for UTF-8.
pub fn rows(input: &[u8]) {
    for cell in cells_of(&input[1..]) {
        if let Given::Text(bytes) = cell {
            black_box(String::from_utf8(bytes).expect("UTF-8"));
        }
    }
}

fn number_at(bytes: &[u8], at: usize) -> u32 {
    let part = &bytes[at..at + 4];
    u32::from_be_bytes([part[0], part[1], part[2], part[3]])
}
