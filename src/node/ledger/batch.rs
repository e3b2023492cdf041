//! Owns the ledger's functions on many records: one crossing, one outcome for each.
//!
//! Records come packed (`lib/record.js`), each behind the index by which errors call it. What
//! becomes of them is `[numbers, errors]`: a number for each record, NaN for one that failed, and
//! the errors of those. Nothing here begins a transaction; the caller decides what belongs
//! together.

#![allow(unsafe_code)]

use super::file_hash::read_on_conflict;
use super::function::{Answer, Call};
use crate::error::Result;
use crate::kept_statement::KeepingConnection;
use crate::ledger::{file_hash, session, upload_error};
use crate::node::error::{Failure, to_javascript};
use crate::node::packed_field::Field;
use crate::node::row_codec::typed_array;
use crate::node::value::check;
use crate::packed_value::{PackedValue, PackedValues, Values};
use crate::record::{Added, SessionChanges, SessionStatus, UploadService};
use napi::bindgen_prelude::JsError;
use napi::{Env, sys};
use std::ptr;

/// `findUploaded([text, codes, …])`: a string with `1` for each hash that is recorded, else `0`.
///
/// The hashes come in pieces, which V8 makes and throws away more cheaply than one long string; `lib/batch.js`
/// has looked at each.
pub(super) fn find_uploaded(call: &Call<'_>) -> Answer {
    let pieces = read_pieces(call.env, call.value(0))?;
    let mut hashes = Vec::new();
    for piece in &pieces {
        let mut values = piece.iter();
        while !values.is_empty() {
            hashes.push(Field::new("hashes", values.take()?).text()?);
        }
    }
    let found = call.run(|manager| manager.find_uploaded(&hashes))?;
    let flags: Vec<u8> = found.into_iter().map(|is| b'0' + u8::from(is)).collect();
    let mut answer = ptr::null_mut();
    // SAFETY: the pointer and the length are those of the flags, which V8 copies.
    check(call.env, unsafe {
        sys::napi_create_string_latin1(
            call.env,
            flags.as_ptr().cast(),
            flags.len() as isize,
            &raw mut answer,
        )
    })?;
    Ok(answer)
}

fn read_pieces(
    env: sys::napi_env,
    list: sys::napi_value,
) -> std::result::Result<Vec<PackedValues>, Failure> {
    let mut length = 0;
    // SAFETY: the handles belong to the call that is running; so too below.
    check(env, unsafe {
        sys::napi_get_array_length(env, list, &raw mut length)
    })?;
    let part = |index| {
        let mut part = ptr::null_mut();
        // SAFETY: as above. The array is one of `lib/batch.js`, without getters.
        check(env, unsafe {
            sys::napi_get_element(env, list, index, &raw mut part)
        })?;
        Ok::<_, Failure>(part)
    };
    let starts = (0..length).step_by(2);
    starts
        .map(|index| PackedValues::read(env, part(index)?, part(index + 1)?, None))
        .collect()
}

/// `addFileHashes(text, codes, blobs, onConflict)`: 1 for a row that was written, else 0.
pub(super) fn add_file_hashes(call: &Call<'_>) -> Answer {
    let on_conflict = read_on_conflict(&call.argument(3, "onConflict"))?;
    each(
        call,
        "addFileHashes",
        |connection, record: &Record<'_, 9>| {
            let file = file_hash::NewRow {
                hash: record.field(0, "hash").text()?,
                file_path: record.field(1, "file_path").text()?,
                file_name: record.field(2, "file_name").text()?,
                file_size: record.field(3, "file_size").counter()?,
                mime_type: record.field(4, "mime_type").text()?,
                upload_service: UploadService::parse(record.field(5, "upload_service").text()?)?,
                upload_id: record.field(6, "upload_id").optional_text()?,
                chat_id: record.field(7, "chat_id").text()?,
                uploaded_at: record.field(8, "uploaded_at").optional_text()?,
            };
            let added = file_hash::add(connection, &file, on_conflict)?;
            Ok(f64::from(u8::from(added == Added::Written)))
        },
    )
}

/// `logErrors(text, codes, blobs)`: the errors' ids.
pub(super) fn log_errors(call: &Call<'_>) -> Answer {
    each(call, "logErrors", |connection, record: &Record<'_, 5>| {
        let error = upload_error::NewRow {
            session_id: record.field(0, "session_id").text()?,
            file_path: record.field(1, "file_path").text()?,
            error_type: record.field(2, "error_type").text()?,
            error_message: record.field(3, "error_message").text()?,
            retry_count: record.field(4, "retry_count").counter_or_zero()?,
        };
        Ok(upload_error::log(connection, &error)? as f64)
    })
}

