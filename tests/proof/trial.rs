//! Owns one run of a program beside a fault: what the ledger acknowledged must be there, what it
//! refused must be there as a whole or not at all, and it must be usable once the fault is over.

use crate::disk::with_disk;
use crate::power::integrity;
use crate::program::{self, Rows, Step};
use crate::report::Report;
use std::collections::BTreeMap;
use std::panic::{AssertUnwindSafe, catch_unwind};
use whatsapp_uploader_database::{DatabaseConfig, DatabaseManager, Error, Result};

/// What makes things fail.
pub trait Faults {
    fn arm(&self);
    /// How often something has failed since then.
    fn fired(&self) -> u64;
    /// Ends what persists.
    fn heal(&self);
    /// Whether what failed last was a sync.
    fn was_sync(&self) -> bool {
        false
    }
}

/// A ledger to begin with: its files and its rows.
pub struct Base {
    pub files: BTreeMap<String, Vec<u8>>,
    pub rows: Rows,
}

impl Base {
    /// Makes a ledger with some rows, part of them in the log.
    pub fn make(config: &DatabaseConfig, steps: &[Step]) -> Result<Self> {
        let name = config.path.to_string_lossy().into_owned();
        with_disk(|disk| disk.load([(name.as_str(), Vec::new())]));
        let mut rows = Rows::default();
        let ledger = DatabaseManager::open(config.clone())?;
        ledger.initialize_schema()?;
        let steps = steps.iter().filter(|step| !matches!(step, Step::Reopen));
        for step in steps {
            program::run(&ledger, step)?;
            rows = rows.after(step);
        }
        // As after a crash: the log is there, and its shared memory is not.
        let files = with_disk(|disk| disk.contents());
        drop(ledger);
        Ok(Self { files, rows })
    }

    fn load(&self) {
        let files = self.files.iter();
        with_disk(|disk| disk.load(files.map(|(name, bytes)| (name.as_str(), bytes.clone()))));
    }
}

struct Trial<'a> {
    config: &'a DatabaseConfig,
    faults: &'a dyn Faults,
    report: &'a mut Report,
    ledger: Option<DatabaseManager>,
    /// The rows that may be there: more than one after a step that failed.
    possible: Vec<Rows>,
    /// How often something failed since a step or an opening last succeeded.
    failures: u32,
    ignores_failures: bool,
}

/// Runs a program beside a fault. `ignores_failures` is the negative control: a failed step counts
/// as acknowledged.
pub fn run(
    config: &DatabaseConfig,
    base: &Base,
    steps: &[Step],
    faults: &dyn Faults,
    ignores_failures: bool,
    report: &mut Report,
) -> std::result::Result<(), String> {
    base.load();
    let mut trial = Trial {
        config,
        faults,
        report,
        ledger: None,
        possible: vec![base.rows.clone()],
        failures: 0,
        ignores_failures,
    };
    faults.arm();
    let outcome = steps.iter().try_for_each(|step| trial.step(step));
    faults.heal();
    outcome?;
    trial.end()
}

