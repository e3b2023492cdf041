//! Owns repairing a damaged ledger: its rows into a new file, and that into its place.
//!
//! The damaged file is locked against everybody and read as bytes; no SQLite connection ever
//! opens it. It is kept, with its log.

#[cfg(test)]
mod tests;

use super::image::Image;
use super::salvage::{Findings, Roots, salvage};
use super::salvage_file::{SalvageFile, TableReport};
use super::swap::{self, NewFile};
use crate::config::{DatabaseConfig, MEMORY_PATH};
use crate::connection::{self, Role};
use crate::error::{Error, Result};
use crate::migration::{Migrator, initialize_v1};
use rusqlite::Connection;
use serde::Serialize;
use std::path::PathBuf;

/// How a repair is done.
#[derive(Debug, Clone, Copy, Default)]
pub struct RepairOptions {
    /// Whether everything is done but writing: the report alone.
    pub dry_run: bool,
}

/// What a repair found and kept.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct RepairReport {
    /// Whether this was a rehearsal: nothing was written then.
    pub dry_run: bool,
    /// Where the damaged file is now; its log, if it had one, has the same name and `-wal`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub kept: Option<PathBuf>,
    /// What was found of each table.
    pub tables: Vec<TableReport>,
    /// Pages that could not be read as what they should be.
    pub damaged_pages: u32,
    /// Whether the file's own schema could be read.
    pub has_schema: bool,
    /// Frames of the log up to its last valid commit, which were taken into account.
    pub log_frames: u64,
    /// Frames behind it that were valid once and cannot be reached: commits that are lost.
    pub lost_log_frames: u64,
    /// Tables that are no part of the ledger: they are in the kept file alone.
    pub other_tables: Vec<String>,
    /// Versions of the history, other than the ledger's own, whose steps have to be run again.
    pub migrations_left_out: Vec<i64>,
}

/// Repairs the file of `config`; `progress` hears how many pages are done of how many.
///
/// # Errors
///
/// `SQLITE_INTERRUPT` when `must_stop` says so before the new file takes the name;
/// [`Error::InUse`] while any connection has the file open, unless it is a rehearsal;
/// [`Error::NothingToRepair`] when nothing of a ledger is in it; [`Error::FileMissing`]; what
/// writing meets.
pub(crate) fn repair(
    config: &DatabaseConfig,
    options: RepairOptions,
    progress: &dyn Fn(u32, u32),
    must_stop: &dyn Fn() -> bool,
) -> Result<RepairReport> {
    config.validate()?;
    if config.is_memory() {
        return Err(Error::argument(
            "path",
            "names a database in memory, which has no file to repair",
        ));
    }
    if config.readonly && !options.dry_run {
        return Err(Error::argument(
            "readonly",
            "is set, and a repair writes; leave it out, or ask for dry_run",
        ));
    }
    // The file itself: renaming over a link would leave the damaged one in use.
    let path = std::fs::canonicalize(&config.path).map_err(|source| missing(config, source))?;
    if !path.is_file() {
        return Err(Error::NotAFile { path });
    }
    let kept = swap::unfinished(&path);
    let image = Image::open(&path, swap::kept_log(&path, kept.as_ref()).as_ref())?;
    if !image.is_locked && !options.dry_run {
        return Err(Error::InUse {
            path,
            problem: "a connection of this or another process has it open, so it cannot be \
                      repaired now, and nothing was changed; disconnect() first, and stop the \
                      other processes"
                .into(),
        });
    }
    let new = if options.dry_run {
        None
    } else {
        Some(NewFile::create(&path)?)
    };
    let mut file = SalvageFile::new(new.as_ref().map(NewFile::path), progress)?;
    let findings = salvage(&image, &layouts()?, &mut file);
    let migrations_left_out = std::mem::take(&mut file.migrations_left_out);
    let tables = file.finish(findings.last_error_id)?;
    if !is_ledger(&findings, &tables) {
        return Err(Error::NothingToRepair { path });
    }
    // From here on, it is done.
    if must_stop() {
        return Err(Error::Sqlite {
            extended_code: rusqlite::ffi::SQLITE_INTERRUPT,
            message: "interrupted".into(),
        });
    }
    let mut report = RepairReport {
        dry_run: options.dry_run,
        kept: None,
        tables,
        damaged_pages: findings.damaged_pages,
        has_schema: findings.has_schema,
        log_frames: image.log.committed_frames,
        lost_log_frames: image.log.lost_frames,
        other_tables: findings.other_tables,
        migrations_left_out,
    };
    if let Some(new) = new {
        // The image's lock holds until the new file has the name.
        report.kept = Some(swap::swap(&path, image, new, kept)?);
    }
    Ok(report)
}

/// Says whether anything of a ledger was in the file.
fn is_ledger(findings: &Findings, tables: &[TableReport]) -> bool {
    let found = |report: &TableReport| report.by_tree + report.by_scan + report.key_only > 0;
    tables.iter().any(found) || (findings.has_schema && findings.has_roots && findings.is_ledger)
}

fn missing(config: &DatabaseConfig, source: std::io::Error) -> Error {
    if source.kind() == std::io::ErrorKind::NotFound {
        Error::FileMissing {
            path: config.path.clone(),
        }
    } else {
        Error::FileAccess {
            path: config.path.clone(),
            source,
        }
    }
}

/// Where the trees of a ledger begin: by either way in which its schema is made, and as VACUUM
/// leaves it.
fn layouts() -> Result<Vec<Roots>> {
    let mut layouts = Vec::new();
    let makers: [fn(&Connection) -> Result<()>; 2] = [
        |connection| Migrator::ledger().migrate(connection).map(drop),
        initialize_v1,
    ];
    for make in makers {
        let connection = connection::open(&DatabaseConfig::new(MEMORY_PATH), Role::Blocking)?;
        make(&connection)?;
        layouts.push(read_roots(&connection)?);
        connection.execute_batch("VACUUM")?;
        layouts.push(read_roots(&connection)?);
    }
    Ok(layouts)
}

fn read_roots(connection: &Connection) -> Result<Roots> {
    let mut statement =
        connection.prepare("SELECT name, rootpage FROM sqlite_schema WHERE rootpage > 0")?;
    let roots = statement.query_map([], |row| Ok((row.get(0)?, row.get(1)?)))?;
    Ok(roots.collect::<rusqlite::Result<_>>()?)
}
