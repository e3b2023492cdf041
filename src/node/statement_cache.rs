//! Owns the bounded set of a connection's prepared statements, each under a number that
//! JavaScript holds: a number keeps nothing alive, and one whose statement had to go is unknown,
//! upon which JavaScript prepares the text again.

use super::prepared::Prepared;
use crate::error::Result;
use rusqlite::Connection;
use std::cell::Cell;

/// How many statements a connection keeps.
const CAPACITY: usize = 64;

/// A kept statement and what is known of it.
#[derive(Debug)]
pub(super) struct Entry {
    pub(super) id: u64,
    pub(super) sql: String,
    pub(super) statement: Prepared,
    pub(super) readonly: bool,
    /// Whether it may not run inside a transaction although it writes: pragmas alone.
    pub(super) is_pragma: bool,
    pub(super) columns: Vec<String>,
    pub(super) parameters: Vec<Option<String>>,
    recompilations: Cell<i32>,
    last_use: u64,
}

/// The statements of one connection.
#[derive(Debug)]
pub(super) struct StatementCache {
    entries: Vec<Option<Entry>>,
    /// Counts the numbers that were given away.
    serial: u64,
    /// Counts uses.
    clock: u64,
}

impl StatementCache {
    pub(super) fn new() -> Self {
        Self {
            entries: (0..CAPACITY).map(|_| None).collect(),
            serial: 0,
            clock: 0,
        }
    }

    fn tick(&mut self) -> u64 {
        self.clock += 1;
        self.clock
    }

    fn new_id(&mut self, index: usize) -> u64 {
        self.serial += 1;
        self.serial * CAPACITY as u64 + index as u64
    }

    /// Finds a statement by its number.
    pub(super) fn find(&mut self, id: u64) -> Option<&mut Entry> {
        let now = self.tick();
        let entry = self.entries[id as usize % CAPACITY].as_mut()?;
        if entry.id != id {
            return None;
        }
        entry.last_use = now;
        Some(entry)
    }

    /// Takes a statement out, for a run that lasts longer than a call.
    pub(super) fn take(&mut self, id: u64) -> Option<Entry> {
        self.entries[id as usize % CAPACITY].take_if(|entry| entry.id == id)
    }

    /// Puts a statement back that was taken out, unless its place is taken.
    pub(super) fn put_back(&mut self, entry: Entry) {
        self.entries[entry.id as usize % CAPACITY].get_or_insert(entry);
    }

    /// Finds a statement by its text, or prepares it.
    pub(super) fn prepare(&mut self, connection: &Connection, sql: &str) -> Result<&Entry> {
        let found = self
            .entries
            .iter()
            .position(|entry| entry.as_ref().is_some_and(|entry| entry.sql == sql));
        let index = match found {
            Some(index) => index,
            None => {
                let statement = Prepared::new(connection, sql)?;
                let index = self.free_index();
                let id = self.new_id(index);
                self.entries[index] = Some(Entry {
                    id,
                    sql: sql.to_owned(),
                    readonly: statement.is_readonly(),
                    is_pragma: is_pragma(sql),
                    columns: statement.column_names(),
                    parameters: statement.parameter_names(),
                    recompilations: Cell::new(statement.recompilations()),
                    last_use: self.clock,
                    statement,
                });
                index
            }
        };
        let now = self.tick();
        match &mut self.entries[index] {
            Some(entry) => {
                entry.last_use = now;
                Ok(entry)
            }
            // The entry was found or made above.
            None => Err(crate::error::Error::Internal("no such statement".into())),
        }
    }

    /// Finds an empty place, or that of the statement which was used longest ago.
    fn free_index(&self) -> usize {
        let last_use = |entry: &Option<Entry>| entry.as_ref().map_or(0, |entry| entry.last_use);
        (0..CAPACITY)
            .min_by_key(|&index| last_use(&self.entries[index]))
            .unwrap_or(0)
    }

    /// Makes another number for a statement whose columns have changed, in the same place.
    pub(super) fn next_id(&mut self, id: u64) -> u64 {
        self.new_id(id as usize % CAPACITY)
    }

