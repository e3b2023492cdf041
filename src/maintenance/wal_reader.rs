//! Owns reading a write-ahead log as bytes: what of it is valid, and what was valid once.
//!
//! SQLite stops at the first frame that does not fit and says nothing of those behind it, so one
//! flipped bit silently takes every later commit. This reader goes on: a frame that carries the
//! log's salts and continues the checksum that its predecessor states was written by SQLite, so
//! what came before it got lost. Pure: bytes come through a closure, nothing is written.
//! Source: <https://www.sqlite.org/fileformat2.html#the_write_ahead_log>.

use std::collections::HashMap;

/// The bytes of a log's header.
const HEADER_BYTES: usize = 32;

/// The bytes before each page.
const FRAME_HEADER_BYTES: usize = 24;

/// What a log holds.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct LogContents {
    /// Whether there is a header, and whether it can be believed.
    pub header: LogHeader,
    /// The bytes of a page, 0 when unknown.
    pub page_bytes: u32,
    /// Frames up to the last valid commit.
    pub committed_frames: u64,
    /// Valid frames behind the last valid commit: of a transaction that never ended.
    pub uncommitted_frames: u64,
    /// The database's pages after the last valid commit, 0 without one.
    pub database_pages: u32,
    /// Frames that can be shown to have been valid once and cannot be reached any more.
    pub lost_frames: u64,
    /// How many of these ended a transaction.
    pub lost_commits: u64,
    /// The first frame, from 1, that carries the log's salts and not its checksum: damaged, or
    /// cut short by a crash.
    pub broken_frame: Option<u64>,
    /// Where each page's newest committed version begins in the log.
    pub pages: HashMap<u32, u64>,
    /// The log's salts: another pair means that the log has begun again.
    pub salts: (u32, u32),
}

/// What a log's first bytes are.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum LogHeader {
    /// There is no log, or an empty one.
    #[default]
    Absent,
    /// It ends within its header: nothing was committed to it.
    Short,
    /// Its checksum holds.
    Valid,
    /// Its checksum or its fixed fields do not hold.
    Damaged,
}

/// A running checksum of the log.
#[derive(Clone, Copy, PartialEq, Eq)]
struct Checksum(u32, u32);

impl Checksum {
    /// Goes on over `bytes`, whose length is a multiple of 8.
    fn over(self, bytes: &[u8], is_big_endian: bool) -> Self {
        let Self(mut first, mut second) = self;
        for pair in bytes.chunks_exact(8) {
            let word = |at: usize| {
                let bytes = [pair[at], pair[at + 1], pair[at + 2], pair[at + 3]];
                if is_big_endian {
                    u32::from_be_bytes(bytes)
                } else {
                    u32::from_le_bytes(bytes)
                }
            };
            first = first.wrapping_add(word(0)).wrapping_add(second);
            second = second.wrapping_add(word(4)).wrapping_add(first);
        }
        Self(first, second)
    }
}

fn number(bytes: &[u8], at: usize) -> u32 {
    bytes.get(at..at + 4).map_or(0, |part| {
        u32::from_be_bytes([part[0], part[1], part[2], part[3]])
    })
}

