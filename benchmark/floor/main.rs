//! Owns the floor of the benchmark: the SQLite calls of each operation with no JavaScript and no
//! records around them, on the crate's own handle and so with its switches and pragmas.
//!
//! It reads one request a line from stdin (`operation`, `file`, `count`, `seed`, `round_seed`,
//! `rows`, `checkpoint_pages`, `files`, `errors`) and answers each with one line: `nanoseconds` and the
//! `result` that the benchmark compares, or `error`.

mod input;
mod operation;

use crate::input::now;
use serde_json::{Value, json};
use std::error::Error;
use std::io::{BufRead, Write};
use whatsapp_uploader_database::{Connection, DatabaseConfig};

type Outcome<T> = Result<T, Box<dyn Error>>;

fn main() -> Outcome<()> {
    let mut floor: Option<Floor> = None;
    for line in std::io::stdin().lock().lines() {
        let answer = answer(&mut floor, &line?).unwrap_or_else(|error| {
            let text = error.to_string();
            json!({ "error": text })
        });
        let mut stdout = std::io::stdout().lock();
        writeln!(stdout, "{answer}")?;
        stdout.flush()?;
    }
    Ok(())
}

fn answer(floor: &mut Option<Floor>, line: &str) -> Outcome<Value> {
    let request = Request::parse(line)?;
    if floor.as_ref().is_none_or(|open| open.file != request.file) {
        *floor = Some(Floor::open(&request.file)?);
    }
    let floor = floor.as_ref().ok_or("no file is open")?;
    if request.is_tidied {
        floor.settle(request.checkpoint_pages)?;
    }
    let (nanoseconds, result) = floor.round(&request)?;
    if request.is_tidied {
        floor.clean(&request)?;
    }
    Ok(json!({ "nanoseconds": nanoseconds, "result": result }))
}

struct Request {
    operation: String,
    file: String,
    count: u32,
    seed: u32,
    round_seed: u32,
    rows: u32,
    is_tidied: bool,
    checkpoint_pages: u32,
    files: u32,
    errors: u32,
}

impl Request {
    fn parse(line: &str) -> Outcome<Self> {
        let value: Value = serde_json::from_str(line)?;
        let text = |name: &str| {
            let text = value[name].as_str().map(str::to_owned);
            text.ok_or_else(|| format!("the request has no text {name}"))
        };
        let number = |name: &str| {
            let number = value[name].as_u64().and_then(|n| u32::try_from(n).ok());
            number.ok_or_else(|| format!("the request has no number {name}"))
        };
        Ok(Self {
            operation: text("operation")?,
            file: text("file")?,
            count: number("count")?,
            seed: number("seed")?,
            round_seed: number("round_seed")?,
            rows: number("rows")?,
            is_tidied: value["is_tidied"]
                .as_bool()
                .ok_or("the request has no truth is_tidied")?,
            checkpoint_pages: number("checkpoint_pages")?,
            files: number("files")?,
            errors: number("errors")?,
        })
    }
}

/// One open file: the connection that is measured, and one that tidies up between rounds.
struct Floor {
    file: String,
    main: Connection,
    side: Connection,
}

impl Floor {
    fn open(file: &str) -> Outcome<Self> {
        let config = DatabaseConfig::new(file);
        Ok(Self {
            file: file.to_owned(),
            main: Connection::open(&config)?,
            side: Connection::open(&config)?,
        })
    }

    /// Empties the log and writes its first page, so that neither falls into the timed part.
    fn settle(&self, checkpoint_pages: u32) -> Outcome<()> {
        let busy: i64 =
            self.side
                .handle()
                .query_row("PRAGMA wal_checkpoint(TRUNCATE)", [], |row| row.get(0))?;
        if busy != 0 {
            return Err("the checkpoint between rounds met a lock".into());
        }
        let main = self.main.handle();
        main.pragma_update(None, "wal_autocheckpoint", checkpoint_pages)?;
        main.execute(
            "INSERT OR REPLACE INTO config (key, value, updated_at) VALUES ('benchmark', '0', ?)",
            [now()],
        )?;
        Ok(())
    }

    fn clean(&self, request: &Request) -> Outcome<()> {
        let side = self.side.handle();
        side.execute("DELETE FROM file_hashes WHERE rowid > ?", [request.files])?;
        side.execute("DELETE FROM upload_errors WHERE id > ?", [request.errors])?;
        Ok(())
    }
}
