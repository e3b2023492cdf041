//! Owns a layer between SQLite and the system's files, which gathers what a commit appends to the
//! write-ahead log into one write (`gathering.rs`); maps the file, without SQLite's knowing, to read pages
//! from there (`mapping.rs`); and keeps, where it is asked to, the lock of a reader who will soon be back.
//!
//! It may not know tables, nor keep back what SQLite believes to be in the log: any other use of the
//! log (reading, syncing, its size, truncation) writes first what was gathered.
//!
//! It rests on how the bundled SQLite writes its log (`walFrames` in `wal.c`;
//! <https://www.sqlite.org/fileformat2.html#walformat>), so it is used with that version alone.
//! Files keep their system's own methods but for the few replaced here, which stand, with what
//! was gathered, behind each file's own memory (<https://www.sqlite.org/c3ref/vfs.html>).

#![allow(unsafe_code)]

use gathering::Gathering;
use mapping::Mapping;
use rusqlite::{Connection, ffi};
use std::ffi::{CStr, c_int, c_void};
use std::ptr;
use std::sync::OnceLock;

mod gathering;
mod mapping;

const NAME: &CStr = c"whatsapp-uploader-gathering";

/// The version of SQLite whose source was read for what rests on its inner ways.
const KNOWN_SQLITE_VERSION: c_int = 3_054_001;

/// `WAL_WRITE_LOCK`: which of the locks in shared memory a writer holds.
const WRITE_LOCK: c_int = 0;

/// `WAL_READ_LOCK(0)`: the first of the locks of which a reader holds one.
const FIRST_READ_LOCK: c_int = 3;

/// This layer's own operation of a file, outside the range that SQLite reserves for itself
/// (<https://www.sqlite.org/c3ref/c_fcntl_begin_atomic_write.html>): says by a `c_int` whether read
/// locks are kept from here on.
const KEEP_READ_LOCK: c_int = 0x5755_0001;

/// Another such one: the file may be mapped anew now, since nobody waits.
const REFRESH_MAPPING: c_int = 0x5755_0002;

/// Returns the layer's name, by which a database is opened through it; none where it cannot be
/// used, and SQLite's own way of writing is right as well.
pub(crate) fn name() -> Option<&'static CStr> {
    static REGISTERED: OnceLock<bool> = OnceLock::new();
    REGISTERED.get_or_init(register).then_some(NAME)
}

/// The registered layer; SQLite hands its first field to [`open`].
#[repr(C)]
struct Layer {
    vfs: ffi::sqlite3_vfs,
    base: *mut ffi::sqlite3_vfs,
    /// Where an [`Attachment`] stands behind the start of a file's memory, in bytes.
    attachment_offset: usize,
}

/// What this module keeps for an open database or log.
#[repr(C)]
struct Attachment {
    /// The file's methods, some replaced. First, so that a file's `pMethods` leads here.
    methods: ffi::sqlite3_io_methods,
    original: *const ffi::sqlite3_io_methods,
    /// Of a database: its log, while that is open; of a log: its database.
    partner: *mut Attachment,
    gathering: Gathering,
    mapping: Mapping,
    /// Of a database: whether a reader's lock stays when SQLite gives it back.
    keeps_read_lock: bool,
    /// The reader's lock that the file still has, though SQLite has given it back.
    kept_read_lock: Option<c_int>,
}

fn register() -> bool {
    // SAFETY: neither call has conditions; the second gives null or a VFS that lives on.
    let base = unsafe {
        if ffi::sqlite3_libversion_number() != KNOWN_SQLITE_VERSION {
            return false;
        }
        ffi::sqlite3_vfs_find(ptr::null())
    };
    // SAFETY: see above; nothing changes a registered VFS.
    let Some(mut vfs) = (unsafe { base.as_ref() }).copied() else {
        return false;
    };
    let attachment_offset = (vfs.szOsFile as usize).next_multiple_of(align_of::<Attachment>());
    let Ok(file_bytes) = c_int::try_from(attachment_offset + size_of::<Attachment>()) else {
        return false;
    };
    vfs.szOsFile = file_bytes;
    vfs.zName = NAME.as_ptr();
    vfs.pNext = ptr::null_mut();
    vfs.xOpen = Some(open);
    let layer = Box::into_raw(Box::new(Layer {
        vfs,
        base,
        attachment_offset,
    }));
    // SAFETY: the layer is never freed, and its first field is the VFS.
    unsafe { ffi::sqlite3_vfs_register(layer.cast(), 0) == ffi::SQLITE_OK }
}

