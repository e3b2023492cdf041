//! Owns bringing a ledger back to what a backup holds, while it is in use.
//!
//! The rows come out of the other file one by one (`copy.rs`) into a fresh one, which then goes
//! into the ledger's as one transaction, page by page: for other processes it is a commit like any
//! other. What the ledger holds until then is kept beside it first.

use super::backup::{Control, journal_mode, open_source, patiently, step};
use super::copy;
use super::log_keeper::truncate_log;
use super::page_copy::PageCopy;
use crate::config::{DatabaseConfig, MEMORY_PATH};
use crate::connection::{self, Role};
use crate::error::{Error, Result};
use crate::ledger::{read_last_vacuum, write_last_vacuum};
use crate::private_file::{TemporaryFile, beside, is_same_file, require_source, require_target};
use crate::record::{CopyProgress, RestorePhase, RestoreProgress, RestoreReport, RestoredTables};
use crate::{timestamp, transaction};
use rusqlite::{Connection, ffi};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};

/// How long reading a file may take, and how much longer for each MiB of it: a hundred times what
/// a ledger takes; a file made to be read for ever does not get it.
const LEAST_PATIENCE: Duration = Duration::from_secs(30);
const PATIENCE_PER_MIB: Duration = Duration::from_secs(1);

type Steering<'a, 'b> = &'a mut Control<'b, RestoreProgress>;

/// Replaces all that the ledger holds with the rows of the file at `path`.
///
/// # Errors
///
/// Of the path: [`Error::FileMissing`], [`Error::NotAFile`], [`Error::SymbolicLink`],
/// [`Error::InvalidArgument`] for the ledger's own; `SQLITE_NOTADB`; as [`copy::copy_rows`]; a
/// lock of another connection; SQLite's own. Then the ledger is as it was.
pub(crate) fn restore(
    config: &DatabaseConfig,
    path: &Path,
    control: Steering<'_, '_>,
) -> Result<RestoreReport> {
    if is_same_file(path, &config.path) {
        return Err(Error::argument(
            "path",
            "is the ledger's own file; give that of a backup",
        ));
    }
    let path = require_source(path)?;
    require_writable(config)?;
    let live = open_source(config)?;
    let own_path = std::path::absolute(&config.path).map_err(|source| Error::FileAccess {
        path: config.path.clone(),
        source,
    })?;
    let file = TemporaryFile::new_beside(&own_path, "restore")?;
    let fresh = connection::open_private(file.path())?;
    let tables = build(config, &live, &fresh, &path, control)?;
    // The commit is on the disk when this returns, whatever else is asked for.
    live.pragma_update(None, "synchronous", "FULL")?;
    live.busy_timeout(Duration::ZERO)?;
    let kept = write(config, &live, &fresh, &own_path, control)?;
    // A reader may prevent it, and a failure be met by a later checkpoint: what was restored stands.
    let _ = truncate_log(&live);
    Ok(RestoreReport {
        kept: Some(kept.to_string_lossy().into_owned()),
        tables,
    })
}

/// As [`restore`], into the connection of a database in memory: nothing is kept beside it.
pub(crate) fn restore_with(
    live: &Connection,
    config: &DatabaseConfig,
    path: &Path,
    control: Steering<'_, '_>,
) -> Result<RestoreReport> {
    let path = require_source(path)?;
    require_writable(config)?;
    let fresh = connection::open(&DatabaseConfig::new(MEMORY_PATH), Role::Blocking)?;
    let tables = build(config, live, &fresh, &path, control)?;
    copy_pages(
        &mut PageCopy::new(&fresh, live)?,
        RestorePhase::Writing,
        control,
    )?;
    Ok(RestoreReport { kept: None, tables })
}

fn require_writable(config: &DatabaseConfig) -> Result<()> {
    if config.readonly {
        return Err(Error::Sqlite {
            extended_code: ffi::SQLITE_READONLY,
            message: "the ledger was opened with `readonly`".into(),
        });
    }
    Ok(())
}

