//! Owns the way from one schema version to the next.
//!
//! Every step takes the write lock first and reads the applied versions inside it, so two
//! processes that start together apply a step once; a step and its row of history are one
//! transaction. The parts ([`Lock`], [`pending_versions`], [`finish_step`]) are apart because
//! JavaScript's steps may be asynchronous: the Node layer drives the same parts itself.

use super::{SCHEMA_VERSION, history, v1};
use crate::error::{Error, Result};
use crate::record::SchemaVersion;
use crate::transaction;
use rusqlite::Connection;
use std::borrow::Cow;

/// A step of code: a function of the connection.
pub type StepFunction = Box<dyn Fn(&Connection) -> Result<()> + Send + Sync>;

/// What a migration does: SQL text (any number of statements), or code.
pub enum Step {
    /// Statements separated by semicolons; BEGIN, COMMIT and ROLLBACK are not among them.
    Sql(Cow<'static, str>),
    /// A function of the connection, called inside the step's transaction.
    Code(StepFunction),
}

impl Step {
    /// A step of SQL text.
    pub fn sql(text: impl Into<Cow<'static, str>>) -> Self {
        Self::Sql(text.into())
    }

    /// A step of code.
    pub fn code(function: impl Fn(&Connection) -> Result<()> + Send + Sync + 'static) -> Self {
        Self::Code(Box::new(function))
    }

    fn run(&self, connection: &Connection) -> Result<()> {
        match self {
            Self::Sql(text) => Ok(connection.execute_batch(text)?),
            Self::Code(function) => function(connection),
        }
    }
}

/// One version of a schema.
pub struct Migration {
    /// The version, 1 or more.
    pub version: i64,
    /// What it does, for the history.
    pub description: Cow<'static, str>,
    /// The way to this version.
    pub up: Step,
    /// The way back, when there is one.
    pub down: Option<Step>,
}

/// Brings a database to the newest version of a list.
///
/// ```
/// use whatsapp_uploader_database::{Connection, DatabaseConfig, Migrator};
/// # fn main() -> whatsapp_uploader_database::Result<()> {
/// let connection = Connection::open(&DatabaseConfig::new(":memory:"))?;
/// let migrator = Migrator::ledger();
/// assert_eq!(migrator.migrate(connection.handle())?, [1]);
/// assert!(migrator.migrate(connection.handle())?.is_empty(), "a second run does nothing");
/// # Ok(())
/// # }
/// ```
pub struct Migrator {
    migrations: Vec<Migration>,
}

impl Migrator {
    /// A migrator for the ledger's own schema.
    pub fn ledger() -> Self {
        Self {
            migrations: vec![Migration {
                version: SCHEMA_VERSION,
                description: v1::DESCRIPTION.into(),
                up: Step::code(v1::apply),
                down: Some(Step::code(v1::remove)),
            }],
        }
    }

    /// A migrator for a list of one's own.
    ///
    /// # Errors
    ///
    /// [`Error::MigrationOrder`] when versions are below 1, repeated or not ascending.
    pub fn new(migrations: Vec<Migration>) -> Result<Self> {
        let migrator = Self { migrations };
        check_versions(&migrator.versions())?;
        Ok(migrator)
    }

    fn versions(&self) -> Vec<i64> {
        self.migrations
            .iter()
            .map(|migration| migration.version)
            .collect()
    }

    /// Returns the newest version of the list; 0 for an empty one.
    pub fn target_version(&self) -> i64 {
        self.migrations
            .last()
            .map_or(0, |migration| migration.version)
    }

    /// Returns the file's version; 0 before the first migration.
    ///
    /// # Errors
    ///
    /// SQLite's own.
    pub fn current_version(connection: &Connection) -> Result<i64> {
        Ok(history::read_versions(connection)?
            .last()
            .copied()
            .unwrap_or(0))
    }

    /// Returns the versions that the file has seen, oldest first.
    ///
    /// # Errors
    ///
    /// SQLite's own.
    pub fn history(connection: &Connection) -> Result<Vec<SchemaVersion>> {
        history::read_history(connection)
    }

    /// Returns the versions that [`migrate`](Self::migrate) would apply, in order.
    ///
    /// # Errors
    ///
    /// [`Error::SchemaTooNew`] or [`Error::MigrationOrder`] when the file's history does not
    /// fit the list.
    pub fn plan(&self, connection: &Connection) -> Result<Vec<i64>> {
        pending_versions(connection, &self.versions())
    }

