//! Owns the campaign on what a repair gets back, and that no row comes back that was never there.
//! Its control plants such a row.
//!
//! A row whose own pages are damaged is beyond any repair; a row whose pages are all intact is not.
//! So these are counted apart, and a row of which only the key came back counts as none of both.

use crate::corruption::config;
use crate::damage::Ledger;
use crate::placement::Placement;
use crate::program::{Rows, file_of};
use crate::random::Random;
use crate::report::Report;
use crate::{Order, Outcome, workers};
use std::collections::btree_map::Entry;
use std::collections::{BTreeMap, HashSet};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::Path;
use whatsapp_uploader_database::{DatabaseManager, OnConflict, RepairOptions, Result};

/// How many in ten thousand of the rows on intact pages must come back.
const INTACT_PER_10000: u64 = 9_990;

const KINDS: [&str; 3] = ["five_percent_random", "page_1_lost", "one_page_random"];

/// What a repair gets back.
pub fn run(order: &Order, report: &mut Report) -> Outcome<()> {
    let path = workers::folder()?.join("ledger.db");
    let mut bases = BTreeMap::new();
    for case in order.cases() {
        if report.count >= order.share() {
            break;
        }
        workers::begin_case(case);
        let mut random = Random::of_case(order.seed, case);
        let number = random.below(6) as u64;
        if let Entry::Vacant(entry) = bases.entry(number) {
            let mut random = Random::of_case(order.seed ^ 0xba5e, number);
            let base = Ledger::make(&path, 1_500, number % 2 == 1, &mut random)?;
            let placement = Placement::of(&base, &path)?;
            entry.insert((base, placement));
        }
        let (base, placement) = &bases[&number];
        let mut damaged = base.clone();
        let kind = KINDS[case as usize / order.jobs as usize % KINDS.len()];
        let hit = match kind {
            "page_1_lost" => HashSet::from([1]),
            "one_page_random" => choose_pages(base.pages(), 1, &mut random),
            // To the nearest page.
            _ => choose_pages(base.pages(), (base.pages() + 10) / 20, &mut random),
        };
        let mut pages: Vec<_> = hit.iter().copied().collect();
        pages.sort_unstable();
        for page in pages {
            damaged.randomize_page(page as usize - 1, &mut random);
        }
        damaged.put(&path)?;
        report.count += 1;
        report.add(&format!("{kind}_pages"), hit.len() as u64);
        report.add(&format!("{kind}_pages_of"), base.pages() as u64);
        let outcome = catch_unwind(AssertUnwindSafe(|| repair(&path, order.control)));
        match outcome {
            Err(_) => report.fault(|| format!("case {case}, {kind}: a panic")),
            Ok(Err(error)) => report.fault(|| format!("case {case}, {kind}: {error}")),
            Ok(Ok((rows, key_only))) => {
                let found = Comparison::of(&base.rows, &rows, |table, key| {
                    placement.is_intact(table, key, &hit)
                });
                report.add(&format!("{kind}_rows_of"), found.all);
                report.add(&format!("{kind}_rows"), found.same);
                report.add(&format!("{kind}_keys_only"), key_only);
                for figure in [
                    "rows_on_intact_pages",
                    &format!("{kind}_rows_on_intact_pages"),
                ] {
                    report.add(&format!("{figure}_of"), found.intact);
                    report.add(figure, found.intact_same);
                }
                // No row stands on the first page, and the layouts that a ledger can have are known.
                if kind == "page_1_lost" && found.same < found.all {
                    let lost = found.all - found.same;
                    report.fault(|| format!("case {case}, {kind}: {lost} rows are lost"));
                }
                let wrong = found.foreign + found.other.saturating_sub(key_only);
                report.add("wrong_rows", wrong);
                if wrong > 0 {
                    report.fault(|| format!("case {case}, {kind}: {wrong} wrong rows"));
                }
            }
        }
    }
    let (kept, of) = (
        report.figure("rows_on_intact_pages"),
        report.figure("rows_on_intact_pages_of"),
    );
    if kept * 10_000 < of * INTACT_PER_10000 {
        report.fault(|| format!("{kept} of {of} rows on intact pages came back, not 99.9 %"));
    }
    Ok(())
}

/// Chooses so many different pages of a file, from 2: the first is a kind of its own.
fn choose_pages(of: usize, count: usize, random: &mut Random) -> HashSet<u32> {
    let mut chosen = HashSet::new();
    while chosen.len() < count.min(of - 1) {
        chosen.insert(2 + random.below(of - 1) as u32);
    }
    chosen
}

/// Repairs, and reads what there is then, with how many rows are keys alone.
fn repair(path: &Path, plants: bool) -> Result<(Rows, u64)> {
    let report = DatabaseManager::repair(&config(path), RepairOptions::default(), |_, _| {})?;
    let ledger = DatabaseManager::open(config(path))?;
    if plants {
        ledger.add_file_hash(&file_of(9_999_999), OnConflict::Fail)?;
    }
    let rows = Rows::read(&ledger)?;
    ledger.close()?;
    Ok((rows, report.tables.iter().map(|table| table.key_only).sum()))
}

/// What became of the rows.
#[derive(Default)]
struct Comparison {
    /// Rows that there were.
    all: u64,
    /// Those that came back as they were.
    same: u64,
    /// Those that came back otherwise.
    other: u64,
    /// Rows that never were.
    foreign: u64,
    /// Rows whose pages are all intact, and those of them that came back as they were.
    intact: u64,
    intact_same: u64,
}

impl Comparison {
    fn of(before: &Rows, after: &Rows, is_intact: impl Fn(&str, &str) -> bool) -> Self {
        let mut sum = Self::default();
        sum.add(&before.sessions, &after.sessions, |key| {
            is_intact("upload_sessions", key)
        });
        sum.add(&before.files, &after.files, |key| {
            is_intact("file_hashes", key)
        });
        sum.add(&before.errors, &after.errors, |key| {
            is_intact("upload_errors", &key.to_string())
        });
        sum.add(&before.settings, &after.settings, |key| {
            is_intact("config", key)
        });
        sum
    }

    fn add<K: Ord, V: PartialEq>(
        &mut self,
        before: &BTreeMap<K, V>,
        after: &BTreeMap<K, V>,
        is_intact: impl Fn(&K) -> bool,
    ) {
        for (key, value) in before {
            let came = after.get(key);
            let is_same = came == Some(value);
            let is_intact = is_intact(key);
            self.all += 1;
            self.same += u64::from(is_same);
            self.other += u64::from(came.is_some() && !is_same);
            self.intact += u64::from(is_intact);
            self.intact_same += u64::from(is_intact && is_same);
        }
        let known = after.keys().filter(|key| before.contains_key(key));
        self.foreign += (after.len() - known.count()) as u64;
    }
}
