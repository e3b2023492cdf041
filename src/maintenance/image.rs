//! Owns a database as it stands in its files: the pages of the file, with the log's committed
//! ones over them.

use super::journal_reader::{JournalContents, read_journal};
use super::raw_file::{Part, RawFile, beside};
use super::salvage::Pages;
use super::wal_reader::{LogContents, is_page_size, read_log};
use crate::error::{Error, Result};
use crate::retrying_fs;
use std::fs::File;
use std::io::{ErrorKind, Read, Seek, SeekFrom};
use std::path::{Path, PathBuf};
use std::time::Duration;

/// What every SQLite file begins with.
const MAGIC: &[u8; 16] = b"SQLite format 3\0";

/// How many pages are looked at to guess the size of all.
const GUESS_PAGES: u64 = 200;

/// How often a log that begins again while it is read is read anew.
const LOG_ATTEMPTS: usize = 5;

/// How long to wait before that.
const LOG_PAUSE: Duration = Duration::from_millis(2);

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
    /// A journal that its process left behind.
    journal: Option<(File, JournalContents)>,
}

impl Image {
    /// Opens a database's files; `log_of` is the database whose log is meant, when it is another.
    ///
    /// It tries to lock the file against all others, and goes on without.
    ///
    /// # Errors
    ///
    /// [`Error::FileMissing`], SQLite's own `SQLITE_CANTOPEN`, or [`Error::FileAccess`] of a journal
    /// that cannot be read: taken for none, what an unfinished transaction wrote would pass for good.
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
            journal: None,
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
        image.open_journal(path, log_of)?;
        Ok(image)
    }

    /// Reads the journal of a transaction that never ended; one of a process that lives is its own.
    fn open_journal(&mut self, path: &Path, log_of: Option<&PathBuf>) -> Result<()> {
        if !self.is_locked || self.log.committed_frames > 0 {
            return Ok(());
        }
        // A journal's file carries no locks, so it may be opened in any way.
        let open = |path| {
            let path = beside(path, "-journal");
            match retrying_fs::open(&path) {
                Ok(file) => Ok(Some(file)),
                Err(source) if source.kind() == ErrorKind::NotFound => Ok(None),
                Err(source) => Err(Error::FileAccess { path, source }),
            }
        };
        let mut file = open(path)?;
        if let (None, Some(kept)) = (&file, log_of) {
            file = open(kept)?;
        }
        let Some(file) = file else {
            return Ok(());
        };
        let contents = read_journal(self.page_bytes, |at, buffer| read_at(&file, at, buffer));
        if let Some(pages) = contents.database_pages {
            self.pages = self.pages.min(pages);
            self.journal = Some((file, contents));
        }
        Ok(())
    }

    fn read_log(&mut self, known: Option<u32>) {
        let Some(log_file) = &self.log_file else {
            return;
        };
        let mut end_before = None;
        for _ in 0..LOG_ATTEMPTS {
            // Before the walk: frames that come after it are not asked for.
            let in_use = (!self.is_locked)
                .then(|| self.database.frames_in_use())
                .flatten();
            let length = log_file.length();
            let read = |at, buffer: &mut [u8]| log_file.read(at, buffer);
            self.log = read_log(length, known, read);
            self.log_bytes = length;
            let mut salts = [0; 8];
            let is_same = length < 32
                || (log_file.read(16, &mut salts)
                    && salts[..4] == self.log.salts.0.to_be_bytes()
                    && salts[4..] == self.log.salts.1.to_be_bytes());
            self.frames_in_use = in_use
                .filter(|(_, of_round)| *of_round == salts)
                .map(|(frames, _)| frames);
            // What was being written while it was read is whole the next time, and committed.
            let end = (self.log.broken_frame, self.log.uncommitted_frames);
            let is_whole =
                end == (None, 0) || self.log.lost_frames == 0 && self.frames_in_use.is_some();
            let is_settled = self.is_locked || is_whole || end_before == Some(end);
            if is_same && is_settled {
                return;
            }
            end_before = Some(end);
            std::thread::sleep(LOG_PAUSE);
        }
        // The log of a busy writer never stood still, so nothing can be said against it.
        let end = (self.log.broken_frame, self.log.uncommitted_frames);
        if end_before != Some(end) || self.frames_in_use.is_none() {
            self.log.lost_frames = 0;
            self.log.broken_frame = None;
            self.log.uncommitted_frames = 0;
        }
    }

    /// Compares the file's bytes with what its header counts, both read now.
    pub(super) fn size_and_expected(&self) -> Option<(u64, u64)> {
        let mut start = [0; 100];
        if !self.database.read(0, &mut start) {
            return None;
        }
        let header = Header::parse(&start)?;
        let expected = u64::from(header.pages?) * u64::from(header.page_bytes);
        Some((self.database.length(), expected))
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

fn read_at(mut file: &File, at: u64, buffer: &mut [u8]) -> bool {
    file.seek(SeekFrom::Start(at))
        .and_then(|_| file.read_exact(buffer))
        .is_ok()
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
        if let Some((file, contents)) = &self.journal
            && let Some(at) = contents.pages.get(&number)
        {
            return read_at(file, *at, buffer);
        }
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
