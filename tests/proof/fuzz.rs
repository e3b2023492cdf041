//! Owns the campaign `fuzz`: real inputs of every pure parser, mutated. None may panic, give an
//! answer that cannot be, take over a second, or take much memory.
//!
//! It is `cargo fuzz` without its instrumentation, but the same on every machine for a seed. The
//! mutations know where pages and frames begin, and half of the mutated logs are signed again:
//! otherwise nothing behind the first checksum would ever be read. The control's parser believes
//! what a page says of itself.

use crate::damage::{clear, log_path};
use crate::program::{file_of, message_of};
use crate::random::Random;
use crate::report::Report;
use crate::target::{self, PAGE_BYTES};
use crate::{Order, Outcome, workers};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::Path;
use std::time::{Duration, Instant};
use whatsapp_uploader_database::rusqlite::Connection;
use whatsapp_uploader_database::{
    DatabaseConfig, DatabaseManager, NewSession, NewUploadError, OnConflict,
};

const PATIENCE: Duration = Duration::from_secs(1);

/// By how much a worker may grow, in KiB: inputs have some ten thousand bytes.
const GROWTH_KIB: u64 = 64 * 1_024;

/// The smallest pages: most trees of a small input then have more than one.
const SMALL_PAGE: usize = PAGE_BYTES[0];
const LOG_HEADER_BYTES: usize = 32;
const FRAME_BYTES: usize = SMALL_PAGE + 24;

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
    /// Where the mutated part begins to repeat, and how long each part is.
    first: usize,
    stride: usize,
}

const TARGETS: [Target; 3] = [
    Target {
        name: "pages",
        run: target::pages,
        first: 1,
        stride: SMALL_PAGE,
    },
    Target {
        name: "log",
        run: target::log,
        first: 1 + LOG_HEADER_BYTES,
        stride: FRAME_BYTES,
    },
    Target {
        name: "config",
        run: target::config,
        first: 0,
        stride: 10,
    },
];

