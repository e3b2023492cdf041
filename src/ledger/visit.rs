//! Owns walking through the rows of a query, one record at a time.

use crate::error::{Error, Result};
use crate::page::{Cursor, Place};
use crate::record_row::{RecordRow, Table};
use rusqlite::{Connection, OptionalExtension, Rows};
use std::ops::ControlFlow;

/// What is done with a record; it may end the walk after the record that it was given.
pub(crate) trait Visit: FnMut(&RecordRow<'_>) -> Result<ControlFlow<()>> {}

impl<V: FnMut(&RecordRow<'_>) -> Result<ControlFlow<()>>> Visit for V {}

/// Makes a visit that reads every record into a list.
pub(super) fn collect<T>(
    list: &mut Vec<T>,
    read: impl Fn(&RecordRow<'_>) -> Result<T>,
) -> impl Visit {
    move |row| {
        list.push(read(row)?);
        Ok(ControlFlow::Continue(()))
    }
}

/// Visits the rows of a query.
pub(super) fn visit_all(
    mut rows: Rows<'_>,
    table: &'static Table,
    mut visit: impl Visit,
) -> Result<()> {
    while let Some(row) = rows.next()? {
        if visit(&RecordRow::new(row, table))?.is_break() {
            break;
        }
    }
    Ok(())
}

/// Visits the rows of a page, whose query gives the row id, and where the list goes by more what
/// that is, behind the record's columns; answers where the next page begins.
pub(super) fn visit_page(
    mut rows: Rows<'_>,
    table: &'static Table,
    limit: usize,
    mut visit: impl Visit,
) -> Result<Option<Cursor>> {
    let mut left = limit;
    while let Some(row) = rows.next()? {
        let record = RecordRow::new(row, table);
        left = left.saturating_sub(1);
        if visit(&record)?.is_break() || left == 0 {
            let columns = table.columns.len();
            let place = Place {
                rowid: row.get(columns)?,
                sort: match row.as_ref().column_count() {
                    count if count > columns + 1 => row.get(columns + 1)?,
                    _ => String::new(),
                },
            };
            return Ok(Some(Cursor::at(record.key()?, place)));
        }
    }
    Ok(None)
}

/// Finds the place behind which a page begins: the record's present one, or the one that the
/// cursor remembers when the record is gone.
///
/// `sql` asks for the row id of a key, and for what the list goes by before that.
///
/// # Errors
///
/// [`Error::NotFound`] for a record that is not there.
pub(super) fn find_place(
    connection: &Connection,
    sql: &str,
    cursor: &Cursor,
    record: &'static str,
) -> Result<Place> {
    let mut statement = connection.prepare_cached(sql)?;
    let has_sort = statement.column_count() > 1;
    let present = statement
        .query_row([cursor.key()], |row| {
            let sort = if has_sort { row.get(1)? } else { String::new() };
            Ok(Place {
                rowid: row.get(0)?,
                sort,
            })
        })
        .optional()?;
    match (present, cursor.place()) {
        // What the list goes by may have changed since: the walk goes on from where it was.
        (Some(present), Some(remembered)) => Ok(Place {
            rowid: present.rowid,
            sort: remembered.sort.clone(),
        }),
        (Some(present), None) => Ok(present),
        (None, Some(remembered)) => Ok(remembered.clone()),
        (None, None) => Err(Error::NotFound { record }),
    }
}

/// SQLite's limit for a page; more than it can count is no limit.
pub(super) fn sql_limit(limit: usize) -> i64 {
    i64::try_from(limit).unwrap_or(i64::MAX)
}
