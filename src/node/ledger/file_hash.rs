//! Owns the ledger's methods and functions on file hashes: reading their arguments, packing their
//! records.

use super::Ledger;
use super::function::{Answer, Call};
use super::list;
use super::packing::{List, pack_record};
use crate::error::Error;
use crate::ledger::file_hash;
use crate::node::error::Failure;
use crate::node::value::{Argument, TextRoom};
use crate::record::{OnConflict, UploadService};
use crate::record_row::RecordRow;
use napi::Env;
use napi::bindgen_prelude::Unknown;
use napi_derive::napi;

/// `isFileUploaded(hash)`: whether the hash is recorded.
pub(super) fn is_uploaded(call: &Call<'_>) -> Answer {
    let mut room = TextRoom::new();
    let hash = call.argument(0, "hash").text_in(&mut room)?;
    let is_uploaded = call.run(|manager| manager.is_file_uploaded(hash))?;
    call.boolean(is_uploaded)
}

/// `getFileHash(hash)`: its record, or undefined.
pub(super) fn get(call: &Call<'_>) -> Answer {
    let mut room = TextRoom::new();
    let hash = call.argument(0, "hash").text_in(&mut room)?;
    call.pack(|manager, packer| {
        let visit = |row: &RecordRow<'_>| pack_record(packer, row);
        let found = manager.ledger(|connection| file_hash::visit_one(connection, hash, visit))?;
        Ok(found.is_some())
    })
}

/// `findFileHashes(chatId, limit)`: the chat's records.
pub(super) fn list(call: &Call<'_>) -> Answer {
    let chat_id = call.argument(0, "chatId").text()?;
    list::answer(call, 1, &List::FileHashes { chat_id })
}

/// `addFileHash(...fields, onConflict)`.
pub(super) fn add(call: &Call<'_>) -> Answer {
    let mut rooms = [const { TextRoom::new() }; 7];
    let [hash, path, name, mime, id, chat, time] = &mut rooms;
    let file = file_hash::NewRow {
        hash: call.argument(0, "hash").text_in(hash)?,
        file_path: call.argument(1, "file_path").text_in(path)?,
        file_name: call.argument(2, "file_name").text_in(name)?,
        file_size: call.argument(3, "file_size").counter()?,
        mime_type: call.argument(4, "mime_type").text_in(mime)?,
        upload_service: {
            let service = call.argument(5, "upload_service");
            UploadService::parse(service.text_in(&mut TextRoom::new())?)?
        },
        upload_id: call.argument(6, "upload_id").optional_text_in(id)?,
        chat_id: call.argument(7, "chat_id").text_in(chat)?,
        uploaded_at: call.argument(8, "uploaded_at").optional_text_in(time)?,
    };
    let on_conflict = read_on_conflict(&call.argument(9, "onConflict"))?;
    call.run(|manager| {
        manager.ledger(|connection| file_hash::add(connection, &file, on_conflict).map(drop))
    })?;
    call.undefined()
}

/// Reads what to do with a hash that is there.
pub(super) fn read_on_conflict(argument: &Argument<'_>) -> Result<OnConflict, Failure> {
    match argument.optional_text_in(&mut TextRoom::new())? {
        None => Ok(OnConflict::Fail),
        Some("ignore") => Ok(OnConflict::Ignore),
        Some("replace") => Ok(OnConflict::Replace),
        Some(_) => Err(Failure::Ledger(Error::argument(
            "onConflict",
            "is a text outside the accepted ones: 'ignore' 'replace'",
        ))),
    }
}

#[napi]
impl Ledger {
    #[napi]
    pub fn delete_file_hash(&self, env: &Env, hash: Unknown<'_>) -> napi::Result<()> {
        self.run(env, "deleteFileHash", |manager| {
            Ok(manager.delete_file_hash(&Argument::new("hash", hash).text()?)?)
        })
    }
}
