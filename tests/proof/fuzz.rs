//! Owns the campaign `fuzz`: real inputs of every pure parser, mutated. None may panic, give an
//! answer that cannot be, take over a second, or take much memory.
//!
//! It is `cargo fuzz` without its instrumentation, but the same on every machine for a seed. The
//! mutations know where pages and frames begin, and half of the mutated logs and journals are signed
//! again: otherwise nothing behind the first checksum would ever be read.
//!
//! The control's parsers believe what an input says of itself, and each must be caught.

use crate::fuzz_seed::{
    FRAME_BYTES, LOG_HEADER_BYTES, RECORD_BYTES, SECTOR_BYTES, SMALL_PAGE, make_seeds,
    sign_journal, sign_log,
};
use crate::random::Random;
use crate::report::Report;
use crate::{Order, Outcome, fuzz_control, target, target_packing, workers};
use std::collections::BTreeMap;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::time::{Duration, Instant};

const PATIENCE: Duration = Duration::from_secs(1);

/// By how much a worker may grow, in KiB: inputs have some ten thousand bytes.
const GROWTH_KIB: u64 = 64 * 1_024;

/// Numbers at which arithmetic goes wrong.
const ODD_NUMBERS: [u32; 12] = [
    0,
    1,
    2,
    0x7f,
    0x80,
    0xff,
    0x7fff,
    0x8000,
    0xffff,
    0x7fff_ffff,
    0x8000_0000,
    0xffff_ffff,
];

struct Target {
    name: &'static str,
    run: fn(&[u8]),
    control: fn(&[u8]),
    /// Where the mutated part begins to repeat, and how long each part is.
    first: usize,
    stride: usize,
    /// Makes an input's checksums right, where it has any.
    sign: Option<fn(&mut [u8])>,
}

/// In the order of their seeds: packed values have one of ASCII and one of other texts.
const TARGETS: [Target; 7] = [
    Target {
        name: "pages",
        run: target::pages,
        control: fuzz_control::pages,
        first: 1,
        stride: SMALL_PAGE,
        sign: None,
    },
    Target {
        name: "log",
        run: target::log,
        control: fuzz_control::log,
        first: 1 + LOG_HEADER_BYTES,
        stride: FRAME_BYTES,
        sign: Some(sign_log),
    },
    Target {
        name: "journal",
        run: target::journal,
        control: fuzz_control::journal,
        first: 1 + SECTOR_BYTES,
        stride: RECORD_BYTES,
        sign: Some(sign_journal),
    },
    Target {
        name: "config",
        run: target::config,
        control: fuzz_control::config,
        first: 0,
        stride: 10,
        sign: None,
    },
    Target {
        name: "values",
        run: target_packing::values,
        control: fuzz_control::values,
        first: 1,
        stride: 4,
        sign: None,
    },
    Target {
        name: "values",
        run: target_packing::values,
        control: fuzz_control::values,
        first: 1,
        stride: 4,
        sign: None,
    },
    Target {
        name: "rows",
        run: target_packing::rows,
        control: fuzz_control::rows,
        first: 1,
        stride: 10,
        sign: None,
    },
];

/// The targets of eight cases: pages have the most to go wrong.
const TURNS: [usize; 8] = [0, 0, 1, 2, 3, 4, 5, 6];