    /// Notes that a statement has other columns, and so another number.
    pub(super) fn change(&mut self, id: u64, columns: &[String]) -> u64 {
        let new = self.next_id(id);
        if let Some(entry) = self.find(id) {
            entry.id = new;
            entry.columns = columns.to_vec();
        }
        new
    }
}

impl Entry {
    /// Looks, after the first step of a run, whether SQLite has compiled the statement anew, and
    /// gives its columns when they are others since: whoever knows the statement by its number
    /// must hear of it.
    pub(super) fn changed_columns(&self) -> Option<Vec<String>> {
        let recompilations = self.statement.recompilations();
        if recompilations == self.recompilations.replace(recompilations) {
            return None;
        }
        let columns = self.statement.column_names();
        (columns != self.columns).then_some(columns)
    }

    /// Whether it gives rows of what it writes, which is undone when a row cannot be given.
    pub(super) fn is_returning(&self) -> bool {
        !self.readonly && !self.is_pragma && !self.columns.is_empty()
    }
}

/// Of what writes and has columns, pragmas alone may not run inside a transaction.
fn is_pragma(sql: &str) -> bool {
    let mut rest = sql.trim_start();
    loop {
        let comment_end = match rest.get(..2) {
            Some("--") => rest.find('\n').map(|end| end + 1),
            Some("/*") => rest.find("*/").map(|end| end + 2),
            _ => break,
        };
        rest = rest[comment_end.unwrap_or(rest.len())..].trim_start();
    }
    let word = rest.get(..6);
    word.is_some_and(|word| word.eq_ignore_ascii_case("pragma"))
}
#[cfg(test)]
#[allow(unsafe_code)]
mod tests {
    use super::{CAPACITY, StatementCache, is_pragma};
    use rusqlite::{Connection, ffi};

    /// Counts the statements that SQLite has of a connection.
    fn count_statements(connection: &Connection) -> usize {
        let mut count = 0;
        let mut statement = std::ptr::null_mut();
        loop {
            // SAFETY: the connection is open, and the statement is null or one of its own.
            statement = unsafe { ffi::sqlite3_next_stmt(connection.handle(), statement) };
            if statement.is_null() {
                return count;
            }
            count += 1;
        }
    }

    #[test]
    fn what_was_used_longest_ago_has_to_go_and_is_finalized() {
        let connection = Connection::open_in_memory().unwrap();
        let mut cache = StatementCache::new();
        let sql = |number: usize| format!("SELECT {number}");
        let first = cache.prepare(&connection, &sql(0)).unwrap().id;
        let second = cache.prepare(&connection, &sql(1)).unwrap().id;
        for number in 2..CAPACITY {
            cache.prepare(&connection, &sql(number)).unwrap();
        }
        assert_eq!(count_statements(&connection), CAPACITY);
        assert_eq!(cache.prepare(&connection, &sql(0)).unwrap().id, first);
        cache.prepare(&connection, &sql(CAPACITY)).unwrap();
        assert_eq!(count_statements(&connection), CAPACITY);
        assert!(cache.find(first).is_some());
        assert!(cache.find(second).is_none());
        for number in 0..4 * CAPACITY {
            cache.prepare(&connection, &sql(number)).unwrap();
        }
        assert_eq!(count_statements(&connection), CAPACITY);
        drop(cache);
        assert_eq!(count_statements(&connection), 0);
    }

    #[test]
    fn a_pragma_is_known_behind_comments() {
        for sql in [
            "PRAGMA x",
            " pragma x",
            "/* why */ PRAGMA x",
            "-- why\n/**/\n PRAGMA x",
        ] {
            assert!(is_pragma(sql), "{sql}");
        }
        for sql in [
            "INSERT INTO pragma VALUES (1)",
            "-- PRAGMA x",
            "/* PRAGMA",
            "é",
            "",
        ] {
            assert!(!is_pragma(sql), "{sql}");
        }
    }
}
