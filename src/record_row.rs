//! Owns reading one column of one row, with an error that names it when it cannot mean what it
//! must: another tool may have written the file.

use crate::error::{Error, Result};
use crate::record::MAX_SAFE_INTEGER;
use crate::timestamp;
use rusqlite::Row;
use rusqlite::types::{Type, ValueRef};

/// A row of `table`, read by column position; `columns` are its names in that order.
pub(crate) struct RecordRow<'row> {
    row: &'row Row<'row>,
    table: &'static str,
    columns: &'static [&'static str],
}

impl<'row> RecordRow<'row> {
    pub(crate) fn new(
        row: &'row Row<'row>,
        table: &'static str,
        columns: &'static [&'static str],
    ) -> Self {
        Self {
            row,
            table,
            columns,
        }
    }

    fn invalid(&self, index: usize, found: impl Into<String>) -> Error {
        Error::InvalidData {
            table: self.table,
            column: self.columns[index],
            found: found.into(),
        }
    }

    fn invalid_type(&self, index: usize, value: ValueRef<'_>) -> Error {
        let found = match value.data_type() {
            Type::Null => "NULL",
            Type::Integer => "an integer",
            Type::Real => "a real number",
            Type::Text => "a text",
            Type::Blob => "a blob",
        };
        self.invalid(index, found)
    }

    /// Reads a text that may be NULL.
    pub(crate) fn optional_text(&self, index: usize) -> Result<Option<String>> {
        match self.row.get_ref(index)? {
            ValueRef::Null => Ok(None),
            ValueRef::Text(bytes) => match std::str::from_utf8(bytes) {
                Ok(text) => Ok(Some(text.to_owned())),
                Err(_) => Err(self.invalid(index, "a text that is not valid UTF-8")),
            },
            other => Err(self.invalid_type(index, other)),
        }
    }

    /// Reads a text.
    pub(crate) fn text(&self, index: usize) -> Result<String> {
        self.optional_text(index)?
            .ok_or_else(|| self.invalid_type(index, ValueRef::Null))
    }

    /// Reads a time, in the canonical form when it can be understood.
    pub(crate) fn time(&self, index: usize) -> Result<String> {
        Ok(timestamp::from_stored(self.text(index)?))
    }

    /// Reads a counter; NULL, which version 1 allows, is 0.
    pub(crate) fn counter(&self, index: usize) -> Result<i64> {
        match self.row.get_ref(index)? {
            ValueRef::Null => Ok(0),
            ValueRef::Integer(value) if value.unsigned_abs() <= MAX_SAFE_INTEGER as u64 => {
                Ok(value)
            }
            ValueRef::Integer(_) => Err(self.invalid(index, "an integer beyond 2^53-1")),
            other => Err(self.invalid_type(index, other)),
        }
    }

    /// Reads a text of a fixed set.
    pub(crate) fn member<T>(&self, index: usize, parse: impl Fn(&str) -> Result<T>) -> Result<T> {
        parse(&self.text(index)?)
            .map_err(|_| self.invalid(index, "a text outside the accepted ones"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::record::SessionStatus;
    use rusqlite::Connection;

    const COLUMNS: &[&str] = &["c"];

    fn read<T>(sql: &str, read: impl Fn(&RecordRow<'_>) -> Result<T>) -> Result<T> {
        let connection = Connection::open_in_memory().unwrap();
        let mut statement = connection.prepare(sql).unwrap();
        let mut rows = statement.query([]).unwrap();
        let row = rows.next().unwrap().unwrap();
        read(&RecordRow::new(row, "t", COLUMNS))
    }

    #[test]
    fn what_a_column_cannot_mean_is_named_but_not_shown() {
        let message = |sql: &str| read(sql, |row| row.text(0)).unwrap_err().to_string();
        assert!(message("SELECT NULL").starts_with("t.c holds NULL"));
        assert!(message("SELECT 7").starts_with("t.c holds an integer"));
        assert!(message("SELECT 1.5").starts_with("t.c holds a real number"));
        assert!(message("SELECT x'00'").starts_with("t.c holds a blob"));
        assert!(
            message("SELECT CAST(x'ff' AS TEXT)")
                .starts_with("t.c holds a text that is not valid UTF-8")
        );
        assert!(read("SELECT 9007199254740992", |row| row.counter(0)).is_err());
        assert!(read("SELECT 'many'", |row| row.counter(0)).is_err());
        let error = read("SELECT 'asleep'", |row| row.member(0, SessionStatus::parse)).unwrap_err();
        assert_eq!(error.code(), "DB_INVALID_DATA");
        assert!(!error.to_string().contains("asleep"));
    }

    #[test]
    fn what_a_column_may_mean_is_read() {
        assert_eq!(
            read("SELECT NULL", |row| row.optional_text(0)).unwrap(),
            None
        );
        assert_eq!(read("SELECT NULL", |row| row.counter(0)).unwrap(), 0);
        assert_eq!(
            read("SELECT 9007199254740991", |row| row.counter(0)).unwrap(),
            MAX_SAFE_INTEGER
        );
        assert_eq!(
            read("SELECT 'a' || char(0) || 'b'", |row| row.text(0)).unwrap(),
            "a\0b"
        );
        assert_eq!(
            read("SELECT '2026-01-31 12:00:00'", |row| row.time(0)).unwrap(),
            "2026-01-31T12:00:00.000Z"
        );
    }
}
