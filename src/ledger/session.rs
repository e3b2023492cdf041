//! Owns the table `upload_sessions`.

use super::visit::{self, Visit};
use crate::error::{Error, Result};
use crate::kept_statement::KeepingConnection;
use crate::page::{Cursor, Page};
use crate::record::{
    MAX_SAFE_INTEGER, NewSession, SessionChanges, SessionDeltas, SessionStatus, UploadSession,
    check_counter, check_not_empty,
};
use crate::record_row::{Column, Meaning, RecordRow, Table};
use crate::timestamp;
use rusqlite::params;
use rusqlite::types::Value;

/// The columns in the order in which every statement here reads and writes them.
pub(super) const TABLE: &Table = &Table {
    name: "upload_sessions",
    columns: &[
        Column("id", Meaning::Text),
        Column("chat_id", Meaning::Text),
        Column("chat_name", Meaning::Text),
        Column("start_time", Meaning::Time),
        Column("last_update", Meaning::Time),
        Column("total_files", Meaning::Counter),
        Column("processed_files", Meaning::Counter),
        Column("success_count", Meaning::Counter),
        Column("error_count", Meaning::Counter),
        Column("duplicate_count", Meaning::Counter),
        Column("status", Meaning::Member(SessionStatus::is_member)),
        Column("last_processed_file", Meaning::OptionalText),
        Column("created_at", Meaning::Time),
    ],
};

macro_rules! select {
    ($rest:literal) => {
        concat!(
            "SELECT id, chat_id, chat_name, start_time, last_update, total_files, processed_files, \
             success_count, error_count, duplicate_count, status, last_processed_file, created_at \
             FROM upload_sessions ",
            $rest
        )
    };
}

/// What sessions are listed by, before their row id. SQLite's own form of a time has a space
/// where ISO 8601 has a `T`: with that levelled, both sort together.
macro_rules! sort {
    () => {
        "replace(start_time, ' ', 'T')"
    };
}

/// Newest first; sessions of one moment go by the order of their creation.
macro_rules! newest_first {
    () => {
        concat!("ORDER BY ", sort!(), " DESC, rowid DESC")
    };
}

macro_rules! select_page {
    ($condition:literal) => {
        concat!(
            "SELECT id, chat_id, chat_name, start_time, last_update, total_files, processed_files, \
             success_count, error_count, duplicate_count, status, last_processed_file, created_at, \
             rowid, ",
            sort!(),
            " FROM upload_sessions WHERE ",
            $condition,
            "(?1 IS NULL OR (",
            sort!(),
            ", rowid) < (?1, ?2)) ",
            newest_first!(),
            " LIMIT ?3"
        )
    };
}

static GET: &str = select!("WHERE id = ?1");
static LIST: &str = concat!(select!(""), newest_first!());
static LIST_OF_STATUS: &str = concat!(select!("WHERE status = ?1 "), newest_first!());
static PAGE: &str = select_page!("");
static PAGE_OF_STATUS: &str = select_page!("status = ?4 AND ");

const RECORD: &str = "upload session";

fn read(row: &RecordRow<'_>) -> Result<UploadSession> {
    Ok(UploadSession {
        id: row.text(0)?,
        chat_id: row.text(1)?,
        chat_name: row.text(2)?,
        start_time: row.time(3)?,
        last_update: row.time(4)?,
        total_files: row.counter(5)?,
        processed_files: row.counter(6)?,
        success_count: row.counter(7)?,
        error_count: row.counter(8)?,
        duplicate_count: row.counter(9)?,
        status: row.member(10, SessionStatus::parse)?,
        last_processed_file: row.optional_text(11)?,
        created_at: row.time(12)?,
    })
}

