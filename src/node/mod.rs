//! Owns the Node addon: a thin skin over the manager, and the only folder that names napi.
//!
//! Classes take and give plain values; every decision about data is made in the floors below,
//! every decision about time (queues, retries, transactions across awaits) in `lib/`.

mod config;
mod connection;
mod direct;
mod environment;
mod error;
mod function;
mod interruption;
mod ledger;
mod migration;
mod open_file;
mod packed_field;
mod parameter;
mod prepared;
mod progress;
mod read_lock;
mod record;
mod row_codec;
mod run_many;
mod statement;
mod statement_cache;
mod task;
mod value;
