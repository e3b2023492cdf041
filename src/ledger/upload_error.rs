//! Owns the table `upload_errors`: what failed, where, and how often it was tried again.

use super::visit::{self, Visit};
use crate::error::{Error, Result};
use crate::kept_statement::KeepingConnection;
use crate::page::{Cursor, Page};
use crate::record::{MAX_SAFE_INTEGER, NewUploadError, UploadError, check_counter};
use crate::record_row::{Column, Meaning, RecordRow, Table};
use crate::timestamp;

/// The columns in the order in which every statement here reads them.
pub(super) const TABLE: &Table = &Table {
    name: "upload_errors",
    columns: &[
        Column("id", Meaning::Counter),
        Column("session_id", Meaning::Text),
        Column("file_path", Meaning::Text),
        Column("error_type", Meaning::Text),
        Column("error_message", Meaning::Text),
        Column("retry_count", Meaning::Counter),
        Column("timestamp", Meaning::Time),
    ],
};

macro_rules! select {
    ($more:literal, $rest:literal) => {
        concat!(
            "SELECT id, session_id, file_path, error_type, error_message, retry_count, timestamp",
            $more,
            " FROM upload_errors ",
            $rest
        )
    };
}

const RECORD: &str = "upload error";

static INSERT: &str = "INSERT INTO upload_errors (session_id, file_path, error_type, \
     error_message, retry_count, timestamp) VALUES (?1, ?2, ?3, ?4, ?5, ?6)";
static LIST: &str = select!("", "WHERE session_id = ?1 ORDER BY id");
static PAGE: &str = select!(", id", "WHERE id > ?1 ORDER BY id LIMIT ?2");
static PAGE_OF_SESSION: &str = select!(
    ", id",
    "WHERE id > ?1 AND session_id = ?3 ORDER BY id LIMIT ?2"
);

fn read(row: &RecordRow<'_>) -> Result<UploadError> {
    Ok(UploadError {
        id: row.counter(0)?,
        session_id: row.text(1)?,
        file_path: row.text(2)?,
        error_type: row.text(3)?,
        error_message: row.text(4)?,
        retry_count: row.counter(5)?,
        timestamp: row.time(6)?,
    })
}

/// What [`log`] writes, borrowed from whoever has it.
#[derive(Debug, Clone, Copy)]
pub(crate) struct NewRow<'a> {
    pub(crate) session_id: &'a str,
    pub(crate) file_path: &'a str,
    pub(crate) error_type: &'a str,
    pub(crate) error_message: &'a str,
    pub(crate) retry_count: i64,
}

impl<'a> From<&'a NewUploadError> for NewRow<'a> {
    fn from(error: &'a NewUploadError) -> Self {
        Self {
            session_id: &error.session_id,
            file_path: &error.file_path,
            error_type: &error.error_type,
            error_message: &error.error_message,
            retry_count: error.retry_count,
        }
    }
}

/// Logs an error and returns its id.
pub(crate) fn log(connection: &KeepingConnection, error: &NewRow<'_>) -> Result<i64> {
    let retry_count = check_counter("retry_count", error.retry_count)?;
    let timestamp = timestamp::now();
    connection.run(INSERT, |run| {
        run.bind(&[
            error.session_id.into(),
            error.file_path.into(),
            error.error_type.into(),
            error.error_message.into(),
            retry_count.into(),
            timestamp.as_str().into(),
        ])?;
        run.execute()?;
        run.last_insert_rowid()
    })
}

/// Lists a session's errors by id.
pub(crate) fn list(connection: &KeepingConnection, session_id: &str) -> Result<Vec<UploadError>> {
    let mut errors = Vec::new();
    visit_session(connection, session_id, visit::collect(&mut errors, read))?;
    Ok(errors)
}

/// Visits a session's errors by id.
pub(crate) fn visit_session(
    connection: &KeepingConnection,
    session_id: &str,
    visit: impl Visit,
) -> Result<()> {
    visit::visit_all(connection, LIST, &[session_id.into()], TABLE, visit)
}

