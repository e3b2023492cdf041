//! Owns the timed work of each operation: the SQLite calls that any driver must make at least.

use crate::input::{
    File, LARGE_CHATS, MISSING_FILES, NEW_FILES, Random, SESSIONS, chat_id, file_name, file_path,
    hash_text, now, session_id,
};
use crate::{Floor, Outcome, Request};
use rusqlite::{Row, Statement, params};
use std::time::Instant;

const INSERT_FILE: &str = "INSERT INTO file_hashes (hash, file_path, file_name, file_size, \
    mime_type, upload_service, upload_id, chat_id, uploaded_at) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)";
const FILE_EXISTS: &str = "SELECT 1 FROM file_hashes WHERE hash = ?";
const SELECT_FILE: &str = "SELECT hash, file_path, file_name, file_size, mime_type, \
    upload_service, upload_id, chat_id, uploaded_at FROM file_hashes WHERE hash = ?";
const SELECT_NAME: &str = "SELECT file_name FROM file_hashes WHERE hash = ?";
const SELECT_CHAT: &str = "SELECT hash, file_path, file_name, file_size, mime_type, \
    upload_service, upload_id, chat_id, uploaded_at FROM file_hashes WHERE chat_id = ? ORDER BY rowid";
const SELECT_ROWS: &str = "SELECT hash, file_path, file_name, file_size, mime_type, \
    upload_service, upload_id, chat_id, uploaded_at FROM file_hashes WHERE rowid > ? \
    ORDER BY rowid LIMIT ?";
const INSERT_ERROR: &str = "INSERT INTO upload_errors (session_id, file_path, error_type, \
    error_message, retry_count, timestamp) VALUES (?, ?, ?, ?, ?, ?)";
const COUNT_IN_SESSION: &str = "UPDATE upload_sessions SET \
    processed_files = coalesce(processed_files, 0) + ?, \
    success_count = coalesce(success_count, 0) + ?, error_count = coalesce(error_count, 0) + ?, \
    last_update = ? WHERE id = ?";
const FILE_COLUMNS: usize = 9;
impl Floor {
    pub fn round(&self, request: &Request) -> Outcome<(u64, u64)> {
        match request.operation.as_str() {
            "is_file_uploaded" => self.is_file_uploaded(request),
            "get_file_hash" => self.get_file(request, SELECT_FILE, FILE_COLUMNS, "BEGIN"),
            "get_file_hash_in_autocommit" => self.get_file(request, SELECT_FILE, FILE_COLUMNS, ""),
            "get_file_name" => self.get_file(request, SELECT_NAME, 1, "BEGIN"),
            "find_file_hashes" => self.find_file_hashes(request),
            "list_rows" => self.list_rows(request),
            "add_file_hash" => self.add_file_hash(request, false),
            "add_file_hash_in_one_transaction" => self.add_file_hash(request, true),
            "update_session" => self.update_session(request),
            "log_error" => self.log_error(request),
            "mixed" => self.mixed(request),
            other => Err(format!("the floor has no operation {other}").into()),
        }
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
        let mut statement = self.prepare(FILE_EXISTS)?;
        self.time("BEGIN", || {
            let mut found = 0;
            for hash in &hashes {
                found += u64::from(statement.exists([hash])?);
            }
            Ok(found)
        })
    }

    fn get_file(
        &self,
        request: &Request,
        sql: &str,
        columns: usize,
        begin: &str,
    ) -> Outcome<(u64, u64)> {
        let mut random = Random(request.round_seed);
        let hashes: Vec<String> = (0..request.count)
            .map(|_| hash_text(request.seed, random.below(request.files)))
            .collect();
        let mut statement = self.prepare(sql)?;
        self.time(begin, || {
            let mut found = 0;
            for hash in &hashes {
                let mut rows = statement.query([hash])?;
                if let Some(row) = rows.next()? {
                    read_cells(row, columns)?;
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
                    read_cells(row, FILE_COLUMNS)?;
                    found += 1;
                }
            }
            Ok(found)
        })
    }

    /// Lists of `request.rows` rows in the order of the file, each from a random row on.
    fn list_rows(&self, request: &Request) -> Outcome<(u64, u64)> {
        let mut random = Random(request.round_seed);
        let starts: Vec<u32> = (0..request.count)
            .map(|_| random.below(request.files - request.rows + 1))
            .collect();
        let mut statement = self.prepare(SELECT_ROWS)?;
        self.time("", || {
            let mut found = 0;
            for start in &starts {
                let mut rows = statement.query([start, &request.rows])?;
                while let Some(row) = rows.next()? {
                    read_cells(row, FILE_COLUMNS)?;
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
                added += add_file(&mut statement, file)?;
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
        let mut statement = self.prepare(INSERT_ERROR)?;
        self.time("", || {
            let mut logged = 0;
            for (session, file) in &errors {
                logged += log_error(&mut statement, session, file)?;
            }
            Ok(u64::try_from(logged)?)
        })
    }

    /// The uploader's own mix, as `operation/mixed.js` does it: each file that is new in a
    /// transaction of its own.
    fn mixed(&self, request: &Request) -> Outcome<(u64, u64)> {
        let mut random = Random(request.round_seed);
        let work: Vec<MixedFile> = (0..request.count)
            .map(|index| MixedFile::new(request, &mut random, index))
            .collect();
        let main = self.main.handle();
        let mut exists = self.prepare(FILE_EXISTS)?;
        let mut add = self.prepare(INSERT_FILE)?;
        let mut log = self.prepare(INSERT_ERROR)?;
        let mut count = self.prepare(COUNT_IN_SESSION)?;
        self.time("", || {
            let mut written = 0;
            for MixedFile {
                file,
                session,
                fails,
            } in &work
            {
                if exists.exists([&file.hash])? {
                    continue;
                }
                main.execute_batch("BEGIN IMMEDIATE")?;
                written += if *fails {
                    log_error(&mut log, session, &file.path)?
                } else {
                    add_file(&mut add, file)?
                };
                count.execute(params![1, !fails, fails, now(), session])?;
                main.execute_batch("COMMIT")?;
            }
            Ok(u64::try_from(written)?)
        })
    }
}

/// One file of the mixed workload: every fourth is uploaded already, one of a hundred fails.
struct MixedFile {
    file: File,
    session: String,
    fails: bool,
}

impl MixedFile {
    fn new(request: &Request, random: &mut Random, index: u32) -> Self {
        let known = random.below(request.files);
        let session = random.below(SESSIONS);
        let is_known = index % 4 == 3;
        Self {
            file: File::new(
                request.seed,
                if is_known { known } else { NEW_FILES + index },
            ),
            session: session_id(session),
            fails: index % 100 == 50,
        }
    }
}

fn add_file(statement: &mut Statement<'_>, file: &File) -> Outcome<usize> {
    Ok(statement.execute(params![
        file.hash,
        file.path,
        file.name,
        file.size,
        "image/jpeg",
        file.service,
        file.upload_id,
        file.chat_id,
        file.uploaded_at,
    ])?)
}

fn log_error(statement: &mut Statement<'_>, session: &str, file: &str) -> Outcome<usize> {
    Ok(statement.execute(params![
        session,
        file,
        "transient",
        "socket hang up (ECONNRESET)",
        0,
        now()
    ])?)
}

/// Touches every cell of a row: what any driver must do at least.
fn read_cells(row: &Row<'_>, columns: usize) -> Outcome<()> {
    for column in 0..columns {
        std::hint::black_box(row.get_ref(column)?);
    }
    Ok(())
}