/// Fills a fresh database with the rows of the file at `path`, and checks it.
fn build(
    config: &DatabaseConfig,
    live: &Connection,
    fresh: &Connection,
    path: &Path,
    control: Steering<'_, '_>,
) -> Result<RestoredTables> {
    make_alike(config, live, fresh)?;
    let mib = std::fs::metadata(path).map_or(0, |metadata| metadata.len() >> 20);
    let patience = LEAST_PATIENCE + PATIENCE_PER_MIB * u32::try_from(mib).unwrap_or(u32::MAX);
    let tables = read_within(patience, path, fresh, control)?;
    // What was true of the live file's body and ids stays true; a damaged one may not tell.
    copy::keep_sequence(fresh, copy::read_sequence(live).unwrap_or_default())?;
    if let Ok(Some(time)) = read_last_vacuum(live) {
        write_last_vacuum(fresh, &time)?;
    }
    let verdict = fresh.query_row("PRAGMA integrity_check(1)", [], |row| {
        row.get::<_, String>(0)
    })?;
    if verdict != "ok" {
        return Err(Error::Internal(
            "the restored rows did not pass their check".into(),
        ));
    }
    Ok(tables)
}

/// Gives a fresh database what other handles of the live one know of it and cannot learn anew.
fn make_alike(config: &DatabaseConfig, live: &Connection, fresh: &Connection) -> Result<()> {
    for name in ["page_size", "auto_vacuum", "user_version", "application_id"] {
        let value = live.pragma_query_value(None, name, |row| row.get::<_, i64>(0))?;
        fresh.pragma_update(None, name, value)?;
    }
    let encoding = live.pragma_query_value(None, "encoding", |row| row.get::<_, String>(0))?;
    fresh.pragma_update(None, "encoding", encoding)?;
    Ok(fresh.pragma_update(None, "foreign_keys", config.enable_foreign_keys)?)
}

/// Reads the file at `path` within so long.
fn read_within(
    patience: Duration,
    path: &Path,
    fresh: &Connection,
    control: Steering<'_, '_>,
) -> Result<RestoredTables> {
    let deadline = Instant::now() + patience;
    let must_stop = Arc::clone(&control.must_stop);
    let outcome =
        copy::open(path, move || must_stop() || Instant::now() > deadline).and_then(|source| {
            transaction::read(&source, || {
                copy::copy_rows(&source, fresh, |done, total| {
                    control.check()?;
                    (control.report)(RestoreProgress {
                        phase: RestorePhase::Reading,
                        done,
                        total,
                    });
                    Ok(())
                })
            })
        });
    match outcome {
        Err(Error::Sqlite { extended_code, .. })
            if extended_code == ffi::SQLITE_INTERRUPT && control.check().is_ok() =>
        {
            let seconds = patience.as_secs_f64();
            Err(Error::NotRestorable {
                problem: format!("reading it took longer than {seconds} s, as no ledger does"),
            })
        }
        outcome => outcome,
    }
}

/// Keeps what the live file holds and writes the fresh one into it: nobody can write between.
fn write(
    config: &DatabaseConfig,
    live: &Connection,
    fresh: &Connection,
    own_path: &Path,
    control: Steering<'_, '_>,
) -> Result<PathBuf> {
    let patience = Duration::from_millis(config.timeout_ms.into());
    let source = open_source(config)?;
    source.busy_timeout(Duration::ZERO)?;
    let is_logged = journal_mode(live)? == "wal";
    let begun = Instant::now();
    loop {
        let file = TemporaryFile::new_beside(own_path, "before-restore")?;
        let mut writing = PageCopy::new(fresh, live)?;
        // The lock of a log leaves readers alone, so the present state is kept under it. That of a
        // plain file does not: it is kept before, and again when somebody wrote until the lock.
        if is_logged {
            patiently(patience, control, |_| writing.step(0))?;
            keep(&source, file.path(), patience, control)?;
        } else {
            let kept = keep(&source, file.path(), patience, control)?;
            patiently(patience, control, |_| writing.step(0))?;
            if change_counter(live)? != kept {
                if begun.elapsed() < patience {
                    continue;
                }
                return Err(Error::Busy(
                    "other connections wrote each time before the ledger could be locked; \
                     try again"
                        .into(),
                ));
            }
        }
        let path = free_name(own_path)?;
        file.persist(&path)?;
        copy_pages(&mut writing, RestorePhase::Writing, control)?;
        return Ok(path);
    }
}

