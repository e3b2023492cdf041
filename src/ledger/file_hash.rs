//! Owns the table `file_hashes`: which contents are uploaded already.

use crate::error::Result;
use crate::record::{
    FileHash, NewFileHash, OnConflict, UploadService, check_counter, check_not_empty,
};
use crate::record_row::RecordRow;
use crate::timestamp;
use rusqlite::{Connection, Row, params};

/// The columns in the order in which every statement here reads and writes them.
const COLUMNS: &[&str] = &[
    "hash",
    "file_path",
    "file_name",
    "file_size",
    "mime_type",
    "upload_service",
    "upload_id",
    "chat_id",
    "uploaded_at",
];

macro_rules! select {
    ($rest:literal) => {
        concat!(
            "SELECT hash, file_path, file_name, file_size, mime_type, upload_service, upload_id, \
             chat_id, uploaded_at FROM file_hashes ",
            $rest
        )
    };
}

macro_rules! insert {
    ($rest:literal) => {
        concat!(
            "INSERT INTO file_hashes (hash, file_path, file_name, file_size, mime_type, \
             upload_service, upload_id, chat_id, uploaded_at) \
             VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9)",
            $rest
        )
    };
}

fn read(row: &Row<'_>) -> Result<FileHash> {
    let row = RecordRow::new(row, "file_hashes", COLUMNS);
    Ok(FileHash {
        hash: row.text(0)?,
        file_path: row.text(1)?,
        file_name: row.text(2)?,
        file_size: row.counter(3)?,
        mime_type: row.text(4)?,
        upload_service: row.member(5, UploadService::parse)?,
        upload_id: row.optional_text(6)?,
        chat_id: row.text(7)?,
        uploaded_at: row.time(8)?,
    })
}

/// Records an uploaded file.
///
/// Replacing keeps the row's place in the order of insertion.
pub(crate) fn add(
    connection: &Connection,
    file: &NewFileHash,
    on_conflict: OnConflict,
) -> Result<()> {
    let hash = check_not_empty("hash", &file.hash)?;
    let file_size = check_counter("file_size", file.file_size)?;
    let uploaded_at = match &file.uploaded_at {
        Some(text) => timestamp::normalize("uploaded_at", text)?,
        None => timestamp::now(),
    };
    let sql = match on_conflict {
        OnConflict::Fail => insert!(""),
        OnConflict::Ignore => insert!(" ON CONFLICT (hash) DO NOTHING"),
        OnConflict::Replace => insert!(
            " ON CONFLICT (hash) DO UPDATE SET file_path = excluded.file_path, \
             file_name = excluded.file_name, file_size = excluded.file_size, \
             mime_type = excluded.mime_type, upload_service = excluded.upload_service, \
             upload_id = excluded.upload_id, chat_id = excluded.chat_id, \
             uploaded_at = excluded.uploaded_at"
        ),
    };
    connection.prepare_cached(sql)?.execute(params![
        hash,
        file.file_path,
        file.file_name,
        file_size,
        file.mime_type,
        file.upload_service.as_str(),
        file.upload_id,
        file.chat_id,
        uploaded_at,
    ])?;
    Ok(())
}

/// Finds a file by its hash.
pub(crate) fn get(connection: &Connection, hash: &str) -> Result<Option<FileHash>> {
    check_not_empty("hash", hash)?;
    let mut statement = connection.prepare_cached(select!("WHERE hash = ?1"))?;
    let mut rows = statement.query([hash])?;
    rows.next()?.map(read).transpose()
}

/// Says whether a hash is recorded.
pub(crate) fn exists(connection: &Connection, hash: &str) -> Result<bool> {
    check_not_empty("hash", hash)?;
    let mut statement = connection.prepare_cached("SELECT 1 FROM file_hashes WHERE hash = ?1")?;
    Ok(statement.exists([hash])?)
}

/// Lists a chat's files in the order of their insertion.
pub(crate) fn find_by_chat(connection: &Connection, chat_id: &str) -> Result<Vec<FileHash>> {
    let mut statement = connection.prepare_cached(select!("WHERE chat_id = ?1 ORDER BY rowid"))?;
    let mut rows = statement.query([chat_id])?;
    let mut files = Vec::new();
    while let Some(row) = rows.next()? {
        files.push(read(row)?);
    }
    Ok(files)
}

/// Forgets a hash, if it is there.
pub(crate) fn delete(connection: &Connection, hash: &str) -> Result<()> {
    check_not_empty("hash", hash)?;
    connection
        .prepare_cached("DELETE FROM file_hashes WHERE hash = ?1")?
        .execute([hash])?;
    Ok(())
}
