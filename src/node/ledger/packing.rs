//! Owns packing records: one, or a list in chunks.
//!
//! It knows no values of JavaScript's, so that a list can be packed on any thread.

use crate::error::{Error, Result};
use crate::ledger::{file_hash, session, setting, upload_error};
use crate::manager::DatabaseManager;
use crate::packed_row::{CellProblem, PackedRows, RowPacker};
use crate::record::SessionStatus;
use crate::record_row::{CellWriter, RecordRow};
use std::ops::ControlFlow;

/// Packs a record.
pub(super) fn pack_record(packer: &mut RowPacker, row: &RecordRow<'_>) -> Result<()> {
    row.write(packer)?;
    packer.end_row();
    Ok(())
}

impl CellWriter for RowPacker {
    fn absent(&mut self) {
        self.push_null();
    }

    fn text(&mut self, text: &[u8]) -> Result<bool> {
        match self.push_text(text) {
            Ok(()) => Ok(true),
            Err(CellProblem::Text) => Ok(false),
            Err(problem) => Err(cell_error(problem)),
        }
    }

    fn counter(&mut self, counter: i64) -> Result<()> {
        self.push_integer(counter).map_err(cell_error)
    }
}

/// A record's columns have been checked: only their length is left to be in the way.
fn cell_error(problem: CellProblem) -> Error {
    match problem {
        CellProblem::Length => Error::Sqlite {
            extended_code: rusqlite::ffi::SQLITE_TOOBIG,
            message: "a record is too big".into(),
        },
        CellProblem::Integer | CellProblem::Text => {
            Error::Internal("a record's column was not checked".into())
        }
    }
}

/// A list of records.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum List {
    /// A chat's files.
    FileHashes { chat_id: String },
    /// Sessions, of one status or of all.
    Sessions { status: Option<SessionStatus> },
    /// A session's errors.
    Errors { session_id: String },
    /// All settings.
    Settings,
}

/// What of a list has been packed.
#[derive(Debug)]
pub(super) struct Packed {
    /// The chunks that are full; the packer holds the last.
    pub(super) full: Vec<PackedRows>,
    /// Whether the list is longer than the limit: then what was packed is good for nothing.
    pub(super) is_cut: bool,
}

impl List {
    /// Packs at most `limit` records.
    pub(super) fn pack(
        &self,
        manager: &DatabaseManager,
        limit: usize,
        packer: &mut RowPacker,
    ) -> Result<Packed> {
        let mut packed = Packed {
            full: Vec::new(),
            is_cut: false,
        };
        let mut left = limit;
        let visit = |row: &RecordRow<'_>| {
            if left == 0 {
                packed.is_cut = true;
                return Ok(ControlFlow::Break(()));
            }
            left -= 1;
            if packer.is_full() {
                packed.full.push(packer.finish());
            }
            pack_record(packer, row)?;
            Ok(ControlFlow::Continue(()))
        };
        manager.ledger(|connection| match self {
            Self::FileHashes { chat_id } => file_hash::visit_by_chat(connection, chat_id, visit),
            Self::Sessions { status } => session::visit_all(connection, *status, visit),
            Self::Errors { session_id } => {
                upload_error::visit_session(connection, session_id, visit)
            }
            Self::Settings => setting::visit_all(connection, visit),
        })?;
        Ok(packed)
    }

    /// Packs all records, on any thread.
    pub(super) fn pack_all(&self, manager: &DatabaseManager) -> Result<Vec<PackedRows>> {
        let mut packer = RowPacker::new();
        let mut chunks = self.pack(manager, usize::MAX, &mut packer)?.full;
        chunks.push(packer.finish());
        Ok(chunks)
    }
}
