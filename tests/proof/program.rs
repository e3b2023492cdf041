//! Owns the programs that campaigns run on a ledger: random steps, what each must do to the rows,
//! and reading the rows back. Times that the ledger makes by itself are left out.

use crate::random::Random;
use std::collections::BTreeMap;
use whatsapp_uploader_database::{
    DatabaseConfig, DatabaseManager, Error, NewFileHash, NewSession, NewUploadError, OnConflict,
    Result, SessionDeltas, Synchronous, UploadService,
};

/// The rows of a ledger.
#[derive(Debug, Clone, Default)]
pub struct Rows {
    /// Counter of successes, and of errors.
    pub sessions: BTreeMap<String, (i64, i64)>,
    pub files: BTreeMap<String, (i64, String)>,
    pub errors: BTreeMap<i64, (String, i64, String)>,
    pub settings: BTreeMap<String, String>,
    /// The next error's id, which is never used twice; not read back.
    next_error: i64,
}

impl PartialEq for Rows {
    fn eq(&self, other: &Self) -> bool {
        self.sessions == other.sessions
            && self.files == other.files
            && self.errors == other.errors
            && self.settings == other.settings
    }
}

#[derive(Debug, Clone)]
pub enum Step {
    CreateSession(u32),
    /// Adds a file and counts it in its session, in one transaction.
    Upload {
        session: u32,
        file: u32,
    },
    AddFile(u32),
    AddFiles(Vec<u32>),
    DeleteFile(u32),
    LogError {
        session: u32,
        length: usize,
    },
    Retry(i64),
    ClearErrors(u32),
    DeleteSession(u32),
    Set(u32, u32),
    /// Uploads in one transaction, and a savepoint within that is rolled back.
    Transaction {
        session: u32,
        files: Vec<u32>,
        fails: bool,
    },
    Flush,
    Checkpoint,
    Vacuum,
    /// Closes the ledger and opens it again.
    Reopen,
}

impl Step {
    /// The same step with other files.
    pub fn moved_by(self, offset: u32) -> Self {
        let moved = |files: Vec<u32>| files.into_iter().map(|file| file + offset).collect();
        match self {
            Self::Upload { session, file } => Self::Upload {
                session,
                file: file + offset,
            },
            Self::AddFile(file) => Self::AddFile(file + offset),
            Self::AddFiles(files) => Self::AddFiles(moved(files)),
            Self::Transaction {
                session,
                files,
                fails,
            } => Self::Transaction {
                session,
                files: moved(files),
                fails,
            },
            other => other,
        }
    }
}

/// How large things are in a program, and what it may do.
#[derive(Debug, Clone, Copy)]
pub struct Shape {
    pub steps: usize,
    pub vacuum: bool,
}

fn session_name(number: u32) -> String {
    format!("session-{number}")
}

pub fn hash_of(file: u32) -> String {
    let mut random = Random::of_case(0xf11e, u64::from(file));
    (0..4).map(|_| format!("{:016x}", random.next())).collect()
}

pub fn file_of(file: u32) -> NewFileHash {
    let name = format!("IMG-2026{file:06}-WA0001.jpg");
    NewFileHash {
        hash: hash_of(file),
        file_path: format!("WhatsApp Images/{name}"),
        file_name: name,
        file_size: i64::from(file) * 7 + 1,
        mime_type: "image/jpeg".into(),
        upload_service: UploadService::Photos,
        upload_id: None,
        chat_id: format!("chat-{}", file % 5),
        uploaded_at: Some("2026-01-31T12:00:00.000Z".into()),
    }
}

pub fn message_of(length: usize) -> String {
    "the upload was refused; "
        .chars()
        .cycle()
        .take(length)
        .collect()
}

/// A refusal that is right: the row is there already, or is not.
fn is_refusal(error: &Error) -> bool {
    matches!(
        error.code(),
        "SQLITE_CONSTRAINT_FOREIGNKEY" | "DB_NOT_FOUND"
    )
}