    /// Applies what is pending and returns the versions that were applied.
    ///
    /// # Errors
    ///
    /// As [`plan`](Self::plan); [`Error::Migration`] for a failing step, which is rolled back
    /// whole while the steps before it stay.
    pub fn migrate(&self, connection: &Connection) -> Result<Vec<i64>> {
        let mut applied = Vec::new();
        // Looking before locking lets every start but the first go without the write lock.
        while !self.plan(connection)?.is_empty() {
            let lock = Lock::take(connection)?;
            let outcome = transaction::run(connection, || {
                let next = self.plan(connection)?.first().copied();
                next.map(|version| self.apply(connection, version))
                    .transpose()
            });
            lock.release(connection)?;
            applied.extend(outcome?);
        }
        Ok(applied)
    }

    /// Applies what is pending, undoes it all, and returns the versions that would be applied.
    ///
    /// # Errors
    ///
    /// As [`migrate`](Self::migrate).
    pub fn dry_run(&self, connection: &Connection) -> Result<Vec<i64>> {
        let lock = Lock::take(connection)?;
        let outcome = transaction::begin(connection).and_then(|()| {
            let outcome = self.plan(connection).and_then(|pending| {
                pending
                    .into_iter()
                    .map(|version| self.apply(connection, version))
                    .collect()
            });
            transaction::roll_back(connection).and(outcome)
        });
        lock.release(connection)?;
        outcome
    }

    /// Goes back to `to_version` (0 is the state before the first step), newest step first.
    ///
    /// Returns the versions that were undone. **The rows of dropped tables are lost.**
    ///
    /// # Errors
    ///
    /// [`Error::InvalidArgument`] for a version above the present one,
    /// [`Error::MigrationOrder`] when a step has no way back (nothing is changed then),
    /// [`Error::Migration`] for a failing step.
    pub fn rollback(&self, connection: &Connection, to_version: i64) -> Result<Vec<i64>> {
        let newest = |connection| Self::current_version(connection);
        check_rollback(to_version, newest(connection)?)?;
        for version in history::read_versions(connection)? {
            if version > to_version {
                self.require_down(version)?;
            }
        }
        let mut undone = Vec::new();
        while newest(connection)? > to_version {
            let lock = Lock::take(connection)?;
            let outcome = transaction::run(connection, || {
                let version = newest(connection)?;
                if version <= to_version {
                    return Ok(None);
                }
                let (migration, down) = self.require_down(version)?;
                run_fenced(connection, || down.run(connection))
                    .and_then(|()| remove_step(connection, version))
                    .map_err(|source| step_error(migration, source))?;
                Ok::<_, Error>(Some(version))
            });
            lock.release(connection)?;
            undone.extend(outcome?);
        }
        Ok(undone)
    }

    fn apply(&self, connection: &Connection, version: i64) -> Result<i64> {
        let migration = self.find(version)?;
        run_fenced(connection, || migration.up.run(connection))
            .and_then(|()| finish_step(connection, version, &migration.description))
            .map_err(|source| step_error(migration, source))?;
        Ok(version)
    }

    /// Iterates over the list's versions with their descriptions.
    pub(crate) fn descriptions(&self) -> impl Iterator<Item = (i64, &str)> {
        self.migrations
            .iter()
            .map(|migration| (migration.version, migration.description.as_ref()))
    }

    /// Runs the step to `version`, or back from it, without its transaction and its history.
    pub(crate) fn run_step(&self, connection: &Connection, version: i64, up: bool) -> Result<()> {
        if up {
            self.find(version)?.up.run(connection)
        } else {
            self.require_down(version)?.1.run(connection)
        }
    }

    fn find(&self, version: i64) -> Result<&Migration> {
        self.migrations
            .iter()
            .find(|migration| migration.version == version)
            .ok_or_else(|| order(format!("version {version} of the file is not in the list")))
    }

