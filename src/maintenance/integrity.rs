//! Owns checking a ledger: its files as bytes, its structure by SQLite, its rows by what schema
//! version 1 can prove. It changes nothing.
//!
//! The log is read before any connection reads: SQLite stops at its first damaged frame without
//! a word, and the last one to close the file would throw the rest of it away.

#[cfg(test)]
mod tests;

use super::image::Image;
use super::integrity_rows;
use super::salvage::Pages;
use super::wal_reader::LogHeader;
use crate::config::DatabaseConfig;
use crate::connection::{self, Role};
use crate::error::{Error, Result};
use rusqlite::Connection;
use serde::Serialize;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

/// How many of SQLite's own complaints are asked for.
const MAX_COMPLAINTS: u32 = 100;

/// How long a file in use gets to become as long as its header says.
const SIZE_PAUSE: Duration = Duration::from_millis(20);

/// SQLite's result code for what was stopped on request.
const INTERRUPTED: i32 = rusqlite::ffi::SQLITE_INTERRUPT;

/// How a check is done.
#[derive(Debug, Clone, Copy, Default)]
pub struct IntegrityOptions {
    /// Whether every index is compared with its table, too.
    pub deep: bool,
    /// After which time the check ends with what it has found.
    pub max_time: Option<Duration>,
}

/// How bad a finding is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Severity {
    /// Something is damaged or contradicts itself.
    Fault,
    /// Worth knowing; the file is sound even so.
    Remark,
}

/// One thing that a check found.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Finding {
    /// What it is about, a fixed word.
    pub kind: &'static str,
    /// How bad it is.
    pub severity: Severity,
    /// The table, where it is about one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub table: Option<&'static str>,
    /// How many rows, frames or pages.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub count: Option<u64>,
    /// The same in words, without any value of a row.
    pub message: String,
}

/// What a check found.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct IntegrityReport {
    /// Whether there is no fault among the findings.
    pub ok: bool,
    /// Faults and remarks, in the order in which they were found.
    pub findings: Vec<Finding>,
}

/// The findings while they come.
#[derive(Default)]
pub(super) struct Findings(Vec<Finding>);

impl Findings {
    pub(super) fn add(
        &mut self,
        severity: Severity,
        kind: &'static str,
        table: Option<&'static str>,
        count: Option<u64>,
        message: impl Into<String>,
    ) {
        self.0.push(Finding {
            kind,
            severity,
            table,
            count,
            message: message.into(),
        });
    }

    fn into_report(self) -> IntegrityReport {
        let is_fault = |finding: &Finding| finding.severity == Severity::Fault;
        IntegrityReport {
            ok: !self.0.iter().any(is_fault),
            findings: self.0,
        }
    }
}

/// Checks the file of `config` through connections of its own; stops when `must_stop` says so.
///
/// # Errors
///
/// SQLite's own that say nothing about the file's soundness: a lock, a failing disk, a missing
/// file. `SQLITE_INTERRUPT` when it was stopped.
pub(crate) fn check(
    config: &DatabaseConfig,
    options: IntegrityOptions,
    must_stop: impl Fn() -> bool + Send + 'static,
) -> Result<IntegrityReport> {
    config.validate()?;
    let mut findings = Findings::default();
    let path = std::path::absolute(&config.path).map_err(|source| Error::FileAccess {
        path: config.path.clone(),
        source,
    })?;
    let clock = Clock::new(options);
    let is_wal = {
        let image = Image::open(&path, None)?;
        check_log(&image, &mut findings);
        check_size(&image, &mut findings);
        image.header.is_none_or(|header| header.is_wal)
    };
    let config = DatabaseConfig {
        // As the file is: a check does not change the journal mode.
        enable_wal: is_wal,
        create: false,
        // What is mapped would be a crash where a read would be an error.
        mmap_size_bytes: 0,
        ..config.clone()
    };
    // It never writes, and leaves the log alone when it closes.
    let opened = connection::open(&config, Role::EventLoopReader).and_then(|mut connection| {
        connection.busy_timeout(Duration::from_millis(config.timeout_ms.into()))?;
        clock.watch(&mut connection, must_stop)?;
        Ok(connection)
    });
    match opened {
        Ok(connection) => check_connection(&connection, options, &clock, &mut findings)?,
        Err(error) => damage(error, &mut findings)?,
    }
    Ok(findings.into_report())
}