/// Opens a file as the system's VFS does, and attaches to it when it is a database or a log.
unsafe extern "C" fn open(
    vfs: *mut ffi::sqlite3_vfs,
    name: ffi::sqlite3_filename,
    file: *mut ffi::sqlite3_file,
    flags: c_int,
    out_flags: *mut c_int,
) -> c_int {
    // SAFETY: SQLite calls this with the VFS that `register` gave it, and with `szOsFile` bytes
    // of memory at `file`, aligned as any of its allocations: the system's part lies at their
    // beginning, the attachment at its offset.
    unsafe {
        let layer = &*vfs.cast::<Layer>();
        let Some(open) = (*layer.base).xOpen else {
            return ffi::SQLITE_CANTOPEN;
        };
        let code = open(layer.base, name, file, flags, out_flags);
        let is_database = flags & ffi::SQLITE_OPEN_MAIN_DB != 0;
        let is_log = flags & ffi::SQLITE_OPEN_WAL != 0;
        if code != ffi::SQLITE_OK || (*file).pMethods.is_null() || !(is_database || is_log) {
            return code;
        }
        let attachment_of =
            |file: *mut ffi::sqlite3_file| file.byte_add(layer.attachment_offset).cast();
        let attachment: *mut Attachment = attachment_of(file);
        let original = (*file).pMethods;
        ptr::write(
            attachment,
            Attachment {
                methods: *original,
                original,
                partner: ptr::null_mut(),
                gathering: Gathering::default(),
                mapping: Mapping::default(),
                keeps_read_lock: false,
                kept_read_lock: None,
            },
        );
        if is_database {
            if (*original).iVersion >= 2 {
                let methods = &mut (*attachment).methods;
                methods.xShmLock = Some(lock_shared_memory);
                methods.xShmUnmap = Some(unmap_shared_memory);
                methods.xFileControl = Some(control_database);
                // SQLite finds nothing that maps files, and so asks for no mapped page, whenever it uses one.
                methods.iVersion = 2;
                methods.xRead = Some(read_database);
                methods.xFileSize = Some(measure_database);
                (*file).pMethods = &raw const (*attachment).methods;
            }
            return code;
        }
        // The pager opens a log by the name that it made for it, and its database by this VFS.
        let database: *mut Attachment = attachment_of(ffi::sqlite3_database_file_object(name));
        if (*(*database).original).iVersion < 2 || !writes_whole_frames(file) {
            return code;
        }
        (*attachment).partner = database;
        (*database).partner = attachment;
        let methods = &mut (*attachment).methods;
        methods.xClose = Some(close_log);
        methods.xRead = Some(read_log);
        methods.xWrite = Some(write_log);
        methods.xTruncate = Some(truncate_log);
        methods.xSync = Some(sync_log);
        methods.xFileSize = Some(measure_log);
        (*file).pMethods = &raw const (*attachment).methods;
        code
    }
}

/// Says whether SQLite writes each page in one piece here: without this promise of the system it
/// may cut one where the disk's sectors end (`walWriteToLog`).
///
/// # Safety
///
/// `file` is open and has its own methods.
unsafe fn writes_whole_frames(file: *mut ffi::sqlite3_file) -> bool {
    // SAFETY: as the caller promises.
    unsafe {
        (*(*file).pMethods)
            .xDeviceCharacteristics
            .is_some_and(|ask| ask(file) & ffi::SQLITE_IOCAP_POWERSAFE_OVERWRITE != 0)
    }
}

/// Calls `work` with what is attached to an open file, and with the file's own methods.
///
/// # Safety
///
/// [`open`] attached to `file`, which is open and used by this thread alone.
unsafe fn with_attached(
    file: *mut ffi::sqlite3_file,
    work: impl FnOnce(&mut Attachment, &ffi::sqlite3_io_methods) -> c_int,
) -> c_int {
    // SAFETY: `open` let `pMethods` lead to the attachment, whose first field it is; the
    // original methods live as long as the file.
    unsafe {
        let attachment = (*file).pMethods.cast_mut().cast::<Attachment>();
        let original = &*(*attachment).original;
        work(&mut *attachment, original)
    }
}

/// Writes to the log's file what was gathered, then calls `work` with the file's own methods.
///
/// # Safety
///
/// As [`with_attached`].
unsafe fn after_flush(
    file: *mut ffi::sqlite3_file,
    work: impl FnOnce(&ffi::sqlite3_io_methods) -> c_int,
) -> c_int {
    // SAFETY: as the caller promises.
    unsafe {
        with_attached(file, |attachment, original| {
            let code = attachment
                .gathering
                .flush(|bytes, offset| write_through(file, original, bytes, offset));
            if code == ffi::SQLITE_OK {
                work(original)
            } else {
                code
            }
        })
    }
}

/// Writes by the file's own method.
///
/// # Safety
///
/// `file` is open and `original` are its own methods.
unsafe fn write_through(
    file: *mut ffi::sqlite3_file,
    original: &ffi::sqlite3_io_methods,
    bytes: &[u8],
    offset: i64,
) -> c_int {
    match (original.xWrite, c_int::try_from(bytes.len())) {
        // SAFETY: as the caller promises; the bytes outlive the call.
        (Some(write), Ok(length)) => unsafe { write(file, bytes.as_ptr().cast(), length, offset) },
        _ => ffi::SQLITE_IOERR_WRITE,
    }
}