/// Reads a page of a session's errors, or of all, by id.
pub(crate) fn page(
    connection: &KeepingConnection,
    session_id: Option<&str>,
    after: Option<&Cursor>,
    limit: usize,
) -> Result<Page<UploadError>> {
    let mut records = Vec::new();
    let visit = visit::collect(&mut records, read);
    let next = visit_page(connection, session_id, after, limit, visit)?;
    Ok(Page { records, next })
}

/// Visits a page of a session's errors, or of all, by id; answers where the next page begins.
pub(crate) fn visit_page(
    connection: &KeepingConnection,
    session_id: Option<&str>,
    after: Option<&Cursor>,
    limit: usize,
    visit: impl Visit,
) -> Result<Option<Cursor>> {
    // A key is a text; the column's affinity makes an integer of it.
    let sql = "SELECT id FROM upload_errors WHERE id = ?1";
    let place = after.map(|cursor| visit::find_place(connection, sql, cursor, RECORD));
    let after = place.transpose()?.map_or(i64::MIN, |place| place.rowid);
    let mut values = vec![after.into(), visit::sql_limit(limit).into()];
    let sql = match session_id {
        Some(session_id) => {
            values.push(session_id.into());
            PAGE_OF_SESSION
        }
        None => PAGE,
    };
    visit::visit_page(connection, sql, &values, TABLE, Some(after), limit, visit)
}

/// Counts one more retry of an error and returns the new count.
pub(crate) fn increment_retry_count(connection: &KeepingConnection, id: i64) -> Result<i64> {
    let mut statement = connection.prepare_cached(
        "UPDATE upload_errors SET retry_count = coalesce(retry_count, 0) + 1 \
         WHERE id = ?1 AND coalesce(retry_count, 0) < ?2 RETURNING retry_count",
    )?;
    let mut rows = statement.query([id, MAX_SAFE_INTEGER])?;
    let count = rows.next()?.map(|row| row.get(0)).transpose()?;
    // The row comes before the commit, which the last step makes: only that one tells of a full
    // disk. A statement that is dropped at its row commits as well, and tells nobody.
    while count.is_some() && rows.next()?.is_some() {}
    drop(rows);
    if let Some(count) = count {
        return Ok(count);
    }
    let exists = connection
        .prepare_cached("SELECT 1 FROM upload_errors WHERE id = ?1")?
        .exists([id])?;
    Err(if exists {
        Error::argument(
            "retry_count",
            "is at its largest, 2^53-1; nothing was changed",
        )
    } else {
        Error::NotFound { record: RECORD }
    })
}

/// Deletes a session's errors.
pub(crate) fn clear(connection: &KeepingConnection, session_id: &str) -> Result<()> {
    connection
        .prepare_cached("DELETE FROM upload_errors WHERE session_id = ?1")?
        .execute([session_id])?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::migration::Migrator;

    #[test]
    fn a_retry_whose_commit_is_refused_is_not_counted() {
        let mut handle = rusqlite::Connection::open_in_memory().unwrap();
        Migrator::ledger().migrate(&handle).unwrap();
        handle
            .execute_batch(
                "INSERT INTO upload_sessions (id, chat_id, chat_name, start_time, last_update, \
                 total_files, status, created_at) VALUES ('s', 'c', 'n', 't', 't', 0, 'running', 't');
                 INSERT INTO upload_errors (id, session_id, file_path, error_type, error_message, \
                 retry_count, timestamp) VALUES (7, 's', 'p', 'e', 'm', 2, 't')",
            )
            .unwrap();
        handle.commit_hook(Some(|| true)).unwrap();
        let connection = KeepingConnection::new(handle);
        assert!(increment_retry_count(&connection, 7).is_err());
        let mut handle = connection.into_connection();
        handle.commit_hook(None::<fn() -> bool>).unwrap();
        let connection = KeepingConnection::new(handle);
        assert_eq!(increment_retry_count(&connection, 7).unwrap(), 3);
    }
}
