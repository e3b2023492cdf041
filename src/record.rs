//! Owns the records: what a row of each table is in Rust, and what a caller gives to write one.
//!
//! Field names are the columns' names, and serde's output of a record is what JavaScript sees.
//! This module may not run SQL; the tables' functions are in `ledger`.

use crate::error::{Error, Result};
use serde::Serialize;

/// The largest counter: the largest integer that a JavaScript number holds exactly (2^53-1).
pub const MAX_SAFE_INTEGER: i64 = 9_007_199_254_740_991;

/// Defines an enum that is stored as one of a fixed set of lower-case texts.
macro_rules! text_enum {
    ($(#[$doc:meta])* $name:ident, $field:literal { $($(#[$variant_doc:meta])* $variant:ident => $text:literal),+ $(,)? }) => {
        $(#[$doc])*
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
        #[serde(rename_all = "lowercase")]
        pub enum $name {
            $($(#[$variant_doc])* $variant),+
        }

        impl $name {
            /// Returns the text that is stored.
            pub fn as_str(self) -> &'static str {
                match self {
                    $(Self::$variant => $text),+
                }
            }

            /// Finds the member for a text.
            ///
            /// # Errors
            ///
            /// [`Error::InvalidArgument`] that lists the accepted texts.
            pub fn parse(text: &str) -> Result<Self> {
                match text {
                    $($text => Ok(Self::$variant),)+
                    _ => Err(Error::argument($field, concat!("is a text outside the accepted ones:", $(" '", $text, "'"),+))),
                }
            }

            pub(crate) fn is_member(text: &[u8]) -> bool {
                [$($text.as_bytes()),+].contains(&text)
            }
        }
    };
}

text_enum! {
    /// How far an upload session has come.
    SessionStatus, "status" {
        /// At work.
        Running => "running",
        /// Done.
        Completed => "completed",
        /// Stopped on purpose, to be resumed.
        Paused => "paused",
        /// Given up.
        Failed => "failed",
    }
}

text_enum! {
    /// Where a file was uploaded to.
    UploadService, "upload_service" {
        /// Google Photos.
        Photos => "photos",
        /// Google Drive.
        Drive => "drive",
    }
}

/// One run over one chat's files: a row of `upload_sessions`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct UploadSession {
    /// The session's id.
    pub id: String,
    /// The chat's id.
    pub chat_id: String,
    /// The chat's name for people.
    pub chat_name: String,
    /// When the session began.
    pub start_time: String,
    /// When the session last moved.
    pub last_update: String,
    /// How many files the session found.
    pub total_files: i64,
    /// How many of them are dealt with, in whatever way.
    pub processed_files: i64,
    /// How many were uploaded.
    pub success_count: i64,
    /// How many failed.
    pub error_count: i64,
    /// How many were uploaded before.
    pub duplicate_count: i64,
    /// How far the session has come.
    pub status: SessionStatus,
    /// The last file that was dealt with.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub last_processed_file: Option<String>,
    /// When the row was made.
    pub created_at: String,
}

/// What a caller gives to create a session; counters default to 0.
///
/// ```
/// use whatsapp_uploader_database::NewSession;
/// let session = NewSession {
///     total_files: 100,
///     ..NewSession::new("chat123", "Family Photos", "2026-01-31T12:00:00.000Z")
/// };
/// assert_eq!(session.success_count, 0);
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NewSession {
    /// The session's id; a new UUID when absent.
    pub id: Option<String>,
    /// The chat's id.
    pub chat_id: String,
    /// The chat's name for people.
    pub chat_name: String,
    /// When the session begins, ISO 8601.
    pub start_time: String,
    /// When the session last moved, ISO 8601.
    pub last_update: String,
    /// How many files the session found.
    pub total_files: i64,
    /// How many of them are dealt with.
    pub processed_files: i64,
    /// How many were uploaded.
    pub success_count: i64,
    /// How many failed.
    pub error_count: i64,
    /// How many were uploaded before.
    pub duplicate_count: i64,
    /// How far the session has come.
    pub status: SessionStatus,
    /// The last file that was dealt with.
    pub last_processed_file: Option<String>,
    /// When the row was made; now when absent.
    pub created_at: Option<String>,
}

impl NewSession {
    /// A running session that has found no files yet and begins at `start_time` (ISO 8601).
    pub fn new(
        chat_id: impl Into<String>,
        chat_name: impl Into<String>,
        start_time: impl Into<String>,
    ) -> Self {
        let start_time = start_time.into();
        Self {
            id: None,
            chat_id: chat_id.into(),
            chat_name: chat_name.into(),
            last_update: start_time.clone(),
            start_time,
            total_files: 0,
            processed_files: 0,
            success_count: 0,
            error_count: 0,
            duplicate_count: 0,
            status: SessionStatus::Running,
            last_processed_file: None,
            created_at: None,
        }
    }
}

/// The columns of a session to set; those left at `None` stay as they are.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct SessionChanges {
    /// The chat's id.
    pub chat_id: Option<String>,
    /// The chat's name for people.
    pub chat_name: Option<String>,
    /// When the session began, ISO 8601.
    pub start_time: Option<String>,
    /// When the session last moved, ISO 8601; now when absent.
    pub last_update: Option<String>,
    /// How many files the session found.
    pub total_files: Option<i64>,
    /// How many of them are dealt with.
    pub processed_files: Option<i64>,
    /// How many were uploaded.
    pub success_count: Option<i64>,
    /// How many failed.
    pub error_count: Option<i64>,
    /// How many were uploaded before.
    pub duplicate_count: Option<i64>,
    /// How far the session has come.
    pub status: Option<SessionStatus>,
    /// The last file that was dealt with; `Some(None)` clears it.
    pub last_processed_file: Option<Option<String>>,
}

/// What to add to a session's counters; negative numbers take away.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct SessionDeltas {
    /// Added to `total_files`.
    pub total_files: i64,
    /// Added to `processed_files`.
    pub processed_files: i64,
    /// Added to `success_count`.
    pub success_count: i64,
    /// Added to `error_count`.
    pub error_count: i64,
    /// Added to `duplicate_count`.
    pub duplicate_count: i64,
}

