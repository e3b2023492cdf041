//! Owns the ledger's methods on file hashes: reading their arguments, giving back their records.

use super::Ledger;
use crate::error::Error;
use crate::node::error::Optional;
use crate::node::record::Record;
use crate::node::value::Argument;
use crate::record::{FileHash, NewFileHash, OnConflict, UploadService};
use napi::Env;
use napi::bindgen_prelude::Unknown;
use napi_derive::napi;

#[napi]
impl Ledger {
    #[napi]
    #[allow(clippy::too_many_arguments)]
    pub fn add_file_hash(
        &self,
        env: &Env,
        hash: Unknown<'_>,
        file_path: Unknown<'_>,
        file_name: Unknown<'_>,
        file_size: Unknown<'_>,
        mime_type: Unknown<'_>,
        upload_service: Unknown<'_>,
        upload_id: Unknown<'_>,
        chat_id: Unknown<'_>,
        uploaded_at: Unknown<'_>,
        on_conflict: Unknown<'_>,
    ) -> napi::Result<()> {
        self.run(env, "addFileHash", |manager| {
            let file = NewFileHash {
                hash: Argument::new("hash", hash).text()?,
                file_path: Argument::new("file_path", file_path).text()?,
                file_name: Argument::new("file_name", file_name).text()?,
                file_size: Argument::new("file_size", file_size).counter()?,
                mime_type: Argument::new("mime_type", mime_type).text()?,
                upload_service: UploadService::parse(
                    &Argument::new("upload_service", upload_service).text()?,
                )?,
                upload_id: Argument::new("upload_id", upload_id).optional_text()?,
                chat_id: Argument::new("chat_id", chat_id).text()?,
                uploaded_at: Argument::new("uploaded_at", uploaded_at).optional_text()?,
            };
            let on_conflict = match Argument::new("onConflict", on_conflict)
                .optional_text()?
                .as_deref()
            {
                None => OnConflict::Fail,
                Some("ignore") => OnConflict::Ignore,
                Some("replace") => OnConflict::Replace,
                Some(_) => {
                    return Err(Error::argument(
                        "onConflict",
                        "is a text outside the accepted ones: 'ignore' 'replace'",
                    )
                    .into());
                }
            };
            Ok(manager.add_file_hash(&file, on_conflict)?)
        })
    }

    #[napi(ts_return_type = "import('./index').FileHash | undefined")]
    pub fn get_file_hash(
        &self,
        env: &Env,
        hash: Unknown<'_>,
    ) -> napi::Result<Optional<Record<FileHash>>> {
        self.run(env, "getFileHash", |manager| {
            let hash = Argument::new("hash", hash).text()?;
            Ok(Optional(manager.get_file_hash(&hash)?.map(Record)))
        })
    }

    #[napi(ts_return_type = "import('./index').FileHash[]")]
    pub fn find_file_hashes(
        &self,
        env: &Env,
        chat_id: Unknown<'_>,
    ) -> napi::Result<Record<Vec<FileHash>>> {
        self.run(env, "findFileHashes", |manager| {
            Ok(Record(manager.find_file_hashes(
                &Argument::new("chatId", chat_id).text()?,
            )?))
        })
    }

    #[napi]
    pub fn delete_file_hash(&self, env: &Env, hash: Unknown<'_>) -> napi::Result<()> {
        self.run(env, "deleteFileHash", |manager| {
            Ok(manager.delete_file_hash(&Argument::new("hash", hash).text()?)?)
        })
    }

    #[napi]
    pub fn is_file_uploaded(&self, env: &Env, hash: Unknown<'_>) -> napi::Result<bool> {
        self.run(env, "isFileUploaded", |manager| {
            Ok(manager.is_file_uploaded(&Argument::new("hash", hash).text()?)?)
        })
    }
}
