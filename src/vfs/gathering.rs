//! Owns what a commit has appended to the write-ahead log and is not in its file yet: one write to
//! the file instead of two for each page.
//!
//! It may not keep anything back once SQLite believes a commit to be in the log: the write of a
//! commit's last page returns when all of the commit is in the file. It calls no system and no SQLite.

use rusqlite::ffi;
use std::ffi::c_int;

/// How much is gathered at most: longer commits are written in pieces. The system's layer takes no
/// more at once than 17 bits can say (`seekAndWriteFd` in `os_unix.c`), and calls the rest a full disk.
const CAPACITY_BYTES: usize = 0x1_ffff;

/// `WAL_FRAME_HDRSIZE`: each page in the log follows a header of this size.
const FRAME_HEADER_BYTES: usize = 24;

/// `WAL_HDRSIZE`: frames begin behind it.
const LOG_HEADER_BYTES: i64 = 32;

/// What one writer appended to the log and is not in its file yet.
#[derive(Default)]
pub(super) struct Gathering {
    offset: i64,
    bytes: Vec<u8>,
    /// Where the writer's frames end so far: what it writes before is a change of one of them.
    end: i64,
    /// Whether the last frame header ends a commit: the page behind it is the commit's last.
    is_ending_commit: bool,
}

impl Gathering {
    /// Takes a write of SQLite's; gives `write` what must reach the file before it may go on.
    pub(super) fn append(
        &mut self,
        data: &[u8],
        offset: i64,
        mut write: impl FnMut(&[u8], i64) -> c_int,
    ) -> c_int {
        let end = offset + data.len() as i64;
        // The log's own header begins a new log. A frame that is changed (a page written again,
        // `walRewriteChecksums`) is not part of a row of frames that ends with a commit's.
        let is_appended = offset >= self.end.max(LOG_HEADER_BYTES);
        let is_next = offset == self.offset + self.bytes.len() as i64;
        let has_room = self.bytes.len() + data.len() <= CAPACITY_BYTES;
        if !(is_appended && is_next && has_room) {
            let code = self.flush(&mut write);
            if code != ffi::SQLITE_OK {
                return code;
            }
        }
        self.end = if offset == 0 { end } else { self.end.max(end) };
        let header = committed_size(data).filter(|_| is_appended);
        if let Some(size) = header {
            self.is_ending_commit = size != 0;
        }
        // What finds no memory needs none.
        if !is_appended || self.bytes.try_reserve(data.len()).is_err() {
            let code = self.flush(&mut write);
            return if code == ffi::SQLITE_OK {
                write(data, offset)
            } else {
                code
            };
        }
        if self.bytes.is_empty() {
            self.offset = offset;
        }
        self.bytes.extend_from_slice(data);
        if header.is_some() || !self.is_ending_commit {
            return ffi::SQLITE_OK;
        }
        let code = self.flush(&mut write);
        if code != ffi::SQLITE_OK {
            // This write failed: nothing may bring it to the file later.
            self.bytes.truncate(self.bytes.len() - data.len());
        }
        code
    }

    /// Gives `write` all that was gathered; keeps it when that fails, since SQLite counts on it
    /// until it rolls back.
    pub(super) fn flush(&mut self, mut write: impl FnMut(&[u8], i64) -> c_int) -> c_int {
        if self.bytes.is_empty() {
            return ffi::SQLITE_OK;
        }
        let code = write(&self.bytes, self.offset);
        if code == ffi::SQLITE_OK {
            self.bytes.clear();
        }
        code
    }

    /// Forgets the writer and what of it is not in the file.
    pub(super) fn discard(&mut self) {
        self.bytes.clear();
        self.end = 0;
        self.is_ending_commit = false;
    }
}

