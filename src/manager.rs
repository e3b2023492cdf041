//! Owns the synchronous [`DatabaseManager`], the door for Rust programs: one connection and the
//! ledger's functions on it.
//!
//! It adds to the floors below what a caller needs and nothing of its own: no SQL, no napi.

use crate::config::DatabaseConfig;
use crate::connection::{self, Role};
use crate::error::{Error, Result};
use crate::kept_statement::KeepingConnection;
use crate::ledger::{self, batch, file_hash, session, setting, upload_error};
use crate::maintenance::LogKeeper;
use crate::migration::Migrator;
use crate::page::{Cursor, Page};
use crate::record::{
    Added, ConfigRecord, FileHash, NewFileHash, NewSession, NewUploadError, OnConflict,
    SessionChanges, SessionDeltas, SessionStatus, UploadError, UploadSession,
};
use crate::transaction;
use serde::Serialize;
use serde::de::DeserializeOwned;
use std::cell::RefCell;

mod maintenance;

/// One open database with the safety switches and pragmas of its configuration.
///
/// ```
/// use whatsapp_uploader_database::{Connection, DatabaseConfig};
/// # fn main() -> whatsapp_uploader_database::Result<()> {
/// let connection = Connection::open(&DatabaseConfig::new(":memory:"))?;
/// connection.handle().execute_batch("CREATE TABLE notes (text TEXT)")?;
/// # Ok(())
/// # }
/// ```
pub struct Connection {
    handle: rusqlite::Connection,
}

impl Connection {
    /// Opens a database.
    ///
    /// # Errors
    ///
    /// [`Error::FileMissing`], [`Error::FolderMissing`], [`Error::NotAFile`],
    /// [`Error::JournalMode`], or SQLite's own, `SQLITE_NOTADB` among them.
    pub fn open(config: &DatabaseConfig) -> Result<Self> {
        Ok(Self {
            handle: connection::open(config, Role::Blocking)?,
        })
    }

    /// Returns the rusqlite connection, for SQL of one's own.
    pub fn handle(&self) -> &rusqlite::Connection {
        &self.handle
    }

    /// Runs `work` in a transaction, or in a savepoint when one is open already.
    ///
    /// # Errors
    ///
    /// What `work` returns, after a rollback; SQLite's own of the begin and the commit.
    pub fn transaction<T, E: From<Error>>(
        &self,
        work: impl FnOnce(&rusqlite::Connection) -> std::result::Result<T, E>,
    ) -> std::result::Result<T, E> {
        transaction::run(&self.handle, || work(&self.handle))
    }
}

/// The ledger of one database file, for one thread at a time.
///
/// ```
/// use whatsapp_uploader_database::{
///     DatabaseConfig, DatabaseManager, NewSession, SessionDeltas,
/// };
/// # fn main() -> whatsapp_uploader_database::Result<()> {
/// let ledger = DatabaseManager::open(DatabaseConfig::new(":memory:"))?;
/// ledger.initialize_schema()?;
/// let id = ledger.create_session(&NewSession::new("chat123", "Family", "2026-01-31T12:00:00Z"))?;
/// ledger.increment_session(&id, SessionDeltas { success_count: 1, ..Default::default() })?;
/// assert_eq!(ledger.get_session(&id)?.map(|session| session.success_count), Some(1));
/// # Ok(())
/// # }
/// ```
pub struct DatabaseManager {
    /// Before the connection, so that the keeper's own is closed when that one takes the log with it.
    log: RefCell<LogKeeper>,
    connection: KeepingConnection,
    config: DatabaseConfig,
}

impl DatabaseManager {
    /// Opens a database; its schema is left as it is.
    ///
    /// # Errors
    ///
    /// As [`Connection::open`].
    pub fn open(config: DatabaseConfig) -> Result<Self> {
        Self::open_as(config, Role::Blocking)
    }

    pub(crate) fn open_as(config: DatabaseConfig, role: Role) -> Result<Self> {
        Ok(Self {
            connection: KeepingConnection::new(connection::open(&config, role)?),
            log: RefCell::new(LogKeeper::new(config.clone())),
            config,
        })
    }

