//! Owns the campaign `io`: the k-th operation on the disk fails, for every k of each program, for
//! each cause, once or until it is healed.
//!
//! The control is a disk that calls failed writes successes.

use crate::disk::{Cause, Class, Fault, with_disk};
use crate::program::{self, Shape, Step};
use crate::random::Random;
use crate::report::Report;
use crate::trial::{self, Base, Faults};
use crate::{Order, Outcome, memory_vfs, workers};
use std::cell::Cell;
use whatsapp_uploader_database::DatabaseConfig;

struct DiskFault(Option<Fault>);

impl Faults for DiskFault {
    fn arm(&self) {
        with_disk(|disk| disk.arm(self.0));
    }

    fn fired(&self) -> u64 {
        with_disk(|disk| disk.fired)
    }

    fn heal(&self) {
        with_disk(|disk| disk.heal());
    }

    fn was_sync(&self) -> bool {
        with_disk(|disk| disk.hit == Some(Class::Sync))
    }
}

pub fn run(order: &Order, report: &mut Report) -> Outcome<()> {
    memory_vfs::register();
    let path = workers::folder()?.join("ledger.db");
    with_disk(|disk| disk.lies = order.control);
    for case in order.cases() {
        let mut random = Random::of_case(order.seed, case);
        let config = DatabaseConfig {
            enable_wal: !random.one_in(6),
            ..program::config(&path, random.one_in(2))
        };
        let (base, steps) = prepare(&config, &mut random)?;
        let classes = trace(&config, &base, &steps, report)?;
        report.add("programs", 1);
        for (after, class) in classes.iter().enumerate() {
            for cause in Cause::ALL {
                for persists in [false, true] {
                    if cause.code(*class).is_none() {
                        continue;
                    }
                    if report.count >= order.share() {
                        return Ok(());
                    }
                    workers::begin_case(case);
                    let fault = Fault {
                        after: after as u64,
                        cause,
                        persists,
                    };
                    let faults = DiskFault(Some(fault));
                    let outcome = trial::run(&config, &base, &steps, &faults, false, report);
                    report.count += 1;
                    report.add("fired", u64::from(faults.fired() > 0));
                    if let Err(problem) = outcome {
                        let wal = config.enable_wal;
                        report.fault(|| {
                            format!("program {case} (wal: {wal}), {class:?} {fault:?}: {problem}")
                        });
                    }
                }
            }
        }
    }
    Ok(())
}

/// A ledger and a program for it.
pub fn prepare(config: &DatabaseConfig, random: &mut Random) -> Outcome<(Base, Vec<Step>)> {
    let base = program::make(
        random,
        Shape {
            steps: 8,
            vacuum: false,
        },
    );
    let base = Base::make(config, &base)?;
    let steps = program::make(
        random,
        Shape {
            steps: 10,
            vacuum: true,
        },
    );
    // Files of the base's program are there already: others come here.
    let steps = steps.into_iter().map(|step| step.moved_by(1_000)).collect();
    Ok((base, steps))
}

/// Runs the program without faults; gives the class of each operation on the disk.
fn trace(
    config: &DatabaseConfig,
    base: &Base,
    steps: &[Step],
    report: &mut Report,
) -> Outcome<Vec<Class>> {
    struct Traced(Cell<Vec<Class>>);
    impl Faults for Traced {
        fn arm(&self) {
            with_disk(|disk| disk.trace());
        }
        fn fired(&self) -> u64 {
            0
        }
        fn heal(&self) {
            self.0.set(with_disk(|disk| disk.take_trace()));
        }
    }
    let traced = Traced(Cell::default());
    trial::run(config, base, steps, &traced, false, report)?;
    Ok(traced.0.take())
}