/// Checks a database in memory, which has no files.
///
/// # Errors
///
/// As [`check`].
pub(crate) fn check_with(
    connection: &Connection,
    options: IntegrityOptions,
) -> Result<IntegrityReport> {
    let mut findings = Findings::default();
    check_connection(connection, options, &Clock::new(options), &mut findings)?;
    Ok(findings.into_report())
}

/// When the time of a check is over.
struct Clock {
    end: Option<Instant>,
    is_over: Arc<AtomicBool>,
}

impl Clock {
    fn new(options: IntegrityOptions) -> Self {
        Self {
            end: options.max_time.map(|time| Instant::now() + time),
            is_over: Arc::default(),
        }
    }

    fn watch(
        &self,
        connection: &mut Connection,
        must_stop: impl Fn() -> bool + Send + 'static,
    ) -> Result<()> {
        let (end, is_over) = (self.end, Arc::clone(&self.is_over));
        connection::stop_when(connection, move || {
            if end.is_some_and(|end| Instant::now() >= end) {
                is_over.store(true, Ordering::Relaxed);
            }
            is_over.load(Ordering::Relaxed) || must_stop()
        })
    }

    fn is_over(&self) -> bool {
        self.is_over.load(Ordering::Relaxed) || self.end.is_some_and(|end| Instant::now() >= end)
    }
}

/// Takes an error that means damage for a finding; hands on every other.
fn damage(error: Error, findings: &mut Findings) -> Result<()> {
    use rusqlite::ffi::{SQLITE_CORRUPT, SQLITE_ERROR, SQLITE_NOTADB};
    let primary = error.errno().map(|code| code & 0xff);
    // A lock, a full disk or a failing one says nothing about the file. Our own SQL is sound: what
    // it cannot run on, or read, is what has become of the schema or of a column.
    let is_unreadable = matches!(error, Error::Internal(_) | Error::InvalidText { .. });
    match primary {
        Some(SQLITE_CORRUPT | SQLITE_NOTADB | SQLITE_ERROR) => {
            findings.add(Severity::Fault, "unreadable", None, None, error.to_string());
            Ok(())
        }
        None if is_unreadable => {
            let message = "a column holds what its type cannot be".to_owned();
            findings.add(Severity::Fault, "unreadable", None, None, message);
            Ok(())
        }
        _ => Err(error),
    }
}

fn check_connection(
    connection: &Connection,
    options: IntegrityOptions,
    clock: &Clock,
    findings: &mut Findings,
) -> Result<()> {
    type Step = fn(&Connection, IntegrityOptions, &mut Findings) -> Result<()>;
    let steps: [Step; 3] = [
        check_structure,
        check_references,
        |connection, _, findings| integrity_rows::check(connection, findings),
    ];
    for step in steps {
        let outcome = if clock.is_over() {
            Err(stopped())
        } else {
            step(connection, options, findings)
        };
        match outcome {
            Err(error) if error.errno() == Some(INTERRUPTED) && clock.is_over() => {
                findings.add(
                    Severity::Remark,
                    "not_finished",
                    None,
                    None,
                    "the check ended when its time was over; what is reported was found until then",
                );
                return Ok(());
            }
            Err(error) => damage(error, findings)?,
            Ok(()) => {}
        }
    }
    Ok(())
}

fn stopped() -> Error {
    Error::Sqlite {
        extended_code: INTERRUPTED,
        message: "interrupted".into(),
    }
}

/// Has SQLite check the trees, and with `deep` every index against its table.
fn check_structure(
    connection: &Connection,
    options: IntegrityOptions,
    findings: &mut Findings,
) -> Result<()> {
    connection.pragma_update(None, "cell_size_check", true)?;
    let pragma = if options.deep {
        "integrity_check"
    } else {
        "quick_check"
    };
    let mut statement = connection.prepare(&format!("PRAGMA {pragma}({MAX_COMPLAINTS})"))?;
    let mut rows = statement.query([])?;
    while let Some(row) = rows.next()? {
        let complaints: String = row.get(0)?;
        // Texts of SQLite's own, about pages, rowids and indexes; never about values.
        for complaint in complaints.lines().filter(|complaint| *complaint != "ok") {
            findings.add(Severity::Fault, "structure", None, None, complaint);
        }
    }
    Ok(())
}