pub fn run(order: &Order, report: &mut Report) -> Outcome<()> {
    let seeds = make_seeds(&workers::folder()?.join("ledger.db"))?;
    for (target, seed) in TARGETS.iter().zip(&seeds) {
        (target.run)(seed);
    }
    believe(&seeds[0]);
    let before = resident_peak_kib();
    for case in order.cases() {
        if report.count >= order.share() {
            break;
        }
        workers::begin_case(case);
        let mut random = Random::of_case(order.seed, case);
        // Half of them pages: they have the most to go wrong.
        let kind = [0, 0, 1, 2][case as usize / order.jobs as usize % 4];
        let target = &TARGETS[kind];
        let mut input = seeds[kind].clone();
        for _ in 0..=random.below(6) {
            mutate(&mut input, target, &mut random);
        }
        if target.name == "log" && random.one_in(2) {
            sign(input.get_mut(1..).unwrap_or_default());
        }
        let parse = if order.control { believe } else { target.run };
        let started = Instant::now();
        let outcome = catch_unwind(AssertUnwindSafe(|| parse(&input)));
        let took = started.elapsed();
        report.count += 1;
        report.add(&format!("{}_inputs", target.name), 1);
        report.raise("max_milliseconds", took.as_millis() as u64);
        if outcome.is_err() {
            report.fault(|| format!("case {case}, {}: a panic", target.name));
        }
        if took > PATIENCE {
            report.fault(|| format!("case {case}, {}: took {took:?}", target.name));
        }
        if order.control && report.faults > 0 {
            break;
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

/// What undamaged inputs are: a ledger's pages and log, and options.
fn make_seeds(path: &Path) -> Outcome<[Vec<u8>; 3]> {
    let config = DatabaseConfig {
        mmap_size_bytes: 0,
        ..DatabaseConfig::new(path)
    };
    clear(path)?;
    let ledger = DatabaseManager::open(config.clone())?;
    ledger.initialize_schema()?;
    fill(&ledger, 0..24)?;
    ledger.close()?;
    let connection = Connection::open(path)?;
    connection.execute_batch(&format!(
        "PRAGMA journal_mode = DELETE; PRAGMA page_size = {SMALL_PAGE}; VACUUM"
    ))?;
    connection.close().map_err(|(_, error)| error)?;
    let ledger = DatabaseManager::open(config)?;
    // Free pages, and the log's checkpoint is what the file then has.
    for file in 0..8 {
        ledger.delete_file_hash(&file_of(file).hash)?;
    }
    ledger.checkpoint()?;
    for file in 24..27 {
        fill(&ledger, file..file + 1)?;
    }
    let with_kind = |bytes: Vec<u8>| [&[0], bytes.as_slice()].concat();
    let pages = with_kind(std::fs::read(path)?);
    let log = with_kind(std::fs::read(log_path(path))?);
    if pages.len() % SMALL_PAGE != 1 || log.len() < 3 * FRAME_BYTES {
        return Err("the seeds are not what the mutations take them for".into());
    }
    // A path, WAL, a timeout, a size, a preset, an unknown name.
    let options = [
        (0, 5, *b"ledger.d"),
        (1, 1, [1, 0, 0, 0, 0, 0, 0, 0]),
        (3, 4, 5_000_u64.to_le_bytes()),
        (7, 3, 268_435_456_u64.to_le_bytes()),
        (8, 3, (-64_000_i64).to_le_bytes()),
        (6, 6, [3, 0, 0, 0, 0, 0, 0, 0]),
        (9, 6, [4, 0, 0, 0, 0, 0, 0, 0]),
    ];
    let options = options
        .into_iter()
        .flat_map(|(name, kind, value)| [&[name, kind], value.as_slice()].concat())
        .collect();
    Ok([pages, log, options])
}

fn fill(
    ledger: &DatabaseManager,
    files: std::ops::Range<u32>,
) -> whatsapp_uploader_database::Result<()> {
    for file in files {
        ledger.add_file_hash(&file_of(file), OnConflict::Fail)?;
        if file % 8 == 0 {
            let session = format!("session-{file}");
            ledger.create_session(&NewSession {
                id: Some(session.clone()),
                ..NewSession::new("chat-0", "Family", "2026-01-31T12:00:00.000Z")
            })?;
            ledger.log_error(&NewUploadError {
                session_id: session,
                file_path: "a.jpg".into(),
                error_type: "network".into(),
                error_message: message_of(40 + 120 * file as usize),
                retry_count: 0,
            })?;
            ledger.set_config(&format!("k{file}"), &file)?;
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

/// Gives a log's header and frames the salts and checksums that make them valid
/// (<https://www.sqlite.org/fileformat2.html#the_write_ahead_log>).
fn sign(log: &mut [u8]) {
    if log.len() < LOG_HEADER_BYTES {
        return;
    }
    let is_big_endian = log[3] & 1 == 1;
    let (header, frames) = log.split_at_mut(LOG_HEADER_BYTES);
    let mut sum = add_up([0, 0], &header[..24], is_big_endian);
    state(&mut header[24..], sum);
    for frame in frames.chunks_exact_mut(FRAME_BYTES) {
        frame[8..16].copy_from_slice(&header[16..24]);
        sum = add_up(sum, &frame[..8], is_big_endian);
        sum = add_up(sum, &frame[24..], is_big_endian);
        state(&mut frame[16..24], sum);
    }
}

fn state(place: &mut [u8], sum: [u32; 2]) {
    place[..4].copy_from_slice(&sum[0].to_be_bytes());
    place[4..].copy_from_slice(&sum[1].to_be_bytes());
}

fn add_up(mut sum: [u32; 2], bytes: &[u8], is_big_endian: bool) -> [u32; 2] {
    for (index, word) in bytes.chunks_exact(4).enumerate() {
        let word = [word[0], word[1], word[2], word[3]];
        let word = if is_big_endian {
            u32::from_be_bytes(word)
        } else {
            u32::from_le_bytes(word)
        };
        let (this, other) = (index % 2, 1 - index % 2);
        sum[this] = sum[this].wrapping_add(word).wrapping_add(sum[other]);
    }
    sum
}

/// The control's parser: it reads the byte at which each cell of each page is said to begin.
fn believe(input: &[u8]) {
    let mut sum = 0_u64;
    for page in input[1.min(input.len())..].chunks_exact(SMALL_PAGE) {
        let array = match page[0] {
            2 | 5 => 12,
            10 | 13 => 8,
            _ => continue,
        };
        let cells = usize::from(page[3]) << 8 | usize::from(page[4]);
        for place in page[array..array + 2 * cells].chunks_exact(2) {
            sum += u64::from(page[usize::from(place[0]) << 8 | usize::from(place[1])]);
        }
    }
    std::hint::black_box(sum);
}

/// The most memory that this process ever had, where the system tells.
fn resident_peak_kib() -> Option<u64> {
    let status = std::fs::read_to_string("/proc/self/status").ok()?;
    let line = status.lines().find(|line| line.starts_with("VmHWM:"))?;
    line.split_whitespace().nth(1)?.parse().ok()
}