/// Reads a log of `length` bytes; `read` fills a buffer from an offset and says whether it could.
///
/// `known_page_bytes` is the database's page size, for a log whose header is damaged. It never
/// panics and needs memory for one page and for the map of pages, whatever the bytes are.
pub fn read_log(
    length: u64,
    known_page_bytes: Option<u32>,
    mut read: impl FnMut(u64, &mut [u8]) -> bool,
) -> LogContents {
    let mut contents = LogContents::default();
    if length == 0 {
        return contents;
    }
    let mut header = [0; HEADER_BYTES];
    if length < HEADER_BYTES as u64 || !read(0, &mut header) {
        contents.header = LogHeader::Short;
        return contents;
    }
    let is_big_endian = header[3] & 1 == 1;
    let stated = Checksum(number(&header, 24), number(&header, 28));
    let page_bytes = match number(&header, 8) {
        1 => 65_536,
        bytes => bytes,
    };
    let is_valid = number(&header, 0) & !1 == 0x377f_0682
        && number(&header, 4) == 3_007_000
        && is_page_size(page_bytes)
        && Checksum(0, 0).over(&header[..24], is_big_endian) == stated;
    contents.salts = (number(&header, 16), number(&header, 20));
    contents.header = if is_valid {
        LogHeader::Valid
    } else {
        LogHeader::Damaged
    };
    contents.page_bytes = if is_valid {
        page_bytes
    } else {
        known_page_bytes
            .or(Some(page_bytes))
            .filter(|bytes| is_page_size(*bytes))
            .unwrap_or(0)
    };
    if contents.page_bytes > 0 {
        read_frames(&mut contents, length, is_big_endian, stated, &mut read);
    }
    contents
}

pub(crate) fn is_page_size(bytes: u32) -> bool {
    (512..=65_536).contains(&bytes) && bytes.is_power_of_two()
}