pub fn run(order: &Order, report: &mut Report) -> Outcome<()> {
    let seeds = make_seeds(&workers::folder()?.join("ledger.db"))?;
    for (target, seed) in TARGETS.iter().zip(&seeds) {
        (target.run)(seed);
        (target.control)(seed);
    }
    let mut caught = BTreeMap::new();
    let before = resident_peak_kib();
    for case in order.cases() {
        if report.count >= order.share() {
            break;
        }
        workers::begin_case(case);
        let mut random = Random::of_case(order.seed, case);
        let kind = TURNS[case as usize / order.jobs as usize % TURNS.len()];
        let target = &TARGETS[kind];
        let mut input = seeds[kind].clone();
        for _ in 0..=random.below(6) {
            mutate(&mut input, target, &mut random);
        }
        if let Some(sign) = target.sign
            && random.one_in(2)
        {
            sign(input.get_mut(1..).unwrap_or_default());
        }
        let parse = if order.control {
            target.control
        } else {
            target.run
        };
        let started = Instant::now();
        let outcome = catch_unwind(AssertUnwindSafe(|| parse(&input)));
        let took = started.elapsed();
        report.count += 1;
        report.add(&format!("{}_inputs", target.name), 1);
        report.raise("max_milliseconds", took.as_millis() as u64);
        if order.control {
            if outcome.is_err() {
                caught.entry(target.name).or_insert(case);
            }
            if TARGETS
                .iter()
                .all(|target| caught.contains_key(target.name))
            {
                report.fault(|| format!("a panic at the cases {caught:?}"));
                break;
            }
            continue;
        }
        if outcome.is_err() {
            report.fault(|| format!("case {case}, {}: a panic", target.name));
        }
        if took > PATIENCE {
            report.fault(|| format!("case {case}, {}: took {took:?}", target.name));
        }
    }
    if let (Some(before), Some(after)) = (before, resident_peak_kib()) {
        let growth = after - before;
        report.raise("max_growth_kib", growth);
        if growth > GROWTH_KIB {
            report.fault(|| format!("the worker grew by {growth} KiB"));
        }
    }
    Ok(())
}

/// Changes an input in one way.
fn mutate(input: &mut Vec<u8>, target: &Target, random: &mut Random) {
    let parts = input.len().saturating_sub(target.first) / target.stride;
    if parts == 0 {
        return;
    }
    let part = target.first + random.below(parts) * target.stride;
    let at = place_in(input, part, target.stride, random);
    match random.below(10) {
        0 => input[at] ^= 1 << random.below(8),
        1 => input[at] = random.next() as u8,
        2 | 3 => {
            let number = random.pick(&ODD_NUMBERS).to_be_bytes();
            put(input, at, &number[random.below(4)..]);
        }
        // The number of another page: rings, and trees that share a page.
        4 | 5 => put(input, at, &(random.below(parts + 2) as u32).to_be_bytes()),
        6 => {
            let end = input.len().min(at + 1 + random.below(24));
            random.fill(&mut input[at..end]);
        }
        7 => {
            let from = random.below(input.len());
            let length = (input.len() - at.max(from)).min(1 + random.below(64));
            input.copy_within(from..from + length, at);
        }
        8 => {
            let other = target.first + random.below(parts) * target.stride;
            input.copy_within(other..other + target.stride, part);
        }
        // The whole header counts, and what is cut off.
        _ if random.one_in(2) => input.truncate(random.below(input.len())),
        _ => {
            let at = random.below(target.first.max(1) + 100).min(input.len() - 1);
            input[at] = random.next() as u8;
        }
    }
}

/// A place within a part: most often where it says how the rest is to be read.
fn place_in(input: &[u8], part: usize, stride: usize, random: &mut Random) -> usize {
    let within = match random.below(4) {
        0 => random.below(12),
        1 => random.below(40),
        2 => {
            // Where a cell begins, if this is a page of a tree.
            let array = part + 8 + 2 * random.below(6);
            let cell = input.get(array..array + 2).map_or(0, |place| {
                usize::from(u16::from_be_bytes([place[0], place[1]]))
            });
            cell % stride + random.below(8)
        }
        _ => random.below(stride),
    };
    (part + within.min(stride - 1)).min(input.len() - 1)
}

fn put(input: &mut [u8], at: usize, bytes: &[u8]) {
    let end = input.len().min(at + bytes.len());
    input[at..end].copy_from_slice(&bytes[..end - at]);
}

/// The most memory that this process ever had, where the system tells.
fn resident_peak_kib() -> Option<u64> {
    let status = std::fs::read_to_string("/proc/self/status").ok()?;
    let line = status.lines().find(|line| line.starts_with("VmHWM:"))?;
    line.split_whitespace().nth(1)?.parse().ok()
}
