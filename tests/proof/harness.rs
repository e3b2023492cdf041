//! Proof harness: measures what the ledger promises, campaign by campaign, over the Rust crate.
//!
//! ```text
//! cargo run --release --no-default-features --example proof -- <campaign> \
//!     [--count N] [--seed S] [--control] [--jobs J]
//! ```
//!
//! Campaigns: `power`, `io`, `memory`, `corruption`, `wal`, `repair`, `fuzz`; `list` prints their names.
//! `--count` is the number of images, faults or inputs (the last program is run to its end, so a
//! few more may be made); the seed is 1 unless given. `--control` runs the campaign's negative
//! control: something is broken on purpose, and the campaign must notice.
//!
//! Progress and the first faults go to stderr. The last line of stdout is one JSON object:
//! `{ "campaign", "control", "seed", "count", "faults", "seconds", "figures": { name: number } }`,
//! where `count` is how many were made. Exit code 0: no fault, or, with `--control`, at least one
//! (its first is printed to stderr after `control: `). Exit code 1: the contrary. 2: wrong usage,
//! or the harness itself failed.
//!
//! Cases run in `--jobs` worker processes (one a core), since a crash is what some look for: a
//! worker that dies is a fault of its own, told with the case that it died in. A case depends on
//! the seed and its number alone.

mod corruption;
mod damage;
mod disk;
mod fuzz;
mod fuzz_control;
mod fuzz_seed;
mod io;
mod memory;
mod memory_vfs;
mod placement;
mod power;
mod program;
mod random;
mod repair;
mod report;
mod target;
mod target_packing;
mod trial;
mod workers;

use report::Report;

type Outcome<T> = Result<T, Box<dyn std::error::Error>>;

/// What one run is asked to do.
#[derive(Debug, Clone)]
pub struct Order {
    pub campaign: String,
    pub count: u64,
    pub seed: u64,
    pub control: bool,
    pub jobs: u64,
    /// Which of the jobs this process is; none in the one that starts them.
    pub worker: Option<u64>,
}

impl Order {
    fn parse(mut arguments: impl Iterator<Item = String>) -> Outcome<Self> {
        let mut order = Self {
            campaign: arguments.next().ok_or("name a campaign, or `list`")?,
            count: 1_000,
            seed: 1,
            control: false,
            jobs: std::thread::available_parallelism().map_or(1, |cores| cores.get() as u64),
            worker: None,
        };
        while let Some(name) = arguments.next() {
            let mut number = || -> Outcome<u64> {
                let text = arguments.next().ok_or(format!("{name} needs a number"))?;
                Ok(text.parse()?)
            };
            match name.as_str() {
                "--count" => order.count = number()?,
                "--seed" => order.seed = number()?,
                "--jobs" => order.jobs = number()?.max(1),
                "--worker" => order.worker = Some(number()?),
                "--control" => order.control = true,
                unknown => return Err(format!("{unknown} is no option").into()),
            }
        }
        Ok(order)
    }

    /// How many of the cases this worker makes at least.
    pub fn share(&self) -> u64 {
        self.count.div_ceil(self.jobs)
    }

    /// The numbers of this worker's cases, without end.
    pub fn cases(&self) -> impl Iterator<Item = u64> {
        let first = self.worker.unwrap_or(0);
        (first..).step_by(self.jobs as usize)
    }
}

/// A campaign: its name and what makes a worker's share of it.
type Campaign = (&'static str, fn(&Order, &mut Report) -> Outcome<()>);

const CAMPAIGNS: &[Campaign] = &[
    ("power", power::run),
    ("io", io::run),
    ("memory", memory::run),
    ("corruption", corruption::run),
    ("wal", corruption::run_wal),
    ("repair", repair::run),
    ("fuzz", fuzz::run),
];

fn main() {
    match run() {
        Ok(code) => std::process::exit(code),
        Err(error) => {
            eprintln!("proof: {error}");
            std::process::exit(2);
        }
    }
}

fn run() -> Outcome<i32> {
    let order = Order::parse(std::env::args().skip(1))?;
    if order.campaign == "list" {
        for (name, _) in CAMPAIGNS {
            println!("{name}");
        }
        return Ok(0);
    }
    let (_, campaign) = CAMPAIGNS
        .iter()
        .find(|(name, _)| *name == order.campaign)
        .ok_or_else(|| format!("{} is no campaign; `list` names them", order.campaign))?;
    if order.worker.is_some() {
        let mut report = Report::default();
        workers::watch_for_hangs();
        campaign(&order, &mut report)?;
        println!("{}", report.to_json());
        return Ok(0);
    }
    let started = std::time::Instant::now();
    let mut report = workers::run(&order)?;
    report.derive();
    Ok(report.finish(&order, started.elapsed()))
}
