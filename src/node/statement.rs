//! Owns running statements for JavaScript: `get`, `all`, `run` and the cursors of `iterate`.
//!
//! Nothing of the caller's runs while a statement does, and no handle is borrowed while Node-API
//! is asked for anything.

#![allow(unsafe_code)]

use super::connection::{OpenHandle, Shared};
use super::direct::{Call, Key};
use super::error::Failure;
use super::function::Answer;
use super::parameter::Parameters;
use super::prepared::Prepared;
use super::statement_cache::{Entry, StatementCache};
use super::value::check;
use crate::error::{Error, Result};
use crate::packed_row::{PackedRows, RowPacker};
use crate::record::MAX_SAFE_INTEGER;
use crate::transaction;
use napi::bindgen_prelude::ToNapiValue;
use napi::{check_status, sys};
use rusqlite::Connection;
use std::collections::VecDeque;
use std::ptr;

/// What a call needs, kept from one to the next.
#[derive(Default, Debug)]
pub(super) struct Workspace {
    parameters: Parameters,
    packer: RowPacker,
}

/// A run that lasts longer than a call: its statement, taken out of the cache, and what is bound.
#[derive(Debug)]
pub(super) struct Cursor {
    entry: Entry,
    /// What the statement has bound, without a copy: it stays here, untouched, until the reset.
    parameters: Parameters,
    big_integers: bool,
    has_stepped: bool,
}

/// A statement's new number and columns.
type Shape = (u64, Vec<String>);

impl Cursor {
    /// Takes a statement out of the cache and binds it.
    fn begin(statements: &mut StatementCache, key: Key, parameters: Parameters) -> Result<Self> {
        let entry = statements.take(key.id).ok_or_else(gone)?;
        let cursor = Self {
            entry,
            parameters,
            big_integers: key.big_integers,
            has_stepped: false,
        };
        // SAFETY: the parameters stay in the cursor, unchanged, and its end resets; moving them
        // with it moves none of their bytes.
        match unsafe { cursor.entry.statement.bind(&cursor.parameters) } {
            Ok(()) => Ok(cursor),
            Err(error) => {
                cursor.end(statements);
                Err(error)
            }
        }
    }

    /// Packs the next rows.
    fn advance(
        &mut self,
        statements: &mut StatementCache,
        limit: usize,
        packer: &mut RowPacker,
    ) -> Result<Packed> {
        packer.set_big_integers(self.big_integers);
        let has_row = self.entry.statement.step()?;
        let is_first = !std::mem::replace(&mut self.has_stepped, true);
        let changed = if is_first {
            self.entry.changed_columns()
        } else {
            None
        };
        let shape = changed.map(|columns| {
            self.entry.id = statements.next_id(self.entry.id);
            self.entry.columns.clone_from(&columns);
            (self.entry.id, columns)
        });
        let more = pack(&self.entry.statement, has_row, limit, packer)?;
        Ok(Packed { more, shape })
    }

    /// Ends the run, puts the statement back and gives the parameters' memory away.
    pub(super) fn end(self, statements: &mut StatementCache) -> Parameters {
        self.entry.statement.reset();
        statements.put_back(self.entry);
        self.parameters
    }
}

/// What `all` has not handed over yet; the next call of another kind lets go of it.
#[derive(Debug)]
pub(super) enum Rest {
    Cursor(Cursor),
    Chunks(VecDeque<PackedRows>),
}

/// A statement in a run that ends with the call: reset on every way out, a panic included.
struct Run<'a>(&'a Prepared);

impl<'a> Run<'a> {
    fn begin(statement: &'a Prepared, parameters: &'a Parameters) -> Result<Self> {
        let run = Self(statement);
        // SAFETY: the parameters are borrowed for as long as the run, whose end resets.
        unsafe { statement.bind(parameters) }?;
        Ok(run)
    }
}

impl Drop for Run<'_> {
    fn drop(&mut self) {
        self.0.reset();
    }
}

/// What was packed, on its way to JavaScript.
struct Packed {
    /// Whether more rows are to come.
    more: bool,
    /// What has changed about the statement, if anything.
    shape: Option<Shape>,
}

pub(super) fn gone() -> Error {
    Error::Internal("a statement is gone".into())
}

/// Packs the row that the statement stands on, if any, and those behind it: at most `limit`, or
/// as many as a chunk holds. Answers whether there may be more.
fn pack(
    statement: &Prepared,
    mut has_row: bool,
    limit: usize,
    packer: &mut RowPacker,
) -> Result<bool> {
    let columns = statement.column_count();
    let mut left = limit;
    while has_row {
        statement.pack_row(packer, columns)?;
        left -= 1;
        if left == 0 || packer.is_full() {
            return Ok(true);
        }
        has_row = statement.step()?;
    }
    Ok(false)
}