    /// Returns the configuration.
    pub fn config(&self) -> &DatabaseConfig {
        &self.config
    }

    /// Calls `watch` after each commit that went into the write-ahead log.
    pub(crate) fn watch_commits(&mut self, watch: impl FnMut() + Send + 'static) -> Result<()> {
        self.connection.watch_commits(watch)
    }

    /// Stops what runs once `must_stop` says so.
    pub(crate) fn stop_when(
        &mut self,
        must_stop: impl Fn() -> bool + Send + 'static,
    ) -> Result<()> {
        self.connection.stop_when(must_stop)
    }

    pub(crate) fn connection(&self) -> &rusqlite::Connection {
        &self.connection
    }

    pub(crate) fn into_connection(self) -> rusqlite::Connection {
        self.connection.into_connection()
    }

    /// Closes the database.
    ///
    /// # Errors
    ///
    /// SQLite's own, of the checkpoint that closing a file's last connection brings.
    pub fn close(self) -> Result<()> {
        drop(self.log);
        let connection = self.connection.into_connection();
        connection.close().map_err(|(_, error)| error.into())
    }

    /// Calls a function of the ledger; a missing table becomes an error that says what to do.
    pub(crate) fn ledger<T>(
        &self,
        function: impl FnOnce(&KeepingConnection) -> Result<T>,
    ) -> Result<T> {
        function(&self.connection).map_err(|error| self.explain(error))
    }

    fn explain(&self, error: Error) -> Error {
        match ledger::explain(error) {
            Error::SchemaMissing => self.explain_missing_schema(),
            other => other,
        }
    }

    /// Calls a function of the ledger for each record, each with an outcome of its own; the
    /// caller decides whether they are a transaction.
    pub(crate) fn ledger_each<R, T>(
        &self,
        records: impl IntoIterator<Item = R>,
        mut function: impl FnMut(&KeepingConnection, usize, R) -> Result<T>,
    ) -> Result<Vec<Result<T>>> {
        batch::write_each(&self.connection, records, |index, record| {
            function(&self.connection, index, record).map_err(|error| self.explain(error))
        })
    }

    /// Calls a function of the ledger for each record, all in one transaction.
    fn write_all<R, T>(
        &self,
        records: impl IntoIterator<Item = R>,
        mut function: impl FnMut(&KeepingConnection, R) -> Result<T>,
    ) -> Result<Vec<Result<T>>> {
        transaction::run(&self.connection, || {
            self.ledger_each(records, |connection, index, record| {
                function(connection, record)
                    .map_err(|error| error.within(&format!("records[{index}]")))
            })
        })
    }

    /// A schema that another connection made cannot be seen while a lock is in the way: SQLite
    /// says then that there is no such table.
    fn explain_missing_schema(&self) -> Error {
        match Migrator::current_version(&self.connection) {
            Err(error) if error.is_busy() => error,
            Ok(version) if version > 0 => Error::Sqlite {
                extended_code: rusqlite::ffi::SQLITE_BUSY,
                message: "the schema has just changed".to_owned(),
            },
            _ => Error::SchemaMissing,
        }
    }

    /// Brings the schema to [`SCHEMA_VERSION`](crate::SCHEMA_VERSION); does nothing when it is there.
    ///
    /// # Errors
    ///
    /// [`Error::SchemaTooNew`], [`Error::Migration`].
    pub fn initialize_schema(&self) -> Result<()> {
        Migrator::ledger().migrate(&self.connection).map(drop)
    }

    /// Returns the schema's version; 0 before the first migration.
    ///
    /// # Errors
    ///
    /// SQLite's own.
    pub fn get_schema_version(&self) -> Result<i64> {
        Migrator::current_version(&self.connection)
    }

