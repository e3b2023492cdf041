//! Owns a disk in memory: files with their locks and shared memory, a journal of what was written
//! and when it was synced, and faults on demand. `memory_vfs` puts it under SQLite.

use rusqlite::ffi;
use std::collections::{BTreeMap, HashMap};
use std::sync::{Mutex, MutexGuard, PoisonError};
use whatsapp_uploader_database::rusqlite;

pub type Inode = u64;

/// What reached the disk, in order.
#[derive(Debug, Clone)]
pub enum Operation {
    Create {
        name: String,
        inode: Inode,
    },
    Write {
        inode: Inode,
        offset: usize,
        bytes: Vec<u8>,
    },
    Truncate {
        inode: Inode,
        size: usize,
    },
    /// `with_name`: the folder was synced with it, as SQLite does for a log or journal it made.
    Sync {
        inode: Inode,
        with_name: bool,
    },
    Delete {
        name: String,
        inode: Inode,
        is_synced: bool,
    },
}

/// The kinds of operations that can fail.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Class {
    Open,
    Read,
    Write,
    Truncate,
    Sync,
    Delete,
    Access,
    Size,
    Lock,
    MapMemory,
    LockMemory,
}

/// Why an operation fails.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Cause {
    DiskFull,
    Broken,
    /// Half of a write reaches the disk, then it is full.
    ShortWrite,
    TooManyFiles,
    Forbidden,
    ReadOnly,
}

impl Cause {
    pub const ALL: [Self; 6] = [
        Self::DiskFull,
        Self::Broken,
        Self::ShortWrite,
        Self::TooManyFiles,
        Self::Forbidden,
        Self::ReadOnly,
    ];

    /// What SQLite's own layer for Unix answers when the system fails so; none where it cannot.
    pub fn code(self, class: Class) -> Option<i32> {
        Some(match (self, class) {
            (Self::DiskFull | Self::ShortWrite, Class::Write) => ffi::SQLITE_FULL,
            (Self::DiskFull, Class::MapMemory) => ffi::SQLITE_IOERR_SHMSIZE,
            (Self::DiskFull, Class::Sync) => ffi::SQLITE_IOERR_FSYNC,
            (Self::DiskFull | Self::TooManyFiles, Class::Open) => ffi::SQLITE_CANTOPEN,
            (Self::TooManyFiles | Self::Forbidden, Class::MapMemory) => ffi::SQLITE_IOERR_SHMOPEN,
            (Self::Forbidden, Class::Open) => ffi::SQLITE_CANTOPEN,
            (Self::Forbidden, Class::Delete) => ffi::SQLITE_IOERR_DELETE,
            (Self::Forbidden, Class::Access) => ffi::SQLITE_IOERR_ACCESS,
            (Self::Forbidden | Self::ReadOnly, Class::Write) => ffi::SQLITE_IOERR_WRITE,
            (Self::ReadOnly, Class::Open) => ffi::SQLITE_READONLY,
            (Self::ReadOnly, Class::Truncate) => ffi::SQLITE_IOERR_TRUNCATE,
            (Self::ReadOnly, Class::Delete) => ffi::SQLITE_IOERR_DELETE,
            (Self::Broken, Class::Read) => ffi::SQLITE_IOERR_READ,
            (Self::Broken, Class::Write) => ffi::SQLITE_IOERR_WRITE,
            (Self::Broken, Class::Truncate) => ffi::SQLITE_IOERR_TRUNCATE,
            (Self::Broken, Class::Sync) => ffi::SQLITE_IOERR_FSYNC,
            (Self::Broken, Class::Delete) => ffi::SQLITE_IOERR_DELETE,
            (Self::Broken, Class::Access) => ffi::SQLITE_IOERR_ACCESS,
            (Self::Broken, Class::Size) => ffi::SQLITE_IOERR_FSTAT,
            (Self::Broken, Class::Lock) => ffi::SQLITE_IOERR_LOCK,
            (Self::Broken, Class::MapMemory) => ffi::SQLITE_IOERR_SHMMAP,
            (Self::Broken, Class::LockMemory) => ffi::SQLITE_IOERR_SHMLOCK,
            (Self::Broken, Class::Open) => ffi::SQLITE_CANTOPEN,
            _ => return None,
        })
    }
}

/// A fault that waits for its operation.
#[derive(Debug, Clone, Copy)]
pub struct Fault {
    /// How many operations pass before it.
    pub after: u64,
    pub cause: Cause,
    /// Whether every later operation of the same class fails as well, until [`Disk::heal`].
    pub persists: bool,
}

/// What is to happen to an operation.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Verdict {
    Do,
    Fail(i32),
    HalfThenFail(i32),
}

#[derive(Default, Clone)]
pub struct File {
    pub bytes: Vec<u8>,
    pub locks: Locks,
}

/// SQLite's locks of a database file, over all handles of this process.
#[derive(Default, Clone)]
pub struct Locks {
    pub shared: u32,
    pub reserved: bool,
    pub pending: bool,
    pub exclusive: bool,
}

/// The shared memory of one database: pages that stay where they are, and eight locks.
#[derive(Default)]
pub struct SharedMemory {
    pub pages: Vec<Box<[u64]>>,
    pub shared: [u32; 8],
    pub exclusive: [bool; 8],
    pub users: u32,
}