impl Trial<'_> {
    fn step(&mut self, step: &Step) -> std::result::Result<(), String> {
        self.open()?;
        let fired = self.faults.fired();
        let outcome = match (step, &self.ledger) {
            (Step::Reopen, _) => match self.ledger.take() {
                Some(ledger) => caught(|| ledger.close().map(|()| Step::Reopen)),
                None => Ok(Ok(Step::Reopen)),
            },
            (_, Some(ledger)) => caught(|| program::run(ledger, step)),
            (_, None) => return Err("no ledger is open".into()),
        }
        .map_err(|panic| format!("{step:?}: {panic}"))?;
        let failed_now = self.faults.fired() > fired;
        if failed_now && self.faults.was_sync() && matches!(step, Step::Flush | Step::Checkpoint) {
            self.report.add("sync_failures_told_of", 1);
            self.report
                .add("sync_failures_told", u64::from(outcome.is_err()));
            if outcome.is_ok() {
                return Err(format!("{step:?} hid a sync that failed"));
            }
        }
        match outcome {
            Ok(done) => self.succeeded(&done),
            Err(error) => {
                self.judge(&error)
                    .map_err(|problem| format!("{step:?}: {problem}"))?;
                let done = self
                    .possible
                    .iter()
                    .map(|rows| rows.after(step))
                    .collect::<Vec<_>>();
                if self.ignores_failures {
                    self.possible = done;
                } else {
                    self.add_possible(done);
                }
                self.recover()
            }
        }
    }

    fn succeeded(&mut self, step: &Step) -> std::result::Result<(), String> {
        if self.failures > 0 {
            self.failures = 0;
            self.report.add("usable_again_at_once", 1);
        }
        let possible = std::mem::take(&mut self.possible);
        // What writes nothing decides nothing: a commit whose sync failed may still be in the log.
        let writes = possible.iter().all(|rows| rows.after(step) != *rows);
        self.add_possible(possible.iter().map(|rows| rows.after(step)).collect());
        let Some(ledger) = self.ledger.as_ref().filter(|_| self.possible.len() > 1) else {
            return Ok(());
        };
        // A later commit decides about an earlier one that failed.
        match caught(|| Rows::read(ledger))? {
            Ok(rows) => {
                let before = self.possible.first().cloned().unwrap_or_default();
                if !self.possible.contains(&rows) {
                    return Err(format!("after {step:?}: {}", rows.difference(&before)));
                }
                if writes {
                    self.possible.retain(|possible| *possible == rows);
                }
                Ok(())
            }
            Err(error) => self.judge(&error),
        }
    }

    fn add_possible(&mut self, more: Vec<Rows>) {
        for rows in more {
            if !self.possible.contains(&rows) {
                self.possible.push(rows);
            }
        }
    }

    /// An error must have a cause, and be one that a caller can tell.
    fn judge(&mut self, error: &Error) -> std::result::Result<(), String> {
        self.report.add("errors", 1);
        if self.faults.fired() == 0 {
            return Err(format!("failed without a fault: {}: {error}", error.code()));
        }
        match error.code() {
            "DB_INTERNAL" | "DB_INVALID_DATA" | "SQLITE_CORRUPT" | "SQLITE_ERROR"
            | "SQLITE_MISUSE" => Err(format!("no error for this: {}: {error}", error.code())),
            _ => Ok(()),
        }
    }

    /// After a failure: two more chances as things are, then the fault is over; two more, and the
    /// ledger is opened anew.
    fn recover(&mut self) -> std::result::Result<(), String> {
        self.failures += 1;
        if self.failures == 2 {
            self.faults.heal();
        }
        if self.failures == 4 {
            self.report.add("opened_anew", 1);
            self.ledger = None;
        }
        if self.failures > 5 {
            return Err("not usable after the fault".into());
        }
        Ok(())
    }

    fn open(&mut self) -> std::result::Result<(), String> {
        while self.ledger.is_none() {
            match caught(|| DatabaseManager::open(self.config.clone()))? {
                Ok(ledger) => self.ledger = Some(ledger),
                Err(error) => {
                    self.judge(&error)
                        .map_err(|problem| format!("open: {problem}"))?;
                    self.recover()?;
                }
            }
        }
        Ok(())
    }

    /// Opens the ledger without faults, and looks at it.
    fn end(&mut self) -> std::result::Result<(), String> {
        self.ledger = None;
        let ledger = DatabaseManager::open(self.config.clone()).map_err(|error| told(&error))?;
        let rows = Rows::read(&ledger).map_err(|error| told(&error))?;
        if !self.possible.contains(&rows) {
            let expected = self.possible.last().cloned().unwrap_or_default();
            return Err(format!(
                "wrong rows at the end: {}",
                rows.difference(&expected)
            ));
        }
        // It can be written.
        ledger
            .set_config("k-end", &1)
            .map_err(|error| told(&error))?;
        ledger.close().map_err(|error| told(&error))?;
        let answer = integrity(&self.config.path).map_err(|error| told(&error))?;
        if answer == "ok" {
            Ok(())
        } else {
            Err(format!("damaged: {answer}"))
        }
    }
}

fn told(error: &Error) -> String {
    format!("after the fault: {}: {error}", error.code())
}

fn caught<T>(work: impl FnOnce() -> Result<T>) -> std::result::Result<Result<T>, String> {
    catch_unwind(AssertUnwindSafe(work)).map_err(|_| "a panic".to_owned())
}
