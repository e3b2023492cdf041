//! Owns the addon's `Connection`: a synchronous handle for SQL of the caller's own.
//!
//! JavaScript holds statements by number: a forgotten one keeps nothing alive, and closing has
//! nothing to chase.

use super::config::read_config;
use super::direct;
use super::environment;
use super::error::{Failure, call};
use super::open_file::{OpenFile, Owner};
use super::prepared::Prepared;
use super::read_lock;
use super::row_codec::Codes;
use super::run_many::Stage;
use super::statement::{Cursor, Rest, ShapedRows, Workspace};
use super::statement_cache::StatementCache;
use super::value::Argument;
use crate::config::DatabaseConfig;
use crate::connection::{self, Role};
use crate::error::{Error, Result};
use crate::packed_row::RowPacker;
use crate::transaction;
use napi::Env;
use napi::bindgen_prelude::{Object, Unknown};
use napi_derive::napi;
use rusqlite::fallible_iterator::FallibleIterator;
use rusqlite::{Batch, TransactionBehavior};
use std::cell::{Cell, RefCell};
use std::rc::Rc;
use std::sync::Arc;

/// A synchronous handle on a database.
#[napi]
pub struct Connection(Rc<Shared>);

/// What a connection and its functions share.
pub(super) struct Shared {
    pub(super) handle: RefCell<Option<OpenHandle>>,
    pub(super) workspace: Cell<Option<Box<Workspace>>>,
    pub(super) codes: Codes,
    config: DatabaseConfig,
    file: Arc<OpenFile>,
    owner: Owner,
}

/// An open handle. Whatever holds a statement stands before the connection: fields are dropped
/// in their order, and a connection with statements cannot close.
pub(super) struct OpenHandle {
    pub(super) rest: Option<Rest>,
    pub(super) cursors: Vec<(u64, Option<Cursor>)>,
    pub(super) last_cursor: u64,
    pub(super) stage: Stage,
    pub(super) statements: StatementCache,
    pub(super) connection: rusqlite::Connection,
}

impl OpenHandle {
    fn new(connection: rusqlite::Connection) -> Self {
        Self {
            rest: None,
            cursors: Vec::new(),
            last_cursor: 0,
            stage: Stage::default(),
            statements: StatementCache::new(),
            connection,
        }
    }

    /// Lets go of what `all` has left, which only an error in JavaScript can have done.
    pub(super) fn forget_rest(&mut self) {
        if let Some(Rest::Cursor(cursor)) = self.rest.take() {
            cursor.end(&mut self.statements);
        }
    }

    fn close(self) -> Result<()> {
        let Self {
            rest,
            cursors,
            statements,
            connection,
            ..
        } = self;
        drop((rest, cursors, statements));
        connection.close().map_err(|(_, error)| error.into())
    }
}

impl Shared {
    /// Refuses a write that an iterator of this connection, or an asynchronous transaction of
    /// this process, makes impossible; lets what this thread's other connections keep of their reads go.
    pub(super) fn check_write(&self, has_cursor: bool) -> Result<()> {
        if has_cursor {
            return Err(Error::IteratorOpen);
        }
        read_lock::release_others(self);
        self.file.check_write(self.owner)
    }
}

impl Drop for Shared {
    /// A forgotten handle's transaction is over: SQLite rolls it back as it closes.
    fn drop(&mut self) {
        self.file.release(self.owner);
    }
}

/// What a statement is, found out when it is prepared.
#[napi(object, object_from_js = false)]
pub struct StatementInfo {
    /// The number under which it is known, until it has to go.
    pub id: f64,
    /// The names of its columns.
    pub columns: Vec<String>,
    /// The names of its parameters, without their prefix; an unnamed one has an empty name.
    pub parameters: Vec<String>,
    /// Whether it gives rows.
    pub reader: bool,
    /// Whether it changes nothing.
    pub readonly: bool,
}

/// Where a column comes from.
#[napi(object, object_from_js = false)]
pub struct ColumnInfo {
    /// Its name in the rows.
    pub name: String,
    /// Its name in the table.
    pub column: Option<String>,
    /// The table.
    pub table: Option<String>,
    /// The database: `main`, `temp` or an attached one.
    pub database: Option<String>,
    /// The type that the table declares.
    pub r#type: Option<String>,
}

impl Connection {
    pub(super) fn owner(&self) -> Owner {
        self.0.owner
    }

    pub(super) fn file(&self) -> &OpenFile {
        &self.0.file
    }

    /// Runs a method's work on the open handle.
    pub(super) fn run_work<T>(
        &self,
        env: &Env,
        operation: &str,
        work: impl FnOnce(&rusqlite::Connection) -> std::result::Result<T, Failure>,
    ) -> napi::Result<T> {
        self.run_on_handle(env, operation, |handle| work(&handle.connection))
    }