#[derive(Default)]
pub struct Disk {
    names: BTreeMap<String, Inode>,
    pub files: HashMap<Inode, File>,
    pub memories: HashMap<Inode, SharedMemory>,
    next_inode: Inode,
    journal: Option<Vec<Operation>>,
    /// The classes of the operations that could have failed.
    trace: Option<Vec<Class>>,
    fault: Option<Fault>,
    failing: Option<Class>,
    /// How many operations could have failed since the last [`arm`](Self::arm).
    pub operations: u64,
    pub fired: u64,
    /// What the last fault hit.
    pub hit: Option<Class>,
    /// The negative control: failed writes and syncs are called successes.
    pub lies: bool,
}

static DISK: Mutex<Option<Disk>> = Mutex::new(None);

/// The disk, for as long as the guard lives.
pub fn with_disk<T>(work: impl FnOnce(&mut Disk) -> T) -> T {
    let mut guard: MutexGuard<Option<Disk>> = DISK.lock().unwrap_or_else(PoisonError::into_inner);
    work(guard.get_or_insert_default())
}

impl Disk {
    /// Empties the disk and gives it these files.
    pub fn load<'a>(&mut self, files: impl IntoIterator<Item = (&'a str, Vec<u8>)>) {
        let lies = self.lies;
        *self = Self {
            lies,
            next_inode: self.next_inode,
            ..Self::default()
        };
        for (name, bytes) in files {
            let inode = self.create(name);
            self.files.insert(
                inode,
                File {
                    bytes,
                    ..File::default()
                },
            );
        }
    }

    /// The contents of all files by their inodes.
    pub fn file_bytes(&self) -> HashMap<Inode, Vec<u8>> {
        let files = self.files.iter();
        files
            .map(|(inode, file)| (*inode, file.bytes.clone()))
            .collect()
    }

    pub fn contents(&self) -> BTreeMap<String, Vec<u8>> {
        let file = |inode| {
            self.files
                .get(inode)
                .map_or(Vec::new(), |file| file.bytes.clone())
        };
        self.names
            .iter()
            .map(|(name, inode)| (name.clone(), file(inode)))
            .collect()
    }

    /// Begins to write down what reaches the disk.
    pub fn record(&mut self) {
        self.journal = Some(Vec::new());
    }

    /// The names and inodes of all files.
    pub fn names(&self) -> BTreeMap<String, Inode> {
        self.names.clone()
    }

    pub fn recorded(&self) -> usize {
        self.journal.as_ref().map_or(0, Vec::len)
    }

    pub fn take_record(&mut self) -> Vec<Operation> {
        self.journal.take().unwrap_or_default()
    }

    pub fn note(&mut self, operation: impl FnOnce() -> Operation) {
        if let Some(journal) = &mut self.journal {
            journal.push(operation());
        }
    }

    /// Begins to write down the class of each operation.
    pub fn trace(&mut self) {
        self.trace = Some(Vec::new());
    }

    pub fn take_trace(&mut self) -> Vec<Class> {
        self.trace.take().unwrap_or_default()
    }

    pub fn arm(&mut self, fault: Option<Fault>) {
        self.fault = fault;
        self.failing = None;
        self.operations = 0;
        self.fired = 0;
        self.hit = None;
    }

    /// Ends a fault that persists.
    pub fn heal(&mut self) {
        self.fault = None;
        self.failing = None;
    }

    /// Decides about an operation of a class.
    pub fn judge(&mut self, class: Class) -> Verdict {
        let number = self.operations;
        self.operations += 1;
        if let Some(trace) = &mut self.trace {
            trace.push(class);
        }
        let Some(fault) = self.fault else {
            return Verdict::Do;
        };
        let is_due = match self.failing {
            Some(failing) => failing == class,
            None => number == fault.after,
        };
        let Some(code) = fault.cause.code(class).filter(|_| is_due) else {
            return Verdict::Do;
        };
        self.fired += 1;
        self.hit = Some(class);
        if fault.persists {
            self.failing = Some(class);
        } else {
            self.fault = None;
        }
        match fault.cause {
            Cause::ShortWrite => Verdict::HalfThenFail(code),
            _ => Verdict::Fail(code),
        }
    }

    pub fn find(&self, name: &str) -> Option<Inode> {
        self.names.get(name).copied()
    }

    pub fn create(&mut self, name: &str) -> Inode {
        self.next_inode += 1;
        let inode = self.next_inode;
        self.files.insert(inode, File::default());
        if !name.is_empty() {
            self.names.insert(name.to_owned(), inode);
            self.note(|| Operation::Create {
                name: name.to_owned(),
                inode,
            });
        }
        inode
    }

    pub fn delete(&mut self, name: &str, is_synced: bool) -> bool {
        let Some(inode) = self.names.remove(name) else {
            return false;
        };
        self.note(|| Operation::Delete {
            name: name.to_owned(),
            inode,
            is_synced,
        });
        true
    }

    pub fn write(&mut self, inode: Inode, offset: usize, bytes: &[u8]) {
        self.note(|| Operation::Write {
            inode,
            offset,
            bytes: bytes.to_vec(),
        });
        if let Some(file) = self.files.get_mut(&inode) {
            put(&mut file.bytes, offset, bytes);
        }
    }

    pub fn truncate(&mut self, inode: Inode, size: usize) {
        self.note(|| Operation::Truncate { inode, size });
        if let Some(file) = self.files.get_mut(&inode) {
            file.bytes.resize(size, 0);
        }
    }
}

/// Writes into a file's bytes, which grow with zeros as far as needed.
pub fn put(file: &mut Vec<u8>, offset: usize, bytes: &[u8]) {
    let end = offset + bytes.len();
    if file.len() < end {
        file.resize(end, 0);
    }
    file[offset..end].copy_from_slice(bytes);
}
