//! Owns the addon's `Ledger`: one handle on a database for an event loop, which `lib/` opens
//! twice for a file (one writes, the other reads while the first has a transaction open, or is the log's
//! thread's).
//!
//! Arguments come one by one, in the order of `lib/record.js`: reading properties is cheap for
//! JavaScript and dear for an addon. Nothing of the caller's runs while the handle is borrowed.

mod backup;
mod batch;
mod file_hash;
mod function;
mod handle;
mod integrity;
mod list;
mod log;
mod packing;
mod page;
mod session;
mod setting;
mod transaction;
mod upload_error;

use self::handle::Handle;
use crate::config::DatabaseConfig;
use crate::connection::Role;
use crate::error::Result;
use crate::maintenance::{self, Upkeep};
use crate::manager::DatabaseManager;
use crate::node::config::read_config;
use crate::node::environment;
use crate::node::error::{Failure, call};
use crate::node::interruption::Interruption;
use crate::node::open_file::{OpenFile, Owner};
use crate::node::record::Record;
use crate::node::task::Job;
use crate::record::DatabaseStats;
use napi::Env;
use napi::bindgen_prelude::{AsyncTask, Object, Unknown};
use napi_derive::napi;
use std::cell::{Cell, RefCell};
use std::sync::Arc;

/// A handle on a ledger for an event loop: it never waits and never syncs by itself.
#[napi]
pub struct Ledger {
    upkeep: RefCell<Upkeep>,
    handle: Arc<Handle>,
    config: DatabaseConfig,
    file: Arc<OpenFile>,
    owner: Owner,
    /// How many rows the handle had changed when its transaction began.
    changes_at_begin: Cell<u64>,
}

/// Opens a ledger off the event loop; `reader` asks for a handle that never writes.
#[napi(ts_return_type = "Promise<Ledger>")]
pub fn open_ledger(
    env: &Env,
    config: Unknown<'_>,
    reader: bool,
) -> napi::Result<AsyncTask<Job<Ledger>>> {
    let config = call(env, "connect", || read_config(config))?;
    let role = if reader {
        Role::EventLoopReader
    } else {
        Role::EventLoop
    };
    Ok(Job::start("connect", move || Ledger::open(config, role)))
}

impl Ledger {
    fn open(config: DatabaseConfig, role: Role) -> Result<Self> {
        let mut manager = DatabaseManager::open_as(config.clone(), role)?;
        let file = OpenFile::of(&config);
        let opened = Arc::clone(&file);
        manager.watch_commits(move || opened.count_commit())?;
        // What works beside this handle must find its file, never make another.
        let config = DatabaseConfig {
            create: false,
            ..config
        };
        Ok(Self {
            upkeep: RefCell::new(Upkeep::new(config.clone())),
            handle: Arc::new(Handle::new(manager, Arc::clone(&file))),
            file,
            owner: Owner::new(),
            changes_at_begin: Cell::new(0),
            config,
        })
    }

    /// Runs a method's work on the open manager.
    fn run<T>(
        &self,
        env: &Env,
        operation: &str,
        work: impl FnOnce(&DatabaseManager) -> std::result::Result<T, Failure>,
    ) -> napi::Result<T> {
        call(env, operation, || self.handle.with(work))
    }

    /// Starts work off the event loop, through a connection of its own.
    ///
    /// A database in memory has no other connection: the work runs at once, on this one.
    fn start(
        &self,
        env: &Env,
        operation: &str,
        in_memory: impl FnOnce(&DatabaseManager) -> Result<()>,
        on_file: impl FnOnce(&DatabaseConfig) -> Result<()> + Send + 'static,
    ) -> napi::Result<AsyncTask<Job<()>>> {
        if self.config.is_memory() {
            self.run(env, operation, |manager| Ok(in_memory(manager)?))?;
            return Ok(Job::start(operation, || Ok(())));
        }
        let config = self.config.clone();
        Ok(Job::start(operation, move || on_file(&config)))
    }
}