impl Shared {
    /// Runs a call with its workspace, with which it runs alone.
    fn with_workspace<T>(&self, work: impl FnOnce(&mut Workspace) -> T) -> T {
        let mut workspace = self.workspace.take().unwrap_or_default();
        let value = work(&mut workspace);
        self.workspace.set(Some(workspace));
        value
    }

    /// Finds the statement of a call, reads its parameters and acts on both; without a statement
    /// of that number, the answer is nothing.
    fn act<T>(
        &self,
        call: &Call<'_>,
        workspace: &mut Workspace,
        act: impl FnOnce(&mut OpenHandle, Key, &mut Workspace) -> Result<T>,
    ) -> std::result::Result<Option<T>, Failure> {
        let key = call.key()?;
        // Before the handle is borrowed: reading may collect garbage, and so run finalizers.
        let read = call.read_parameters(key, &mut workspace.parameters);
        let mut handle = self.handle.borrow_mut();
        let handle = handle.as_mut().ok_or(Error::Closed)?;
        handle.forget_rest();
        let has_cursor = !handle.cursors.is_empty();
        let Some(entry) = handle.statements.find(key.id) else {
            return Ok(None);
        };
        if let Err((index, failure)) = read {
            return Err(name_parameter(entry, key, index, failure));
        }
        let (given, expected) = (workspace.parameters.len(), entry.parameters.len());
        if given != expected {
            return Err(Failure::Ledger(Error::argument(
                "params",
                format!("holds {given} value(s), but the statement takes {expected}"),
            )));
        }
        if !entry.readonly {
            self.check_write(has_cursor)?;
        }
        workspace.packer.clear();
        workspace.packer.set_big_integers(key.big_integers);
        Ok(act(handle, key, workspace).map(Some)?)
    }

    /// Gives packed rows to JavaScript, or `null` for a statement that is unknown.
    fn deliver(
        &self,
        env: sys::napi_env,
        packed: Option<Packed>,
        packer: &mut RowPacker,
    ) -> Answer {
        let Some(packed) = packed else {
            return null(env);
        };
        self.codes.write_more(packed.more);
        // SAFETY: `env` is the environment of the running call, in which the connection was
        // opened, and so the one of its codes.
        unsafe {
            match packed.shape {
                None => packer.deliver(env, self.codes),
                Some((id, columns)) => {
                    let rows = packer.finish();
                    ShapedRows::to_napi_value(env, ShapedRows { rows, id, columns })
                }
            }
        }
        .map_err(Failure::JavaScript)
    }
}

/// Puts a field's name into a refusal that has none.
fn name_parameter(entry: &Entry, key: Key, index: usize, failure: Failure) -> Failure {
    match failure {
        Failure::Ledger(Error::InvalidArgument { field, problem }) if field.is_empty() => {
            let field = match entry.parameters.get(index) {
                Some(Some(name)) if key.is_named => format!("params.{name}"),
                _ => format!("params[{index}]"),
            };
            Failure::Ledger(Error::InvalidArgument { field, problem })
        }
        other => other,
    }
}

pub(super) fn null(env: sys::napi_env) -> Answer {
    let mut value = ptr::null_mut();
    // SAFETY: `env` is the environment of the running call.
    check(env, unsafe { sys::napi_get_null(env, &raw mut value) })?;
    Ok(value)
}

pub(super) fn number(env: sys::napi_env, number: f64) -> Answer {
    let mut value = ptr::null_mut();
    // SAFETY: `env` is the environment of the running call.
    check(env, unsafe {
        sys::napi_create_double(env, number, &raw mut value)
    })?;
    Ok(value)
}

/// A chunk of rows with its statement's number and columns: `[text, codes, blobs, id, columns]`.
pub struct ShapedRows {
    pub(super) rows: PackedRows,
    pub(super) id: u64,
    pub(super) columns: Vec<String>,
}

impl ToNapiValue for ShapedRows {
    unsafe fn to_napi_value(env: sys::napi_env, shaped: Self) -> napi::Result<sys::napi_value> {
        // SAFETY: `env` is the environment of the running call, handed on as it came.
        unsafe {
            let rows = PackedRows::to_napi_value(env, shaped.rows)?;
            let id = f64::to_napi_value(env, shaped.id as f64)?;
            let columns = Vec::<String>::to_napi_value(env, shaped.columns)?;
            check_status!(sys::napi_set_element(env, rows, 3, id))?;
            check_status!(sys::napi_set_element(env, rows, 4, columns))?;
            Ok(rows)
        }
    }
}

