//! Owns the worker processes: starts them, adds up what they tell, and notices one that dies or
//! hangs.

use crate::report::Report;
use crate::{Order, Outcome};
use std::path::PathBuf;
use std::process::{Command, Stdio};
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

/// After how long without a new case a worker counts as hanging.
const HANG: Duration = Duration::from_secs(60);

static CASE: AtomicU64 = AtomicU64::new(0);
static BEGUN: AtomicU64 = AtomicU64::new(0);

/// A folder of this process's own, in memory where the system has such.
pub fn folder() -> Outcome<PathBuf> {
    let shared = PathBuf::from("/dev/shm");
    let parent = if shared.is_dir() {
        shared
    } else {
        std::env::temp_dir()
    };
    let folder = parent.join(format!("ledger-proof-{}", std::process::id()));
    std::fs::create_dir_all(&folder)?;
    Ok(folder)
}

/// Removes the folder of a process, which may have died.
fn remove_folder(process: u32) {
    for parent in [PathBuf::from("/dev/shm"), std::env::temp_dir()] {
        let _ = std::fs::remove_dir_all(parent.join(format!("ledger-proof-{process}")));
    }
}

/// Says which case begins, so that a crash or a hang can be told with it.
pub fn begin_case(number: u64) {
    CASE.store(number, Ordering::Relaxed);
    BEGUN.fetch_add(1, Ordering::Relaxed);
}

/// Ends this process when no case has begun for long.
pub fn watch_for_hangs() {
    std::thread::spawn(|| {
        let mut seen = BEGUN.load(Ordering::Relaxed);
        loop {
            std::thread::sleep(HANG);
            let begun = BEGUN.load(Ordering::Relaxed);
            if begun == seen && begun > 0 {
                eprintln!("case {} hangs", CASE.load(Ordering::Relaxed));
                std::process::abort();
            }
            seen = begun;
        }
    });
    // A fatal signal's default is to end the process without a word: the case is told by the
    // panic hook for panics, and by the parent's reading of the last progress line for signals.
    let inner = std::panic::take_hook();
    std::panic::set_hook(Box::new(move |panic| {
        eprintln!("panic in case {}:", CASE.load(Ordering::Relaxed));
        inner(panic);
    }));
}

/// Runs the order in worker processes and adds up their reports.
pub fn run(order: &Order) -> Outcome<Report> {
    let program = std::env::current_exe()?;
    let mut running = Vec::new();
    for worker in 0..order.jobs {
        let mut command = Command::new(&program);
        command.arg(&order.campaign).stdout(Stdio::piped());
        for (name, value) in [
            ("--count", order.count),
            ("--seed", order.seed),
            ("--jobs", order.jobs),
            ("--worker", worker),
        ] {
            command.arg(name).arg(value.to_string());
        }
        if order.control {
            command.arg("--control");
        }
        running.push((worker, command.spawn()?));
    }
    let mut report = Report::default();
    for (worker, child) in running {
        let process = child.id();
        let output = child.wait_with_output()?;
        remove_folder(process);
        let text = String::from_utf8_lossy(&output.stdout);
        match serde_json::from_str(text.lines().last().unwrap_or("")) {
            Ok(told) if output.status.success() => report.merge(&told),
            _ if output.status.code() == Some(2) => {
                return Err(format!("worker {worker} of {} failed", order.jobs).into());
            }
            _ => report.fault(|| format!("worker {worker} died: {}", output.status)),
        }
    }
    Ok(report)
}
