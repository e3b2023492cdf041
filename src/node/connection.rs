//! Owns the addon's `Connection`: a synchronous handle for SQL of the caller's own.
//!
//! Statements are kept by their text in rusqlite's bounded cache; JavaScript's statement objects
//! hold the text alone, so a forgotten one keeps nothing alive.

use super::config::read_config;
use super::error::{Failure, call};
use super::open_file::{OpenFile, Owner};
use super::statement::{Rows, parameter_names, read_parameters, take_rows, take_rows_whole};
use super::value::Argument;
use crate::config::DatabaseConfig;
use crate::connection::{self, Role};
use crate::error::{Error, Result};
use crate::record::MAX_SAFE_INTEGER;
use crate::transaction;
use napi::Env;
use napi::bindgen_prelude::Unknown;
use napi_derive::napi;
use rusqlite::fallible_iterator::FallibleIterator;
use rusqlite::{Batch, CachedStatement, Statement, TransactionBehavior};
use std::cell::RefCell;
use std::sync::Arc;

/// A synchronous handle on a database.
#[napi]
pub struct Connection {
    handle: RefCell<Option<rusqlite::Connection>>,
    config: DatabaseConfig,
    file: Arc<OpenFile>,
    owner: Owner,
}

impl Drop for Connection {
    /// A forgotten handle's transaction is over: SQLite rolls it back as it closes.
    fn drop(&mut self) {
        self.file.release(self.owner);
    }
}

/// What a statement is, found out when it is prepared.
#[napi(object, object_from_js = false)]
pub struct StatementInfo {
    /// Whether it gives rows.
    pub reader: bool,
    /// Whether it changes nothing.
    pub readonly: bool,
}

/// What a statement has changed.
#[napi(object, object_from_js = false)]
pub struct RunResult {
    /// Rows inserted, updated or deleted by this statement.
    pub changes: i64,
    /// The row id of the connection's last insert.
    pub last_insert_rowid: i64,
}

impl Connection {
    pub(super) fn owner(&self) -> Owner {
        self.owner
    }

    pub(super) fn file(&self) -> &OpenFile {
        &self.file
    }

    /// Runs a method's work on the open handle.
    pub(super) fn run_work<T>(
        &self,
        env: &Env,
        operation: &str,
        work: impl FnOnce(&rusqlite::Connection) -> std::result::Result<T, Failure>,
    ) -> napi::Result<T> {
        call(env, operation, || {
            let handle = self.handle.borrow();
            work(handle.as_ref().ok_or(Error::Closed)?)
        })
    }

    /// Runs a statement: parameters are read first, with nothing borrowed.
    fn run_statement<T>(
        &self,
        env: &Env,
        operation: &str,
        sql: Unknown<'_>,
        params: Unknown<'_>,
        work: impl FnOnce(&rusqlite::Connection, &mut CachedStatement<'_>, &str) -> Result<T>,
    ) -> napi::Result<T> {
        let (sql, names) = self.run_work(env, operation, |handle| {
            let sql = read_sql(sql)?;
            let statement = handle.prepare_cached(&sql).map_err(Error::of_sql)?;
            let names = parameter_names(&statement);
            Ok((sql, names))
        })?;
        let values = call(env, operation, || read_parameters(params, &names))?;
        self.run_work(env, operation, |handle| {
            let mut statement = handle.prepare_cached(&sql).map_err(Error::of_sql)?;
            self.check_write(&statement)?;
            statement.clear_bindings();
            for (index, value) in values.iter().enumerate() {
                statement.raw_bind_parameter(index + 1, value)?;
            }
            Ok(work(handle, &mut statement, &sql)?)
        })
    }

    fn check_write(&self, statement: &Statement<'_>) -> Result<()> {
        if statement.readonly() {
            Ok(())
        } else {
            self.file.check_write(self.owner)
        }
    }
}

fn read_sql(sql: Unknown<'_>) -> std::result::Result<String, Failure> {
    let sql = Argument::new("sql", sql).text()?;
    if sql.contains('\0') {
        // SQLite would silently stop reading there.
        return Err(Error::argument("sql", "holds a NUL character; remove it").into());
    }
    Ok(sql)
}

#[napi]
impl Connection {
    /// Opens a database; `operation` is the public name that was called.
    #[napi(factory)]
    pub fn open(env: &Env, config: Unknown<'_>, operation: String) -> napi::Result<Self> {
        call(env, &operation, || {
            let config = read_config(config)?;
            let handle = connection::open(&config, Role::Blocking)?;
            Ok(Self {
                file: OpenFile::of(&config),
                owner: Owner::new(),
                handle: RefCell::new(Some(handle)),
                config,
            })
        })
    }

    /// Whether the handle is open.
    #[napi(getter)]
    pub fn is_open(&self) -> bool {
        self.handle.borrow().is_some()
    }

    /// The path that the handle was opened with.
    #[napi(getter)]
    pub fn path(&self) -> String {
        self.config.path.display().to_string()
    }

    /// Whether the handle refuses to write.
    #[napi(getter)]
    pub fn readonly(&self) -> bool {
        self.config.readonly
    }

    /// Whether the database is in memory.
    #[napi(getter)]
    pub fn memory(&self) -> bool {
        self.config.is_memory()
    }

    /// Whether a transaction is open.
    #[napi(getter)]
    pub fn in_transaction(&self) -> bool {
        let handle = self.handle.borrow();
        handle
            .as_ref()
            .is_some_and(|handle| !handle.is_autocommit())
    }

