//! Owns the campaign `power`: what a power loss leaves of a ledger at any moment.
//!
//! A program runs on the disk in memory, which writes down what reaches it. Then, for each moment
//! between two of these operations, images are made of what the disk may hold: of what was
//! written since a file's last sync, all, nothing, any of the writes, or any of their sectors
//! (with zeros or garbage where the rest should be), and files made or deleted since then or not.
//! Shared memory is always lost. Each image is opened by the crate: its rows must be those after
//! some commit, none before the last one that was promised to be safe, and the file sound.
//!
//! The control is a disk that answers a sync with success and syncs nothing.

use crate::disk::{Inode, Operation, put, with_disk};
use crate::program::{self, Rows, Shape, Step};
use crate::random::Random;
use crate::report::Report;
use crate::{Order, Outcome, memory_vfs, workers};
use std::collections::{BTreeMap, HashMap};
use std::path::Path;
use whatsapp_uploader_database::{Connection, DatabaseConfig, DatabaseManager, Result};

/// What a disk writes at once, or not at all.
const SECTOR_BYTES: usize = 512;

/// How much of what waits reaches the disk.
const SURVIVALS: [Survival; 5] = [
    Survival::Everything,
    Survival::Nothing,
    Survival::Writes,
    Survival::Sectors,
    Survival::Garbage,
];

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Survival {
    /// All but a part of the last write.
    Everything,
    Nothing,
    Writes,
    Sectors,
    /// As sectors, with random bytes where a file grew and nothing was written.
    Garbage,
}

/// The rows after each step, and where in the journal it began and ended.
struct History {
    states: Vec<(usize, Rows)>,
    /// At this length of the journal, the state of this number was promised to be safe.
    promises: Vec<(usize, usize)>,
}

/// What a program left: the disk before it, what reached the disk, and what it was told.
struct Recording {
    names: BTreeMap<String, Inode>,
    files: HashMap<Inode, Vec<u8>>,
    journal: Vec<Operation>,
    history: History,
}

pub fn run(order: &Order, report: &mut Report) -> Outcome<()> {
    memory_vfs::register();
    let folder = workers::folder()?;
    let path = folder.join("ledger.db");
    for case in order.cases() {
        workers::begin_case(case);
        let mut random = Random::of_case(order.seed, case);
        let config = DatabaseConfig {
            enable_wal: !random.one_in(8),
            ..program::config(&path, random.one_in(2))
        };
        let Recording {
            names,
            files,
            journal,
            history,
        } = record(&config, &mut random)?;
        report.add("programs", 1);
        report.add("operations", journal.len() as u64);
        let mut replay = Replay::new(names, files, order.control);
        for moment in 0..=journal.len() {
            for survival in SURVIVALS {
                workers::begin_case(case);
                let image = replay.image(survival, &mut random);
                report.count += 1;
                if let Err(problem) = check(&config, image, moment, &history) {
                    let figure = if config.enable_wal {
                        "in_wal_mode"
                    } else {
                        "in_delete_mode"
                    };
                    report.add(figure, 1);
                    let synchronous = config.synchronous.as_str();
                    report.fault(|| {
                        format!(
                            "program {case} ({synchronous}, {figure}), moment {moment}, \
                             {survival:?}: {problem}"
                        )
                    });
                }
                if report.count >= order.share() {
                    return Ok(());
                }
            }
            if let Some(operation) = journal.get(moment) {
                replay.go_on(operation);
            }
        }
    }
    Ok(())
}