/// Adds a session and returns its id, a UUID of version 7 unless the caller gave one.
pub(crate) fn create(connection: &KeepingConnection, session: &NewSession) -> Result<String> {
    let id = match &session.id {
        Some(id) => check_not_empty("id", id)?.to_owned(),
        None => uuid::Uuid::now_v7().to_string(),
    };
    let start_time = timestamp::normalize("start_time", &session.start_time)?;
    let last_update = timestamp::normalize("last_update", &session.last_update)?;
    let created_at = match &session.created_at {
        Some(text) => timestamp::normalize("created_at", text)?,
        None => timestamp::now(),
    };
    connection
        .prepare_cached(
            "INSERT INTO upload_sessions (id, chat_id, chat_name, start_time, last_update, \
             total_files, processed_files, success_count, error_count, duplicate_count, status, \
             last_processed_file, created_at) \
             VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13)",
        )?
        .execute(params![
            id,
            session.chat_id,
            session.chat_name,
            start_time,
            last_update,
            check_counter("total_files", session.total_files)?,
            check_counter("processed_files", session.processed_files)?,
            check_counter("success_count", session.success_count)?,
            check_counter("error_count", session.error_count)?,
            check_counter("duplicate_count", session.duplicate_count)?,
            session.status.as_str(),
            session.last_processed_file,
            created_at,
        ])?;
    Ok(id)
}

/// Finds a session.
pub(crate) fn get(connection: &KeepingConnection, id: &str) -> Result<Option<UploadSession>> {
    visit_one(connection, id, read)
}