/// Looks for rows that refer to rows that do not exist.
fn check_references(
    connection: &Connection,
    _: IntegrityOptions,
    findings: &mut Findings,
) -> Result<()> {
    let mut statement = connection
        .prepare("SELECT \"table\", count(*) FROM pragma_foreign_key_check GROUP BY 1")?;
    let mut rows = statement.query([])?;
    while let Some(row) = rows.next()? {
        let table: String = row.get(0)?;
        let count = u64::try_from(row.get::<_, i64>(1)?).unwrap_or(0);
        let known = super::salvage::TABLES
            .into_iter()
            .map(|known| known.name())
            .find(|known| *known == table);
        let message = format!("{count} row(s) of {table} refer to rows that do not exist");
        findings.add(Severity::Fault, "orphans", known, Some(count), message);
    }
    Ok(())
}

/// Reports what the log holds that cannot be reached.
fn check_log(image: &Image, findings: &mut Findings) {
    let log = &image.log;
    match log.header {
        LogHeader::Absent | LogHeader::Valid => {}
        LogHeader::Short => findings.add(
            Severity::Remark,
            "log_header",
            None,
            None,
            "the write-ahead log ends within its header; nothing was committed to it",
        ),
        LogHeader::Damaged => findings.add(
            Severity::Fault,
            "log_header",
            None,
            Some(log.lost_frames),
            format!(
                "the write-ahead log's header is damaged, so none of its {} readable frame(s) \
                 counts",
                log.lost_frames
            ),
        ),
    }
    if log.header != LogHeader::Valid {
        return;
    }
    let reached = log.committed_frames + log.uncommitted_frames;
    let known = image.frames_in_use.unwrap_or(0);
    let lost = log.lost_frames.max(known.saturating_sub(reached));
    if lost > 0 {
        findings.add(
            Severity::Fault,
            "log_frames",
            None,
            Some(lost),
            format!(
                "{lost} frame(s) after the last valid commit of the write-ahead log are lost: \
                 frame {} is damaged, and what was committed from there on cannot be reached",
                reached + 1
            ),
        );
    } else if let (Some(frame), None) = (log.broken_frame, image.frames_in_use) {
        findings.add(
            Severity::Remark,
            "log_tail",
            None,
            Some(1),
            format!(
                "frame {frame}, the last of the write-ahead log, is incomplete or damaged: a \
                 process that died while it wrote leaves it so, and so does damage to a commit"
            ),
        );
    }
    if log.uncommitted_frames > 0 && image.frames_in_use.is_none() {
        findings.add(
            Severity::Remark,
            "log_tail",
            None,
            Some(log.uncommitted_frames),
            format!(
                "{} frame(s) after the last valid commit of the write-ahead log belong to a \
                 transaction that never ended",
                log.uncommitted_frames
            ),
        );
    }
}

/// Compares the file's size with what its header says.
fn check_size(image: &Image, findings: &mut Findings) {
    // The log's pages may stand behind the file's end: then its last commit says how many.
    if image.log.database_pages > 0 {
        return;
    }
    let Some((mut length, mut expected)) = image.size_and_expected() else {
        return;
    };
    if length != expected && !image.is_locked {
        // A checkpoint writes the first page before the last one.
        std::thread::sleep(SIZE_PAUSE);
        match image.size_and_expected() {
            Some((again, expected_again)) => (length, expected) = (again, expected_again),
            None => return,
        }
    }
    let page_bytes = image.page_bytes() as u64;
    let pages = expected / page_bytes;
    if length < expected {
        findings.add(
            Severity::Fault,
            "file_size",
            None,
            Some((expected - length).div_ceil(page_bytes)),
            format!(
                "the file has {length} bytes, and its header counts {pages} pages of {page_bytes}: \
                 its end is missing"
            ),
        );
    } else if length > expected {
        findings.add(
            Severity::Remark,
            "file_size",
            None,
            Some((length - expected).div_ceil(page_bytes)),
            format!(
                "the file is {} bytes longer than its header says",
                length - expected
            ),
        );
    }
}