/// Makes a program.
pub fn make(random: &mut Random, shape: Shape) -> Vec<Step> {
    let mut steps = vec![Step::CreateSession(0)];
    let mut next_file = 0;
    let mut new_file = move || {
        next_file += 1;
        next_file
    };
    while steps.len() < shape.steps {
        let session = random.below(3) as u32;
        steps.push(match random.below(40) {
            0..8 => Step::Upload {
                session: 0,
                file: new_file(),
            },
            8..12 => Step::AddFile(new_file()),
            12..15 => Step::AddFiles((0..=random.below(6)).map(|_| new_file()).collect()),
            15..17 => Step::DeleteFile(random.below(20) as u32),
            17..21 => Step::LogError {
                session,
                length: if random.one_in(6) {
                    6_000
                } else {
                    random.below(300)
                },
            },
            21 => Step::Retry(random.below(6) as i64 + 1),
            22 => Step::ClearErrors(session),
            23 => Step::DeleteSession(random.below(2) as u32 + 1),
            24..26 => Step::CreateSession(session),
            26..29 => Step::Set(random.below(4) as u32, random.below(1_000) as u32),
            29..33 => Step::Transaction {
                session: 0,
                files: (0..=random.below(8)).map(|_| new_file()).collect(),
                fails: random.one_in(3),
            },
            33..35 => Step::Flush,
            35..37 => Step::Checkpoint,
            37 if shape.vacuum => Step::Vacuum,
            38 => Step::Reopen,
            _ => Step::AddFile(new_file()),
        });
    }
    steps
}

/// The configuration that programs use.
pub fn config(path: &std::path::Path, is_full: bool) -> DatabaseConfig {
    DatabaseConfig {
        synchronous: if is_full {
            Synchronous::Full
        } else {
            Synchronous::Normal
        },
        timeout_ms: 1_000,
        mmap_size_bytes: 0,
        ..DatabaseConfig::new(path)
    }
}

/// Does a step, except [`Step::Reopen`], and says what was acknowledged: of many files, each has
/// an outcome of its own. A refusal that the rows explain is a success.
pub fn run(ledger: &DatabaseManager, step: &Step) -> Result<Step> {
    match step {
        Step::AddFiles(files) => {
            let records: Vec<_> = files.iter().map(|file| file_of(*file)).collect();
            let outcomes = ledger.add_file_hashes(&records, OnConflict::Ignore)?;
            let added = files
                .iter()
                .zip(outcomes)
                .filter(|(_, outcome)| outcome.is_ok());
            Ok(Step::AddFiles(added.map(|(file, _)| *file).collect()))
        }
        step => run_whole(ledger, step).map(|()| step.clone()),
    }
}

fn run_whole(ledger: &DatabaseManager, step: &Step) -> Result<()> {
    let outcome = match step {
        Step::CreateSession(number) => {
            let session = NewSession {
                id: Some(session_name(*number)),
                ..NewSession::new("chat-0", "Family", "2026-01-31T12:00:00.000Z")
            };
            match ledger.create_session(&session) {
                Err(error) if error.code() == "SQLITE_CONSTRAINT_PRIMARYKEY" => Ok(()),
                outcome => outcome.map(drop),
            }
        }
        Step::Upload { session, file } => {
            ledger.transaction(|ledger| upload(ledger, *session, *file))
        }
        Step::AddFile(file) => ledger.add_file_hash(&file_of(*file), OnConflict::Ignore),
        Step::DeleteFile(file) => ledger.delete_file_hash(&hash_of(*file)),
        Step::LogError { session, length } => {
            ledger.log_error(&error_of(*session, *length)).map(drop)
        }
        Step::Retry(id) => ledger.increment_retry_count(*id).map(drop),
        Step::ClearErrors(session) => ledger.clear_errors(&session_name(*session)),
        Step::DeleteSession(session) => ledger.delete_session(&session_name(*session)),
        Step::Set(key, value) => ledger.set_config(&format!("k{key}"), value),
        Step::Transaction {
            session,
            files,
            fails,
        } => ledger.transaction(|ledger| {
            for file in files {
                upload(ledger, *session, *file)?;
            }
            let undone = ledger.transaction(|ledger| {
                ledger.set_config("kx", &1)?;
                Err::<(), _>(Error::Closed)
            });
            match undone {
                Err(Error::Closed) => {}
                other => return other,
            }
            if *fails { Err(Error::Closed) } else { Ok(()) }
        }),
        Step::Flush => ledger.flush(),
        Step::Checkpoint => ledger.checkpoint().map(drop),
        Step::Vacuum => ledger.vacuum(),
        Step::AddFiles(_) | Step::Reopen => Ok(()),
    };
    match outcome {
        Err(error) if is_refusal(&error) => Ok(()),
        Err(Error::Closed) if matches!(step, Step::Transaction { fails: true, .. }) => Ok(()),
        outcome => outcome,
    }
}