/// Visits a session, if it is there.
pub(crate) fn visit_one<T>(
    connection: &KeepingConnection,
    id: &str,
    visit: impl FnOnce(&RecordRow<'_>) -> Result<T>,
) -> Result<Option<T>> {
    visit::visit_one(connection, GET, id.into(), TABLE, visit)
}

/// Lists sessions, of one status or of all, newest first.
pub(crate) fn list(
    connection: &KeepingConnection,
    status: Option<SessionStatus>,
) -> Result<Vec<UploadSession>> {
    let mut sessions = Vec::new();
    visit_all(connection, status, visit::collect(&mut sessions, read))?;
    Ok(sessions)
}

/// Visits sessions, of one status or of all, newest first.
pub(crate) fn visit_all(
    connection: &KeepingConnection,
    status: Option<SessionStatus>,
    visit: impl Visit,
) -> Result<()> {
    match status {
        Some(status) => {
            let values = [status.as_str().into()];
            visit::visit_all(connection, LIST_OF_STATUS, &values, TABLE, visit)
        }
        None => visit::visit_all(connection, LIST, &[], TABLE, visit),
    }
}

/// Reads a page of sessions, of one status or of all, newest first.
pub(crate) fn page(
    connection: &KeepingConnection,
    status: Option<SessionStatus>,
    after: Option<&Cursor>,
    limit: usize,
) -> Result<Page<UploadSession>> {
    let mut records = Vec::new();
    let visit = visit::collect(&mut records, read);
    let next = visit_page(connection, status, after, limit, visit)?;
    Ok(Page { records, next })
}

/// Visits a page of sessions, of one status or of all, newest first; answers where the next page
/// begins.
pub(crate) fn visit_page(
    connection: &KeepingConnection,
    status: Option<SessionStatus>,
    after: Option<&Cursor>,
    limit: usize,
    visit: impl Visit,
) -> Result<Option<Cursor>> {
    const PLACE: &str = concat!(
        "SELECT rowid, ",
        sort!(),
        " FROM upload_sessions WHERE id = ?1"
    );
    let place = after.map(|cursor| visit::find_place(connection, PLACE, cursor, RECORD));
    let (sort, rowid) = match place.transpose()? {
        Some(place) => (Some(place.sort), place.rowid),
        None => (None, 0),
    };
    let mut values = vec![
        sort.as_deref().into(),
        rowid.into(),
        visit::sql_limit(limit).into(),
    ];
    let sql = match status {
        Some(status) => {
            values.push(status.as_str().into());
            PAGE_OF_STATUS
        }
        None => PAGE,
    };
    visit::visit_page(connection, sql, &values, TABLE, limit, visit)
}

/// Sets the given columns of a session, and `last_update` to now unless it is among them.
pub(crate) fn update(
    connection: &KeepingConnection,
    id: &str,
    changes: &SessionChanges,
) -> Result<()> {
    let text = |value: &Option<String>| value.clone().map(Value::Text);
    let counter = |field, value: Option<i64>| {
        value
            .map(|value| check_counter(field, value).map(Value::Integer))
            .transpose()
    };
    let time = |field, value: &Option<String>| {
        value
            .as_deref()
            .map(|value| timestamp::normalize(field, value).map(Value::Text))
            .transpose()
    };
    let last_update = time("last_update", &changes.last_update)?;
    // The columns are this list and nothing a caller can name.
    let columns = [
        ("chat_id", text(&changes.chat_id)),
        ("chat_name", text(&changes.chat_name)),
        ("start_time", time("start_time", &changes.start_time)?),
        (
            "last_update",
            Some(last_update.unwrap_or_else(|| Value::Text(timestamp::now()))),
        ),
        ("total_files", counter("total_files", changes.total_files)?),
        (
            "processed_files",
            counter("processed_files", changes.processed_files)?,
        ),
        (
            "success_count",
            counter("success_count", changes.success_count)?,
        ),
        ("error_count", counter("error_count", changes.error_count)?),
        (
            "duplicate_count",
            counter("duplicate_count", changes.duplicate_count)?,
        ),
        (
            "status",
            changes
                .status
                .map(|status| Value::Text(status.as_str().to_owned())),
        ),
        (
            "last_processed_file",
            changes
                .last_processed_file
                .clone()
                .map(|file| file.map_or(Value::Null, Value::Text)),
        ),
    ];
    let mut sql = String::with_capacity(128);
    sql.push_str("UPDATE upload_sessions SET ");
    let mut values = vec![Value::Text(id.to_owned())];
    for (column, value) in columns {
        if let Some(value) = value {
            if values.len() > 1 {
                sql.push_str(", ");
            }
            values.push(value);
            sql.push_str(&format!("{column} = ?{}", values.len()));
        }
    }
    sql.push_str(" WHERE id = ?1");
    let changed = connection
        .prepare_cached(&sql)?
        .execute(rusqlite::params_from_iter(values))?;
    require_changed(changed)
}

/// Adds to a session's counters, and sets `last_update` to now.
///
/// # Errors
///
/// [`Error::InvalidArgument`] when a counter would leave the range from 0 to 2^53-1.
pub(crate) fn increment(
    connection: &KeepingConnection,
    id: &str,
    deltas: SessionDeltas,
) -> Result<()> {
    for (field, delta) in [
        ("total_files", deltas.total_files),
        ("processed_files", deltas.processed_files),
        ("success_count", deltas.success_count),
        ("error_count", deltas.error_count),
        ("duplicate_count", deltas.duplicate_count),
    ] {
        if delta.unsigned_abs() > MAX_SAFE_INTEGER as u64 {
            return Err(Error::argument(
                field,
                "is a number out of range; give a whole number within 2^53-1",
            ));
        }
    }
    let changed = connection
        .prepare_cached(
            "UPDATE upload_sessions SET \
             total_files = total_files + ?2, \
             processed_files = coalesce(processed_files, 0) + ?3, \
             success_count = coalesce(success_count, 0) + ?4, \
             error_count = coalesce(error_count, 0) + ?5, \
             duplicate_count = coalesce(duplicate_count, 0) + ?6, \
             last_update = ?7 \
             WHERE id = ?1 \
             AND total_files + ?2 BETWEEN 0 AND ?8 \
             AND coalesce(processed_files, 0) + ?3 BETWEEN 0 AND ?8 \
             AND coalesce(success_count, 0) + ?4 BETWEEN 0 AND ?8 \
             AND coalesce(error_count, 0) + ?5 BETWEEN 0 AND ?8 \
             AND coalesce(duplicate_count, 0) + ?6 BETWEEN 0 AND ?8",
        )?
        .execute(params![
            id,
            deltas.total_files,
            deltas.processed_files,
            deltas.success_count,
            deltas.error_count,
            deltas.duplicate_count,
            timestamp::now(),
            MAX_SAFE_INTEGER,
        ])?;
    if changed == 0 && get(connection, id)?.is_some() {
        return Err(Error::argument(
            "deltas",
            "would take a counter out of the range from 0 to 2^53-1; nothing was changed",
        ));
    }
    require_changed(changed)
}

/// Deletes a session, if it is there; its errors go with it.
pub(crate) fn delete(connection: &KeepingConnection, id: &str) -> Result<()> {
    connection
        .prepare_cached("DELETE FROM upload_sessions WHERE id = ?1")?
        .execute([id])?;
    Ok(())
}

fn require_changed(changed: usize) -> Result<()> {
    if changed == 0 {
        Err(Error::NotFound { record: RECORD })
    } else {
        Ok(())
    }
}
