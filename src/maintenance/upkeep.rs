//! Owns the thread on which a ledger's log is kept, so that no other thread waits for the disk,
//! and no other work (a thread pool's, say) is in its way.
//!
//! What is to be done comes as a function of the [`LogKeeper`]; nothing here knows what it does.

use crate::config::DatabaseConfig;
use crate::error::{Error, Result};
use crate::maintenance::LogKeeper;
use std::sync::mpsc::{Sender, channel};
use std::thread::{Builder, JoinHandle};

type Task = Box<dyn FnOnce(&mut LogKeeper) + Send>;

/// A thread that runs from when it is first needed until this is dropped, which waits for it.
pub(crate) struct Upkeep {
    config: DatabaseConfig,
    running: Option<(Sender<Task>, JoinHandle<()>)>,
}

impl Upkeep {
    pub(crate) fn new(config: DatabaseConfig) -> Self {
        Self {
            config,
            running: None,
        }
    }

    /// Makes sure that the thread runs, so that [`run`](Self::run) finds it.
    ///
    /// # Errors
    ///
    /// The system has no thread to give.
    pub(crate) fn start(&mut self) -> Result<()> {
        if self
            .running
            .as_ref()
            .is_none_or(|(_, thread)| thread.is_finished())
        {
            self.running = Some(start(self.config.clone())?);
        }
        Ok(())
    }

    /// Has `task` run behind those that were given before; it must not panic.
    ///
    /// # Errors
    ///
    /// The thread was not started, or has ended.
    pub(crate) fn run(&self, task: impl FnOnce(&mut LogKeeper) + Send + 'static) -> Result<()> {
        let sender = self.running.as_ref().map(|(sender, _)| sender);
        sender
            .and_then(|sender| sender.send(Box::new(task)).ok())
            .ok_or_else(|| Error::Internal("the log's thread does not run".into()))
    }
}

impl Drop for Upkeep {
    /// Ends what was given, and waits for it: nothing of it may outlive its owner.
    fn drop(&mut self) {
        if let Some((sender, thread)) = self.running.take() {
            drop(sender);
            // It can only have panicked, which its task's own guard has told of.
            let _ = thread.join();
        }
    }
}

fn start(config: DatabaseConfig) -> Result<(Sender<Task>, JoinHandle<()>)> {
    let (sender, tasks) = channel::<Task>();
    let thread = Builder::new()
        .name("ledger-log".into())
        .spawn(move || {
            let mut keeper = LogKeeper::new(config);
            for task in tasks {
                task(&mut keeper);
            }
        })
        .map_err(|error| Error::Internal(format!("no thread for the log: {error}")))?;
    Ok((sender, thread))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::test_folder::TestFolder;
    use std::sync::Arc;
    use std::sync::atomic::{AtomicUsize, Ordering};

    #[test]
    fn tasks_run_in_order_elsewhere_and_are_waited_for() {
        let folder = TestFolder::new();
        let mut upkeep = Upkeep::new(folder.config());
        assert!(upkeep.run(|_| {}).is_err(), "before it is started");
        upkeep.start().unwrap();
        let caller = std::thread::current().id();
        let done = Arc::new(AtomicUsize::new(0));
        for expected in 0..10 {
            let done = Arc::clone(&done);
            upkeep
                .run(move |_| {
                    assert_ne!(std::thread::current().id(), caller);
                    std::thread::sleep(std::time::Duration::from_millis(1));
                    assert_eq!(done.fetch_add(1, Ordering::SeqCst), expected);
                })
                .unwrap();
        }
        drop(upkeep);
        assert_eq!(done.load(Ordering::SeqCst), 10);
    }

    #[test]
    fn a_thread_that_has_ended_is_started_again() {
        let folder = TestFolder::new();
        let mut upkeep = Upkeep::new(folder.config());
        upkeep.start().unwrap();
        upkeep.run(|_| panic!("made up")).unwrap();
        while upkeep.run(|_| {}).is_ok() {
            std::thread::sleep(std::time::Duration::from_millis(1));
        }
        upkeep.start().unwrap();
        upkeep.run(|_| {}).unwrap();
    }
}
