//! Owns what a row of each table of schema version 1 can look like, for telling rows from other
//! bytes. It may not touch a database.

use super::page::Value;
use crate::record::{SessionStatus, UploadService};
use crate::timestamp;

/// A table whose rows are salvaged.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Table {
    /// `upload_sessions`.
    Sessions,
    /// `file_hashes`.
    Hashes,
    /// `upload_errors`.
    Errors,
    /// `config`.
    Settings,
    /// `schema_migrations`.
    Migrations,
}

/// Sessions before errors, which refer to them.
pub(crate) const TABLES: [Table; 5] = [
    Table::Sessions,
    Table::Hashes,
    Table::Errors,
    Table::Settings,
    Table::Migrations,
];

/// What a column may hold.
#[derive(Clone, Copy)]
enum Column {
    Text,
    OptionalText,
    /// Never below zero.
    Counter,
    OptionalCounter,
    Time,
    OptionalTime,
    Status,
    Service,
    Json,
    /// Kept as the rowid.
    Id,
}

impl Table {
    /// Returns the table's name.
    pub fn name(self) -> &'static str {
        match self {
            Self::Sessions => "upload_sessions",
            Self::Hashes => "file_hashes",
            Self::Errors => "upload_errors",
            Self::Settings => "config",
            Self::Migrations => "schema_migrations",
        }
    }

    /// The index of the table's text key, and the column that it orders.
    pub(super) fn key_index(self) -> Option<(&'static str, usize)> {
        match self {
            Self::Sessions => Some(("sqlite_autoindex_upload_sessions_1", 0)),
            Self::Hashes => Some(("sqlite_autoindex_file_hashes_1", 0)),
            Self::Settings => Some(("sqlite_autoindex_config_1", 0)),
            Self::Errors => Some(("idx_upload_errors_session_id", 1)),
            Self::Migrations => None,
        }
    }

    /// The indexes that know a row's chat, and its service or status.
    pub(super) fn hint_indexes(self) -> [Option<(&'static str, usize)>; 2] {
        match self {
            Self::Hashes => [
                Some(("idx_file_hashes_chat_id", 7)),
                Some(("idx_file_hashes_service", 5)),
            ],
            Self::Sessions => [
                Some(("idx_upload_sessions_chat_id", 1)),
                Some(("idx_upload_sessions_status", 10)),
            ],
            _ => [None, None],
        }
    }

    fn columns(self) -> &'static [Column] {
        use Column::{
            Counter, Id, Json, OptionalCounter, OptionalText, OptionalTime, Service, Status, Text,
            Time,
        };
        match self {
            Self::Sessions => &[
                Text,
                Text,
                Text,
                Time,
                Time,
                Counter,
                OptionalCounter,
                OptionalCounter,
                OptionalCounter,
                OptionalCounter,
                Status,
                OptionalText,
                OptionalTime,
            ],
            Self::Hashes => &[
                Text,
                Text,
                Text,
                Counter,
                Text,
                Service,
                OptionalText,
                Text,
                OptionalTime,
            ],
            Self::Errors => &[Id, Text, Text, Text, Text, OptionalCounter, OptionalTime],
            Self::Settings => &[Text, Json, OptionalTime],
            Self::Migrations => &[Id, OptionalTime, OptionalText],
        }
    }

    /// Says whether a record found through the table's own tree is taken for its row: what other
    /// tools wrote there stays, and the new file's constraints have the last word.
    pub(super) fn holds(self, values: &[Value]) -> bool {
        let columns = self.columns();
        values.len() == columns.len()
            && columns
                .iter()
                .zip(values)
                .all(|(column, value)| match column {
                    Column::Id => *value == Value::Null,
                    Column::Text
                    | Column::Counter
                    | Column::Time
                    | Column::Service
                    | Column::Json => *value != Value::Null,
                    _ => true,
                })
    }

    /// Says whether a record found anywhere can be a row of this table.
    pub(super) fn fits(self, rowid: i64, values: &[Value]) -> bool {
        let columns = self.columns();
        // Rows of this package count from 1.
        rowid > 0
            && values.len() == columns.len()
            && columns
                .iter()
                .zip(values)
                .all(|(column, value)| column.fits(value))
    }

    /// Finds the table that a record is a row of, by its shape alone.
    pub(super) fn of(rowid: i64, values: &[Value]) -> Option<Self> {
        TABLES.into_iter().find(|table| table.fits(rowid, values))
    }
}

impl Column {
    fn fits(self, value: &Value) -> bool {
        match (self, value) {
            (
                Self::OptionalText | Self::OptionalCounter | Self::OptionalTime | Self::Id,
                Value::Null,
            ) => true,
            (Self::Text | Self::OptionalText, Value::Text(text)) => !text.contains('\0'),
            (Self::Counter | Self::OptionalCounter, Value::Integer(counter)) => *counter >= 0,
            (Self::Time | Self::OptionalTime, Value::Text(text)) => {
                timestamp::normalize("time", text).is_ok()
            }
            (Self::Status, Value::Text(text)) => SessionStatus::parse(text).is_ok(),
            (Self::Service, Value::Text(text)) => UploadService::parse(text).is_ok(),
            (Self::Json, Value::Text(text)) => {
                serde_json::from_str::<serde::de::IgnoredAny>(text).is_ok()
            }
            _ => false,
        }
    }
}