/// One uploaded file, known by its content's hash: a row of `file_hashes`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct FileHash {
    /// SHA-256 in lower-case hex by custom; any text that is not empty.
    pub hash: String,
    /// Where the file was.
    pub file_path: String,
    /// The file's name.
    pub file_name: String,
    /// The file's size, in bytes.
    pub file_size: i64,
    /// The file's media type.
    pub mime_type: String,
    /// Where it was uploaded to.
    pub upload_service: UploadService,
    /// The service's own id for it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub upload_id: Option<String>,
    /// The chat it came from.
    pub chat_id: String,
    /// When it was uploaded.
    pub uploaded_at: String,
}

/// What a caller gives to record an uploaded file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NewFileHash {
    /// SHA-256 in lower-case hex by custom; any text that is not empty.
    pub hash: String,
    /// Where the file was.
    pub file_path: String,
    /// The file's name.
    pub file_name: String,
    /// The file's size, in bytes.
    pub file_size: i64,
    /// The file's media type.
    pub mime_type: String,
    /// Where it was uploaded to.
    pub upload_service: UploadService,
    /// The service's own id for it.
    pub upload_id: Option<String>,
    /// The chat it came from.
    pub chat_id: String,
    /// When it was uploaded, ISO 8601; now when absent.
    pub uploaded_at: Option<String>,
}

/// What to do when a file's hash is recorded already.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum OnConflict {
    /// Fail and change nothing.
    #[default]
    Fail,
    /// Keep the row that is there.
    Ignore,
    /// Overwrite the row that is there, in its place.
    Replace,
}

/// What became of a record of many.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Added {
    /// A row was written: a new one, or the one that was there ([`OnConflict::Replace`]).
    Written,
    /// The row that was there was kept ([`OnConflict::Ignore`]).
    Ignored,
}

/// One failure of one file: a row of `upload_errors`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct UploadError {
    /// The error's id.
    pub id: i64,
    /// The session it happened in.
    pub session_id: String,
    /// The file it happened to.
    pub file_path: String,
    /// The caller's class of error.
    pub error_type: String,
    /// The caller's description.
    pub error_message: String,
    /// How many times the file was tried again.
    pub retry_count: i64,
    /// When it happened.
    pub timestamp: String,
}

/// What a caller gives to log an error.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NewUploadError {
    /// The session it happened in.
    pub session_id: String,
    /// The file it happened to.
    pub file_path: String,
    /// The caller's class of error.
    pub error_type: String,
    /// The caller's description.
    pub error_message: String,
    /// How many times the file was tried again.
    pub retry_count: i64,
}

/// One setting: a row of `config`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct ConfigRecord {
    /// The setting's name.
    pub key: String,
    /// The setting's value as JSON text.
    pub value: String,
    /// When it was set.
    pub updated_at: String,
}

