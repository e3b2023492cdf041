//! Owns the ledger's methods on the write-ahead log: what the loop may do at once (looking), and
//! what the log's thread does for it (everything that waits for the disk).

use super::Ledger;
use crate::error::Result;
use crate::maintenance::{self, LogKeeper};
use crate::manager::DatabaseManager;
use crate::node::error::{call, catch_panic, to_javascript};
use napi::Env;
use napi::bindgen_prelude::{Object, ToNapiValue};
use napi_derive::napi;
use std::sync::Arc;

/// What [`Ledger::prepare_write`] answers when the log must be begun first.
const LOG_MUST_BEGIN: i32 = -1;

/// Work for the log's thread: boxed, so that what hands it over is compiled once for each kind of answer.
type LogWork<T> = Box<dyn FnOnce(&mut LogKeeper) -> Result<T> + Send>;

impl Ledger {
    /// Has the log's thread work for the method `operation`; gives the promise of its end.
    pub(super) fn keep_log<'env, T: ToNapiValue + Send + 'static>(
        &self,
        env: &'env Env,
        operation: String,
        work: LogWork<T>,
    ) -> napi::Result<Object<'env>> {
        let mut upkeep = self.upkeep.borrow_mut();
        call(env, &operation, || Ok(upkeep.start()?))?;
        let (deferred, promise) = env.create_deferred()?;
        let name = operation.clone();
        let (file, config) = (Arc::clone(&self.file), self.config.clone());
        let task = move |keeper: &mut LogKeeper| {
            let outcome = catch_panic(|| work(keeper));
            file.look_at_log(&config);
            // Only the event loop's thread can build the error's object.
            deferred.resolve(move |env| {
                outcome.map_err(|error| to_javascript(&env, &operation, &error))
            });
        };
        call(env, &name, || Ok(upkeep.run(task)?))?;
        Ok(promise)
    }
}

#[napi]
impl Ledger {
    /// Makes ready for a write: lets go of the snapshot, and looks at the log.
    ///
    /// Answers how many pages the log has, or -1 when the next write would begin the log again
    /// and so wait for the disk.
    #[napi]
    pub fn prepare_write(&self, env: &Env) -> napi::Result<i32> {
        call(env, "write", || {
            let look = |manager: &DatabaseManager| maintenance::look_at_log(manager.connection());
            // What cannot be told here, the write itself will tell.
            let (log_pages, moved_pages) = self.handle.with_writable(look).unwrap_or((1, 0));
            // Without a log SQLite answers -1: there is none to begin, however often it is tried.
            Ok(if (0..=moved_pages).contains(&log_pages) {
                LOG_MUST_BEGIN
            } else {
                log_pages.max(1)
            })
        })
    }

    /// Begins the log again, for the method `operation`, if all of it is in the file; says whether it
    /// did, since a reader may be in the way.
    ///
    /// The log's thread does so with this handle itself, whose cache stays good: nothing else may use
    /// it until the promise settles.
    #[napi(ts_return_type = "Promise<boolean>")]
    pub fn begin_log<'env>(&self, env: &'env Env, operation: String) -> napi::Result<Object<'env>> {
        let handle = Arc::clone(&self.handle);
        let begin = move |keeper: &mut LogKeeper| {
            keeper.rewrite_lost_pages()?;
            handle.with_writable(|manager| maintenance::begin_log(manager.connection()))
        };
        self.keep_log(env, operation, Box::new(begin))
    }

    /// Moves the log into the file as far as it can be while this handle goes on writing; says how many
    /// pages it had when that began, if all of them are in the file.
    #[napi(ts_return_type = "Promise<number | null>")]
    pub fn relieve_log<'env>(&self, env: &'env Env) -> napi::Result<Object<'env>> {
        self.keep_log(env, "checkpoint".to_owned(), Box::new(LogKeeper::relieve))
    }

    /// Moves all of the log into the file, and starts it anew; says whether readers let it.
    #[napi(ts_return_type = "Promise<boolean>")]
    pub fn checkpoint<'env>(&self, env: &'env Env) -> napi::Result<Object<'env>> {
        self.keep_log(
            env,
            "checkpoint".to_owned(),
            Box::new(LogKeeper::checkpoint),
        )
    }

    /// Waits until the disk has all that was committed before, for the method `operation`.
    #[napi(ts_return_type = "Promise<void>")]
    pub fn flush<'env>(&self, env: &'env Env, operation: String) -> napi::Result<Object<'env>> {
        self.keep_log(env, operation, Box::new(LogKeeper::flush))
    }
}
