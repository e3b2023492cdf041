//! Owns the undamaged inputs of the campaign `fuzz`, and the checksums that make a mutated one valid again.

use crate::Outcome;
use crate::damage::{clear, log_path};
use crate::program::{file_of, message_of};
use crate::target::PAGE_BYTES;
use std::path::Path;
use whatsapp_uploader_database::rusqlite::Connection;
use whatsapp_uploader_database::{
    DatabaseConfig, DatabaseManager, NewSession, NewUploadError, OnConflict,
};

/// The smallest pages: most trees of a small input then have more than one.
pub const SMALL_PAGE: usize = PAGE_BYTES[0];

pub const LOG_HEADER_BYTES: usize = 32;
pub const FRAME_BYTES: usize = SMALL_PAGE + 24;

/// What a journal's header begins with, how much room it has, and how long each record is.
const MAGIC: [u8; 8] = [0xd9, 0xd5, 0x05, 0xf9, 0x20, 0xa1, 0x63, 0xd7];
pub const SECTOR_BYTES: usize = 512;
pub const RECORD_BYTES: usize = SMALL_PAGE + 8;

/// Makes undamaged inputs, in the order of the targets.
pub fn make_seeds(path: &Path) -> Outcome<[Vec<u8>; 7]> {
    let config = DatabaseConfig {
        mmap_size_bytes: 0,
        ..DatabaseConfig::new(path)
    };
    clear(path)?;
    let ledger = DatabaseManager::open(config.clone())?;
    ledger.initialize_schema()?;
    fill(&ledger, 0..24)?;
    ledger.close()?;
    let connection = Connection::open(path)?;
    connection.execute_batch(&format!(
        "PRAGMA journal_mode = DELETE; PRAGMA page_size = {SMALL_PAGE}; VACUUM"
    ))?;
    connection.close().map_err(|(_, error)| error)?;
    let ledger = DatabaseManager::open(config)?;
    // Free pages, and the log's checkpoint is what the file then has.
    for file in 0..8 {
        ledger.delete_file_hash(&file_of(file).hash)?;
    }
    ledger.checkpoint()?;
    for file in 24..27 {
        fill(&ledger, file..file + 1)?;
    }
    let with_kind = |bytes: Vec<u8>| [&[0], bytes.as_slice()].concat();
    let pages = with_kind(std::fs::read(path)?);
    let log = with_kind(std::fs::read(log_path(path))?);
    let journal = with_kind(make_journal(&path.with_extension("journal.db"))?);
    let is_journal = journal.len() > 8 * RECORD_BYTES && journal[1..].starts_with(&MAGIC);
    if pages.len() % SMALL_PAGE != 1 || log.len() < 3 * FRAME_BYTES || !is_journal {
        return Err("the seeds are not what the mutations take them for".into());
    }
    // A path, WAL, a timeout, a size, a preset, an unknown name.
    let options = [
        (0, 5, *b"ledger.d"),
        (1, 1, [1, 0, 0, 0, 0, 0, 0, 0]),
        (3, 4, 5_000_u64.to_le_bytes()),
        (7, 3, 268_435_456_u64.to_le_bytes()),
        (8, 3, (-64_000_i64).to_le_bytes()),
        (6, 6, [3, 0, 0, 0, 0, 0, 0, 0]),
        (9, 6, [4, 0, 0, 0, 0, 0, 0, 0]),
    ];
    let options = options
        .into_iter()
        .flat_map(|(name, kind, value)| [&[name, kind], value.as_slice()].concat())
        .collect();
    let ascii = ["IMG-20260131-WA0001.jpg", "", "image/jpeg", "photos"];
    let other = ["Größe", "", "🎉", "日本語", "a\0b"];
    let (ascii, other) = (pack(&ascii), pack(&other));
    Ok([pages, log, journal, options, ascii, other, make_cells()])
}

/// The journal of a transaction that runs, and whose pages were written to the file meanwhile: so it has been
/// synced, and has more than one header.
fn make_journal(path: &Path) -> Outcome<Vec<u8>> {
    clear(path)?;
    let connection = Connection::open(path)?;
    connection.execute_batch(&format!(
        "PRAGMA page_size = {SMALL_PAGE}; CREATE TABLE t (x);
         WITH n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 40)
         INSERT INTO t SELECT zeroblob(300) FROM n;
         PRAGMA cache_size = 10; BEGIN; UPDATE t SET x = randomblob(300)"
    ))?;
    let mut journal = path.as_os_str().to_owned();
    journal.push("-journal");
    let bytes = std::fs::read(journal)?;
    connection.execute_batch("ROLLBACK")?;
    Ok(bytes)
}

/// Packs texts with a value of every other kind between them, as `lib/packer.js` does.
fn pack(texts: &[&str]) -> Vec<u8> {
    let mut units: Vec<u16> = Vec::new();
    let mut codes: Vec<i32> = Vec::new();
    let others: [&[i32]; 6] = [
        &[-1],
        &[-8 - 204_800],
        &[-3, 0, 0x3ff8_0000],
        &[-4, -1, -1],
        &[-5, 1, 2],
        &[-6, 3, 0, -7],
    ];
    for (text, other) in texts.iter().cycle().zip(others) {
        units.extend(text.encode_utf16());
        codes.push(units.len() as i32);
        codes.extend(other);
    }
    let mut packed = vec![codes.len() as u8];
    packed.extend(codes.iter().flat_map(|code| code.to_be_bytes()));
    packed.extend([3, 7, 8, 9]);
    packed.extend(units.iter().flat_map(|unit| unit.to_be_bytes()));
    packed
}