    fn run_on_handle<T>(
        &self,
        env: &Env,
        operation: &str,
        work: impl FnOnce(&mut OpenHandle) -> std::result::Result<T, Failure>,
    ) -> napi::Result<T> {
        call(env, operation, || {
            let mut handle = self.0.handle.borrow_mut();
            let handle = handle.as_mut().ok_or(Error::Closed)?;
            handle.forget_rest();
            work(handle)
        })
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
            let codes = environment::codes(env).map_err(Failure::JavaScript)?;
            let config = read_config(config)?;
            let mut handle = connection::open(&config, Role::Blocking)?;
            let file = OpenFile::of(&config);
            let opened = Arc::clone(&file);
            handle.commit_hook(Some(move || {
                opened.count_commit();
                false
            }))?;
            Ok(Self(Rc::new(Shared {
                file,
                owner: Owner::new(),
                handle: RefCell::new(Some(OpenHandle::new(handle))),
                workspace: Cell::default(),
                codes,
                config,
            })))
        })
    }

    /// Makes the functions that run statements (see `direct.rs`).
    #[napi(ts_return_type = "object")]
    pub fn functions(&self, env: &Env) -> napi::Result<Object<'static>> {
        Ok(Object::from_raw(
            env.raw(),
            direct::functions(env, &self.0)?,
        ))
    }

    /// Whether the handle is open.
    #[napi(getter)]
    pub fn is_open(&self) -> bool {
        self.0.handle.borrow().is_some()
    }

    /// The path that the handle was opened with.
    #[napi(getter)]
    pub fn path(&self) -> String {
        self.0.config.path.display().to_string()
    }

    /// Whether the handle refuses to write.
    #[napi(getter)]
    pub fn readonly(&self) -> bool {
        self.0.config.readonly
    }

    /// Whether the database is in memory.
    #[napi(getter)]
    pub fn memory(&self) -> bool {
        self.0.config.is_memory()
    }

    /// Whether a transaction is open.
    #[napi(getter)]
    pub fn in_transaction(&self) -> bool {
        let handle = self.0.handle.borrow();
        handle
            .as_ref()
            .is_some_and(|handle| !handle.connection.is_autocommit())
    }

    /// Keeps the lock of the reads from here on, until it is told not to.
    #[napi]
    pub fn keep_read_lock(&self, is_kept: bool) {
        if is_kept {
            read_lock::keep(&self.0);
        } else {
            read_lock::release(&self.0);
        }
    }

    /// Closes the handle; an open transaction is rolled back.
    #[napi]
    pub fn close(&self, env: &Env) -> napi::Result<()> {
        call(env, "close", || {
            self.0.file.release(self.0.owner);
            if let Some(handle) = self.0.handle.borrow_mut().take() {
                handle.close()?;
            }
            Ok(())
        })
    }

    /// Prepares a statement and says what it is.
    #[napi]
    pub fn prepare(
        &self,
        env: &Env,
        sql: Unknown<'_>,
        operation: String,
    ) -> napi::Result<StatementInfo> {
        let sql = call(env, &operation, || {
            // A closed connection is closed, whatever the text.
            if self.0.handle.borrow().is_none() {
                return Err(Error::Closed.into());
            }
            read_sql(sql)
        })?;
        self.run_on_handle(env, &operation, |handle| {
            let entry = handle.statements.prepare(&handle.connection, &sql)?;
            let names = entry.parameters.iter();
            Ok(StatementInfo {
                id: entry.id as f64,
                columns: entry.columns.clone(),
                parameters: names.map(|name| name.clone().unwrap_or_default()).collect(),
                reader: !entry.columns.is_empty(),
                readonly: entry.readonly,
            })
        })
    }

    /// Says where a statement's columns come from.
    #[napi]
    pub fn columns(
        &self,
        env: &Env,
        sql: Unknown<'_>,
        operation: String,
    ) -> napi::Result<Vec<ColumnInfo>> {
        let sql = call(env, &operation, || read_sql(sql))?;
        call(env, &operation, || {
            // It is asked for between the chunks of a result: their rest is not forgotten.
            let handle = self.0.handle.borrow();
            let handle = handle.as_ref().ok_or(Error::Closed)?;
            let statement = Prepared::new(&handle.connection, &sql)?;
            let columns = statement.columns().into_iter();
            Ok(columns
                .map(|column| ColumnInfo {
                    name: column.name,
                    column: column.column,
                    table: column.table,
                    database: column.database,
                    r#type: column.declared_type,
                })
                .collect())
        })
    }

    /// Runs any number of statements without parameters.
    #[napi]
    pub fn exec(&self, env: &Env, sql: Unknown<'_>) -> napi::Result<()> {
        let sql = call(env, "exec", || read_sql(sql))?;
        self.run_on_handle(env, "exec", |handle| {
            let has_cursor = !handle.cursors.is_empty();
            let mut batch = Batch::new(&handle.connection, &sql);
            while let Some(mut statement) = batch.next().map_err(Error::of_sql)? {
                if !statement.readonly() {
                    self.0.check_write(has_cursor)?;
                }
                let mut rows = statement.raw_query();
                while rows.next()?.is_some() {}
            }
            Ok(())
        })
    }

    /// Reads or sets a pragma: a chunk of rows, with the columns as its last element.
    #[napi(ts_return_type = "[string, Int32Array, Uint8Array | undefined, number, string[]]")]
    pub fn pragma(
        &self,
        env: &Env,
        source: Unknown<'_>,
        big_integers: bool,
    ) -> napi::Result<ShapedRows> {
        let sql = call(env, "pragma", || {
            Ok(format!("PRAGMA {}", read_sql(source)?))
        })?;
        self.run_on_handle(env, "pragma", |handle| {
            let statement = Prepared::new(&handle.connection, &sql)?;
            if !statement.is_readonly() {
                self.0.check_write(!handle.cursors.is_empty())?;
            }
            let mut packer = RowPacker::new();
            packer.set_big_integers(big_integers);
            while statement.step()? {
                statement.pack_row(&mut packer, statement.column_count())?;
            }
            Ok(ShapedRows {
                rows: packer.finish(),
                id: 0,
                columns: statement.column_names(),
            })
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
                    self.0.file.check_write(self.0.owner)?;
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
