//! Owns the table `upload_errors`: what failed, where, and how often it was tried again.

use crate::error::{Error, Result};
use crate::record::{MAX_SAFE_INTEGER, NewUploadError, UploadError, check_counter};
use crate::record_row::RecordRow;
use crate::timestamp;
use rusqlite::{Connection, OptionalExtension, Row, params};

/// The columns in the order in which every statement here reads them.
const COLUMNS: &[&str] = &[
    "id",
    "session_id",
    "file_path",
    "error_type",
    "error_message",
    "retry_count",
    "timestamp",
];

fn read(row: &Row<'_>) -> Result<UploadError> {
    let row = RecordRow::new(row, "upload_errors", COLUMNS);
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

/// Logs an error and returns its id.
pub(crate) fn log(connection: &Connection, error: &NewUploadError) -> Result<i64> {
    let retry_count = check_counter("retry_count", error.retry_count)?;
    let id = connection
        .prepare_cached(
            "INSERT INTO upload_errors (session_id, file_path, error_type, error_message, \
             retry_count, timestamp) VALUES (?1, ?2, ?3, ?4, ?5, ?6)",
        )?
        .insert(params![
            error.session_id,
            error.file_path,
            error.error_type,
            error.error_message,
            retry_count,
            timestamp::now(),
        ])?;
    Ok(id)
}

/// Lists a session's errors by id.
pub(crate) fn list(connection: &Connection, session_id: &str) -> Result<Vec<UploadError>> {
    let mut statement = connection.prepare_cached(
        "SELECT id, session_id, file_path, error_type, error_message, retry_count, timestamp \
         FROM upload_errors WHERE session_id = ?1 ORDER BY id",
    )?;
    let mut rows = statement.query([session_id])?;
    let mut errors = Vec::new();
    while let Some(row) = rows.next()? {
        errors.push(read(row)?);
    }
    Ok(errors)
}

/// Counts one more retry of an error and returns the new count.
pub(crate) fn increment_retry_count(connection: &Connection, id: i64) -> Result<i64> {
    let count = connection
        .prepare_cached(
            "UPDATE upload_errors SET retry_count = coalesce(retry_count, 0) + 1 \
             WHERE id = ?1 AND coalesce(retry_count, 0) < ?2 RETURNING retry_count",
        )?
        .query_row([id, MAX_SAFE_INTEGER], |row| row.get(0))
        .optional()?;
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
        Error::NotFound {
            record: "upload error",
        }
    })
}

/// Deletes a session's errors.
pub(crate) fn clear(connection: &Connection, session_id: &str) -> Result<()> {
    connection
        .prepare_cached("DELETE FROM upload_errors WHERE session_id = ?1")?
        .execute([session_id])?;
    Ok(())
}