    /// Runs `work` in a transaction, or in a savepoint when one is open already.
    ///
    /// # Errors
    ///
    /// What `work` returns, after a rollback; SQLite's own of the begin and the commit.
    pub fn transaction<T, E: From<Error>>(
        &self,
        work: impl FnOnce(&Self) -> std::result::Result<T, E>,
    ) -> std::result::Result<T, E> {
        transaction::run(&self.connection, || work(self))
    }

    /// Creates a session and returns its id.
    ///
    /// # Errors
    ///
    /// [`Error::InvalidArgument`] for a text that is no time or a negative counter.
    pub fn create_session(&self, session: &NewSession) -> Result<String> {
        self.ledger(|connection| session::create(connection, session))
    }

    /// Finds a session.
    ///
    /// # Errors
    ///
    /// SQLite's own, or [`Error::InvalidData`].
    pub fn get_session(&self, id: &str) -> Result<Option<UploadSession>> {
        self.ledger(|connection| session::get(connection, id))
    }

    /// Sets columns of a session, and `last_update` to now unless it is among them.
    ///
    /// # Errors
    ///
    /// [`Error::NotFound`], [`Error::InvalidArgument`].
    pub fn update_session(&self, id: &str, changes: &SessionChanges) -> Result<()> {
        self.ledger(|connection| session::update(connection, id, changes))
    }

    /// Adds to a session's counters; two writers lose nothing.
    ///
    /// # Errors
    ///
    /// [`Error::NotFound`]; [`Error::InvalidArgument`] when a counter would become negative.
    pub fn increment_session(&self, id: &str, deltas: SessionDeltas) -> Result<()> {
        self.ledger(|connection| session::increment(connection, id, deltas))
    }

    /// Lists sessions, of one status or of all, newest first.
    ///
    /// # Errors
    ///
    /// SQLite's own, or [`Error::InvalidData`].
    pub fn list_sessions(&self, status: Option<SessionStatus>) -> Result<Vec<UploadSession>> {
        self.ledger(|connection| session::list(connection, status))
    }

    /// Lists a part of the sessions, of one status or of all, newest first.
    ///
    /// # Errors
    ///
    /// [`Error::NotFound`] when there is no session that the cursor names; SQLite's own, or
    /// [`Error::InvalidData`].
    ///
    /// ```
    /// # use whatsapp_uploader_database::{DatabaseConfig, DatabaseManager};
    /// # fn main() -> whatsapp_uploader_database::Result<()> {
    /// # let ledger = DatabaseManager::open(DatabaseConfig::new(":memory:"))?;
    /// # ledger.initialize_schema()?;
    /// let mut after = None;
    /// loop {
    ///     let page = ledger.session_page(None, after.as_ref(), 100)?;
    ///     for session in page.records {
    ///         println!("{}", session.chat_name);
    ///     }
    ///     after = page.next;
    ///     if after.is_none() {
    ///         break;
    ///     }
    /// }
    /// # Ok(())
    /// # }
    /// ```
    pub fn session_page(
        &self,
        status: Option<SessionStatus>,
        after: Option<&Cursor>,
        limit: usize,
    ) -> Result<Page<UploadSession>> {
        self.ledger(|connection| session::page(connection, status, after, limit))
    }

    /// Sets columns of many sessions, in one transaction; each has an outcome of its own, in
    /// their order, and one that fails leaves the others alone.
    ///
    /// # Errors
    ///
    /// SQLite's own, of the transaction; then nothing was changed.
    pub fn update_sessions(&self, updates: &[(&str, SessionChanges)]) -> Result<Vec<Result<()>>> {
        self.write_all(updates, |connection, (id, changes)| {
            session::update(connection, id, changes)
        })
    }

    /// Deletes a session with its errors, if it is there.
    ///
    /// # Errors
    ///
    /// SQLite's own.
    pub fn delete_session(&self, id: &str) -> Result<()> {
        self.ledger(|connection| {
            transaction::run(connection, || {
                // Without enforcement of foreign keys, nothing else would delete them.
                upload_error::clear(connection, id)?;
                session::delete(connection, id)
            })
        })
    }

