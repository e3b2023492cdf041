//! Owns what a fuzzer drives: each pure parser on any bytes, and what must hold of its answer.
//!
//! Both the campaign `fuzz` and the targets in `fuzz/` run these, so this may use the crate alone.
//! What crosses to and from JavaScript is in `target_packing.rs`.

use std::collections::HashSet;
use whatsapp_uploader_database::parsers::journal_reader::read_journal;
use whatsapp_uploader_database::parsers::salvage::{
    Hints, Pages, Roots, Sink, Source, Table, Value, salvage,
};
use whatsapp_uploader_database::parsers::wal_reader::{LogHeader, read_log};
use whatsapp_uploader_database::{DatabaseConfig, RawValue};

/// How large pages can be; an input's first byte chooses.
pub const PAGE_BYTES: [usize; 4] = [512, 1_024, 4_096, 65_536];

const RESERVED_BYTES: [usize; 4] = [0, 0, 32, 255];

/// A log's header, and the header of each of its frames.
const LOG_HEADER_BYTES: u64 = 32;
const FRAME_HEADER_BYTES: u64 = 24;

/// The bytes of a database.
struct Bytes<'a> {
    bytes: &'a [u8],
    page_bytes: usize,
    reserved_bytes: usize,
}

impl Pages for Bytes<'_> {
    fn page_bytes(&self) -> usize {
        self.page_bytes
    }

    fn reserved_bytes(&self) -> usize {
        self.reserved_bytes
    }

    fn count(&self) -> u32 {
        u32::try_from(self.bytes.len() / self.page_bytes).unwrap_or(u32::MAX)
    }

    fn read(&self, number: u32, buffer: &mut [u8]) -> bool {
        let page = (number as usize)
            .checked_sub(1)
            .and_then(|before| self.bytes.chunks_exact(self.page_bytes).nth(before));
        page.inspect(|page| buffer.copy_from_slice(page)).is_some()
    }
}

/// Takes each row once, as the new file does.
#[derive(Default)]
struct Taken {
    rows: HashSet<(Table, i64)>,
    keys: HashSet<(Table, i64)>,
}

impl Sink for Taken {
    fn row(&mut self, table: Table, rowid: i64, _: &[Value], source: Source) -> bool {
        let is_new = self.rows.insert((table, rowid));
        assert!(
            is_new || source == Source::Tree,
            "a row that is there was taken from a page that no tree reaches"
        );
        is_new
    }

    fn has(&mut self, table: Table, rowid: i64) -> bool {
        self.rows.contains(&(table, rowid))
    }

    fn key(&mut self, table: Table, rowid: i64, _: &str, _: &Hints) {
        assert!(
            !self.rows.contains(&(table, rowid)),
            "the key of a row that is there was taken"
        );
        assert!(self.keys.insert((table, rowid)), "a key was taken twice");
    }
}

/// Salvages a database: one byte for its page size and its reserved bytes, then its pages.
pub fn pages(input: &[u8]) {
    let Some((kind, bytes)) = input.split_first() else {
        return;
    };
    let pages = Bytes {
        bytes,
        page_bytes: PAGE_BYTES[usize::from(kind & 3)],
        reserved_bytes: RESERVED_BYTES[usize::from(kind >> 2 & 3)],
    };
    let layout: Roots = [
        "schema_migrations",
        "upload_sessions",
        "file_hashes",
        "upload_errors",
        "config",
    ]
    .into_iter()
    .zip(2..)
    .map(|(table, root)| (table.to_owned(), root))
    .collect();
    let found = salvage(&pages, &[layout], &mut Taken::default());
    // A damaged root may lie beyond the file, and there are never more than trees.
    assert!(
        found.damaged_pages <= pages.count().saturating_mul(2) + 100,
        "{} damaged pages of {}",
        found.damaged_pages,
        pages.count()
    );
}

