//! Owns a database as it stands in its files: the pages of the file, with the log's committed
//! ones over them.

use super::raw_file::{Part, RawFile};
use super::salvage::Pages;
use super::wal_reader::{LogContents, is_page_size, read_log};
use crate::error::{Error, Result};
use std::path::{Path, PathBuf};

/// What every SQLite file begins with.
const MAGIC: &[u8; 16] = b"SQLite format 3\0";

/// How many pages are looked at to guess the size of all.
const GUESS_PAGES: u64 = 200;

/// How often a log that begins again while it is read is read anew.
const LOG_ATTEMPTS: usize = 3;

/// The fields of the header that matter here.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Header {
    pub(super) page_bytes: u32,
    pub(super) reserved_bytes: u8,
    pub(super) is_wal: bool,
    /// The pages that the header counts, when it can be believed.
    pub(super) pages: Option<u32>,
}

impl Header {
    /// Reads a file's first 100 bytes.
    pub(super) fn parse(bytes: &[u8; 100]) -> Option<Self> {
        let page_bytes = match u32::from(u16::from_be_bytes([bytes[16], bytes[17]])) {
            1 => 65_536,
            bytes => bytes,
        };
        // Fixed by the format: fractions of payload, and the versions.
        if !bytes.starts_with(MAGIC)
            || !is_page_size(page_bytes)
            || bytes[21..24] != [64, 32, 32]
            || u32::from(bytes[20]) > page_bytes - 480
        {
            return None;
        }
        let number = |at: usize| {
            u32::from_be_bytes([bytes[at], bytes[at + 1], bytes[at + 2], bytes[at + 3]])
        };
        Some(Self {
            page_bytes,
            reserved_bytes: bytes[20],
            is_wal: bytes[18] == 2 || bytes[19] == 2,
            pages: (number(24) == number(92) && number(28) > 0).then_some(number(28)),
        })
    }
}

/// A database's files.
pub(super) struct Image {
    pub(super) database: RawFile,
    log_file: Option<RawFile>,
    pub(super) log: LogContents,
    /// The log's bytes.
    pub(super) log_bytes: u64,
    /// How many frames the connections that use the log know of.
    pub(super) frames_in_use: Option<u64>,
    /// What the file's own first page says, the log aside.
    pub(super) header: Option<Header>,
    page_bytes: u32,
    pages: u32,
    pub(super) is_locked: bool,
}

impl Image {
    /// Opens a database's files; `log_of` is the database whose log is meant, when it is another.
    ///
    /// It tries to lock the file against all others, and goes on without.
    ///
    /// # Errors
    ///
    /// [`Error::FileMissing`], or SQLite's own `SQLITE_CANTOPEN`.
    pub(super) fn open(path: &Path, log_of: Option<&PathBuf>) -> Result<Self> {
        let mut database =
            RawFile::open(path, Part::Database)?.ok_or_else(|| Error::FileMissing {
                path: path.to_owned(),
            })?;
        let is_locked = database.lock_exclusively();
        let log_file = RawFile::open(log_of.map_or(path, PathBuf::as_path), Part::Log)?;
        let mut start = [0; 100];
        let is_read = database.read(0, &mut start);
        let header = Header::parse(&start).filter(|_| is_read);
        let known = header.map(|header| header.page_bytes);
        let mut image = Self {
            database,
            log_file,
            log: LogContents::default(),
            log_bytes: 0,
            frames_in_use: None,
            header,
            page_bytes: 0,
            pages: 0,
            is_locked,
        };
        image.read_log(known);
        image.page_bytes = known.unwrap_or_else(|| image.guess_page_bytes());
        let in_file = image.database.length() / u64::from(image.page_bytes);
        image.pages = u32::try_from(in_file).unwrap_or(u32::MAX).max(
            image
                .log
                .database_pages
                .min(u32::try_from(in_file + image.log.committed_frames).unwrap_or(u32::MAX)),
        );
        if image.log.database_pages > 0 {
            // What a commit has cut off the file's end is no part of it.
            image.pages = image.log.database_pages.min(image.pages);
        }
        Ok(image)
    }

    fn read_log(&mut self, known: Option<u32>) {
        let Some(log_file) = &self.log_file else {
            return;
        };
        for _ in 0..LOG_ATTEMPTS {
            // Before the walk: frames that come after it are not asked for.
            let in_use = (!self.is_locked)
                .then(|| self.database.frames_in_use())
                .flatten();
            let length = log_file.length();
            let read = |at, buffer: &mut [u8]| log_file.read(at, buffer);
            self.log = read_log(length, known, read);
            self.log_bytes = length;
            self.frames_in_use = in_use;
            let mut salts = [0; 8];
            let is_same = length < 32
                || (log_file.read(16, &mut salts)
                    && salts[..4] == self.log.salts.0.to_be_bytes()
                    && salts[4..] == self.log.salts.1.to_be_bytes());
            if is_same {
                return;
            }
        }
    }

    /// Finds the size of the pages of a file without a header: by the log's, or the one by which
    /// most of the file's bytes look like pages.
    fn guess_page_bytes(&self) -> u32 {
        if is_page_size(self.log.page_bytes) {
            return self.log.page_bytes;
        }
        let length = self.database.length();
        // A size below the right one also sees what lies inside pages, a larger one only pages:
        // the smallest of those that see well enough.
        let shares: Vec<(u32, u64)> = (9..=16)
            .map(|power| 1_u32 << power)
            .map(|bytes| (bytes, self.share_of_pages(u64::from(bytes), length)))
            .collect();
        let best = shares.iter().map(|(_, share)| *share).max().unwrap_or(0);
        let is_default_good = shares
            .iter()
            .any(|(bytes, share)| *bytes == 4096 && share * 4 >= best * 3);
        let smallest = shares
            .iter()
            .find(|(_, share)| share * 4 >= best * 3)
            .map(|(bytes, _)| *bytes);
        match smallest {
            Some(bytes) if !is_default_good || bytes < 4096 && best > 0 => bytes,
            _ => 4096,
        }
    }

    /// Of a thousand places where a page of this size would begin, how many look like one.
    fn share_of_pages(&self, bytes: u64, length: u64) -> u64 {
        let looked_at = (length / bytes).min(GUESS_PAGES);
        let seen = (1..looked_at).filter(|index| {
            let mut start = [0; 8];
            self.database.read(index * bytes, &mut start)
                && matches!(start[0], 2 | 5 | 10 | 13)
                && start[7] <= 60
                && u64::from(u16::from_be_bytes([start[3], start[4]])) * 6 < bytes
        });
        seen.count() as u64 * 1_000 / looked_at.max(2)
    }
}

impl Pages for Image {
    fn page_bytes(&self) -> usize {
        self.page_bytes as usize
    }

    fn reserved_bytes(&self) -> usize {
        self.header.map_or(0, |header| header.reserved_bytes.into())
    }

    fn count(&self) -> u32 {
        self.pages
    }

    fn read(&self, number: u32, buffer: &mut [u8]) -> bool {
        match (self.log.pages.get(&number), &self.log_file) {
            (Some(at), Some(log_file)) if self.log.page_bytes == self.page_bytes => {
                log_file.read(*at, buffer)
            }
            _ => {
                let index = u64::from(number).saturating_sub(1);
                self.database
                    .read(index * u64::from(self.page_bytes), buffer)
            }
        }
    }
}