    /// Records an uploaded file.
    ///
    /// # Errors
    ///
    /// `SQLITE_CONSTRAINT_PRIMARYKEY` for a hash that is there, unless `on_conflict` says
    /// otherwise; [`Error::InvalidArgument`] for an empty hash, a negative size or no time.
    pub fn add_file_hash(&self, file: &NewFileHash, on_conflict: OnConflict) -> Result<()> {
        self.ledger(|connection| file_hash::add(connection, &file.into(), on_conflict).map(drop))
    }

    /// Records many uploaded files, in one transaction; each has an outcome of its own, in their
    /// order, and one that fails leaves the others alone.
    ///
    /// # Errors
    ///
    /// SQLite's own, of the transaction; then nothing was written.
    pub fn add_file_hashes(
        &self,
        files: &[NewFileHash],
        on_conflict: OnConflict,
    ) -> Result<Vec<Result<Added>>> {
        self.write_all(files, |connection, file| {
            file_hash::add(connection, &file.into(), on_conflict)
        })
    }

    /// Finds a file by its hash.
    ///
    /// # Errors
    ///
    /// [`Error::InvalidArgument`] for an empty hash.
    pub fn get_file_hash(&self, hash: &str) -> Result<Option<FileHash>> {
        self.ledger(|connection| file_hash::get(connection, hash))
    }

    /// Lists a chat's files in the order of their insertion.
    ///
    /// # Errors
    ///
    /// SQLite's own, or [`Error::InvalidData`].
    pub fn find_file_hashes(&self, chat_id: &str) -> Result<Vec<FileHash>> {
        self.ledger(|connection| file_hash::find_by_chat(connection, chat_id))
    }

    /// Lists a part of a chat's files, or of all, in the order of their insertion.
    ///
    /// # Errors
    ///
    /// [`Error::NotFound`] when there is no hash that the cursor names; SQLite's own, or
    /// [`Error::InvalidData`].
    pub fn file_hash_page(
        &self,
        chat_id: Option<&str>,
        after: Option<&Cursor>,
        limit: usize,
    ) -> Result<Page<FileHash>> {
        self.ledger(|connection| file_hash::page(connection, chat_id, after, limit))
    }

    /// Forgets a hash, if it is there.
    ///
    /// # Errors
    ///
    /// [`Error::InvalidArgument`] for an empty hash.
    pub fn delete_file_hash(&self, hash: &str) -> Result<()> {
        self.ledger(|connection| file_hash::delete(connection, hash))
    }

    /// Says whether a hash is recorded.
    ///
    /// # Errors
    ///
    /// [`Error::InvalidArgument`] for an empty hash.
    pub fn is_file_uploaded(&self, hash: &str) -> Result<bool> {
        self.ledger(|connection| file_hash::exists(connection, hash))
    }

    /// Says of each of many hashes whether it is recorded, in their order.
    ///
    /// # Errors
    ///
    /// [`Error::InvalidArgument`] for an empty hash.
    pub fn find_uploaded(&self, hashes: &[&str]) -> Result<Vec<bool>> {
        self.ledger(|connection| {
            transaction::read(connection, || file_hash::find_uploaded(connection, hashes))
        })
    }

    /// Logs an error of a session and returns the error's id.
    ///
    /// # Errors
    ///
    /// `SQLITE_CONSTRAINT_FOREIGNKEY` for an unknown session.
    pub fn log_error(&self, error: &NewUploadError) -> Result<i64> {
        self.ledger(|connection| upload_error::log(connection, &error.into()))
    }

    /// Lists a session's errors by id.
    ///
    /// # Errors
    ///
    /// SQLite's own, or [`Error::InvalidData`].
    pub fn get_errors(&self, session_id: &str) -> Result<Vec<UploadError>> {
        self.ledger(|connection| upload_error::list(connection, session_id))
    }