/// Runs a program and writes down what reaches the disk.
fn record(config: &DatabaseConfig, random: &mut Random) -> Outcome<Recording> {
    let shape = Shape {
        steps: 12 + random.below(30),
        vacuum: true,
    };
    let steps = program::make(random, shape);
    let name = config.path.to_string_lossy().into_owned();
    with_disk(|disk| disk.load([(name.as_str(), Vec::new())]));
    let mut ledger = DatabaseManager::open(config.clone())?;
    // A ledger of one program in four is made before the eyes of the recorder.
    if !random.one_in(4) {
        ledger.initialize_schema()?;
        ledger.close()?;
        ledger = DatabaseManager::open(config.clone())?;
    }
    let (names, files) = with_disk(|disk| {
        disk.record();
        (disk.names(), disk.file_bytes())
    });
    let mut rows = Rows::default();
    let mut history = History {
        states: vec![(0, rows.clone())],
        promises: vec![(0, 0)],
    };
    ledger.initialize_schema()?;
    let is_full = config.synchronous == whatsapp_uploader_database::Synchronous::Full;
    for step in &steps {
        let began = with_disk(|disk| disk.recorded());
        if matches!(step, Step::Reopen) {
            ledger.close()?;
            ledger = DatabaseManager::open(config.clone())?;
        } else {
            program::run(&ledger, step)?;
        }
        rows = rows.after(step);
        history.states.push((began, rows.clone()));
        let is_safe = is_full
            || config.enable_wal && matches!(step, Step::Flush | Step::Checkpoint | Step::Reopen);
        if is_safe {
            let ended = with_disk(|disk| disk.recorded());
            history.promises.push((ended, history.states.len() - 1));
        }
    }
    if Rows::read(&ledger)? != rows {
        return Err("the program's own rows are not what its steps say".into());
    }
    drop(ledger);
    let journal = with_disk(|disk| disk.take_record());
    Ok(Recording {
        names,
        files,
        journal,
        history,
    })
}

/// What is safe on the disk at one moment, and what waits.
struct Replay<'journal> {
    names: BTreeMap<String, Inode>,
    safe: HashMap<Inode, Vec<u8>>,
    waiting: HashMap<Inode, Vec<&'journal Operation>>,
    waiting_names: Vec<&'journal Operation>,
    ignores_syncs: bool,
}

impl<'journal> Replay<'journal> {
    fn new(
        names: BTreeMap<String, Inode>,
        safe: HashMap<Inode, Vec<u8>>,
        ignores_syncs: bool,
    ) -> Self {
        Self {
            names,
            safe,
            waiting: HashMap::new(),
            waiting_names: Vec::new(),
            ignores_syncs,
        }
    }

    fn go_on(&mut self, operation: &'journal Operation) {
        match operation {
            Operation::Create { .. } => self.waiting_names.push(operation),
            Operation::Delete { is_synced, .. } => {
                self.waiting_names.push(operation);
                if *is_synced && !self.ignores_syncs {
                    self.sync_names();
                }
            }
            Operation::Write { inode, .. } | Operation::Truncate { inode, .. } => {
                self.waiting.entry(*inode).or_default().push(operation);
            }
            Operation::Sync { inode, with_name } if !self.ignores_syncs => {
                let file = self.safe.entry(*inode).or_default();
                for operation in self.waiting.remove(inode).unwrap_or_default() {
                    apply(file, operation);
                }
                if *with_name {
                    self.sync_names();
                }
            }
            Operation::Sync { .. } => {}
        }
    }

    fn sync_names(&mut self) {
        for operation in std::mem::take(&mut self.waiting_names) {
            rename(&mut self.names, operation);
        }
    }

    /// One image of what the disk may hold now.
    fn image(&self, survival: Survival, random: &mut Random) -> BTreeMap<String, Vec<u8>> {
        let mut names = self.names.clone();
        for operation in &self.waiting_names {
            let survives = match survival {
                Survival::Everything => true,
                Survival::Nothing => false,
                _ => random.one_in(2),
            };
            if survives {
                rename(&mut names, operation);
            }
        }
        let mut image = BTreeMap::new();
        for (name, inode) in names {
            let mut file = self.safe.get(&inode).cloned().unwrap_or_default();
            if let Some(waiting) = self.waiting.get(&inode) {
                survive(&mut file, waiting, survival, random);
            }
            image.insert(name, file);
        }
        image
    }
}

fn rename(names: &mut BTreeMap<String, Inode>, operation: &Operation) {
    match operation {
        Operation::Create { name, inode } => drop(names.insert(name.clone(), *inode)),
        Operation::Delete { name, inode, .. } if names.get(name) == Some(inode) => {
            names.remove(name);
        }
        _ => {}
    }
}

fn apply(file: &mut Vec<u8>, operation: &Operation) {
    match operation {
        Operation::Write { offset, bytes, .. } => put(file, *offset, bytes),
        Operation::Truncate { size, .. } => file.resize(*size, 0),
        _ => {}
    }
}

