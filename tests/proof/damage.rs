//! Owns damaged ledgers: small and large ones with a live log, and what can happen to their bytes.

use crate::Outcome;
use crate::program::{Rows, file_of, message_of};
use crate::random::Random;
use std::path::{Path, PathBuf};
use whatsapp_uploader_database::{
    DatabaseConfig, DatabaseManager, NewSession, NewUploadError, OnConflict, SessionDeltas,
};

pub const PAGE_BYTES: usize = 4096;

/// The bytes of a log's frame: its header and its page.
pub const FRAME_BYTES: usize = PAGE_BYTES + 24;
pub const LOG_HEADER_BYTES: usize = 32;

/// A ledger's files and rows.
#[derive(Clone)]
pub struct Ledger {
    pub file: Vec<u8>,
    pub log: Vec<u8>,
    pub rows: Rows,
}

/// What happens to bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Damage {
    Bits,
    Bytes,
    Cut,
    ZeroPage,
    RandomPage,
    SwappedPages,
}

impl Damage {
    pub const ALL: [Self; 6] = [
        Self::Bits,
        Self::Bytes,
        Self::Cut,
        Self::ZeroPage,
        Self::RandomPage,
        Self::SwappedPages,
    ];
}

pub fn log_path(path: &Path) -> PathBuf {
    PathBuf::from(format!("{}-wal", path.display()))
}

impl Ledger {
    /// Makes a ledger of so many files; the last of them are in the log, unless there is none.
    pub fn make(path: &Path, files: u32, has_log: bool, random: &mut Random) -> Outcome<Self> {
        clear(path)?;
        let config = DatabaseConfig {
            mmap_size_bytes: 0,
            ..DatabaseConfig::new(path)
        };
        let ledger = DatabaseManager::open(config)?;
        ledger.initialize_schema()?;
        let in_file = if has_log { files - files / 4 } else { files };
        ledger.transaction(|ledger| fill(ledger, 0..in_file, random))?;
        // Rows that were deleted must not come back.
        ledger.transaction(|ledger| {
            (0..in_file / 8).try_for_each(|_| {
                let file = random.below(in_file as usize) as u32;
                ledger.delete_file_hash(&file_of(file).hash)
            })
        })?;
        ledger.checkpoint()?;
        for file in in_file..files {
            fill(&ledger, file..file + 1, random)?;
        }
        let rows = Rows::read(&ledger)?;
        if !has_log {
            ledger.close()?;
            return Ok(Self {
                file: std::fs::read(path)?,
                log: Vec::new(),
                rows,
            });
        }
        // As a crash leaves them: this process is the only one that has the file open.
        let (file, log) = (std::fs::read(path)?, std::fs::read(log_path(path))?);
        Ok(Self { file, log, rows })
    }

    /// Writes the files, and nothing else beside them.
    pub fn put(&self, path: &Path) -> Outcome<()> {
        clear(path)?;
        std::fs::write(path, &self.file)?;
        if !self.log.is_empty() {
            std::fs::write(log_path(path), &self.log)?;
        }
        Ok(())
    }

    pub fn pages(&self) -> usize {
        self.file.len() / PAGE_BYTES
    }

    /// Gives a page of the file, from 0, random bytes.
    pub fn randomize_page(&mut self, page: usize, random: &mut Random) {
        random.fill(&mut self.file[page * PAGE_BYTES..(page + 1) * PAGE_BYTES]);
    }

    /// Damages the file, or the log.
    pub fn damage(&mut self, damage: Damage, in_log: bool, random: &mut Random) {
        let (bytes, first, stride) = if in_log {
            (&mut self.log, LOG_HEADER_BYTES, FRAME_BYTES)
        } else {
            (&mut self.file, 0, PAGE_BYTES)
        };
        let pages = (bytes.len() - first) / stride;
        let start = first + random.below(pages) * stride;
        match damage {
            Damage::Bits => {
                for _ in 0..=random.below(8) {
                    let at = random.below(bytes.len());
                    bytes[at] ^= 1 << random.below(8);
                }
            }
            Damage::Bytes => {
                let at = random.below(bytes.len());
                let end = bytes.len().min(at + 1 + random.below(400));
                random.fill(&mut bytes[at..end]);
            }
            Damage::Cut => bytes.truncate(random.below(bytes.len())),
            Damage::ZeroPage => bytes[start..start + stride].fill(0),
            Damage::RandomPage => random.fill(&mut bytes[start..start + stride]),
            Damage::SwappedPages => {
                let other = first + random.below(pages) * stride;
                for at in 0..stride {
                    bytes.swap(start + at, other + at);
                }
            }
        }
    }
}

/// Removes all that is in the folder of `path`.
pub fn clear(path: &Path) -> Outcome<()> {
    if let Some(folder) = path.parent() {
        for entry in std::fs::read_dir(folder)? {
            std::fs::remove_file(entry?.path())?;
        }
    }
    Ok(())
}

fn fill(
    ledger: &DatabaseManager,
    files: std::ops::Range<u32>,
    random: &mut Random,
) -> whatsapp_uploader_database::Result<()> {
    for file in files {
        if file % 50 == 0 {
            ledger.create_session(&NewSession {
                id: Some(format!("session-{}", file / 50)),
                ..NewSession::new("chat-0", "Family", "2026-01-31T12:00:00.000Z")
            })?;
        }
        ledger.add_file_hash(&file_of(file), OnConflict::Fail)?;
        if file % 3 == 0 {
            let length = if random.one_in(40) {
                9_000
            } else {
                20 + random.below(150)
            };
            ledger.log_error(&NewUploadError {
                session_id: format!("session-{}", file / 50),
                file_path: "a.jpg".into(),
                error_type: "network".into(),
                error_message: message_of(length),
                retry_count: 0,
            })?;
            let deltas = SessionDeltas {
                total_files: 1,
                processed_files: 1,
                error_count: 1,
                ..SessionDeltas::default()
            };
            ledger.increment_session(&format!("session-{}", file / 50), deltas)?;
        }
        if file % 20 == 0 {
            ledger.set_config(&format!("k{file}"), &random.below(1_000))?;
        }
    }
    Ok(())
}