fn upload(ledger: &DatabaseManager, session: u32, file: u32) -> Result<()> {
    ledger.add_file_hash(&file_of(file), OnConflict::Ignore)?;
    let deltas = SessionDeltas {
        success_count: 1,
        ..SessionDeltas::default()
    };
    ledger.increment_session(&session_name(session), deltas)
}

fn error_of(session: u32, length: usize) -> NewUploadError {
    NewUploadError {
        session_id: session_name(session),
        file_path: "a.jpg".into(),
        error_type: "network".into(),
        error_message: message_of(length),
        retry_count: 0,
    }
}

impl Rows {
    /// The rows after a step.
    pub fn after(&self, step: &Step) -> Self {
        let mut rows = self.clone();
        match step {
            Step::CreateSession(number) => {
                rows.sessions.entry(session_name(*number)).or_insert((0, 0));
            }
            Step::Upload { session, file } => rows.upload_all(*session, &[*file]),
            Step::AddFile(file) => rows.add(*file),
            Step::AddFiles(files) => files.iter().for_each(|file| rows.add(*file)),
            Step::DeleteFile(file) => drop(rows.files.remove(&hash_of(*file))),
            Step::LogError { session, length } => {
                let name = session_name(*session);
                if rows.sessions.contains_key(&name) {
                    rows.next_error += 1;
                    let error = (name, 0, message_of(*length));
                    rows.errors.insert(rows.next_error, error);
                }
            }
            Step::Retry(id) => {
                if let Some(error) = rows.errors.get_mut(id) {
                    error.1 += 1;
                }
            }
            Step::ClearErrors(session) => rows.clear_errors(&session_name(*session)),
            Step::DeleteSession(session) => {
                let name = session_name(*session);
                rows.clear_errors(&name);
                rows.sessions.remove(&name);
            }
            Step::Set(key, value) => {
                rows.settings.insert(format!("k{key}"), value.to_string());
            }
            Step::Transaction {
                session,
                files,
                fails: false,
            } => rows.upload_all(*session, files),
            Step::Transaction { .. }
            | Step::Flush
            | Step::Checkpoint
            | Step::Vacuum
            | Step::Reopen => {}
        }
        rows
    }

    fn add(&mut self, file: u32) {
        let file = file_of(file);
        self.files
            .entry(file.hash)
            .or_insert((file.file_size, file.chat_id));
    }

    fn upload_all(&mut self, session: u32, files: &[u32]) {
        let Some(counters) = self.sessions.get_mut(&session_name(session)) else {
            return;
        };
        counters.0 += files.len() as i64;
        files.iter().for_each(|file| self.add(*file));
    }

    fn clear_errors(&mut self, name: &str) {
        self.errors.retain(|_, error| error.0 != name);
    }

    /// Reads all rows.
    pub fn read(ledger: &DatabaseManager) -> Result<Self> {
        let mut rows = Self::default();
        for session in ledger.list_sessions(None)? {
            rows.sessions
                .insert(session.id, (session.success_count, session.error_count));
        }
        // In one page: in a damaged file, a cursor may lead back to where it came from.
        for file in ledger.file_hash_page(None, None, 1_000_000)?.records {
            rows.files.insert(file.hash, (file.file_size, file.chat_id));
        }
        for error in ledger.error_page(None, None, 100_000)?.records {
            let read = (error.session_id, error.retry_count, error.error_message);
            rows.errors.insert(error.id, read);
        }
        for setting in ledger.list_config()? {
            if setting.key.starts_with('k') {
                rows.settings.insert(setting.key, setting.value);
            }
        }
        Ok(rows)
    }

    /// Where two readings differ, in few words.
    pub fn difference(&self, other: &Self) -> String {
        format!(
            "sessions {:?} / {:?}, files {} / {}, errors {} / {}, settings {:?} / {:?}",
            self.sessions,
            other.sessions,
            self.files.len(),
            other.files.len(),
            self.errors.len(),
            other.errors.len(),
            self.settings,
            other.settings,
        )
    }
}
