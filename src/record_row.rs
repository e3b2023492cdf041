//! Owns reading one column of one row, with an error that names it when it cannot mean what it
//! must: another tool may have written the file.

use crate::error::{Error, Result};
use crate::kept_statement::KeptRow;
use crate::record::MAX_SAFE_INTEGER;
use crate::timestamp;
use rusqlite::Row;
use rusqlite::types::{Type, ValueRef};

/// A table whose rows are records.
#[derive(Debug)]
pub(crate) struct Table {
    pub(crate) name: &'static str,
    /// The columns in the order in which every statement reads them.
    pub(crate) columns: &'static [Column],
}

/// A column's name, and what its values mean.
#[derive(Debug)]
pub(crate) struct Column(pub(crate) &'static str, pub(crate) Meaning);

/// What the values of a column mean.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Meaning {
    Text,
    OptionalText,
    Time,
    Counter,
    /// A text of a fixed set.
    Member(fn(&[u8]) -> bool),
}

/// Takes a record's columns, one after the other.
pub(crate) trait CellWriter {
    fn absent(&mut self);

    /// Takes a text, and says whether it is valid UTF-8.
    fn text(&mut self, text: &[u8]) -> Result<bool>;

    fn counter(&mut self, counter: i64) -> Result<()>;
}

/// A row of a table, read by column position.
pub(crate) struct RecordRow<'row> {
    source: Source<'row>,
    table: &'static Table,
}

/// What stands on the row.
enum Source<'row> {
    Row(&'row Row<'row>),
    Kept(KeptRow<'row>),
}

impl<'row> RecordRow<'row> {
    pub(crate) fn new(row: &'row Row<'row>, table: &'static Table) -> Self {
        Self {
            source: Source::Row(row),
            table,
        }
    }

    pub(crate) fn of_kept(row: KeptRow<'row>, table: &'static Table) -> Self {
        Self {
            source: Source::Kept(row),
            table,
        }
    }