    /// Closes the handle; an open transaction is rolled back.
    #[napi]
    pub fn close(&self, env: &Env) -> napi::Result<()> {
        call(env, "close", || {
            self.file.release(self.owner);
            if let Some(handle) = self.handle.borrow_mut().take() {
                handle.close().map_err(|(_, error)| error)?;
            }
            Ok(())
        })
    }

    /// Prepares a statement and says what it is.
    #[napi]
    pub fn prepare(&self, env: &Env, sql: Unknown<'_>) -> napi::Result<StatementInfo> {
        self.run_work(env, "prepare", |handle| {
            let statement = handle
                .prepare_cached(&read_sql(sql)?)
                .map_err(Error::of_sql)?;
            Ok(StatementInfo {
                reader: statement.column_count() > 0,
                readonly: statement.readonly(),
            })
        })
    }

    /// Runs a statement to its end and says what it has changed.
    #[napi]
    pub fn run(&self, env: &Env, sql: Unknown<'_>, params: Unknown<'_>) -> napi::Result<RunResult> {
        self.run_statement(env, "run", sql, params, |handle, statement, _| {
            let before = (handle.total_changes(), handle.last_insert_rowid());
            let mut rows = statement.raw_query();
            while rows.next()?.is_some() {}
            drop(rows);
            // `changes()` keeps the number of an earlier statement when this one changes no row.
            let changes = if handle.total_changes() == before.0 {
                0
            } else {
                handle.changes()
            };
            let last_insert_rowid = handle.last_insert_rowid();
            let is_safe = last_insert_rowid.unsigned_abs() <= MAX_SAFE_INTEGER as u64;
            if !is_safe && last_insert_rowid != before.1 {
                return Err(Error::IntegerRange {
                    what: "lastInsertRowid (the statement has done its work)".into(),
                });
            }
            Ok(RunResult {
                changes: changes as i64,
                // An earlier statement's, which was told then that it cannot be held.
                last_insert_rowid: if is_safe { last_insert_rowid } else { 0 },
            })
        })
    }

    /// Runs a statement and gives its first row.
    #[napi(ts_return_type = "[string[], unknown[]]")]
    pub fn get(&self, env: &Env, sql: Unknown<'_>, params: Unknown<'_>) -> napi::Result<Rows> {
        self.run_statement(env, "get", sql, params, |handle, statement, sql| {
            take_rows_whole(handle, statement, sql, 1)
        })
    }

    /// Runs a statement and gives all its rows.
    #[napi(ts_return_type = "[string[], unknown[]]")]
    pub fn all(&self, env: &Env, sql: Unknown<'_>, params: Unknown<'_>) -> napi::Result<Rows> {
        self.run_statement(env, "all", sql, params, |handle, statement, sql| {
            take_rows_whole(handle, statement, sql, usize::MAX)
        })
    }

    /// Runs any number of statements without parameters.
    #[napi]
    pub fn exec(&self, env: &Env, sql: Unknown<'_>) -> napi::Result<()> {
        self.run_work(env, "exec", |handle| {
            let sql = read_sql(sql)?;
            let mut batch = Batch::new(handle, &sql);
            while let Some(mut statement) = batch.next().map_err(Error::of_sql)? {
                self.check_write(&statement)?;
                let mut rows = statement.raw_query();
                while rows.next()?.is_some() {}
            }
            Ok(())
        })
    }

    /// Reads or sets a pragma.
    #[napi(ts_return_type = "[string[], unknown[]]")]
    pub fn pragma(&self, env: &Env, source: Unknown<'_>) -> napi::Result<Rows> {
        self.run_work(env, "pragma", |handle| {
            let source = read_sql(source)?;
            let mut statement = handle
                .prepare(&format!("PRAGMA {source}"))
                .map_err(Error::of_sql)?;
            self.check_write(&statement)?;
            Ok(take_rows(&mut statement, usize::MAX)?)
        })
    }

    /// Opens a transaction, or a savepoint when one is open already; answers which.
    ///
    /// `mode` is 'deferred', 'exclusive' or, by default, 'immediate'.
    #[napi]
    pub fn begin(&self, env: &Env, mode: Option<String>) -> napi::Result<bool> {
        self.run_work(env, "transaction", |handle| {
            let nested = !handle.is_autocommit();
            let behavior = match mode.as_deref() {
                Some("deferred") => TransactionBehavior::Deferred,
                Some("exclusive") => TransactionBehavior::Exclusive,
                _ => TransactionBehavior::Immediate,
            };
            if nested {
                transaction::open_savepoint(handle)?;
            } else {
                if !matches!(behavior, TransactionBehavior::Deferred) {
                    self.file.check_write(self.owner)?;
                }
                transaction::begin_as(handle, behavior)?;
            }
            Ok(nested)
        })
    }

    /// Keeps what was done since `begin`, which answered `nested`.
    #[napi]
    pub fn commit(&self, env: &Env, nested: bool) -> napi::Result<()> {
        self.run_work(env, "transaction", |handle| {
            let outcome = if nested {
                transaction::release_savepoint(handle)
            } else {
                transaction::commit(handle)
            };
            Ok(outcome?)
        })
    }

    /// Undoes what was done since `begin`, which answered `nested`.
    #[napi]
    pub fn roll_back(&self, env: &Env, nested: bool) -> napi::Result<()> {
        self.run_work(env, "transaction", |handle| {
            let outcome = if nested {
                transaction::roll_back_savepoint(handle)
            } else {
                transaction::roll_back(handle)
            };
            Ok(outcome?)
        })
    }
}