/// Rows of three columns, some long, all cells of ten bytes.
fn make_cells() -> Vec<u8> {
    let row: [(u8, u8, [u8; 8]); 15] = [
        (3, 8, *b"IMG-0001"),
        (1, 0, 204_800_i64.to_be_bytes()),
        (3, 8, *b"chat-001"),
        (7, 8, [0; 8]),
        (1, 0, i64::MAX.to_be_bytes()),
        (7, 8, [0; 8]),
        (0, 8, [0; 8]),
        (2, 0, 1.5_f64.to_be_bytes()),
        (4, 8, *b"Gr\xc3\xb6\xc3\x9fe!"),
        (6, 8, *b"\0\x01bytes!"),
        (5, 8, *b"\xf0\x9f\x8e\x89four"),
        (5, 8, *b"a chunk."),
        (7, 8, [0; 8]),
        (7, 128 + 8, [0; 8]),
        (7, 8, [0; 8]),
    ];
    let rows = std::iter::repeat_n(row, 20).flatten();
    let cells = rows.flat_map(|(kind, size, bytes)| [&[kind, size], bytes.as_slice()].concat());
    // Three columns, and bigints: any integer can cross.
    [2 | 8].into_iter().chain(cells).collect()
}

fn fill(
    ledger: &DatabaseManager,
    files: std::ops::Range<u32>,
) -> whatsapp_uploader_database::Result<()> {
    for file in files {
        ledger.add_file_hash(&file_of(file), OnConflict::Fail)?;
        if file % 8 == 0 {
            let session = format!("session-{file}");
            ledger.create_session(&NewSession {
                id: Some(session.clone()),
                ..NewSession::new("chat-0", "Family", "2026-01-31T12:00:00.000Z")
            })?;
            ledger.log_error(&NewUploadError {
                session_id: session,
                file_path: "a.jpg".into(),
                error_type: "network".into(),
                error_message: message_of(40 + 120 * file as usize),
                retry_count: 0,
            })?;
            ledger.set_config(&format!("k{file}"), &file)?;
        }
    }
    Ok(())
}

/// Gives a log's header and frames the salts and checksums that make them valid
/// (<https://www.sqlite.org/fileformat2.html#the_write_ahead_log>).
pub fn sign_log(log: &mut [u8]) {
    if log.len() < LOG_HEADER_BYTES {
        return;
    }
    let is_big_endian = log[3] & 1 == 1;
    let (header, frames) = log.split_at_mut(LOG_HEADER_BYTES);
    let mut sum = add_up([0, 0], &header[..24], is_big_endian);
    state(&mut header[24..], sum);
    for frame in frames.chunks_exact_mut(FRAME_BYTES) {
        frame[8..16].copy_from_slice(&header[16..24]);
        sum = add_up(sum, &frame[..8], is_big_endian);
        sum = add_up(sum, &frame[24..], is_big_endian);
        state(&mut frame[16..24], sum);
    }
}

fn state(place: &mut [u8], sum: [u32; 2]) {
    place[..4].copy_from_slice(&sum[0].to_be_bytes());
    place[4..].copy_from_slice(&sum[1].to_be_bytes());
}

fn add_up(mut sum: [u32; 2], bytes: &[u8], is_big_endian: bool) -> [u32; 2] {
    for (index, word) in bytes.chunks_exact(4).enumerate() {
        let word = [word[0], word[1], word[2], word[3]];
        let word = if is_big_endian {
            u32::from_be_bytes(word)
        } else {
            u32::from_le_bytes(word)
        };
        let (this, other) = (index % 2, 1 - index % 2);
        sum[this] = sum[this].wrapping_add(word).wrapping_add(sum[other]);
    }
    sum
}

/// Gives a journal's headers what is constant in them, and its records the checksums that make them valid
/// (<https://www.sqlite.org/fileformat2.html#the_rollback_journal>).
pub fn sign_journal(journal: &mut [u8]) {
    let mut at = 0;
    while let Some(header) = journal.get_mut(at..at + 28) {
        header[..8].copy_from_slice(&MAGIC);
        header[20..24].copy_from_slice(&(SECTOR_BYTES as u32).to_be_bytes());
        header[24..].copy_from_slice(&(SMALL_PAGE as u32).to_be_bytes());
        let records = u32::from_be_bytes([header[8], header[9], header[10], header[11]]);
        let nonce = u32::from_be_bytes([header[12], header[13], header[14], header[15]]);
        at += SECTOR_BYTES;
        for _ in 0..records {
            let Some(record) = journal.get_mut(at..at + RECORD_BYTES) else {
                return;
            };
            let (page, sum) = record[4..].split_at_mut(SMALL_PAGE);
            // Every 200th byte from the end on, but for the first one.
            let places = [SMALL_PAGE - 200, SMALL_PAGE - 400];
            let signed = places
                .iter()
                .fold(nonce, |sum, place| sum.wrapping_add(page[*place].into()));
            sum.copy_from_slice(&signed.to_be_bytes());
            at += RECORD_BYTES;
        }
        at = at.next_multiple_of(SECTOR_BYTES);
    }
}