/// Copies the present state as it is, page for page: damage is no reason to lose what is whole.
fn keep(
    source: &Connection,
    path: &Path,
    patience: Duration,
    control: Steering<'_, '_>,
) -> Result<[u8; 4]> {
    let counter = {
        let copy = connection::open_private(path)?;
        let counter = patiently(patience, control, |control| {
            transaction::read(source, || {
                // A read of its header alone holds the state.
                source.pragma_query_value(None, "schema_version", |row| row.get::<_, i64>(0))?;
                let counter = change_counter(source)?;
                let mut copying = PageCopy::new(source, &copy)?;
                copy_pages(&mut copying, RestorePhase::Keeping, control)?;
                Ok(counter)
            })
        })?;
        copy.close().map_err(|(_, error)| error)?;
        counter
    };
    // Once more, to take it out of write-ahead logging.
    let copy = connection::open_private(path)?;
    copy.close().map_err(|(_, error)| error)?;
    Ok(counter)
}

/// Reads the count of a plain file's commits (<https://www.sqlite.org/fileformat2.html>, 1.3.7).
fn change_counter(connection: &Connection) -> Result<[u8; 4]> {
    let mut counter = [0; 4];
    connection::read_bytes(connection, 24, &mut counter)?;
    Ok(counter)
}

/// Finds a name for the present state, by the time; a name that is taken is left alone.
fn free_name(own_path: &Path) -> Result<PathBuf> {
    let time: String = timestamp::now()
        .chars()
        .filter(|character| character.is_ascii_alphanumeric())
        .collect();
    let name = beside(own_path, &format!(".before-restore-{time}"));
    let mut path = name.clone();
    let mut number = 1;
    while std::fs::symlink_metadata(&path).is_ok() {
        number += 1;
        path = beside(&name, &format!("-{number}"));
    }
    require_target(&path, false)
}

/// Copies all pages, telling of them as a phase of the restore.
fn copy_pages(
    copying: &mut PageCopy<'_>,
    phase: RestorePhase,
    control: Steering<'_, '_>,
) -> Result<()> {
    let must_stop = Arc::clone(&control.must_stop);
    let mut control = Control {
        must_stop,
        report: &mut |progress: CopyProgress| {
            (control.report)(RestoreProgress {
                phase,
                done: progress.copied_pages,
                total: progress.total_pages,
            });
        },
    };
    while !step(copying, &mut control)? {}
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ledger::setting;
    use crate::maintenance::backup::backup;
    use crate::manager::DatabaseManager;
    use crate::test_folder::TestFolder;

    fn control(work: impl FnOnce(&mut Control<'_, RestoreProgress>)) {
        work(&mut Control {
            must_stop: Arc::new(|| false),
            report: &mut |_| {},
        });
    }

    fn make_backup(folder: &TestFolder) -> (DatabaseManager, PathBuf) {
        let ledger = DatabaseManager::open(folder.config()).unwrap();
        ledger.initialize_schema().unwrap();
        setting::set(ledger.connection(), "colour", "\"old\"").unwrap();
        let path = folder.path().join("a.backup");
        let mut control = Control {
            must_stop: Arc::new(|| false),
            report: &mut |_| {},
        };
        backup(ledger.config(), &path, false, &mut control).unwrap();
        (ledger, path)
    }

    #[test]
    fn a_restore_is_a_commit_that_another_connection_sees() {
        let folder = TestFolder::new();
        let (ledger, path) = make_backup(&folder);
        setting::set(ledger.connection(), "colour", "\"new\"").unwrap();
        control(|control| {
            let report = restore(ledger.config(), &path, control).unwrap();
            assert_eq!(report.tables.config.restored, 1);
            assert!(Path::new(&report.kept.unwrap()).exists());
        });
        let value = setting::get(ledger.connection(), "colour").unwrap();
        assert_eq!(value.as_deref(), Some("\"old\""));
    }

    #[test]
    fn a_file_that_takes_too_long_is_refused() {
        let folder = TestFolder::new();
        let (_ledger, path) = make_backup(&folder);
        let fresh = Connection::open_in_memory().unwrap();
        control(|control| {
            let source = copy::open(&path, || true).unwrap();
            let endless = source.query_row(
                "SELECT count(*) FROM sqlite_schema a, sqlite_schema b, sqlite_schema c",
                [],
                |row| row.get::<_, i64>(0),
            );
            assert!(endless.is_err(), "nothing asked whether to stop");
            drop(source);
            let error = read_within(Duration::ZERO, &path, &fresh, control).err();
            // So small a file may be read before anybody asks.
            assert!(error.is_none_or(|error| error.code() == "DB_NOT_RESTORABLE"));
        });
    }
}