impl Drop for Ledger {
    /// A forgotten handle's transaction is over: SQLite rolls it back as it closes.
    fn drop(&mut self) {
        // The log's thread may be using the handle.
        drop(self.upkeep.replace(Upkeep::new(self.config.clone())));
        // Its functions may be collected later.
        drop(self.handle.take());
        self.file.release(self.owner);
    }
}

#[napi]
impl Ledger {
    /// Makes the functions on records (see `function.rs`), which `lib/ledger.js` calls.
    #[napi(ts_return_type = "import('./lib/ledger').LedgerFunctions")]
    pub fn functions(&self, env: &Env) -> napi::Result<Object<'static>> {
        let codes = environment::codes(env)?;
        let functions = function::functions(env, &self.handle, codes)?;
        Ok(Object::from_raw(env.raw(), functions))
    }

    /// Closes the handle, off the event loop; `keep_log` leaves the log's last pages where they
    /// are, for whoever opens the file next.
    #[napi(ts_return_type = "Promise<void>")]
    pub fn close(&self, keep_log: bool) -> AsyncTask<Job<()>> {
        self.file.release(self.owner);
        let manager = self.handle.take();
        let upkeep = self.upkeep.replace(Upkeep::new(self.config.clone()));
        Job::start("disconnect", move || {
            drop(upkeep);
            let Some(manager) = manager else {
                return Ok(());
            };
            if keep_log {
                manager.close()
            } else {
                maintenance::close(vec![manager.into_connection()])
            }
        })
    }

    /// Whether the path names another file than this handle's by now, or none.
    #[napi(getter)]
    pub fn is_replaced(&self) -> bool {
        self.file.is_replaced(&self.config)
    }

    /// Moves the log of a replaced file aside (see `open_file.rs`), once all handles are closed.
    #[napi(ts_return_type = "Promise<void>")]
    pub fn set_log_aside(&self) -> AsyncTask<Job<()>> {
        let (file, config) = (Arc::clone(&self.file), self.config.clone());
        Job::start("connect", move || file.set_log_aside(&config))
    }

    /// Brings the schema to the newest version.
    #[napi(ts_return_type = "Promise<void>")]
    pub fn initialize_schema(&self, env: &Env) -> napi::Result<AsyncTask<Job<()>>> {
        self.start(
            env,
            "initializeSchema",
            DatabaseManager::initialize_schema,
            |config| DatabaseManager::open(config.clone())?.initialize_schema(),
        )
    }

    /// Rebuilds the file without free pages.
    #[napi(ts_return_type = "Promise<void>")]
    pub fn vacuum(
        &self,
        env: &Env,
        interruption: &Interruption,
    ) -> napi::Result<AsyncTask<Job<()>>> {
        let interruption = interruption.clone();
        self.start(env, "vacuum", DatabaseManager::vacuum, move |config| {
            maintenance::vacuum(config, interruption.question())
        })
    }

    /// Measures the indexes.
    #[napi(ts_return_type = "Promise<void>")]
    pub fn analyze(
        &self,
        env: &Env,
        interruption: &Interruption,
    ) -> napi::Result<AsyncTask<Job<()>>> {
        let interruption = interruption.clone();
        self.start(env, "analyze", DatabaseManager::analyze, move |config| {
            maintenance::analyze(config, interruption.question())
        })
    }

    #[napi]
    pub fn get_schema_version(&self, env: &Env) -> napi::Result<i64> {
        self.run(env, "getSchemaVersion", |manager| {
            Ok(manager.get_schema_version()?)
        })
    }

    #[napi(ts_return_type = "import('./index').DatabaseStats")]
    pub fn get_stats(&self, env: &Env) -> napi::Result<Record<DatabaseStats>> {
        self.run(env, "getStats", |manager| Ok(Record(manager.get_stats()?)))
    }
}