    fn require_down(&self, version: i64) -> Result<(&Migration, &Step)> {
        let migration = self.find(version)?;
        let down = migration.down.as_ref();
        Ok((
            migration,
            down.ok_or_else(|| order(format!("version {version} has no way back")))?,
        ))
    }
}

fn order(problem: String) -> Error {
    Error::MigrationOrder { problem }
}

fn step_error(migration: &Migration, source: Error) -> Error {
    Error::Migration {
        version: migration.version,
        description: migration.description.clone().into_owned(),
        source: Box::new(source),
    }
}

/// Checks that a rollback goes to a version that lies behind.
pub(crate) fn check_rollback(to_version: i64, current: i64) -> Result<()> {
    if (0..=current).contains(&to_version) {
        Ok(())
    } else {
        Err(Error::argument(
            "toVersion",
            format!("must lie between 0 and the file's version, {current}"),
        ))
    }
}

/// Checks that a list's versions begin at 1 or later and ascend.
pub(crate) fn check_versions(versions: &[i64]) -> Result<()> {
    let mut last = 0;
    for &version in versions {
        if version < 1 {
            return Err(order(format!("version {version} is below 1")));
        }
        if version == last {
            return Err(order(format!("version {version} stands twice")));
        }
        if version < last {
            return Err(order(format!(
                "version {version} stands behind version {last}"
            )));
        }
        last = version;
    }
    Ok(())
}

/// Returns the versions of `known` that the file has not seen, in order.
///
/// # Errors
///
/// [`Error::SchemaTooNew`] for a file from the future, [`Error::MigrationOrder`] for a history
/// with gaps: a step may never be applied behind a later one.
pub(crate) fn pending_versions(connection: &Connection, known: &[i64]) -> Result<Vec<i64>> {
    let applied = history::read_versions(connection)?;
    let newest_applied = applied.last().copied().unwrap_or(0);
    let newest_known = known.last().copied().unwrap_or(0);
    if newest_applied > newest_known {
        return Err(Error::SchemaTooNew {
            found: newest_applied,
            supported: newest_known,
        });
    }
    // Versions before the list's first are history that the list no longer tells.
    let first = known.first().copied().unwrap_or(0);
    if let Some(unknown) = applied
        .iter()
        .find(|version| **version >= first && !known.contains(version))
    {
        return Err(order(format!(
            "version {unknown} of the file is not in the list"
        )));
    }
    let pending: Vec<i64> = known
        .iter()
        .copied()
        .filter(|version| !applied.contains(version))
        .collect();
    match pending.first() {
        Some(&next) if next < newest_applied => Err(order(format!(
            "version {next} is missing from the file, which has version {newest_applied} already"
        ))),
        _ => Ok(pending),
    }
}

/// Ends a step inside its transaction: checks foreign keys and writes the row of history.
pub(crate) fn finish_step(connection: &Connection, version: i64, description: &str) -> Result<()> {
    check_still_open(connection)?;
    check_foreign_keys(connection)?;
    history::create_table(connection)?;
    history::record_version(connection, version, description)
}

/// Ends the undoing of a step inside its transaction.
pub(crate) fn remove_step(connection: &Connection, version: i64) -> Result<()> {
    check_still_open(connection)?;
    check_foreign_keys(connection)?;
    history::remove_version(connection, version)
}

/// Applies version 1 alone, when the file has not seen it.
pub(crate) fn initialize_v1(connection: &Connection) -> Result<()> {
    transaction::run(connection, || {
        let seen = history::read_versions(connection)?.contains(&SCHEMA_VERSION);
        v1::apply(connection)?;
        if seen {
            Ok(())
        } else {
            history::record_version(connection, SCHEMA_VERSION, v1::DESCRIPTION)
        }
    })
}

fn check_still_open(connection: &Connection) -> Result<()> {
    if connection.is_autocommit() {
        return Err(Error::TransactionState(
            "the step ended its own transaction; leave BEGIN, COMMIT and ROLLBACK out of a migration",
        ));
    }
    Ok(())
}

/// Checks every reference, since a step runs with their enforcement off.
fn check_foreign_keys(connection: &Connection) -> Result<()> {
    let mut statement = connection.prepare_cached("PRAGMA foreign_key_check")?;
    let tables: Vec<String> = statement
        .query_map([], |row| row.get(0))?
        .collect::<rusqlite::Result<_>>()?;
    match tables.first() {
        None => Ok(()),
        Some(table) => Err(Error::ForeignKey {
            table: table.clone(),
            count: tables.len(),
        }),
    }
}

/// Runs a step's own SQL or code, which may not end the transaction that it runs in.
fn run_fenced<T>(connection: &Connection, step: impl FnOnce() -> Result<T>) -> Result<T> {
    transaction::forbid_control(connection, true)?;
    let outcome = step();
    transaction::forbid_control(connection, false)?;
    outcome
}

/// Foreign keys' enforcement, off while steps run.
///
/// Rebuilding a table means dropping the old one, which would delete every row that refers to
/// it (<https://www.sqlite.org/lang_altertable.html#otheralter>); and the pragma can only be
/// changed outside a transaction.
#[must_use]
pub(crate) struct Lock {
    foreign_keys: bool,
}

impl Lock {
    pub(crate) fn take(connection: &Connection) -> Result<Self> {
        if !connection.is_autocommit() {
            return Err(Error::TransactionState(
                "migrations cannot run inside an open transaction; end it first",
            ));
        }
        let foreign_keys = connection.pragma_query_value(None, "foreign_keys", |row| row.get(0))?;
        connection.pragma_update(None, "foreign_keys", false)?;
        Ok(Self { foreign_keys })
    }

    /// Lets go of the guard, for one that cannot live across a call from JavaScript.
    pub(crate) fn into_foreign_keys(self) -> bool {
        self.foreign_keys
    }

    pub(crate) fn from_foreign_keys(foreign_keys: bool) -> Self {
        Self { foreign_keys }
    }

    pub(crate) fn release(self, connection: &Connection) -> Result<()> {
        Ok(connection.pragma_update(None, "foreign_keys", self.foreign_keys)?)
    }
}
