//! Owns the floor of the benchmark: the SQLite calls of each operation with no JavaScript and no
//! records around them, on the crate's own handle and so with its switches and pragmas.
//!
//! It reads one request a line from stdin (`operation`, `file`, `count`, `seed`, `round_seed`,
//! `checkpoint_pages`, `files`, `errors`) and answers each with one line: `nanoseconds` and the
//! `result` that the benchmark compares, or `error`. Its inputs are those of `dataset.js`, made
//! by the same generator.

use jiff::fmt::temporal::DateTimePrinter;
use rusqlite::{Row, Statement, params};
use serde_json::{Value, json};
use std::error::Error;
use std::io::{BufRead, Write};
use std::time::Instant;
use whatsapp_uploader_database::{Connection, DatabaseConfig};

type Outcome<T> = Result<T, Box<dyn Error>>;

/// Where the indexes of files begin that are not in the file, and of those that never will be.
const NEW_FILES: u32 = 1_000_000;
const MISSING_FILES: u32 = 2_000_000;
const LARGE_CHATS: u32 = 20;
const CHATS: u32 = 1_000;
const SESSIONS: u32 = 1_000;

const INSERT_FILE: &str = "INSERT INTO file_hashes (hash, file_path, file_name, file_size, \
    mime_type, upload_service, upload_id, chat_id, uploaded_at) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)";
const SELECT_FILE: &str = "SELECT hash, file_path, file_name, file_size, mime_type, \
    upload_service, upload_id, chat_id, uploaded_at FROM file_hashes WHERE hash = ?";
const SELECT_CHAT: &str = "SELECT hash, file_path, file_name, file_size, mime_type, \
    upload_service, upload_id, chat_id, uploaded_at FROM file_hashes WHERE chat_id = ? ORDER BY rowid";
const FILE_COLUMNS: usize = 9;

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
    floor.settle(request.checkpoint_pages)?;
    let (nanoseconds, result) = floor.round(&request)?;
    floor.clean(&request)?;
    Ok(json!({ "nanoseconds": nanoseconds, "result": result }))
}

struct Request {
    operation: String,
    file: String,
    count: u32,
    seed: u32,
    round_seed: u32,
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

    fn round(&self, request: &Request) -> Outcome<(u64, u64)> {
        match request.operation.as_str() {
            "is_file_uploaded" => self.is_file_uploaded(request),
            "get_file_hash" => self.get_file_hash(request),
            "find_file_hashes" => self.find_file_hashes(request),
            "add_file_hash" => self.add_file_hash(request, false),
            "add_file_hash_in_one_transaction" => self.add_file_hash(request, true),
            "update_session" => self.update_session(request),
            "log_error" => self.log_error(request),
            other => Err(format!("the floor has no operation {other}").into()),
        }
    }

    fn clean(&self, request: &Request) -> Outcome<()> {
        let side = self.side.handle();
        side.execute("DELETE FROM file_hashes WHERE rowid > ?", [request.files])?;
        side.execute("DELETE FROM upload_errors WHERE id > ?", [request.errors])?;
        Ok(())
    }

    /// Times `work`, inside one transaction when `begin` opens one.
    fn time(&self, begin: &str, work: impl FnOnce() -> Outcome<u64>) -> Outcome<(u64, u64)> {
        let main = self.main.handle();
        let start = Instant::now();
        if !begin.is_empty() {
            main.execute_batch(begin)?;
        }
        let result = work()?;
        if !begin.is_empty() {
            main.execute_batch("COMMIT")?;
        }
        Ok((u64::try_from(start.elapsed().as_nanos())?, result))
    }