/// `updateSessions(text, codes, blobs)`: 0 for each that was changed.
pub(super) fn update_sessions(call: &Call<'_>) -> Answer {
    each(
        call,
        "updateSessions",
        |connection, record: &Record<'_, 12>| {
            let id = record.field(0, "id").text()?;
            read_changes(record)
                .and_then(|changes| session::update(connection, id, &changes))
                .map_err(|error| error.within("changes"))?;
            Ok(0.0)
        },
    )
}

/// Reads what to change. A column that cannot hold NULL is left alone by undefined and refuses
/// null.
fn read_changes(record: &Record<'_, 12>) -> Result<SessionChanges> {
    let text = |index, name| {
        let field = record.field(index, name);
        let text = field.is_given().then(|| field.text().map(str::to_owned));
        text.transpose()
    };
    let counter = |index, name| {
        let field = record.field(index, name);
        field.is_given().then(|| field.counter()).transpose()
    };
    let status = record.field(10, "status");
    let status = status
        .is_given()
        .then(|| SessionStatus::parse(status.text()?));
    let last_file = record.field(11, "last_processed_file");
    let last_file = last_file.is_given().then(|| last_file.optional_text());
    Ok(SessionChanges {
        chat_id: text(1, "chat_id")?,
        chat_name: text(2, "chat_name")?,
        start_time: text(3, "start_time")?,
        last_update: text(4, "last_update")?,
        total_files: counter(5, "total_files")?,
        processed_files: counter(6, "processed_files")?,
        success_count: counter(7, "success_count")?,
        error_count: counter(8, "error_count")?,
        duplicate_count: counter(9, "duplicate_count")?,
        status: status.transpose()?,
        last_processed_file: last_file.transpose()?.map(|file| file.map(str::to_owned)),
    })
}

/// A packed record's values.
struct Record<'a, const N: usize>([PackedValue<'a>; N]);

impl<'a, const N: usize> Record<'a, N> {
    fn take(values: &mut Values<'a>) -> Result<(i64, Self)> {
        let index = Field::new("index", values.take()?).counter()?;
        let mut record = [PackedValue::Undefined; N];
        for value in &mut record {
            *value = values.take()?;
        }
        Ok((index, Self(record)))
    }

    fn field(&self, index: usize, name: &'static str) -> Field<'a> {
        Field::new(name, self.0[index])
    }
}

/// Writes each packed record.
fn each<const N: usize>(
    call: &Call<'_>,
    operation: &str,
    mut write: impl FnMut(&KeepingConnection, &Record<'_, N>) -> Result<f64>,
) -> Answer {
    let blobs = call.argument(2, "blobs").is_given();
    let blobs = blobs.then(|| call.value(2));
    let packed = PackedValues::read(call.env, call.value(0), call.value(1), blobs)?;
    let mut values = packed.iter();
    let records = std::iter::from_fn(|| (!values.is_empty()).then(|| Record::take(&mut values)));
    let outcomes = call.run(|manager| {
        manager.ledger_each(records, |connection, _, record| {
            let (index, record) = record?;
            write(connection, &record).map_err(|error| error.within(&format!("records[{index}]")))
        })
    })?;
    answer(call.env, operation, outcomes)
}

fn answer(env: sys::napi_env, operation: &str, outcomes: Vec<Result<f64>>) -> Answer {
    let mut numbers = Vec::with_capacity(outcomes.len());
    let (mut answer, mut errors) = (ptr::null_mut(), ptr::null_mut());
    // SAFETY: `env` is the environment of the running call, and the values belong to that; the
    // numbers are as many doubles as is said.
    unsafe {
        check(env, sys::napi_create_array(env, &raw mut errors))?;
        let mut count = 0;
        for outcome in outcomes {
            numbers.push(outcome.as_ref().copied().unwrap_or(f64::NAN));
            if let Err(error) = outcome {
                let error = to_javascript(&Env::from_raw(env), operation, &error);
                let error = JsError::from(error).into_value(env);
                check(env, sys::napi_set_element(env, errors, count, error))?;
                count += 1;
            }
        }
        let kind = sys::TypedarrayType::float64_array;
        let numbers = typed_array(env, kind, numbers.as_ptr().cast(), numbers.len(), 8)
            .map_err(Failure::JavaScript)?;
        check(
            env,
            sys::napi_create_array_with_length(env, 2, &raw mut answer),
        )?;
        check(env, sys::napi_set_element(env, answer, 0, numbers))?;
        check(env, sys::napi_set_element(env, answer, 1, errors))?;
    }
    Ok(answer)
}