/// Runs a statement for its first row.
pub(super) fn get(call: &Call<'_>) -> Answer {
    call.shared.with_workspace(|workspace| {
        let packed = call.shared.act(call, workspace, |handle, key, workspace| {
            within_call(handle, key, workspace, |statement, has_row, packer| {
                pack(statement, has_row, 1, packer).map(|_| ())
            })
        })?;
        call.shared.deliver(call.env, packed, &mut workspace.packer)
    })
}

/// Runs a statement in a run that ends with the call.
fn within_call(
    handle: &mut OpenHandle,
    key: Key,
    workspace: &mut Workspace,
    pack: impl FnOnce(&Prepared, bool, &mut RowPacker) -> Result<()>,
) -> Result<Packed> {
    let Workspace { parameters, packer } = workspace;
    let entry = handle.statements.find(key.id).ok_or_else(gone)?;
    let run = || {
        let run = Run::begin(&entry.statement, parameters)?;
        let has_row = run.0.step()?;
        let changed = entry.changed_columns();
        pack(run.0, has_row, packer)?;
        Ok::<_, Error>(changed)
    };
    let changed = if entry.is_returning() {
        transaction::run(&handle.connection, run)
    } else {
        run()
    }?;
    Ok(Packed {
        more: false,
        shape: changed.map(|columns| (handle.statements.change(key.id, &columns), columns)),
    })
}

/// Runs a statement for all its rows: a chunk of them now, the others by [`more`].
pub(super) fn all(call: &Call<'_>) -> Answer {
    call.shared.with_workspace(|workspace| {
        let packed = call.shared.act(call, workspace, |handle, key, workspace| {
            let entry = handle.statements.find(key.id).ok_or_else(gone)?;
            if entry.is_returning() {
                return pack_returned(handle, key, workspace);
            }
            let parameters = std::mem::take(&mut workspace.parameters);
            let mut cursor = Cursor::begin(&mut handle.statements, key, parameters)?;
            let packer = &mut workspace.packer;
            let packed = cursor.advance(&mut handle.statements, usize::MAX, packer);
            if packed.as_ref().is_ok_and(|packed| packed.more) {
                handle.rest = Some(Rest::Cursor(cursor));
            } else {
                workspace.parameters = cursor.end(&mut handle.statements);
            }
            packed
        })?;
        call.shared.deliver(call.env, packed, &mut workspace.packer)
    })
}

/// Packs all that a writing statement gives before any of it is handed over: it is undone when
/// one row cannot be given.
fn pack_returned(handle: &mut OpenHandle, key: Key, workspace: &mut Workspace) -> Result<Packed> {
    let mut chunks = VecDeque::new();
    let mut packed = within_call(handle, key, workspace, |statement, has_row, packer| {
        let mut has_row = has_row;
        while pack(statement, has_row, usize::MAX, packer)? {
            chunks.push_back(packer.finish());
            has_row = statement.step()?;
        }
        chunks.push_back(packer.finish());
        Ok(())
    })?;
    if let Some(first) = chunks.pop_front() {
        workspace.packer = first.into_packer();
    }
    packed.more = !chunks.is_empty();
    if packed.more {
        handle.rest = Some(Rest::Chunks(chunks));
    }
    Ok(packed)
}

/// Gives the next chunk of what [`all`] runs.
pub(super) fn more(call: &Call<'_>) -> Answer {
    call.shared.with_workspace(|workspace| {
        let packed = {
            let mut handle = call.shared.handle.borrow_mut();
            let handle = handle.as_mut().ok_or(Error::Closed)?;
            let packer = &mut workspace.packer;
            packer.clear();
            match handle.rest.take() {
                Some(Rest::Cursor(mut cursor)) => {
                    let packed = cursor.advance(&mut handle.statements, usize::MAX, packer);
                    if packed.as_ref().is_ok_and(|packed| packed.more) {
                        handle.rest = Some(Rest::Cursor(cursor));
                    } else {
                        cursor.end(&mut handle.statements);
                    }
                    packed?
                }
                Some(Rest::Chunks(mut chunks)) => {
                    if let Some(next) = chunks.pop_front() {
                        *packer = next.into_packer();
                    }
                    let more = !chunks.is_empty();
                    handle.rest = more.then_some(Rest::Chunks(chunks));
                    Packed { more, shape: None }
                }
                None => return Err(gone().into()),
            }
        };
        call.shared
            .deliver(call.env, Some(packed), &mut workspace.packer)
    })
}

