//! Owns the addon's `Ledger`: one handle on a database for an event loop, which `lib/` opens
//! twice for a file (one writes, the other reads while a transaction is open on the first).
//!
//! Arguments come one by one, in the order of `lib/record.js`: reading properties is cheap for
//! JavaScript and dear for an addon. Nothing of the caller's runs while the handle is borrowed.

mod batch;
mod file_hash;
mod function;
mod handle;
mod list;
mod packing;
mod page;
mod session;
mod setting;
mod upload_error;

use self::handle::Handle;
use crate::config::DatabaseConfig;
use crate::connection::Role;
use crate::error::{Error, Result};
use crate::maintenance;
use crate::manager::DatabaseManager;
use crate::node::config::read_config;
use crate::node::environment;
use crate::node::error::{Failure, call};
use crate::node::open_file::{OpenFile, Owner};
use crate::node::record::Record;
use crate::node::task::Job;
use crate::record::DatabaseStats;
use crate::transaction;
use napi::Env;
use napi::bindgen_prelude::{AsyncTask, Object, Unknown};
use napi_derive::napi;
use rusqlite::InterruptHandle;
use std::sync::atomic::{AtomicBool, AtomicI32, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

/// A handle on a ledger for an event loop: it never waits and never syncs by itself.
#[napi]
pub struct Ledger {
    handle: Arc<Handle>,
    config: DatabaseConfig,
    file: Arc<OpenFile>,
    owner: Owner,
    log_pages: Arc<AtomicI32>,
    interrupter: Arc<Interrupter>,
}

/// Stops work that runs on another thread.
#[derive(Default)]
struct Interrupter {
    requested: AtomicBool,
    running: Mutex<Option<InterruptHandle>>,
}

impl Interrupter {
    fn running(&self) -> std::sync::MutexGuard<'_, Option<InterruptHandle>> {
        self.running.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn watch(&self, handle: InterruptHandle) {
        let mut running = self.running();
        if self.requested.load(Ordering::SeqCst) {
            handle.interrupt();
        }
        *running = Some(handle);
    }

    fn interrupt(&self) {
        self.requested.store(true, Ordering::SeqCst);
        if let Some(handle) = self.running().as_ref() {
            handle.interrupt();
        }
    }
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
        let log_pages = Arc::new(AtomicI32::new(0));
        let pages = Arc::clone(&log_pages);
        manager.watch_log(move |count| pages.store(count, Ordering::Relaxed))?;
        Ok(Self {
            handle: Arc::new(Handle::new(manager)),
            file: OpenFile::of(&config),
            owner: Owner::new(),
            // What works beside this handle must find its file, never make another.
            config: DatabaseConfig {
                create: false,
                ..config
            },
            log_pages,
            interrupter: Arc::default(),
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
        on_file: impl FnOnce(&DatabaseConfig, &Interrupter) -> Result<()> + Send + 'static,
    ) -> napi::Result<AsyncTask<Job<()>>> {
        if self.config.is_memory() {
            self.run(env, operation, |manager| Ok(in_memory(manager)?))?;
            return Ok(Job::start(operation, || Ok(())));
        }
        let (config, interrupter) = (self.config.clone(), Arc::clone(&self.interrupter));
        Ok(Job::start(operation, move || {
            on_file(&config, &interrupter)
        }))
    }
}

impl Drop for Ledger {
    /// A forgotten handle's transaction is over: SQLite rolls it back as it closes.
    fn drop(&mut self) {
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

    /// How many pages the write-ahead log held after this handle's last commit.
    #[napi(getter)]
    pub fn log_pages(&self) -> i32 {
        self.log_pages.load(Ordering::Relaxed)
    }

    /// Whether a transaction is open on this handle.
    #[napi(getter)]
    pub fn in_transaction(&self) -> bool {
        let is_open = |manager: &DatabaseManager| Ok(!manager.connection().is_autocommit());
        self.handle.with::<_, Error>(is_open).unwrap_or(false)
    }

    /// Closes the handle, off the event loop.
    #[napi(ts_return_type = "Promise<void>")]
    pub fn close(&self) -> AsyncTask<Job<()>> {
        self.file.release(self.owner);
        let manager = self.handle.take();
        Job::start("disconnect", move || {
            maintenance::close(
                manager
                    .map(DatabaseManager::into_connection)
                    .into_iter()
                    .collect(),
            )
        })
    }

    /// Interrupts what runs off the event loop, now or later.
    #[napi]
    pub fn interrupt(&self) {
        self.interrupter.interrupt();
    }

    /// Whether the next write would begin the log again, and so wait for the disk.
    #[napi(getter)]
    pub fn starts_log(&self) -> bool {
        // What cannot be told here, the write itself will tell.
        self.handle
            .with(|manager| maintenance::next_write_starts_log(manager.connection()))
            .unwrap_or(false)
    }

    /// Begins the log again off the event loop, for the method `operation`.
    #[napi(ts_return_type = "Promise<void>")]
    pub fn prepare_log(&self, env: &Env, operation: String) -> napi::Result<AsyncTask<Job<()>>> {
        self.start(
            env,
            &operation,
            |_| Ok(()),
            |config, _| maintenance::prepare_log(config),
        )
    }

    /// Moves the log into the file.
    #[napi(ts_return_type = "Promise<void>")]
    pub fn checkpoint(&self, env: &Env) -> napi::Result<AsyncTask<Job<()>>> {
        self.start(
            env,
            "checkpoint",
            |_| Ok(()),
            |config, _| maintenance::checkpoint(config),
        )
    }

    /// Waits until the disk has the log, for the method `operation`.
    #[napi(ts_return_type = "Promise<void>")]
    pub fn sync_log(&self, env: &Env, operation: String) -> napi::Result<AsyncTask<Job<()>>> {
        self.start(
            env,
            &operation,
            |_| Ok(()),
            |config, _| maintenance::sync_log(config),
        )
    }

    /// Brings the schema to the newest version.
    #[napi(ts_return_type = "Promise<void>")]
    pub fn initialize_schema(&self, env: &Env) -> napi::Result<AsyncTask<Job<()>>> {
        self.start(
            env,
            "initializeSchema",
            DatabaseManager::initialize_schema,
            |config, _| DatabaseManager::open(config.clone())?.initialize_schema(),
        )
    }

    /// Rebuilds the file without free pages.
    #[napi(ts_return_type = "Promise<void>")]
    pub fn vacuum(&self, env: &Env) -> napi::Result<AsyncTask<Job<()>>> {
        self.start(
            env,
            "vacuum",
            DatabaseManager::vacuum,
            |config, interrupter| maintenance::vacuum(config, |handle| interrupter.watch(handle)),
        )
    }

    /// Measures the indexes.
    #[napi(ts_return_type = "Promise<void>")]
    pub fn analyze(&self, env: &Env) -> napi::Result<AsyncTask<Job<()>>> {
        self.start(
            env,
            "analyze",
            DatabaseManager::analyze,
            |config, interrupter| maintenance::analyze(config, |handle| interrupter.watch(handle)),
        )
    }

    /// Opens a transaction that may stay open across awaits.
    #[napi]
    pub fn begin(&self, env: &Env) -> napi::Result<()> {
        self.run(env, "transaction", |manager| {
            transaction::begin(manager.connection())?;
            // On a read-only database this begins a read, which holds no lock.
            if !self.config.readonly {
                self.file.hold(self.owner);
            }
            Ok(())
        })
    }

    /// Commits the open transaction.
    #[napi]
    pub fn commit(&self, env: &Env) -> napi::Result<()> {
        self.run(env, "transaction", |manager| {
            let outcome = transaction::commit(manager.connection());
            if manager.connection().is_autocommit() {
                self.file.release(self.owner);
            }
            Ok(outcome?)
        })
    }

    /// Rolls the open transaction back.
    #[napi]
    pub fn roll_back(&self, env: &Env) -> napi::Result<()> {
        self.run(env, "transaction", |manager| {
            self.file.release(self.owner);
            Ok(transaction::roll_back(manager.connection())?)
        })
    }

    /// Opens a savepoint.
    #[napi]
    pub fn open_savepoint(&self, env: &Env) -> napi::Result<()> {
        self.run(env, "transaction", |manager| {
            Ok(transaction::open_savepoint(manager.connection())?)
        })
    }

    /// Keeps what was done since the innermost savepoint.
    #[napi]
    pub fn release_savepoint(&self, env: &Env) -> napi::Result<()> {
        self.run(env, "transaction", |manager| {
            Ok(transaction::release_savepoint(manager.connection())?)
        })
    }

    /// Undoes what was done since the innermost savepoint.
    #[napi]
    pub fn roll_back_savepoint(&self, env: &Env) -> napi::Result<()> {
        self.run(env, "transaction", |manager| {
            Ok(transaction::roll_back_savepoint(manager.connection())?)
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