    fn value(&self, index: usize) -> Result<ValueRef<'row>> {
        match self.source {
            Source::Row(row) => Ok(row.get_ref(index)?),
            Source::Kept(row) => row.value(index),
        }
    }

    /// Reads the first column, by which records are told apart, as text.
    pub(crate) fn key(&self) -> Result<String> {
        match self.value(0)? {
            ValueRef::Integer(id) => Ok(id.to_string()),
            _ => self.text(0),
        }
    }

    /// Writes the columns one after the other, each by its meaning, checked as the functions
    /// below do.
    pub(crate) fn write(&self, writer: &mut impl CellWriter) -> Result<()> {
        for (index, Column(_, meaning)) in self.table.columns.iter().enumerate() {
            let is_valid = match (self.value(index)?, meaning) {
                (ValueRef::Text(text), Meaning::Text | Meaning::OptionalText) => {
                    writer.text(text)?
                }
                (ValueRef::Text(text), Meaning::Time) if timestamp::is_canonical(text) => {
                    writer.text(text)?
                }
                (ValueRef::Text(text), Meaning::Member(is_member)) if is_member(text) => {
                    writer.text(text)?
                }
                (ValueRef::Null, Meaning::OptionalText) => {
                    writer.absent();
                    true
                }
                (_, Meaning::Counter) => {
                    writer.counter(self.counter(index)?)?;
                    true
                }
                (_, Meaning::Time) => writer.text(self.time(index)?.as_bytes())?,
                (ValueRef::Text(_), Meaning::Member(_)) => return Err(self.not_a_member(index)),
                (other, _) => return Err(self.invalid_type(index, other)),
            };
            if !is_valid {
                return Err(self.not_utf8(index));
            }
        }
        Ok(())
    }

    fn invalid(&self, index: usize, found: impl Into<String>) -> Error {
        Error::InvalidData {
            table: self.table.name,
            column: self.table.columns[index].0,
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

    fn not_utf8(&self, index: usize) -> Error {
        self.invalid(index, "a text that is not valid UTF-8")
    }

    fn not_a_member(&self, index: usize) -> Error {
        self.invalid(index, "a text outside the accepted ones")
    }

    /// Reads a text that may be NULL.
    pub(crate) fn optional_text(&self, index: usize) -> Result<Option<String>> {
        Ok(self.optional_borrowed_text(index)?.map(str::to_owned))
    }

    fn optional_borrowed_text(&self, index: usize) -> Result<Option<&'row str>> {
        match self.value(index)? {
            ValueRef::Null => Ok(None),
            ValueRef::Text(bytes) => match std::str::from_utf8(bytes) {
                Ok(text) => Ok(Some(text)),
                Err(_) => Err(self.not_utf8(index)),
            },
            other => Err(self.invalid_type(index, other)),
        }
    }

    /// Reads a text.
    pub(crate) fn text(&self, index: usize) -> Result<String> {
        self.borrowed_text(index).map(str::to_owned)
    }

    fn borrowed_text(&self, index: usize) -> Result<&'row str> {
        self.optional_borrowed_text(index)?
            .ok_or_else(|| self.invalid_type(index, ValueRef::Null))
    }

    /// Reads a time, in the canonical form when it can be understood.
    pub(crate) fn time(&self, index: usize) -> Result<String> {
        Ok(timestamp::from_stored(self.borrowed_text(index)?).into_owned())
    }

    /// Reads a counter; NULL, which version 1 allows, is 0.
    pub(crate) fn counter(&self, index: usize) -> Result<i64> {
        match self.value(index)? {
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
        parse(self.borrowed_text(index)?).map_err(|_| self.not_a_member(index))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::record::SessionStatus;
    use rusqlite::Connection;

    const TABLE: Table = Table {
        name: "t",
        columns: &[Column("c", Meaning::Text)],
    };

    fn read<T>(sql: &str, read: impl Fn(&RecordRow<'_>) -> Result<T>) -> Result<T> {
        let connection = Connection::open_in_memory().unwrap();
        let mut statement = connection.prepare(sql).unwrap();
        let mut rows = statement.query([]).unwrap();
        let row = rows.next().unwrap().unwrap();
        read(&RecordRow::new(row, &TABLE))
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

    impl CellWriter for Vec<String> {
        fn absent(&mut self) {
            self.push("-".to_owned());
        }

        fn text(&mut self, text: &[u8]) -> Result<bool> {
            let text = std::str::from_utf8(text).map(str::to_owned);
            Ok(text.map(|text| self.push(text)).is_ok())
        }

        fn counter(&mut self, counter: i64) -> Result<()> {
            self.push(counter.to_string());
            Ok(())
        }
    }

    #[test]
    fn columns_are_written_by_their_meaning() {
        const MIXED: Table = Table {
            name: "mixed",
            columns: &[
                Column("a", Meaning::Text),
                Column("b", Meaning::OptionalText),
                Column("c", Meaning::Time),
                Column("d", Meaning::Counter),
                Column("e", Meaning::Member(|text| text == b"x")),
            ],
        };
        let connection = Connection::open_in_memory().unwrap();
        let first_problem = |sql: &str| {
            let mut statement = connection.prepare(sql).unwrap();
            let mut rows = statement.query([]).unwrap();
            let row = RecordRow::new(rows.next().unwrap().unwrap(), &MIXED);
            row.write(&mut Vec::new()).unwrap_err().to_string()
        };
        let mut statement = connection
            .prepare("SELECT 'é', NULL, '2026-01-31 12:00:00', NULL, 'x'")
            .unwrap();
        let mut rows = statement.query([]).unwrap();
        let row = RecordRow::new(rows.next().unwrap().unwrap(), &MIXED);
        let mut cells = Vec::new();
        row.write(&mut cells).unwrap();
        assert_eq!(cells, ["é", "-", "2026-01-31T12:00:00.000Z", "0", "x"]);
        for (sql, problem) in [
            ("SELECT NULL, NULL, '', 0, 'x'", "mixed.a holds NULL"),
            ("SELECT '', 1, '', 0, 'x'", "mixed.b holds an integer"),
            ("SELECT '', NULL, x'', 0, 'x'", "mixed.c holds a blob"),
            ("SELECT '', NULL, '', '1', 'x'", "mixed.d holds a text"),
            (
                "SELECT '', NULL, '', 0, 'y'",
                "mixed.e holds a text outside",
            ),
        ] {
            let found = first_problem(sql);
            assert!(found.starts_with(problem), "{found}");
        }
    }
}