/// Reads a log: one byte for the database's page size, if it is known, then the log's bytes.
pub fn log(input: &[u8]) {
    let Some((kind, bytes)) = input.split_first() else {
        return;
    };
    let known = PAGE_BYTES
        .get(usize::from(kind % 5))
        .and_then(|bytes| u32::try_from(*bytes).ok());
    let length = bytes.len() as u64;
    let found = read_log(length, known, |at, buffer| read_at(bytes, at, buffer));
    let frame_bytes = FRAME_HEADER_BYTES + u64::from(found.page_bytes);
    let frames = length.saturating_sub(LOG_HEADER_BYTES) / frame_bytes;
    assert!(found.committed_frames + found.uncommitted_frames + found.lost_frames <= frames);
    assert!(found.lost_commits <= found.lost_frames);
    assert!(found.broken_frame.is_none_or(|frame| frame <= frames));
    assert!(found.pages.len() as u64 <= found.committed_frames);
    assert!(found.committed_frames == 0 || found.header == LogHeader::Valid);
    for at in found.pages.values() {
        assert!(at + u64::from(found.page_bytes) <= length);
    }
}

/// Reads a rollback journal: one byte for the database's page size, then the journal's bytes.
pub fn journal(input: &[u8]) {
    let Some((kind, bytes)) = input.split_first() else {
        return;
    };
    let page_bytes = PAGE_BYTES[usize::from(kind & 3)];
    let found = read_journal(page_bytes as u32, |at, buffer| read_at(bytes, at, buffer));
    assert!(found.pages.is_empty() || found.database_pages.is_some());
    assert!(found.pages.len() <= bytes.len() / (page_bytes + 8));
    for (page, at) in found.pages {
        // A record is its page's number, the page, and a checksum.
        let at = at as usize;
        assert!(at + page_bytes + 4 <= bytes.len());
        assert_eq!(bytes[at - 4..at], page.to_be_bytes());
        assert_ne!(page, 0);
    }
}

fn read_at(bytes: &[u8], at: u64, buffer: &mut [u8]) -> bool {
    let part = usize::try_from(at)
        .ok()
        .and_then(|at| bytes.get(at..at.checked_add(buffer.len())?));
    part.inspect(|part| buffer.copy_from_slice(part)).is_some()
}

const OPTIONS: [&str; 10] = [
    "path",
    "enableWAL",
    "enableForeignKeys",
    "timeout",
    "readonly",
    "create",
    "synchronous",
    "mmapSize",
    "cacheSize",
    "preset",
];

const TEXTS: [&str; 6] = ["", ":memory:", "NORMAL", "FULL", "phone", "\0"];

/// Takes options out of an input: of each its name, its kind, and eight bytes or a text.
pub fn options_of(mut input: &[u8]) -> Vec<(String, RawValue)> {
    let mut options = Vec::new();
    while let [name, kind, rest @ ..] = input {
        let (part, behind) = rest.split_at(rest.len().min(8));
        let text = || String::from_utf8_lossy(part).into_owned();
        let mut number = [0; 8];
        number[..part.len()].copy_from_slice(part);
        let name = OPTIONS
            .get(usize::from(name % 11))
            .map_or_else(text, |name| (*name).to_owned());
        let value = match kind % 8 {
            0 => RawValue::Absent,
            1 => RawValue::Bool(number[0] & 1 == 1),
            2 => RawValue::Number(f64::from_bits(u64::from_le_bytes(number))),
            3 => RawValue::Number(i64::from_le_bytes(number) as f64),
            4 => RawValue::Number(f64::from(u16::from_le_bytes([number[0], number[1]]))),
            5 => RawValue::Text(text()),
            6 => RawValue::Text(TEXTS[usize::from(number[0]) % TEXTS.len()].to_owned()),
            _ => RawValue::Other("an object"),
        };
        options.push((name, value));
        input = behind;
    }
    options
}

/// Reads options.
pub fn config(input: &[u8]) {
    let options = options_of(input);
    let named = options
        .iter()
        .map(|(name, value)| (name.as_str(), value.clone()));
    match DatabaseConfig::from_options(named) {
        Ok(config) => {
            assert!(config.validate().is_ok(), "accepted, and not valid");
            assert!(serde_json::to_string(&config).is_ok());
        }
        Err(error) => {
            assert_eq!(error.code(), "DB_INVALID_CONFIG");
            assert!(!error.to_string().is_empty());
        }
    }
}
