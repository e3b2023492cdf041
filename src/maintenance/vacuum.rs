//! Owns `VACUUM` and `ANALYZE`.

use crate::config::DatabaseConfig;
use crate::connection::{self, Role};
use crate::error::{Error, Result};
use crate::ledger::{self, read_last_vacuum, write_last_vacuum};
use crate::maintenance::log_keeper::truncate_log;
use crate::timestamp;
use rusqlite::Connection;
use rusqlite::limits::Limit;

/// Rebuilds the file so that it holds no free pages, and remembers when.
///
/// It stops when `must_stop` says so.
pub(crate) fn vacuum(
    config: &DatabaseConfig,
    must_stop: impl Fn() -> bool + Send + 'static,
) -> Result<()> {
    let mut connection = connection::open(config, Role::Blocking)?;
    connection::stop_when(&mut connection, must_stop)?;
    vacuum_with(&connection)?;
    // The new file stands in the log until a checkpoint moves it; a reader may prevent that now,
    // and a later checkpoint does it then.
    truncate_log(&connection)
}

/// As [`vacuum`], on a connection that the caller has.
pub(crate) fn vacuum_with(connection: &Connection) -> Result<()> {
    require_no_transaction(connection)?;
    // Before the long work: without the ledger's tables its time could not be kept.
    read_last_vacuum(connection).map_err(ledger::explain)?;
    // SQLite builds the new file as an attached one, which the ledger's handles may not have.
    let allowed = connection.limit(Limit::SQLITE_LIMIT_ATTACHED)?;
    connection.set_limit(Limit::SQLITE_LIMIT_ATTACHED, 1)?;
    let outcome = connection.execute_batch("VACUUM");
    // It makes SQLite prepare every statement anew, which the rollback of the next transaction
    // may find no memory for: that one is to be prepared when the transaction begins.
    connection.flush_prepared_statement_cache();
    connection.set_limit(Limit::SQLITE_LIMIT_ATTACHED, allowed)?;
    outcome?;
    write_last_vacuum(connection, &timestamp::now())
}

/// Measures the indexes, so that the query planner chooses well.
pub(crate) fn analyze(
    config: &DatabaseConfig,
    must_stop: impl Fn() -> bool + Send + 'static,
) -> Result<()> {
    let mut connection = connection::open(config, Role::Blocking)?;
    connection::stop_when(&mut connection, must_stop)?;
    analyze_with(&connection)
}

/// As [`analyze`], on a connection that the caller has.
pub(crate) fn analyze_with(connection: &Connection) -> Result<()> {
    Ok(connection.execute_batch("ANALYZE")?)
}

fn require_no_transaction(connection: &Connection) -> Result<()> {
    if connection.is_autocommit() {
        Ok(())
    } else {
        Err(Error::TransactionState(
            "vacuum is not possible inside a transaction; end it first",
        ))
    }
}
