//! Owns the table `file_hashes`: which contents are uploaded already.

use super::visit::{self, Visit};
use crate::error::Result;
use crate::kept_statement::KeepingConnection;
use crate::page::{Cursor, Page};
use crate::record::{
    Added, FileHash, NewFileHash, OnConflict, UploadService, check_counter, check_not_empty,
};
use crate::record_row::{Column, Meaning, RecordRow, Table};
use crate::timestamp;

/// The columns in the order in which every statement here reads and writes them.
pub(super) const TABLE: &Table = &Table {
    name: "file_hashes",
    columns: &[
        Column("hash", Meaning::Text),
        Column("file_path", Meaning::Text),
        Column("file_name", Meaning::Text),
        Column("file_size", Meaning::Counter),
        Column("mime_type", Meaning::Text),
        Column("upload_service", Meaning::Member(UploadService::is_member)),
        Column("upload_id", Meaning::OptionalText),
        Column("chat_id", Meaning::Text),
        Column("uploaded_at", Meaning::Time),
    ],
};

macro_rules! select {
    ($rest:literal) => {
        select!("", $rest)
    };
    ($more:literal, $rest:literal) => {
        concat!(
            "SELECT hash, file_path, file_name, file_size, mime_type, upload_service, upload_id, \
             chat_id, uploaded_at",
            $more,
            " FROM file_hashes ",
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

fn read(row: &RecordRow<'_>) -> Result<FileHash> {
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

static INSERT: &str = insert!("");
static INSERT_OR_KEEP: &str = insert!(" ON CONFLICT (hash) DO NOTHING");
static INSERT_OR_REPLACE: &str = insert!(
    " ON CONFLICT (hash) DO UPDATE SET file_path = excluded.file_path, \
     file_name = excluded.file_name, file_size = excluded.file_size, \
     mime_type = excluded.mime_type, upload_service = excluded.upload_service, \
     upload_id = excluded.upload_id, chat_id = excluded.chat_id, \
     uploaded_at = excluded.uploaded_at"
);
static EXISTS: &str = "SELECT 1 FROM file_hashes WHERE hash = ?1";
static GET: &str = select!("WHERE hash = ?1");
static LIST: &str = select!("WHERE chat_id = ?1 ORDER BY rowid");
static PAGE: &str = select!(", rowid", "WHERE rowid > ?1 ORDER BY rowid LIMIT ?2");
static PAGE_OF_CHAT: &str = select!(
    ", rowid",
    "WHERE rowid > ?1 AND chat_id = ?3 ORDER BY rowid LIMIT ?2"
);

/// What [`add`] writes, borrowed from whoever has it.
#[derive(Debug, Clone, Copy)]
pub(crate) struct NewRow<'a> {
    pub(crate) hash: &'a str,
    pub(crate) file_path: &'a str,
    pub(crate) file_name: &'a str,
    pub(crate) file_size: i64,
    pub(crate) mime_type: &'a str,
    pub(crate) upload_service: UploadService,
    pub(crate) upload_id: Option<&'a str>,
    pub(crate) chat_id: &'a str,
    pub(crate) uploaded_at: Option<&'a str>,
}

impl<'a> From<&'a NewFileHash> for NewRow<'a> {
    fn from(file: &'a NewFileHash) -> Self {
        Self {
            hash: &file.hash,
            file_path: &file.file_path,
            file_name: &file.file_name,
            file_size: file.file_size,
            mime_type: &file.mime_type,
            upload_service: file.upload_service,
            upload_id: file.upload_id.as_deref(),
            chat_id: &file.chat_id,
            uploaded_at: file.uploaded_at.as_deref(),
        }
    }
}

/// Records an uploaded file, and says whether a row was written.
///
/// Replacing keeps the row's place in the order of insertion.
pub(crate) fn add(
    connection: &KeepingConnection,
    file: &NewRow<'_>,
    on_conflict: OnConflict,
) -> Result<Added> {
    let hash = check_not_empty("hash", file.hash)?;
    let file_size = check_counter("file_size", file.file_size)?;
    let uploaded_at = match file.uploaded_at {
        Some(text) => timestamp::normalize("uploaded_at", text)?,
        None => timestamp::now(),
    };
    let sql = match on_conflict {
        OnConflict::Fail => INSERT,
        OnConflict::Ignore => INSERT_OR_KEEP,
        OnConflict::Replace => INSERT_OR_REPLACE,
    };
    let changed = connection.run(sql, |run| {
        run.bind(&[
            hash.into(),
            file.file_path.into(),
            file.file_name.into(),
            file_size.into(),
            file.mime_type.into(),
            file.upload_service.as_str().into(),
            file.upload_id.into(),
            file.chat_id.into(),
            uploaded_at.as_str().into(),
        ])?;
        run.execute()
    })?;
    Ok(if changed == 0 {
        Added::Ignored
    } else {
        Added::Written
    })
}

/// Finds a file by its hash.
pub(crate) fn get(connection: &KeepingConnection, hash: &str) -> Result<Option<FileHash>> {
    visit_one(connection, hash, read)
}

/// Visits the file of a hash, if it is there.
pub(crate) fn visit_one<T>(
    connection: &KeepingConnection,
    hash: &str,
    visit: impl FnOnce(&RecordRow<'_>) -> Result<T>,
) -> Result<Option<T>> {
    check_not_empty("hash", hash)?;
    visit::visit_one(connection, GET, hash.into(), TABLE, visit)
}

/// Says whether a hash is recorded.
pub(crate) fn exists(connection: &KeepingConnection, hash: &str) -> Result<bool> {
    check_not_empty("hash", hash)?;
    connection.run(EXISTS, |run| {
        run.bind(&[hash.into()])?;
        run.step()
    })
}

/// Says of each of many hashes whether it is recorded.
///
/// They are looked up in the order of the index: neighbours are on the same pages.
pub(crate) fn find_uploaded(connection: &KeepingConnection, hashes: &[&str]) -> Result<Vec<bool>> {
    let mut order = Vec::with_capacity(hashes.len());
    for (index, hash) in hashes.iter().enumerate() {
        if hash.is_empty() {
            check_not_empty(&format!("hashes[{index}]"), hash)?;
        }
        order.push((leading_bytes(hash), index));
    }
    order.sort_unstable_by(|(left, a), (right, b)| {
        left.cmp(right).then_with(|| hashes[*a].cmp(hashes[*b]))
    });
    let mut found = vec![false; hashes.len()];
    connection.run(EXISTS, |run| {
        for (_, index) in order {
            run.bind(&[hashes[index].into()])?;
            found[index] = run.step()?;
        }
        Ok(found)
    })
}

/// A text's first bytes as a number that sorts as they do.
fn leading_bytes(text: &str) -> u64 {
    let mut bytes = [0; 8];
    let length = text.len().min(8);
    bytes[..length].copy_from_slice(&text.as_bytes()[..length]);
    u64::from_be_bytes(bytes)
}

/// Lists a chat's files in the order of their insertion.
pub(crate) fn find_by_chat(connection: &KeepingConnection, chat_id: &str) -> Result<Vec<FileHash>> {
    let mut files = Vec::new();
    visit_by_chat(connection, chat_id, visit::collect(&mut files, read))?;
    Ok(files)
}

/// Visits a chat's files in the order of their insertion.
pub(crate) fn visit_by_chat(
    connection: &KeepingConnection,
    chat_id: &str,
    visit: impl Visit,
) -> Result<()> {
    visit::visit_all(connection, LIST, &[chat_id.into()], TABLE, visit)
}

/// Reads a page of a chat's files, or of all, in the order of their insertion.
pub(crate) fn page(
    connection: &KeepingConnection,
    chat_id: Option<&str>,
    after: Option<&Cursor>,
    limit: usize,
) -> Result<Page<FileHash>> {
    let mut records = Vec::new();
    let visit = visit::collect(&mut records, read);
    let next = visit_page(connection, chat_id, after, limit, visit)?;
    Ok(Page { records, next })
}

/// Visits a page of a chat's files, or of all, in the order of their insertion; answers where the
/// next page begins.
pub(crate) fn visit_page(
    connection: &KeepingConnection,
    chat_id: Option<&str>,
    after: Option<&Cursor>,
    limit: usize,
    visit: impl Visit,
) -> Result<Option<Cursor>> {
    let sql = "SELECT rowid FROM file_hashes WHERE hash = ?1";
    let place = after.map(|cursor| visit::find_place(connection, sql, cursor, "file hash"));
    let after = place.transpose()?.map_or(i64::MIN, |place| place.rowid);
    let mut values = vec![after.into(), visit::sql_limit(limit).into()];
    let sql = match chat_id {
        Some(chat_id) => {
            values.push(chat_id.into());
            PAGE_OF_CHAT
        }
        None => PAGE,
    };
    visit::visit_page(connection, sql, &values, TABLE, limit, visit)
}

/// Forgets a hash, if it is there.
pub(crate) fn delete(connection: &KeepingConnection, hash: &str) -> Result<()> {
    check_not_empty("hash", hash)?;
    connection
        .prepare_cached("DELETE FROM file_hashes WHERE hash = ?1")?
        .execute([hash])?;
    Ok(())
}