/// Reads from a frame's header the size of the database after the commit that the frame ends, in
/// pages; 0 when it ends none, nothing when `data` is a page: pages have 512 bytes or more.
fn committed_size(data: &[u8]) -> Option<u32> {
    match data {
        [_, _, _, _, a, b, c, d, ..] if data.len() == FRAME_HEADER_BYTES => {
            Some(u32::from_be_bytes([*a, *b, *c, *d]))
        }
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const PAGE_BYTES: usize = 512;
    const FRAME_BYTES: i64 = (FRAME_HEADER_BYTES + PAGE_BYTES) as i64;

    /// A file, and how often it was written to.
    #[derive(Default)]
    struct TestFile {
        bytes: Vec<u8>,
        writes: usize,
        is_full: bool,
    }

    impl TestFile {
        fn write(&mut self, data: &[u8], offset: i64) -> c_int {
            if self.is_full {
                return ffi::SQLITE_FULL;
            }
            let offset = usize::try_from(offset).unwrap();
            let end = offset + data.len();
            self.bytes.resize(self.bytes.len().max(end), 0);
            self.bytes[offset..end].copy_from_slice(data);
            self.writes += 1;
            ffi::SQLITE_OK
        }
    }

    fn frame_offset(frame: i64) -> i64 {
        LOG_HEADER_BYTES + frame * FRAME_BYTES
    }

    fn header(database_pages: u32) -> [u8; FRAME_HEADER_BYTES] {
        let mut header = [7; FRAME_HEADER_BYTES];
        header[4..8].copy_from_slice(&database_pages.to_be_bytes());
        header
    }

    fn append_frame(
        gathering: &mut Gathering,
        file: &mut TestFile,
        frame: i64,
        database_pages: u32,
        fill: u8,
    ) -> c_int {
        let offset = frame_offset(frame);
        let code = gathering.append(&header(database_pages), offset, |d, o| file.write(d, o));
        assert_eq!(code, ffi::SQLITE_OK);
        let page = [fill; PAGE_BYTES];
        let offset = offset + FRAME_HEADER_BYTES as i64;
        gathering.append(&page, offset, |d, o| file.write(d, o))
    }

    #[test]
    fn a_commit_is_one_write_and_whole_when_its_last_page_returns() {
        let (mut gathering, mut file) = (Gathering::default(), TestFile::default());
        for frame in 0..5 {
            assert_eq!(append_frame(&mut gathering, &mut file, frame, 0, 1), 0);
            assert_eq!(file.writes, 0);
        }
        assert_eq!(append_frame(&mut gathering, &mut file, 5, 9, 2), 0);
        assert_eq!(file.writes, 1);
        assert_eq!(file.bytes.len() as i64, frame_offset(6));
        gathering.discard();
        assert_eq!(append_frame(&mut gathering, &mut file, 6, 9, 3), 0);
        assert_eq!(file.writes, 2);
    }

    #[test]
    fn a_header_that_is_written_anew_waits_for_no_page() {
        let (mut gathering, mut file) = (Gathering::default(), TestFile::default());
        append_frame(&mut gathering, &mut file, 0, 0, 1);
        append_frame(&mut gathering, &mut file, 1, 9, 2);
        let changed = header(10);
        let code = gathering.append(&changed, frame_offset(1), |d, o| file.write(d, o));
        assert_eq!(code, ffi::SQLITE_OK);
        let at = usize::try_from(frame_offset(1)).unwrap();
        assert_eq!(file.bytes[at..at + FRAME_HEADER_BYTES], changed);
        assert!(gathering.bytes.is_empty());
    }

    #[test]
    fn a_commit_longer_than_the_capacity_is_written_in_pieces() {
        let (mut gathering, mut file) = (Gathering::default(), TestFile::default());
        let frames = 3 * CAPACITY_BYTES as i64 / FRAME_BYTES;
        for frame in 0..frames {
            let database_pages = u32::from(frame == frames - 1);
            append_frame(&mut gathering, &mut file, frame, database_pages, 1);
        }
        assert_eq!(file.bytes.len() as i64, frame_offset(frames));
        assert!((3..=4).contains(&file.writes), "{}", file.writes);
    }

    #[test]
    fn a_commit_that_found_no_room_never_gets_there_later() {
        let (mut gathering, mut file) = (Gathering::default(), TestFile::default());
        append_frame(&mut gathering, &mut file, 0, 0, 1);
        file.is_full = true;
        let code = append_frame(&mut gathering, &mut file, 1, 9, 2);
        assert_eq!(code, ffi::SQLITE_FULL);
        file.is_full = false;
        // SQLite may read what it wrote before; the commit's last page is not among that.
        assert_eq!(gathering.flush(|d, o| file.write(d, o)), ffi::SQLITE_OK);
        let whole_page_end = frame_offset(1) + FRAME_HEADER_BYTES as i64;
        assert_eq!(file.bytes.len() as i64, whole_page_end);
        gathering.discard();
        append_frame(&mut gathering, &mut file, 0, 9, 3);
        assert_eq!(file.bytes[usize::try_from(whole_page_end).unwrap() - 1], 7);
        assert_eq!(file.bytes[usize::try_from(frame_offset(1)).unwrap() - 1], 3);
    }
}
