//! Owns writing many records one after the other, each with an outcome of its own.

use crate::error::Result;
use rusqlite::Connection;

/// Writes each record; one that fails stands in nobody's way.
///
/// The caller decides whether they are a transaction. One that SQLite has rolled back by itself
/// (disk full, I/O) is the end: what was written before is gone too.
///
/// # Errors
///
/// The error at which SQLite rolled the open transaction back.
pub(crate) fn write_each<R, T>(
    connection: &Connection,
    records: impl IntoIterator<Item = R>,
    mut write: impl FnMut(usize, R) -> Result<T>,
) -> Result<Vec<Result<T>>> {
    let in_transaction = !connection.is_autocommit();
    let mut outcomes = Vec::new();
    for (index, record) in records.into_iter().enumerate() {
        let outcome = write(index, record);
        if in_transaction && outcome.is_err() && connection.is_autocommit() {
            return outcome.map(|_| Vec::new());
        }
        outcomes.push(outcome);
    }
    Ok(outcomes)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn connection() -> Connection {
        let connection = Connection::open_in_memory().unwrap();
        connection
            .execute_batch(
                "CREATE TABLE t(x UNIQUE); CREATE TABLE u(x UNIQUE ON CONFLICT ROLLBACK)",
            )
            .unwrap();
        connection
    }

    fn insert<'a>(
        connection: &'a Connection,
        sql: &'a str,
    ) -> impl FnMut(usize, i64) -> Result<usize> {
        move |_, x| Ok(connection.execute(sql, [x])?)
    }

    #[test]
    fn a_record_that_fails_stands_in_nobodys_way() {
        let connection = connection();
        for control in ["", "BEGIN"] {
            connection.execute_batch("DELETE FROM t").unwrap();
            connection.execute_batch(control).unwrap();
            let insert = insert(&connection, "INSERT INTO t VALUES (?1)");
            let outcomes = write_each(&connection, [1, 1, 2], insert).unwrap();
            assert_eq!(
                outcomes.iter().map(Result::is_ok).collect::<Vec<_>>(),
                [true, false, true]
            );
        }
        let count: i64 = connection
            .query_row("SELECT count(*) FROM t", [], |row| row.get(0))
            .unwrap();
        assert_eq!(count, 2);
    }

    #[test]
    fn a_transaction_that_sqlite_rolled_back_is_the_end() {
        let connection = connection();
        connection.execute_batch("BEGIN").unwrap();
        let insert = insert(&connection, "INSERT INTO u VALUES (?1)");
        let error = write_each(&connection, [1, 1, 2], insert).unwrap_err();
        assert_eq!(error.code(), "SQLITE_CONSTRAINT_UNIQUE");
        let count: i64 = connection
            .query_row("SELECT count(*) FROM u", [], |row| row.get(0))
            .unwrap();
        assert_eq!(count, 0, "nothing after it ran");
    }
}