    fn prepare(&self, sql: &str) -> Outcome<Statement<'_>> {
        Ok(self.main.handle().prepare(sql)?)
    }

    fn is_file_uploaded(&self, request: &Request) -> Outcome<(u64, u64)> {
        let mut random = Random(request.round_seed);
        let hashes: Vec<String> = (0..request.count)
            .map(|index| {
                let file = random.below(request.files);
                let is_there = index % 2 == 0;
                hash_text(
                    request.seed,
                    if is_there { file } else { MISSING_FILES + file },
                )
            })
            .collect();
        let mut statement = self.prepare("SELECT 1 FROM file_hashes WHERE hash = ?")?;
        self.time("BEGIN", || {
            let mut found = 0;
            for hash in &hashes {
                found += u64::from(statement.exists([hash])?);
            }
            Ok(found)
        })
    }

    fn get_file_hash(&self, request: &Request) -> Outcome<(u64, u64)> {
        let mut random = Random(request.round_seed);
        let hashes: Vec<String> = (0..request.count)
            .map(|_| hash_text(request.seed, random.below(request.files)))
            .collect();
        let mut statement = self.prepare(SELECT_FILE)?;
        self.time("BEGIN", || {
            let mut found = 0;
            for hash in &hashes {
                let mut rows = statement.query([hash])?;
                if let Some(row) = rows.next()? {
                    read_file(row)?;
                    found += 1;
                }
            }
            Ok(found)
        })
    }

    fn find_file_hashes(&self, request: &Request) -> Outcome<(u64, u64)> {
        let mut random = Random(request.round_seed);
        let chats: Vec<String> = (0..request.count)
            .map(|_| chat_id(random.below(LARGE_CHATS)))
            .collect();
        let mut statement = self.prepare(SELECT_CHAT)?;
        self.time("BEGIN", || {
            let mut found = 0;
            for chat in &chats {
                let mut rows = statement.query([chat])?;
                while let Some(row) = rows.next()? {
                    read_file(row)?;
                    found += 1;
                }
            }
            Ok(found)
        })
    }

    fn add_file_hash(&self, request: &Request, in_one: bool) -> Outcome<(u64, u64)> {
        let files: Vec<File> = (0..request.count)
            .map(|index| File::new(request.seed, NEW_FILES + index))
            .collect();
        let mut statement = self.prepare(INSERT_FILE)?;
        let begin = if in_one { "BEGIN IMMEDIATE" } else { "" };
        self.time(begin, || {
            let mut added = 0;
            for file in &files {
                added += statement.execute(params![
                    file.hash,
                    file.path,
                    file.name,
                    file.size,
                    "image/jpeg",
                    file.service,
                    file.upload_id,
                    file.chat_id,
                    file.uploaded_at,
                ])?;
            }
            Ok(u64::try_from(added)?)
        })
    }

    fn update_session(&self, request: &Request) -> Outcome<(u64, u64)> {
        let mut random = Random(request.round_seed);
        let changes: Vec<(String, u32, String)> = (0..request.count)
            .map(|index| {
                let session = random.below(SESSIONS);
                (session_id(session), index, file_path(&file_name(index)))
            })
            .collect();
        let mut statement = self.prepare(
            "UPDATE upload_sessions SET last_update = ?, processed_files = ?, success_count = ?, \
             last_processed_file = ? WHERE id = ?",
        )?;
        self.time("", || {
            let mut changed = 0;
            for (id, number, file) in &changes {
                changed += statement.execute(params![now(), number, number, file, id])?;
            }
            Ok(u64::try_from(changed)?)
        })
    }

    fn log_error(&self, request: &Request) -> Outcome<(u64, u64)> {
        let mut random = Random(request.round_seed);
        let errors: Vec<(String, String)> = (0..request.count)
            .map(|index| {
                let session = random.below(SESSIONS);
                (session_id(session), file_path(&file_name(index)))
            })
            .collect();
        let mut statement = self.prepare(
            "INSERT INTO upload_errors (session_id, file_path, error_type, error_message, \
             retry_count, timestamp) VALUES (?, ?, ?, ?, ?, ?)",
        )?;
        self.time("", || {
            let mut logged = 0;
            for (session, file) in &errors {
                logged += statement.execute(params![
                    session,
                    file,
                    "transient",
                    "socket hang up (ECONNRESET)",
                    0,
                    now()
                ])?;
            }
            Ok(u64::try_from(logged)?)
        })
    }
}

/// Touches every cell of a row: what any driver must do at least.
fn read_file(row: &Row<'_>) -> Outcome<()> {
    for column in 0..FILE_COLUMNS {
        std::hint::black_box(row.get_ref(column)?);
    }
    Ok(())
}

/// A file that is not in the database yet, as `fileRecord` of `dataset.js` makes it.
struct File {
    hash: String,
    path: String,
    name: String,
    size: u32,
    service: &'static str,
    upload_id: Option<String>,
    chat_id: String,
    uploaded_at: String,
}

impl File {
    fn new(seed: u32, index: u32) -> Self {
        let hash = hash_text(seed, index);
        let name = file_name(index);
        Self {
            path: file_path(&name),
            name,
            size: 20_000 + index.wrapping_mul(7_919) % 4_000_000,
            service: if index.is_multiple_of(4) {
                "drive"
            } else {
                "photos"
            },
            upload_id: (!index.is_multiple_of(10)).then(|| format!("upload-{}", &hash[..24])),
            chat_id: chat_id(index % CHATS),
            uploaded_at: format!(
                "2026-{:02}-{:02}T{:02}:{:02}:{:02}.000Z",
                1 + index / 86_400 / 28 % 12,
                1 + index / 86_400 % 28,
                index / 3_600 % 24,
                index / 60 % 60,
                index % 60
            ),
            hash,
        }
    }
}

fn chat_id(index: u32) -> String {
    format!("49151{index:08}@c.us")
}

fn session_id(index: u32) -> String {
    format!("00000000-0000-7000-8000-{index:012}")
}

fn file_name(index: u32) -> String {
    format!(
        "IMG-2026{:02}{:02}-WA{:04}.jpg",
        1 + index / 28 % 12,
        1 + index % 28,
        index % 10_000
    )
}

fn file_path(name: &str) -> String {
    format!("WhatsApp/Media/WhatsApp Images/{name}")
}

fn now() -> String {
    const PRINTER: DateTimePrinter = DateTimePrinter::new().precision(Some(3));
    PRINTER.timestamp_to_string(&jiff::Timestamp::now())
}

/// The generator of `random.js`, mulberry32: the same numbers from the same seed.
struct Random(u32);

impl Random {
    fn next(&mut self) -> u32 {
        self.0 = self.0.wrapping_add(0x6D2B_79F5);
        let mut mixed = (self.0 ^ (self.0 >> 15)).wrapping_mul(self.0 | 1);
        mixed ^= mixed.wrapping_add((mixed ^ (mixed >> 7)).wrapping_mul(mixed | 61));
        mixed ^ (mixed >> 14)
    }

    fn below(&mut self, limit: u32) -> u32 {
        self.next() % limit
    }
}

/// A file's hash: 64 hexadecimal digits from its index.
fn hash_text(seed: u32, index: u32) -> String {
    let mut random = Random(seed ^ index.wrapping_add(1).wrapping_mul(0x9E37_79B1));
    (0..8).map(|_| format!("{:08x}", random.next())).collect()
}
