//! Owns the campaigns on damaged files that are used as they are, in a folder in memory:
//!
//! - `corruption`: any damage to the file or its log; opening, reading, checking and writing must
//!   neither crash nor take over two seconds, and damage that loses rows must be told of. Its control
//!   asks nobody but plain reading.
//! - `wal`: one bit of a live log flips; the check must report it. Its control asks SQLite alone.

use crate::damage::{Damage, Ledger};
use crate::power::integrity;
use crate::program::{Rows, file_of};
use crate::random::Random;
use crate::report::Report;
use crate::{Order, Outcome, workers};
use std::collections::BTreeMap;
use std::collections::btree_map::Entry;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::Path;
use std::time::{Duration, Instant};
use whatsapp_uploader_database::{
    DatabaseConfig, DatabaseManager, IntegrityOptions, OnConflict, Result,
};

/// No call on a damaged file may take longer.
const PATIENCE: Duration = Duration::from_secs(2);

pub fn config(path: &Path) -> DatabaseConfig {
    DatabaseConfig {
        timeout_ms: 1_000,
        ..DatabaseConfig::new(path)
    }
}

/// What the ledger's own check says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Verdict {
    Sound,
    /// Something is there that a crash may have left as well as damage, such as half a frame.
    Remark,
    Fault,
}

/// What the ledger's own check says; an error counts as a fault.
fn judge(path: &Path) -> Verdict {
    let options = IntegrityOptions {
        deep: true,
        max_time: Some(PATIENCE),
    };
    match DatabaseManager::check_file(&config(path), options) {
        Ok(report) if report.ok && report.findings.is_empty() => Verdict::Sound,
        Ok(report) if report.ok => Verdict::Remark,
        _ => Verdict::Fault,
    }
}

/// What became of a damaged file.
struct Fate {
    rows: Result<Rows>,
    sqlite: Result<String>,
    written: Result<()>,
}

fn use_ledger(path: &Path) -> Fate {
    let ledger = DatabaseManager::open(config(path));
    let rows = match &ledger {
        Ok(ledger) => Rows::read(ledger),
        Err(_) => DatabaseManager::open(config(path)).and_then(|ledger| Rows::read(&ledger)),
    };
    let sqlite = integrity(path);
    let written = ledger.and_then(|ledger| {
        ledger.add_file_hash(&file_of(9_999_999), OnConflict::Ignore)?;
        ledger.set_config("after", &1)?;
        ledger.checkpoint()?;
        ledger.close()
    });
    Fate {
        rows,
        sqlite,
        written,
    }
}

pub fn run(order: &Order, report: &mut Report) -> Outcome<()> {
    let path = workers::folder()?.join("ledger.db");
    let mut bases = BTreeMap::new();
    for case in order.cases().take_while({
        let share = order.share();
        let jobs = order.jobs;
        move |case| case / jobs < share
    }) {
        workers::begin_case(case);
        let mut random = Random::of_case(order.seed, case);
        // Few ledgers, so that most of the time is spent on damaged ones.
        let number = random.below(24) as u64;
        if let Entry::Vacant(entry) = bases.entry(number) {
            let mut random = Random::of_case(order.seed ^ 0xba5e, number);
            let files = if number == 0 {
                1_500
            } else {
                40 + random.below(120) as u32
            };
            entry.insert(Ledger::make(&path, files, true, &mut random)?);
        }
        let base = &bases[&number];
        let mut damaged = base.clone();
        let in_log = random.one_in(3);
        let damage = *random.pick(&Damage::ALL);
        damaged.damage(damage, in_log, &mut random);
        damaged.put(&path)?;
        report.count += 1;
        let place = if in_log { "log" } else { "file" };
        let name = format!("case {case}, {damage:?} in the {place}");
        let started = Instant::now();
        let Ok((verdict, fate)) =
            catch_unwind(AssertUnwindSafe(|| (judge(&path), use_ledger(&path))))
        else {
            report.fault(|| format!("{name}: a panic"));
            continue;
        };
        let took = started.elapsed();
        report.raise("max_milliseconds", took.as_millis() as u64);
        if took > PATIENCE {
            report.fault(|| format!("{name}: took {took:?}"));
        }
        let errors = [
            fate.rows.as_ref().err(),
            fate.sqlite.as_ref().err(),
            fate.written.as_ref().err(),
        ];
        for error in errors.into_iter().flatten() {
            if matches!(error.code(), "DB_INTERNAL" | "SQLITE_MISUSE") {
                report.fault(|| format!("{name}: {}: {error}", error.code()));
            }
        }
        account(
            &name,
            place,
            &base.rows,
            verdict,
            &fate,
            order.control,
            report,
        );
    }
    Ok(())
}