    /// Logs many errors, in one transaction; each has an outcome of its own, in their order, and
    /// one that fails leaves the others alone.
    ///
    /// # Errors
    ///
    /// SQLite's own, of the transaction; then nothing was logged.
    pub fn log_errors(&self, errors: &[NewUploadError]) -> Result<Vec<Result<i64>>> {
        self.write_all(errors, |connection, error| {
            upload_error::log(connection, &error.into())
        })
    }

    /// Lists a part of a session's errors, or of all, by id.
    ///
    /// # Errors
    ///
    /// [`Error::NotFound`] when there is no error that the cursor names; SQLite's own, or
    /// [`Error::InvalidData`].
    pub fn error_page(
        &self,
        session_id: Option<&str>,
        after: Option<&Cursor>,
        limit: usize,
    ) -> Result<Page<UploadError>> {
        self.ledger(|connection| upload_error::page(connection, session_id, after, limit))
    }

    /// Counts one more retry of an error and returns the new count.
    ///
    /// # Errors
    ///
    /// [`Error::NotFound`].
    pub fn increment_retry_count(&self, error_id: i64) -> Result<i64> {
        self.ledger(|connection| upload_error::increment_retry_count(connection, error_id))
    }

    /// Deletes a session's errors.
    ///
    /// # Errors
    ///
    /// SQLite's own.
    pub fn clear_errors(&self, session_id: &str) -> Result<()> {
        self.ledger(|connection| upload_error::clear(connection, session_id))
    }

    /// Sets a setting to any value that serde can write as JSON.
    ///
    /// # Errors
    ///
    /// [`Error::InvalidArgument`] for the reserved key and for a value that is no JSON.
    ///
    /// ```
    /// # use whatsapp_uploader_database::{DatabaseConfig, DatabaseManager};
    /// # fn main() -> whatsapp_uploader_database::Result<()> {
    /// # let ledger = DatabaseManager::open(DatabaseConfig::new(":memory:"))?;
    /// # ledger.initialize_schema()?;
    /// ledger.set_config("parallel_uploads", &4)?;
    /// assert_eq!(ledger.get_config::<u32>("parallel_uploads")?, Some(4));
    /// # Ok(())
    /// # }
    /// ```
    pub fn set_config<T: Serialize + ?Sized>(&self, key: &str, value: &T) -> Result<()> {
        let json = serde_json::to_string(value)
            .map_err(|_| Error::argument("value", "cannot be written as JSON"))?;
        self.set_config_json(key, &json)
    }

    /// Sets a setting to a JSON text.
    ///
    /// # Errors
    ///
    /// As [`set_config`](Self::set_config).
    pub fn set_config_json(&self, key: &str, json: &str) -> Result<()> {
        self.ledger(|connection| setting::set(connection, key, json))
    }

    /// Reads a setting.
    ///
    /// # Errors
    ///
    /// [`Error::InvalidData`] when the stored JSON is no `T`.
    pub fn get_config<T: DeserializeOwned>(&self, key: &str) -> Result<Option<T>> {
        let json = self.get_config_json(key)?;
        // serde's own message would repeat the value.
        json.map(|json| serde_json::from_str(&json).map_err(|_| Self::setting_mismatch()))
            .transpose()
    }

    /// Reads a setting as JSON text.
    ///
    /// # Errors
    ///
    /// SQLite's own, or [`Error::InvalidData`].
    pub fn get_config_json(&self, key: &str) -> Result<Option<String>> {
        self.ledger(|connection| setting::get(connection, key))
    }

    pub(crate) fn setting_mismatch() -> Error {
        Error::InvalidData {
            table: "config",
            column: "value",
            found: "JSON of another type, or none".to_owned(),
        }
    }

    /// Deletes a setting, if it is there.
    ///
    /// # Errors
    ///
    /// SQLite's own.
    pub fn delete_config(&self, key: &str) -> Result<()> {
        self.ledger(|connection| setting::delete(connection, key))
    }

    /// Lists all settings by key.
    ///
    /// # Errors
    ///
    /// SQLite's own, or [`Error::InvalidData`].
    pub fn list_config(&self) -> Result<Vec<ConfigRecord>> {
        self.ledger(setting::list)
    }
}