unsafe extern "C" fn write_log(
    file: *mut ffi::sqlite3_file,
    data: *const c_void,
    length: c_int,
    offset: i64,
) -> c_int {
    // SAFETY: SQLite calls this for a file that `open` attached to, with `length` bytes at `data`.
    unsafe {
        let data = std::slice::from_raw_parts(data.cast::<u8>(), length as usize);
        with_attached(file, |attachment, original| {
            attachment.gathering.append(data, offset, |bytes, offset| {
                write_through(file, original, bytes, offset)
            })
        })
    }
}

unsafe extern "C" fn read_log(
    file: *mut ffi::sqlite3_file,
    data: *mut c_void,
    length: c_int,
    offset: i64,
) -> c_int {
    // SAFETY: SQLite calls this for a file that `open` attached to; the rest is handed on.
    unsafe {
        after_flush(file, |original| {
            original.xRead.map_or(ffi::SQLITE_IOERR_READ, |read| {
                read(file, data, length, offset)
            })
        })
    }
}

unsafe extern "C" fn truncate_log(file: *mut ffi::sqlite3_file, size: i64) -> c_int {
    // SAFETY: as in `read_log`.
    unsafe {
        after_flush(file, |original| {
            original
                .xTruncate
                .map_or(ffi::SQLITE_IOERR_TRUNCATE, |truncate| truncate(file, size))
        })
    }
}

unsafe extern "C" fn sync_log(file: *mut ffi::sqlite3_file, flags: c_int) -> c_int {
    // SAFETY: as in `read_log`.
    unsafe {
        after_flush(file, |original| {
            original
                .xSync
                .map_or(ffi::SQLITE_IOERR_FSYNC, |sync| sync(file, flags))
        })
    }
}

unsafe extern "C" fn measure_log(file: *mut ffi::sqlite3_file, size: *mut i64) -> c_int {
    // SAFETY: as in `read_log`.
    unsafe {
        after_flush(file, |original| {
            original
                .xFileSize
                .map_or(ffi::SQLITE_IOERR_FSTAT, |measure| measure(file, size))
        })
    }
}

/// Closes a log. What was gathered belongs to no commit, and is dropped.
unsafe extern "C" fn close_log(file: *mut ffi::sqlite3_file) -> c_int {
    // SAFETY: as in `read_log`; the database is still open, since its pager closes the log first,
    // and nothing uses the attachment after this.
    unsafe {
        let attachment = (*file).pMethods.cast_mut().cast::<Attachment>();
        (*(*attachment).partner).partner = ptr::null_mut();
        (*file).pMethods = (*attachment).original;
        ptr::drop_in_place(attachment);
        (*(*file).pMethods)
            .xClose
            .map_or(ffi::SQLITE_OK, |close| close(file))
    }
}

unsafe extern "C" fn read_database(
    file: *mut ffi::sqlite3_file,
    data: *mut c_void,
    length: c_int,
    offset: i64,
) -> c_int {
    // SAFETY: SQLite calls this for a database that `open` attached to; the rest is handed on.
    unsafe {
        with_attached(file, |attachment, original| {
            attachment.mapping.update(file, original, offset, length);
            original.xRead.map_or(ffi::SQLITE_IOERR_READ, |read| {
                read(file, data, length, offset)
            })
        })
    }
}

unsafe extern "C" fn measure_database(file: *mut ffi::sqlite3_file, size: *mut i64) -> c_int {
    // SAFETY: as in `read_database`; the size is written where SQLite asks for it.
    unsafe {
        with_attached(file, |attachment, original| {
            let code = original
                .xFileSize
                .map_or(ffi::SQLITE_IOERR_FSTAT, |measure| measure(file, size));
            if code == ffi::SQLITE_OK {
                attachment.mapping.note_size(file, original, *size);
            }
            code
        })
    }
}

/// Lets the lock of a reader stay when SQLite gives it back, until `is_kept` is false or it asks for
/// another lock; does nothing where this layer is not used.
///
/// A small read outside a transaction is mostly the taking and giving back of that lock, by two system
/// calls. Each read still sees what is committed when it begins: which state that is, SQLite reads from
/// memory. While it is kept, the log cannot be emptied, as while a reader reads.
pub(crate) fn keep_read_lock(connection: &Connection, is_kept: bool) {
    control(connection, KEEP_READ_LOCK, c_int::from(is_kept));
}

/// Maps the file anew if it has grown by much: letting go of the old mapping takes milliseconds, so whoever
/// has time does it, lest a reader must; does nothing where this layer is not used.
pub(crate) fn refresh_mapping(connection: &Connection) {
    control(connection, REFRESH_MAPPING, 0);
}