/// Walks over all frames, those behind the first that does not fit included.
fn read_frames(
    contents: &mut LogContents,
    length: u64,
    mut is_big_endian: bool,
    stated: Checksum,
    read: &mut impl FnMut(u64, &mut [u8]) -> bool,
) {
    let page_bytes = contents.page_bytes as usize;
    let frame_bytes = (FRAME_HEADER_BYTES + page_bytes) as u64;
    let mut frame = vec![0; FRAME_HEADER_BYTES + page_bytes];
    // The checksum that the chain from the header has, and the one that the last frame states.
    let (mut running, mut predecessor) = (stated, stated);
    let mut is_whole = contents.header == LogHeader::Valid;
    let mut pending: Vec<(u32, u64)> = Vec::new();
    let frames = length.saturating_sub(HEADER_BYTES as u64) / frame_bytes;
    let mut last_shown = 0;
    let mut commits_shown = 0;
    for index in 0..frames {
        let at = HEADER_BYTES as u64 + index * frame_bytes;
        if !read(at, &mut frame) {
            break;
        }
        let (page, database_pages) = (number(&frame, 0), number(&frame, 4));
        let salts = (number(&frame, 8), number(&frame, 12));
        let states = Checksum(number(&frame, 16), number(&frame, 20));
        let continues = |from: Checksum, is_big_endian| {
            from.over(&frame[..8], is_big_endian)
                .over(&frame[FRAME_HEADER_BYTES..], is_big_endian)
                == states
        };
        if is_whole {
            if page > 0 && salts == contents.salts && continues(running, is_big_endian) {
                running = states;
                predecessor = states;
                pending.push((page, at + FRAME_HEADER_BYTES as u64));
                contents.uncommitted_frames += 1;
                if database_pages > 0 {
                    contents.pages.extend(pending.drain(..));
                    contents.committed_frames += contents.uncommitted_frames;
                    contents.uncommitted_frames = 0;
                    contents.database_pages = database_pages;
                }
                continue;
            }
            is_whole = false;
        }
        // One salt of two may be what is damaged; an earlier round of the log shares neither.
        let is_own = salts.0 == contents.salts.0 || salts.1 == contents.salts.1;
        if !is_own {
            // The log's own frames end where an earlier round's begin.
            if contents.header == LogHeader::Valid {
                break;
            }
        } else if contents.broken_frame.is_none() && contents.header == LogHeader::Valid {
            contents.broken_frame = Some(index + 1);
        }
        // A damaged header may lie about the order of bytes, too.
        let linked = [is_big_endian, !is_big_endian]
            .into_iter()
            .find(|order| continues(predecessor, *order));
        if let Some(order) = linked.filter(|_| page > 0) {
            is_big_endian = order;
            last_shown = index + 1;
            commits_shown += u64::from(database_pages > 0);
        }
        predecessor = states;
    }
    let reached = contents.committed_frames + contents.uncommitted_frames;
    contents.lost_frames = last_shown.saturating_sub(reached);
    contents.lost_commits = commits_shown;
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::connection::{self, Role};
    use crate::test_folder::TestFolder;
    use crate::test_random::{Random, seed};

    /// A log of several commits, as SQLite writes it, and how many bytes of it are live.
    fn log() -> Vec<u8> {
        let folder = TestFolder::new();
        let config = folder.config();
        let database = connection::open(&config, Role::EventLoop).unwrap();
        database.execute_batch("CREATE TABLE t(x)").unwrap();
        for _ in 0..6 {
            database
                .execute_batch("INSERT INTO t VALUES (hex(randomblob(900)))")
                .unwrap();
        }
        std::fs::read(format!("{}-wal", config.path.display())).unwrap()
    }

    fn contents(bytes: &[u8]) -> LogContents {
        read_log(bytes.len() as u64, Some(4096), |at, buffer| {
            let at = usize::try_from(at).unwrap();
            match bytes.get(at..at + buffer.len()) {
                Some(part) => {
                    buffer.copy_from_slice(part);
                    true
                }
                None => false,
            }
        })
    }

    #[test]
    fn a_sound_log_is_read_to_its_end() {
        let bytes = log();
        let sound = contents(&bytes);
        assert_eq!(sound.header, LogHeader::Valid);
        assert_eq!(
            sound.committed_frames * (4096 + 24) + 32,
            bytes.len() as u64
        );
        assert!(sound.database_pages > 1 && sound.broken_frame.is_none());
        assert_eq!((sound.lost_frames, sound.uncommitted_frames), (0, 0));
    }

    #[test]
    fn every_flipped_bit_is_seen() {
        let bytes = log();
        let sound = contents(&bytes);
        let mut missed = 0;
        let mut tried = 0;
        for bit in (0..bytes.len() * 8).step_by(97) {
            let mut damaged = bytes.clone();
            damaged[bit / 8] ^= 1 << (bit % 8);
            let seen = contents(&damaged);
            tried += 1;
            let is_seen = seen.header == LogHeader::Damaged
                || seen.broken_frame.is_some()
                || seen.lost_frames > 0;
            assert!(seen.committed_frames <= sound.committed_frames);
            missed += usize::from(!is_seen);
        }
        println!("{missed} of {tried} flips missed");
        assert_eq!(missed, 0);
    }

    #[test]
    fn lost_frames_are_counted() {
        let bytes = log();
        let frames = contents(&bytes).committed_frames;
        let mut damaged = bytes.clone();
        damaged[32 + 24 + 5] ^= 1;
        let seen = contents(&damaged);
        assert_eq!((seen.committed_frames, seen.lost_frames), (0, frames));
        let mut damaged = bytes;
        damaged[17] ^= 4;
        assert_eq!(contents(&damaged).lost_frames, frames);
    }

    #[test]
    fn an_earlier_rounds_frames_are_no_damage() {
        let mut bytes = log();
        let frames = contents(&bytes).committed_frames;
        let stale = bytes[32..32 + 4120].to_vec();
        bytes.extend_from_slice(&stale);
        let at = bytes.len() - 4120;
        for salt in &mut bytes[at + 8..at + 16] {
            *salt ^= 0x5a;
        }
        let seen = contents(&bytes);
        assert_eq!(
            (seen.committed_frames, seen.lost_frames, seen.broken_frame),
            (frames, 0, None)
        );
    }

    #[test]
    fn any_bytes_are_read_without_a_panic() {
        let mut random = Random(seed());
        for length in [0, 1, 31, 32, 33, 600, 5000, 20_000] {
            let bytes: Vec<u8> = (0..length).map(|_| random.next() as u8).collect();
            contents(&bytes);
        }
    }
}
