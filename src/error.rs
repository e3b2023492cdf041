//! Owns the crate's one error type: its kinds, their codes and their wording.
//!
//! It may not know napi, and no message may hold a bound value, a setting's value or a whole SQL
//! text: they may be secrets. A message says what is wrong and what to do about it; the caller
//! knows what it attempted (the Node layer puts the method's name in front).

use crate::{sqlite_code, wording};
use std::path::PathBuf;

/// The result of this crate's functions.
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// What can go wrong, each kind with a [code](Error::code).
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// SQLite refused or failed.
    #[error("{message}{}", advice(*.extended_code))]
    Sqlite {
        /// SQLite's extended result code.
        extended_code: i32,
        /// SQLite's own message, with quoted fragments of the SQL cut short.
        message: String,
    },
    /// The configuration has problems; all of them are listed.
    #[error("the configuration is not valid: {}; correct each and try again", problems.join("; "))]
    InvalidConfig {
        /// One sentence a problem.
        problems: Vec<String>,
    },
    /// A caller's value was refused before any SQL ran.
    #[error("{field} {problem}")]
    InvalidArgument {
        /// The field or parameter.
        field: String,
        /// What is wrong with it and what is expected.
        problem: String,
    },
    /// The record to change does not exist.
    #[error("there is no such {record}, and nothing was done; check its id, or create it first")]
    NotFound {
        /// The kind of record, such as `upload session`.
        record: &'static str,
    },
    /// A row in the file holds something that its column cannot mean.
    #[error(
        "{table}.{column} holds {found}, which this version cannot read; \
         another tool may have written it. Correct that row"
    )]
    InvalidData {
        /// The table.
        table: &'static str,
        /// The column.
        column: &'static str,
        /// The kind of value that was found, never the value.
        found: String,
    },
    /// The database file does not exist and was not to be created.
    #[error("there is no database file at {}; check the path, or allow `create`", path.display())]
    FileMissing {
        /// Where it was looked for.
        path: PathBuf,
    },
    /// The folder that should hold the database does not exist.
    #[error(
        "the folder {} does not exist, so the database file cannot be created in it; \
         create the folder first",
        folder.display()
    )]
    FolderMissing {
        /// The missing folder.
        folder: PathBuf,
    },
    /// The path names a folder or a special file.
    #[error("{} is not a regular file; give the path of a database file", path.display())]
    NotAFile {
        /// The path.
        path: PathBuf,
    },
    /// The path's last part is a symbolic link, which nothing is written or read through.
    #[error(
        "{} is a symbolic link, and what it points to was left alone; give the path of a regular \
         file",
        path.display()
    )]
    SymbolicLink {
        /// The path.
        path: PathBuf,
    },
    /// A file is where another should come to be.
    #[error(
        "{} is there already and is no database; allow `overwrite`, or give another path",
        path.display()
    )]
    FileExists {
        /// The path.
        path: PathBuf,
    },
    /// The file is in use, or may be.
    #[error("{} is in use: {problem}", path.display())]
    InUse {
        /// The file.
        path: PathBuf,
        /// What tells so, and what to do.
        problem: String,
    },
    /// A file's rows cannot be brought into the ledger.
    #[error(
        "the file to restore from cannot be used: {problem}; nothing was changed. Give a backup of \
         a ledger"
    )]
    NotRestorable {
        /// What is wrong with it.
        problem: String,
    },
    /// The operating system refused to look at or create the file.
    #[error("{} could not be used: {source}", path.display())]
    FileAccess {
        /// The path.
        path: PathBuf,
        /// The operating system's reason.
        source: std::io::Error,
    },
    /// The journal mode that was asked for could not be set.
    #[error(
        "the database at {} cannot use the {wanted} journal mode here (it stays in {found}); \
         {}",
        path.display(),
        journal_advice(wanted)
    )]
    JournalMode {
        /// The database file.
        path: PathBuf,
        /// The journal mode that was asked for.
        wanted: &'static str,
        /// What SQLite answered.
        found: String,
    },
    /// The tables of this file are missing.
    #[error("the ledger's tables are not in this database; initialize its schema first")]
    SchemaMissing,
    /// The file was written by a newer version of this package.
    #[error(
        "the database has schema version {found}, newer than {supported}, the newest that this \
         version knows; update the package, nothing was changed"
    )]
    SchemaTooNew {
        /// The file's version.
        found: i64,
        /// The newest version known here.
        supported: i64,
    },
    /// An object of the schema exists in another form.
    #[error(
        "{object} exists already and differs from schema version 1; \
         rename or remove it, or use another file. Nothing was changed"
    )]
    SchemaMismatch {
        /// The table or index.
        object: String,
    },
    /// The list of migrations, or the file's history against it, is out of order.
    #[error("the migrations are out of order: {problem}; nothing was changed")]
    MigrationOrder {
        /// What is out of order.
        problem: String,
    },
    /// One migration step failed; it was rolled back whole.
    #[error(
        "migration {version} ({description}) failed and was rolled back: {source}; \
         the database is as it was before this step"
    )]
    Migration {
        /// The step's version.
        version: i64,
        /// The step's description.
        description: String,
        /// Why it failed.
        source: Box<Error>,
    },
    /// Rows refer to rows that do not exist.
    #[error(
        "{count} row(s) of {table} refer to rows that do not exist; \
         repair or delete them before the change can be committed"
    )]
    ForeignKey {
        /// The first table with such rows.
        table: String,
        /// How many rows in all tables.
        count: usize,
    },
    /// Another part of this process holds the write lock across awaits.
    #[error("{0}")]
    Busy(String),
    /// The connection is closed.
    #[error("the connection is closed; open another")]
    Closed,
    /// The call is not possible inside, or outside, a transaction.
    #[error("{0}")]
    TransactionState(&'static str),
    /// An iterator of the same connection is open.
    #[error(
        "an iterator of this connection is still open, and a write could change what it has yet \
         to read; end the loop first, or read the rows with all()"
    )]
    IteratorOpen,
    /// A stored text is not text.
    #[error(
        "column {column} holds a text that is not valid UTF-8; \
         read it as bytes: CAST(column AS BLOB)"
    )]
    InvalidText {
        /// The column of the result.
        column: String,
    },
    /// A stored integer does not fit a JavaScript number.
    #[error(
        "{what} is an integer beyond 2^53-1, which a JavaScript number cannot hold exactly; \
         read it as text: CAST(column AS TEXT)"
    )]
    IntegerRange {
        /// The column, or `lastInsertRowid`.
        what: String,
    },
    /// A damaged file holds nothing of a ledger.
    #[error(
        "nothing of a ledger could be found in {}, so it was left as it is; \
         check that this is the right file, or restore a backup",
        path.display()
    )]
    NothingToRepair {
        /// The database file.
        path: PathBuf,
    },
    /// A defect of this package.
    #[error(
        "an internal error was caught ({0}); please report it. The database is untouched by it"
    )]
    Internal(String),
}