fn account(
    name: &str,
    place: &str,
    before: &Rows,
    verdict: Verdict,
    fate: &Fate,
    is_control: bool,
    report: &mut Report,
) {
    let fails = fate.rows.is_err();
    let is_loss = fate
        .rows
        .as_ref()
        .map_or(true, |rows| !has_same_keys(rows, before));
    let is_sound = matches!(&fate.sqlite, Ok(answer) if answer == "ok");
    let is_same = fate.rows.as_ref().is_ok_and(|rows| rows == before);
    let figure = match (is_loss, is_same) {
        (true, _) => "rows_lost_or_unreadable",
        (_, true) => "rows_unchanged",
        _ => "values_changed",
    };
    report.add(figure, 1);
    if is_loss || !is_sound {
        let told = if is_control {
            fails
        } else {
            verdict != Verdict::Sound || fails
        };
        let figure = format!("structural_in_{place}_told");
        report.add(&format!("{figure}_of"), 1);
        report.add(&figure, u64::from(told));
        // A log that is cut between two commits is the log of a moment before.
        let can_be_known = !is_sound || place == "file";
        if !told && can_be_known {
            report.fault(|| format!("{name}: nothing tells of it ({:?})", fate.sqlite));
        }
    }
    if !is_loss && !is_same {
        report.add("values_changed_told_of", 1);
        report.add("values_changed_told", u64::from(verdict != Verdict::Sound));
    }
}

fn has_same_keys(left: &Rows, right: &Rows) -> bool {
    left.sessions.keys().eq(right.sessions.keys())
        && left.files.keys().eq(right.files.keys())
        && left.errors.keys().eq(right.errors.keys())
        && left
            .settings
            .keys()
            .filter(|key| *key != "after")
            .eq(right.settings.keys())
}

/// One bit of a live log flips.
pub fn run_wal(order: &Order, report: &mut Report) -> Outcome<()> {
    let path = workers::folder()?.join("ledger.db");
    let mut made = Random::of_case(order.seed, u64::MAX);
    let bases = (0..8)
        .map(|number| Ledger::make(&path, 24 + number * 12, true, &mut made))
        .collect::<Outcome<Vec<_>>>()?;
    for base in &bases {
        base.put(&path)?;
        if judge(&path) != Verdict::Sound {
            report.fault(|| "an undamaged ledger is called damaged".into());
        }
    }
    for case in order.cases() {
        if report.count >= order.share() {
            break;
        }
        workers::begin_case(case);
        let mut random = Random::of_case(order.seed, case);
        let mut damaged = random.pick(&bases).clone();
        let at = random.below(damaged.log.len());
        damaged.log[at] ^= 1 << random.below(8);
        damaged.put(&path)?;
        let is_told = if order.control {
            !matches!(integrity(&path), Ok(answer) if answer == "ok")
        } else {
            let verdict = judge(&path);
            report.add("told_as_fault", u64::from(verdict == Verdict::Fault));
            verdict != Verdict::Sound
        };
        report.count += 1;
        report.add("told_of", 1);
        report.add("told", u64::from(is_told));
        if !is_told && report.count < 100_000 && !order.control {
            eprintln!(
                "not told of: case {case}, byte {at} of {}",
                damaged.log.len()
            );
        }
    }
    let told = report.figure("told");
    if told * 100 < report.count * 99 {
        let count = report.count;
        report.fault(|| format!("{told} of {count} flipped bits were told of, not 99 %"));
    }
    Ok(())
}