/// Runs a statement to its end; where codes go, it writes two doubles: the number of changes and
/// the row id of the last insert (a 64-bit integer when bigints are asked for).
pub(super) fn run(call: &Call<'_>) -> Answer {
    call.shared.with_workspace(|workspace| {
        let done = call.shared.act(call, workspace, |handle, key, workspace| {
            let connection = &handle.connection;
            let entry = handle.statements.find(key.id).ok_or_else(gone)?;
            let before = (connection.total_changes(), connection.last_insert_rowid());
            {
                let run = Run::begin(&entry.statement, &workspace.parameters)?;
                while run.0.step()? {}
            }
            // `changes()` keeps the number of an earlier statement when this one changes no row.
            let changes = if connection.total_changes() == before.0 {
                0
            } else {
                connection.changes()
            };
            write_changes(call.shared, connection, before.1, changes, key)
        })?;
        match done {
            Some(()) => Ok(ptr::null_mut()),
            None => null(call.env),
        }
    })
}

/// Writes what has changed where codes go; `before` is the last row id of before.
pub(super) fn write_changes(
    shared: &Shared,
    connection: &Connection,
    before: i64,
    changes: u64,
    key: Key,
) -> Result<()> {
    let id = connection.last_insert_rowid();
    let id = row_id(id, id != before, key.big_integers)?;
    shared.codes.write_wide([(changes as f64).to_bits(), id]);
    Ok(())
}

/// The bits of a row id as JavaScript reads it.
fn row_id(id: i64, is_new: bool, big_integers: bool) -> Result<u64> {
    if big_integers {
        return Ok(id as u64);
    }
    if id.unsigned_abs() <= MAX_SAFE_INTEGER as u64 {
        return Ok((id as f64).to_bits());
    }
    if is_new {
        return Err(Error::IntegerRange {
            what: "lastInsertRowid (the statement has done its work)".into(),
        });
    }
    // An earlier statement's, which was told then that it cannot be held.
    Ok(0)
}

/// Begins a cursor and gives its number; nothing is locked before its first row is asked for.
pub(super) fn iterate(call: &Call<'_>) -> Answer {
    let id = call.shared.with_workspace(|workspace| {
        call.shared.act(call, workspace, |handle, key, workspace| {
            let entry = handle.statements.find(key.id).ok_or_else(gone)?;
            if !entry.readonly {
                return Err(Error::argument("sql", "writes; read its rows with all()"));
            }
            let parameters = std::mem::take(&mut workspace.parameters);
            let cursor = Cursor::begin(&mut handle.statements, key, parameters)?;
            handle.last_cursor += 1;
            handle.cursors.push((handle.last_cursor, Some(cursor)));
            Ok(handle.last_cursor)
        })
    })?;
    match id {
        Some(id) => number(call.env, id as f64),
        None => null(call.env),
    }
}

/// Gives a cursor's next rows. At its end the statement's locks go, and the cursor stays until
/// JavaScript has read what it was given: whether writes are possible meanwhile must not depend
/// on how the rows fall into chunks.
pub(super) fn next(call: &Call<'_>) -> Answer {
    let (id, limit) = (call.cursor()?, call.limit()?.max(1));
    call.shared.with_workspace(|workspace| {
        let packed = {
            let mut handle = call.shared.handle.borrow_mut();
            let handle = handle.as_mut().ok_or(Error::Closed)?;
            handle.forget_rest();
            workspace.packer.clear();
            let place = handle.cursors.iter_mut().find(|(known, _)| *known == id);
            match place.and_then(|(_, cursor)| cursor.take().map(|taken| (cursor, taken))) {
                Some((place, mut cursor)) => {
                    let packer = &mut workspace.packer;
                    let packed = cursor.advance(&mut handle.statements, limit, packer);
                    if packed.as_ref().is_ok_and(|packed| packed.more) {
                        *place = Some(cursor);
                    } else {
                        cursor.end(&mut handle.statements);
                    }
                    packed?
                }
                None => Packed {
                    more: false,
                    shape: None,
                },
            }
        };
        call.shared
            .deliver(call.env, Some(packed), &mut workspace.packer)
    })
}

/// Ends a cursor, wherever it stands; one that is not there is no error.
pub(super) fn end(call: &Call<'_>) -> Answer {
    let id = call.cursor()?;
    if let Some(handle) = call.shared.handle.borrow_mut().as_mut()
        && let Some(index) = handle.cursors.iter().position(|(known, _)| *known == id)
        && let (_, Some(cursor)) = handle.cursors.swap_remove(index)
    {
        cursor.end(&mut handle.statements);
    }
    Ok(ptr::null_mut())
}