/// What to do about an SQLite failure, by its primary code.
fn advice(extended_code: i32) -> &'static str {
    match extended_code {
        1555 | 2067 => "; a row with this key is there already, which was kept as it is",
        23 => "; this statement is not possible here, leave it out",
        787 => "; it refers to a row that does not exist, create that first",
        _ => primary_advice(extended_code & 0xff),
    }
}

fn primary_advice(code: i32) -> &'static str {
    match code {
        5 | 6 => "; another connection holds the lock, try again",
        8 => "; the database or its folder is read-only, check the permissions",
        10 => "; the disk or file system failed, check it and try again",
        11 => {
            "; the file is damaged: call repair() to get its rows into a new one, or restore a \
             backup. It is never repaired, deleted or made anew by itself"
        }
        13 => "; free some disk space and try again, nothing of this call was written",
        14 => "; check that the path, its folder and their permissions allow it",
        26 => {
            "; either the path names another kind of file, so check it first, or its first page is \
             damaged: then call repair() to get its rows into a new one, or restore a backup"
        }
        _ => "",
    }
}

fn journal_advice(wanted: &str) -> &'static str {
    if wanted == "wal" {
        "move it to a local file system, or set enableWAL to false"
    } else {
        "close every other connection to it and try again"
    }
}

impl Error {
    /// A refusal of a caller's value.
    pub(crate) fn argument(field: impl Into<String>, problem: impl Into<String>) -> Self {
        Self::InvalidArgument {
            field: field.into(),
            problem: problem.into(),
        }
    }

    /// Says of which of many records a refused field is.
    pub(crate) fn within(self, place: &str) -> Self {
        match self {
            Self::InvalidArgument { field, problem } => Self::InvalidArgument {
                field: format!("{place}.{field}"),
                problem,
            },
            other => other,
        }
    }