/// Lets a part of what waits reach the file.
fn survive(file: &mut Vec<u8>, waiting: &[&Operation], survival: Survival, random: &mut Random) {
    let safe_bytes = file.len();
    // Now most survives, now little.
    let odds = 2 + random.below(4);
    let rare = random.one_in(2);
    let lives = |random: &mut Random| random.one_in(odds) == rare;
    let mut end = safe_bytes;
    for (place, operation) in waiting.iter().enumerate() {
        let is_last = place + 1 == waiting.len();
        match (operation, survival) {
            (_, Survival::Nothing) => {}
            (Operation::Write { offset, bytes, .. }, Survival::Everything) => {
                let sectors = bytes.len().div_ceil(SECTOR_BYTES);
                let kept = if is_last {
                    random.below(sectors + 1)
                } else {
                    sectors
                };
                put(
                    file,
                    *offset,
                    &bytes[..bytes.len().min(kept * SECTOR_BYTES)],
                );
            }
            (Operation::Write { offset, bytes, .. }, Survival::Writes) => {
                end = end.max(offset + bytes.len());
                if lives(random) {
                    put(file, *offset, bytes);
                }
            }
            (Operation::Write { offset, bytes, .. }, _) => {
                end = end.max(offset + bytes.len());
                // A sector begins where the disk's does, not where the write does.
                let mut at = *offset;
                while at < offset + bytes.len() {
                    let next = (at / SECTOR_BYTES + 1) * SECTOR_BYTES;
                    let next = next.min(offset + bytes.len());
                    if lives(random) {
                        put(file, at, &bytes[at - offset..next - offset]);
                    } else if survival == Survival::Garbage && at >= safe_bytes {
                        let mut garbage = vec![0; next - at];
                        random.fill(&mut garbage);
                        put(file, at, &garbage);
                    }
                    at = next;
                }
            }
            (Operation::Truncate { .. }, Survival::Everything) => apply(file, operation),
            (Operation::Truncate { .. }, _) if lives(random) => apply(file, operation),
            _ => {}
        }
    }
    // A file's size may reach the disk before its contents.
    if survival != Survival::Everything && survival != Survival::Nothing && random.one_in(2) {
        file.resize(end.max(file.len()), 0);
    }
}

/// Opens an image and holds it against the history.
fn check(
    config: &DatabaseConfig,
    image: BTreeMap<String, Vec<u8>>,
    moment: usize,
    history: &History,
) -> std::result::Result<(), String> {
    with_disk(|disk| {
        disk.load(
            image
                .iter()
                .map(|(name, bytes)| (name.as_str(), bytes.clone())),
        )
    });
    let oldest = history
        .promises
        .iter()
        .take_while(|(ended, _)| *ended <= moment)
        .last()
        .map_or(0, |(_, state)| *state);
    let possible = || {
        history
            .states
            .iter()
            .skip(oldest)
            .take_while(|(began, _)| *began <= moment)
    };
    let rows = read(config).map_err(|error| format!("{}: {error}", error.code()))?;
    if !possible().any(|(_, state)| *state == rows) {
        let older = history
            .states
            .iter()
            .take(oldest)
            .rposition(|(_, state)| *state == rows);
        return Err(match older {
            Some(older) => format!("lost what was safe: state {older}, not {oldest} or later"),
            None => format!(
                "rows of no commit: {}",
                rows.difference(&history.states[oldest].1)
            ),
        });
    }
    let answer = integrity(&config.path).map_err(|error| error.to_string())?;
    if answer == "ok" {
        Ok(())
    } else {
        Err(format!("damaged: {answer}"))
    }
}

/// Reads the rows; a ledger without tables has none, and can be given them.
fn read(config: &DatabaseConfig) -> Result<Rows> {
    let ledger = DatabaseManager::open(config.clone())?;
    if ledger.get_schema_version()? == 0 {
        ledger.initialize_schema()?;
    }
    let rows = Rows::read(&ledger)?;
    ledger.close()?;
    Ok(rows)
}

/// SQLite's own check of a whole file, foreign keys included.
pub fn integrity(path: &Path) -> Result<String> {
    let connection = Connection::open(&DatabaseConfig::new(path))?;
    let answer: String = connection
        .handle()
        .query_row("PRAGMA integrity_check", [], |row| row.get(0))?;
    let orphans: i64 = connection.handle().query_row(
        "SELECT count(*) FROM pragma_foreign_key_check",
        [],
        |row| row.get(0),
    )?;
    Ok(if orphans == 0 {
        answer
    } else {
        format!("{orphans} orphans")
    })
}
