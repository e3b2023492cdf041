//! Owns walking through the rows of a query, one record at a time.

use crate::error::{Error, Result};
use crate::kept_statement::{Bound, KeepingConnection, KeptRow};
use crate::page::{Cursor, Place};
use crate::record_row::{RecordRow, Table};
use rusqlite::types::ValueRef;
use rusqlite::{Connection, ffi};
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

/// Visits the first row of a query, if there is one.
pub(super) fn visit_one<T>(
    connection: &KeepingConnection,
    sql: &'static str,
    value: Bound<'_>,
    table: &'static Table,
    visit: impl FnOnce(&RecordRow<'_>) -> Result<T>,
) -> Result<Option<T>> {
    connection.run(sql, |run| {
        run.bind(&[value])?;
        if !run.step()? {
            return Ok(None);
        }
        visit(&RecordRow::of_kept(run.row()?, table)).map(Some)
    })
}

/// Visits the rows of a query.
pub(super) fn visit_all(
    connection: &KeepingConnection,
    sql: &'static str,
    values: &[Bound<'_>],
    table: &'static Table,
    mut visit: impl Visit,
) -> Result<()> {
    connection.run(sql, |run| {
        run.bind(values)?;
        while run.step()? {
            if visit(&RecordRow::of_kept(run.row()?, table))?.is_break() {
                break;
            }
        }
        Ok(())
    })
}

/// Visits the rows of a page, whose query gives the row id, and where the list goes by more what
/// that is, behind the record's columns; answers where the next page begins.
///
/// A list that goes by row ids alone begins behind the row id `after`.
///
/// # Errors
///
/// `SQLITE_CORRUPT` for rows out of that order, as a damaged table may give them: whoever asks for
/// page after page would never come to an end.
pub(super) fn visit_page(
    connection: &KeepingConnection,
    sql: &'static str,
    values: &[Bound<'_>],
    table: &'static Table,
    after: Option<i64>,
    limit: usize,
    mut visit: impl Visit,
) -> Result<Option<Cursor>> {
    connection.run(sql, |run| {
        run.bind(values)?;
        let mut left = limit;
        let mut last = after;
        while run.step()? {
            let row = run.row()?;
            let record = RecordRow::of_kept(row, table);
            if let Some(before) = &mut last {
                let rowid = read_rowid(row, table)?;
                if rowid <= *before {
                    return Err(Error::Sqlite {
                        extended_code: ffi::SQLITE_CORRUPT,
                        message: "database disk image is malformed".into(),
                    });
                }
                *before = rowid;
            }
            left = left.saturating_sub(1);
            if visit(&record)?.is_break() || left == 0 {
                return Ok(Some(Cursor::at(record.key()?, read_place(row, table)?)));
            }
        }
        Ok(None)
    })
}

/// Reads a row's place, which stands behind the record's columns.
fn read_place(row: KeptRow<'_>, table: &'static Table) -> Result<Place> {
    let sort = match row.value(table.columns.len() + 1)? {
        ValueRef::Text(sort) => String::from_utf8_lossy(sort).into_owned(),
        _ => String::new(),
    };
    Ok(Place {
        rowid: read_rowid(row, table)?,
        sort,
    })
}

fn read_rowid(row: KeptRow<'_>, table: &'static Table) -> Result<i64> {
    match row.value(table.columns.len())? {
        ValueRef::Integer(rowid) => Ok(rowid),
        _ => Err(Error::Internal("a row has no row id".into())),
    }
}

/// Finds the place behind which a page begins: the record's present one, or the one that the
/// cursor remembers when the record is gone.
///
/// `sql` asks for the row id of a key, and for what the list goes by before that; with a second
/// parameter, the row id that the cursor remembers, first for the record there: the index that
/// knows the key may be damaged and lead back.
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
    statement.raw_bind_parameter(1, cursor.key())?;
    if statement.parameter_count() > 1 {
        statement.raw_bind_parameter(2, cursor.place().map(|place| place.rowid))?;
    }
    let present = statement
        .raw_query()
        .next()?
        .map(|row| -> Result<Place> {
            let sort = if has_sort { row.get(1)? } else { String::new() };
            Ok(Place {
                rowid: row.get(0)?,
                sort,
            })
        })
        .transpose()?;
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