    /// Returns the stable code: SQLite's own name, or one of ours (`DB_*`).
    ///
    /// ```
    /// use whatsapp_uploader_database::Error;
    /// assert_eq!(Error::SchemaMissing.code(), "DB_SCHEMA_MISSING");
    /// ```
    pub fn code(&self) -> &'static str {
        match self {
            Self::Sqlite { extended_code, .. } => sqlite_code::name(*extended_code),
            Self::InvalidConfig { .. } => "DB_INVALID_CONFIG",
            Self::InvalidArgument { .. } => "DB_INVALID_ARGUMENT",
            Self::NotFound { .. } => "DB_NOT_FOUND",
            Self::InvalidData { .. } | Self::InvalidText { .. } => "DB_INVALID_DATA",
            Self::FileMissing { .. } => "DB_FILE_MISSING",
            Self::FolderMissing { .. } => "DB_FOLDER_MISSING",
            Self::NotAFile { .. } | Self::SymbolicLink { .. } => "DB_NOT_A_FILE",
            Self::FileExists { .. } => "DB_FILE_EXISTS",
            Self::InUse { .. } => "DB_IN_USE",
            Self::NotRestorable { .. } => "DB_NOT_RESTORABLE",
            Self::FileAccess { .. } => "DB_FILE_ACCESS",
            Self::JournalMode { .. } => "DB_JOURNAL_MODE",
            Self::SchemaMissing => "DB_SCHEMA_MISSING",
            Self::SchemaTooNew { .. } => "DB_SCHEMA_TOO_NEW",
            Self::SchemaMismatch { .. } => "DB_SCHEMA_MISMATCH",
            Self::MigrationOrder { .. } => "DB_MIGRATION_ORDER",
            Self::Migration { .. } => "DB_MIGRATION_FAILED",
            Self::ForeignKey { .. } => "SQLITE_CONSTRAINT_FOREIGNKEY",
            Self::Busy(_) => "DB_BUSY",
            Self::Closed => "DB_CLOSED",
            Self::TransactionState(_) => "DB_TRANSACTION_STATE",
            Self::IteratorOpen => "DB_ITERATOR_OPEN",
            Self::IntegerRange { .. } => "DB_INTEGER_RANGE",
            Self::NothingToRepair { .. } => "DB_NOTHING_TO_REPAIR",
            Self::Internal(_) => "DB_INTERNAL",
        }
    }

    /// Returns SQLite's extended result code, when SQLite is where the error came from.
    pub fn errno(&self) -> Option<i32> {
        match self {
            Self::Sqlite { extended_code, .. } => Some(*extended_code),
            Self::Migration { source, .. } => source.errno(),
            Self::ForeignKey { .. } => Some(rusqlite::ffi::SQLITE_CONSTRAINT_FOREIGNKEY),
            _ => None,
        }
    }

    /// Says whether the same call may succeed when it is made again a little later.
    pub fn is_retryable(&self) -> bool {
        match self {
            Self::Busy(_) => true,
            Self::Migration { source, .. } => source.is_retryable(),
            Self::Sqlite { .. } => self.is_busy(),
            _ => false,
        }
    }

    /// Says whether another connection's lock was met (`SQLITE_BUSY` or `SQLITE_LOCKED`).
    pub fn is_busy(&self) -> bool {
        matches!(self, Self::Sqlite { extended_code, .. } if matches!(extended_code & 0xff, 5 | 6))
    }
}

impl Error {
    /// An error of preparing a caller's SQL: nothing is bound yet, so SQLite's message can hold
    /// nothing but parts of that SQL.
    pub(crate) fn of_sql(error: rusqlite::Error) -> Self {
        match error {
            rusqlite::Error::SqliteFailure(failure, Some(message)) => Self::Sqlite {
                extended_code: failure.extended_code,
                message: wording::without_texts(&message),
            },
            other => Self::from(other),
        }
    }
}

impl From<rusqlite::Error> for Error {
    fn from(error: rusqlite::Error) -> Self {
        use rusqlite::Error as Source;
        match error {
            // A message of a running statement may hold a bound value: only known ones pass.
            Source::SqliteFailure(failure, message) => Self::Sqlite {
                extended_code: failure.extended_code,
                message: match message {
                    Some(message) if wording::is_known(&message) => message,
                    _ => rusqlite::ffi::code_to_str(failure.extended_code).to_owned(),
                },
            },
            // Its Display holds the whole SQL text: only the message may travel.
            Source::SqlInputError { error, msg, .. } => Self::Sqlite {
                extended_code: error.extended_code,
                message: wording::without_texts(&msg),
            },
            Source::MultipleStatement => {
                Self::argument("sql", "holds more than one statement; give one at a time")
            }
            Source::Empty => Self::argument("sql", "holds no statement"),
            other => Self::Internal(other.to_string()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sqlite(extended_code: i32) -> Error {
        Error::Sqlite {
            extended_code,
            message: "x".into(),
        }
    }

    #[test]
    fn only_locks_are_retryable() {
        assert!(sqlite(5).is_retryable());
        assert!(sqlite(261).is_retryable());
        assert!(sqlite(6).is_retryable());
        assert!(Error::Busy(String::new()).is_retryable());
        for code in [1, 8, 10, 11, 13, 14, 19, 26] {
            assert!(!sqlite(code).is_retryable(), "{code}");
        }
        let step = Error::Migration {
            version: 2,
            description: "d".into(),
            source: Box::new(sqlite(5)),
        };
        assert!(step.is_retryable());
        assert_eq!(step.errno(), Some(5));
        assert_eq!(step.code(), "DB_MIGRATION_FAILED");
    }

    #[test]
    fn sql_text_does_not_travel_in_an_error() {
        let connection = rusqlite::Connection::open_in_memory().unwrap();
        let error = connection
            .prepare("SELECT absent FROM sqlite_schema WHERE name = 'secret'")
            .unwrap_err();
        let error = Error::from(error);
        assert_eq!(error.to_string(), "no such column: absent");
        assert_eq!(error.code(), "SQLITE_ERROR");
        let error = Error::from(connection.prepare("SELECT 1; SELECT 2").unwrap_err());
        assert_eq!(error.code(), "DB_INVALID_ARGUMENT");
        let error = Error::from(connection.prepare("-- nothing").unwrap_err());
        assert_eq!(error.code(), "DB_INVALID_ARGUMENT");
    }
}