/// Asks for one of this layer's own operations.
fn control(connection: &Connection, operation: c_int, mut value: c_int) {
    // SAFETY: the handle is open; the operations read a `c_int`, or nothing. Another layer does not know
    // them, and says so.
    unsafe {
        let handle = connection.handle();
        let main = c"main".as_ptr();
        ffi::sqlite3_file_control(handle, main, operation, (&raw mut value).cast());
    }
}

unsafe extern "C" fn control_database(
    file: *mut ffi::sqlite3_file,
    operation: c_int,
    argument: *mut c_void,
) -> c_int {
    // SAFETY: SQLite calls this for a database that `open` attached to, and for a pragma with its name and
    // value; who asks for this layer's operation gives a `c_int`; the rest is handed on.
    unsafe {
        with_attached(file, |attachment, original| {
            if operation == ffi::SQLITE_FCNTL_PRAGMA {
                attachment
                    .mapping
                    .hear_pragma(file, original, argument.cast());
            }
            if operation == REFRESH_MAPPING {
                attachment.mapping.refresh(file, original);
                return ffi::SQLITE_OK;
            }
            if operation != KEEP_READ_LOCK {
                return original
                    .xFileControl
                    .map_or(ffi::SQLITE_NOTFOUND, |control| {
                        control(file, operation, argument)
                    });
            }
            attachment.keeps_read_lock = *argument.cast::<c_int>() != 0;
            if attachment.keeps_read_lock {
                ffi::SQLITE_OK
            } else {
                give_back_read_lock(file, attachment, original)
            }
        })
    }
}

/// Gives back the reader's lock that was kept, if one was.
///
/// # Safety
///
/// `file` is open, `attachment` and `original` are its own.
unsafe fn give_back_read_lock(
    file: *mut ffi::sqlite3_file,
    attachment: &mut Attachment,
    original: &ffi::sqlite3_io_methods,
) -> c_int {
    match (attachment.kept_read_lock.take(), original.xShmLock) {
        // SAFETY: as the caller promises; the lock was taken by the same method.
        (Some(kept), Some(lock)) => unsafe {
            lock(
                file,
                kept,
                1,
                ffi::SQLITE_SHM_UNLOCK | ffi::SQLITE_SHM_SHARED,
            )
        },
        _ => ffi::SQLITE_OK,
    }
}

/// Forgets the shared memory. The lock that was kept goes first: others of this process may use the
/// same memory on, and count on each lock being given back.
unsafe extern "C" fn unmap_shared_memory(file: *mut ffi::sqlite3_file, delete: c_int) -> c_int {
    // SAFETY: SQLite calls this for a database that `open` attached to; the rest is handed on.
    unsafe {
        with_attached(file, |attachment, original| {
            give_back_read_lock(file, attachment, original);
            original
                .xShmUnmap
                .map_or(ffi::SQLITE_OK, |unmap| unmap(file, delete))
        })
    }
}

/// Takes or gives back locks in shared memory. A writer that lets go has committed, and all is in
/// the file, or has rolled back, and what was gathered must never get there: the next writer's
/// frames will stand in its place.
unsafe extern "C" fn lock_shared_memory(
    file: *mut ffi::sqlite3_file,
    offset: c_int,
    count: c_int,
    flags: c_int,
) -> c_int {
    let lets_write_lock_go = flags & ffi::SQLITE_SHM_UNLOCK != 0
        && flags & ffi::SQLITE_SHM_EXCLUSIVE != 0
        && offset == WRITE_LOCK;
    // SAFETY: SQLite calls this for a database that `open` attached to; its partner is the
    // attachment of its open log, used by the same thread.
    unsafe {
        with_attached(file, |attachment, original| {
            if let Some(log) = attachment.partner.as_mut().filter(|_| lets_write_lock_go) {
                log.gathering.discard();
            }
            let is_read_lock = flags & ffi::SQLITE_SHM_SHARED != 0 && offset >= FIRST_READ_LOCK;
            if is_read_lock && flags & ffi::SQLITE_SHM_UNLOCK != 0 && attachment.keeps_read_lock {
                attachment.kept_read_lock = Some(offset);
                return ffi::SQLITE_OK;
            }
            if is_read_lock && attachment.kept_read_lock == Some(offset) {
                attachment.kept_read_lock = None;
                return ffi::SQLITE_OK;
            }
            let code = give_back_read_lock(file, attachment, original);
            if code != ffi::SQLITE_OK {
                return code;
            }
            original.xShmLock.map_or(ffi::SQLITE_IOERR_SHMLOCK, |lock| {
                lock(file, offset, count, flags)
            })
        })
    }
}

#[cfg(test)]
mod tests;