/// One applied migration: a row of `schema_migrations`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct SchemaVersion {
    /// The version.
    pub version: i64,
    /// When it was applied.
    pub applied_at: String,
    /// What it does.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub description: Option<String>,
}

/// What the ledger holds, in numbers.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct DatabaseStats {
    /// Sessions of any status.
    pub total_sessions: i64,
    /// Sessions that are `running`.
    pub active_sessions: i64,
    /// Rows of `file_hashes`: distinct uploaded files.
    pub total_files: i64,
    /// The sum of the sessions' `success_count`.
    pub successful_uploads: i64,
    /// The sum of the sessions' `error_count`.
    pub failed_uploads: i64,
    /// The sum of the sessions' `duplicate_count`.
    pub duplicates_found: i64,
    /// Pages times page size, in bytes.
    pub database_size: i64,
    /// When `vacuum` last ended.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub last_vacuum: Option<String>,
    /// The size of the write-ahead log's file, in bytes.
    pub wal_size: i64,
}

/// How far a copy of a database is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub struct CopyProgress {
    /// Pages that are copied. It goes back when a file without write-ahead logging was written to
    /// meanwhile, since the copy then begins again.
    pub copied_pages: i64,
    /// All pages of the database.
    pub total_pages: i64,
}

/// What became of a backup.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct BackupReport {
    /// The backup's absolute path.
    pub path: String,
    /// Its size, in bytes.
    pub bytes: i64,
    /// Its pages.
    pub pages: i64,
}

/// What a restore is at.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum RestorePhase {
    /// Taking the rows out of the other file; counted in rows.
    Reading,
    /// Copying what the ledger holds until now; counted in pages.
    Keeping,
    /// Writing into the ledger; counted in pages.
    Writing,
}

impl RestorePhase {
    /// Returns the name that JavaScript sees.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Reading => "reading",
            Self::Keeping => "keeping",
            Self::Writing => "writing",
        }
    }
}

/// How far a restore is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub struct RestoreProgress {
    /// What it is at.
    pub phase: RestorePhase,
    /// How many rows or pages are done.
    pub done: i64,
    /// How many there are.
    pub total: i64,
}

/// What became of a table's rows.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
pub struct RestoredRows {
    /// Rows that are in the ledger now.
    pub restored: i64,
    /// Rows that the ledger's rules do not accept, which are only in the other file.
    pub skipped: i64,
}

/// What became of each table's rows.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
pub struct RestoredTables {
    /// Sessions.
    pub upload_sessions: RestoredRows,
    /// Files.
    pub file_hashes: RestoredRows,
    /// Errors.
    pub upload_errors: RestoredRows,
    /// Settings.
    pub config: RestoredRows,
}

/// What became of a restore.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct RestoreReport {
    /// Where what the ledger held before is kept; nowhere for a database in memory.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub kept: Option<String>,
    /// What became of the rows.
    pub tables: RestoredTables,
}

/// Checks that a counter is an integer from 0 to [`MAX_SAFE_INTEGER`].
pub(crate) fn check_counter(field: &str, value: i64) -> Result<i64> {
    if (0..=MAX_SAFE_INTEGER).contains(&value) {
        Ok(value)
    } else {
        Err(Error::argument(
            field,
            "is a number out of range; give a whole number from 0 to 2^53-1",
        ))
    }
}

/// Checks that a text is not empty.
pub(crate) fn check_not_empty<'a>(field: &str, text: &'a str) -> Result<&'a str> {
    if text.is_empty() {
        Err(Error::argument(field, "is an empty string; give a text"))
    } else {
        Ok(text)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_texts_of_an_enum_go_both_ways() {
        for status in ["running", "completed", "paused", "failed"] {
            let parsed = SessionStatus::parse(status).unwrap();
            assert_eq!(parsed.as_str(), status);
            assert_eq!(serde_json::to_value(parsed).unwrap(), status);
        }
        let error = UploadService::parse("Photos").unwrap_err().to_string();
        assert_eq!(
            error,
            "upload_service is a text outside the accepted ones: 'photos' 'drive'"
        );
    }

    #[test]
    fn counters_and_empty_texts_are_checked() {
        assert_eq!(check_counter("n", 0).unwrap(), 0);
        assert!(check_counter("n", MAX_SAFE_INTEGER).is_ok());
        assert!(check_counter("n", MAX_SAFE_INTEGER + 1).is_err());
        assert!(check_counter("n", -1).is_err());
        assert!(check_not_empty("hash", "").is_err());
    }
}
