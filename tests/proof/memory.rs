//! Owns the campaign `memory`: the n-th allocation of SQLite fails, for every n of each program,
//! once or from then on; or SQLite may use only so much.
//!
//! The control counts what failed as acknowledged.

use crate::io::prepare;
use crate::program;
use crate::random::Random;
use crate::report::Report;
use crate::trial::{self, Faults};
use crate::{Order, Outcome, memory_vfs, workers};
use rusqlite::ffi;
use std::ffi::{c_int, c_void};
use std::sync::OnceLock;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering::Relaxed};
use whatsapp_uploader_database::rusqlite;

static ALLOCATIONS: AtomicU64 = AtomicU64::new(0);
static FIRED: AtomicU64 = AtomicU64::new(0);
/// Which allocation fails; none when there never are so many.
static FAILS_AT: AtomicU64 = AtomicU64::new(u64::MAX);
static PERSISTS: AtomicBool = AtomicBool::new(false);
/// SQLite's own allocator, under ours.
static SYSTEM: OnceLock<(Allocate, Reallocate)> = OnceLock::new();

type Allocate = unsafe extern "C" fn(c_int) -> *mut c_void;
type Reallocate = unsafe extern "C" fn(*mut c_void, c_int) -> *mut c_void;

/// Counts an allocation, and says whether it fails.
fn must_fail() -> bool {
    let number = ALLOCATIONS.fetch_add(1, Relaxed);
    let at = FAILS_AT.load(Relaxed);
    let fails = number == at || number > at && PERSISTS.load(Relaxed);
    FIRED.fetch_add(u64::from(fails), Relaxed);
    fails
}

unsafe extern "C" fn allocate(size: c_int) -> *mut c_void {
    match SYSTEM.get() {
        // SAFETY: SQLite's own allocator, with SQLite's own argument.
        Some((allocate, _)) if !must_fail() => unsafe { allocate(size) },
        _ => std::ptr::null_mut(),
    }
}

unsafe extern "C" fn reallocate(memory: *mut c_void, size: c_int) -> *mut c_void {
    match SYSTEM.get() {
        // SAFETY: as of `allocate`.
        Some((_, reallocate)) if !must_fail() => unsafe { reallocate(memory, size) },
        _ => std::ptr::null_mut(),
    }
}

/// Puts our allocator before SQLite's own; must come before anything else of SQLite.
fn install() -> Outcome<()> {
    // SAFETY: SQLite is not initialized yet, and nothing else uses it; what is handed over is
    // filled by the first call and copied by SQLite in the second.
    unsafe {
        let mut methods = std::mem::zeroed::<ffi::sqlite3_mem_methods>();
        let found = ffi::sqlite3_config(ffi::SQLITE_CONFIG_GETMALLOC, &raw mut methods);
        let system = methods.xMalloc.zip(methods.xRealloc);
        if found != ffi::SQLITE_OK || system.is_none_or(|system| SYSTEM.set(system).is_err()) {
            return Err("SQLite's allocator could not be had".into());
        }
        methods.xMalloc = Some(allocate);
        methods.xRealloc = Some(reallocate);
        // The crate's own build leaves the count of memory out; a limit needs it.
        for code in [
            ffi::sqlite3_config(ffi::SQLITE_CONFIG_MALLOC, &raw mut methods),
            ffi::sqlite3_config(ffi::SQLITE_CONFIG_MEMSTATUS, 1 as c_int),
        ] {
            if code != ffi::SQLITE_OK {
                return Err("SQLite did not take the allocator".into());
            }
        }
    }
    Ok(())
}

#[derive(Debug, Clone, Copy)]
enum Shortage {
    /// The allocation of this number fails; all later ones as well, when it persists.
    Allocation { number: u64, persists: bool },
    /// SQLite may use so many bytes more than when the program begins.
    Limit(i64),
}

impl Faults for Shortage {
    fn arm(&self) {
        ALLOCATIONS.store(0, Relaxed);
        FIRED.store(0, Relaxed);
        match *self {
            Self::Allocation { number, persists } => {
                PERSISTS.store(persists, Relaxed);
                FAILS_AT.store(number, Relaxed);
            }
            // SAFETY: two functions of SQLite without preconditions.
            Self::Limit(bytes) => unsafe {
                FIRED.store(1, Relaxed);
                ffi::sqlite3_hard_heap_limit64(ffi::sqlite3_memory_used() + bytes);
            },
        }
    }

    fn fired(&self) -> u64 {
        FIRED.load(Relaxed)
    }

    fn heal(&self) {
        FAILS_AT.store(u64::MAX, Relaxed);
        // SAFETY: a function of SQLite without preconditions.
        unsafe { ffi::sqlite3_hard_heap_limit64(0) };
    }
}

pub fn run(order: &Order, report: &mut Report) -> Outcome<()> {
    install()?;
    memory_vfs::register();
    let path = workers::folder()?.join("ledger.db");
    for case in order.cases() {
        let mut random = Random::of_case(order.seed, case);
        let config = program::config(&path, random.one_in(2));
        let (base, steps) = prepare(&config, &mut random)?;
        report.add("programs", 1);
        let try_one = |shortage: Shortage, report: &mut Report| {
            workers::begin_case(case);
            let outcome = trial::run(&config, &base, &steps, &shortage, order.control, report);
            report.count += 1;
            report.add("fired", u64::from(shortage.fired() > 0));
            if let Err(problem) = outcome {
                report.fault(|| format!("program {case}, {shortage:?}: {problem}"));
            }
        };
        for bytes in (0..40).map(|step| step * 10_000) {
            report.add("limits", 1);
            try_one(Shortage::Limit(bytes), report);
        }
        for number in 0.. {
            if report.count >= order.share() {
                return Ok(());
            }
            for persists in [false, true] {
                try_one(Shortage::Allocation { number, persists }, report);
            }
            // The program made fewer allocations than that.
            if FIRED.load(Relaxed) == 0 {
                break;
            }
        }
    }
    Ok(())
}
