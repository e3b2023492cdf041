//! Owns a layer under SQLite that gathers what a commit appends to the write-ahead log: one write
//! to the file instead of two for each page; and that lets pages of a mapped file be copied into
//! SQLite's cache instead of used in place.
//!
//! It may not know tables, nor keep anything back once SQLite believes a commit to be in the log:
//! the write of a commit's last page returns when all of the commit is in the file, and any other
//! use of the log (reading, syncing, its size, truncation) writes first what was gathered.
//!
//! It rests on how the bundled SQLite writes its log (`walFrames` in `wal.c`;
//! <https://www.sqlite.org/fileformat2.html#walformat>), so it is used with that version alone.
//! Files keep their system's own methods but for the few replaced here, which stand, with what
//! was gathered, behind each file's own memory (<https://www.sqlite.org/c3ref/vfs.html>).

#![allow(unsafe_code)]

use rusqlite::ffi;
use std::ffi::{CStr, c_int, c_void};
use std::ptr;
use std::sync::OnceLock;

/// The version of SQLite whose writing of the log was read for this module.
const KNOWN_SQLITE_VERSION: c_int = 3_054_001;

const NAME: &CStr = c"whatsapp-uploader-gathering";

/// How much is gathered at most: longer commits are written in pieces. The system's layer takes no
/// more at once than 17 bits can say (`seekAndWriteFd` in `os_unix.c`), and calls the rest a full disk.
const CAPACITY_BYTES: usize = 0x1_ffff;

/// `WAL_FRAME_HDRSIZE`: each page in the log follows a header of this size.
const FRAME_HEADER_BYTES: usize = 24;

/// `WAL_HDRSIZE`: frames begin behind it.
const LOG_HEADER_BYTES: i64 = 32;

/// `WAL_WRITE_LOCK`: which of the locks in shared memory a writer holds.
const WRITE_LOCK: c_int = 0;

/// Returns the layer's name, by which a database is opened through it; none where it cannot be
/// used, and SQLite's own way of writing is right as well.
pub(crate) fn name() -> Option<&'static CStr> {
    static REGISTERED: OnceLock<bool> = OnceLock::new();
    REGISTERED.get_or_init(register).then_some(NAME)
}

/// What one writer appended to the log and is not in its file yet.
#[derive(Default)]
struct Gathering {
    offset: i64,
    bytes: Vec<u8>,
    /// Where the writer's frames end so far: what it writes before is a change of one of them.
    end: i64,
    /// Whether the last frame header ends a commit: the page behind it is the commit's last.
    is_ending_commit: bool,
}

impl Gathering {
    /// Takes a write of SQLite's; gives `write` what must reach the file before it may go on.
    fn append(
        &mut self,
        data: &[u8],
        offset: i64,
        mut write: impl FnMut(&[u8], i64) -> c_int,
    ) -> c_int {
        let end = offset + data.len() as i64;
        // The log's own header begins a new log. A frame that is changed (a page written again,
        // `walRewriteChecksums`) is not part of a row of frames that ends with a commit's.
        let is_appended = offset >= self.end.max(LOG_HEADER_BYTES);
        let is_next = offset == self.offset + self.bytes.len() as i64;
        let has_room = self.bytes.len() + data.len() <= CAPACITY_BYTES;
        if !(is_appended && is_next && has_room) {
            let code = self.flush(&mut write);
            if code != ffi::SQLITE_OK {
                return code;
            }
        }
        self.end = if offset == 0 { end } else { self.end.max(end) };
        let header = committed_size(data).filter(|_| is_appended);
        if let Some(size) = header {
            self.is_ending_commit = size != 0;
        }
        // What finds no memory needs none.
        if !is_appended || self.bytes.try_reserve(data.len()).is_err() {
            let code = self.flush(&mut write);
            return if code == ffi::SQLITE_OK {
                write(data, offset)
            } else {
                code
            };
        }
        if self.bytes.is_empty() {
            self.offset = offset;
        }
        self.bytes.extend_from_slice(data);
        if header.is_some() || !self.is_ending_commit {
            return ffi::SQLITE_OK;
        }
        let code = self.flush(&mut write);
        if code != ffi::SQLITE_OK {
            // This write failed: nothing may bring it to the file later.
            self.bytes.truncate(self.bytes.len() - data.len());
        }
        code
    }

    /// Gives `write` all that was gathered; keeps it when that fails, since SQLite counts on it
    /// until it rolls back.
    fn flush(&mut self, mut write: impl FnMut(&[u8], i64) -> c_int) -> c_int {
        if self.bytes.is_empty() {
            return ffi::SQLITE_OK;
        }
        let code = write(&self.bytes, self.offset);
        if code == ffi::SQLITE_OK {
            self.bytes.clear();
        }
        code
    }

    /// Forgets the writer and what of it is not in the file.
    fn discard(&mut self) {
        self.bytes.clear();
        self.end = 0;
        self.is_ending_commit = false;
    }
}

/// Reads from a frame's header the size of the database after the commit that the frame ends, in
/// pages; 0 when it ends none, nothing when `data` is a page: pages have 512 bytes or more.
fn committed_size(data: &[u8]) -> Option<u32> {
    match data {
        [_, _, _, _, a, b, c, d, ..] if data.len() == FRAME_HEADER_BYTES => {
            Some(u32::from_be_bytes([*a, *b, *c, *d]))
        }
        _ => None,
    }
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
            },
        );
        if is_database {
            if (*original).iVersion >= 2 {
                (*attachment).methods.xShmLock = Some(lock_shared_memory);
                if (*original).iVersion >= 3 {
                    (*attachment).methods.xFetch = Some(fetch_nothing);
                }
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

/// Lets the file be mapped, and gives SQLite no page of the mapping: it then copies pages into its
/// cache, from the mapping, and looks at their cells once (`cell_size_check`) instead of whenever a
/// page is used.
unsafe extern "C" fn fetch_nothing(
    file: *mut ffi::sqlite3_file,
    offset: i64,
    length: c_int,
    page: *mut *mut c_void,
) -> c_int {
    // SAFETY: SQLite calls this for a database that `open` attached to; the rest is handed on.
    unsafe {
        with_attached(file, |_, original| {
            let (Some(fetch), Some(unfetch)) = (original.xFetch, original.xUnfetch) else {
                return ffi::SQLITE_OK;
            };
            let code = fetch(file, offset, length, page);
            if code == ffi::SQLITE_OK && !(*page).is_null() {
                unfetch(file, offset, *page);
                *page = ptr::null_mut();
            }
            code
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
            original.xShmLock.map_or(ffi::SQLITE_IOERR_SHMLOCK, |lock| {
                lock(file, offset, count, flags)
            })
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const PAGE_BYTES: usize = 512;
    const FRAME_BYTES: i64 = (FRAME_HEADER_BYTES + PAGE_BYTES) as i64;

    /// A file, and how often it was written to.
    #[derive(Default)]
    struct TestFile {
        bytes: Vec<u8>,
        writes: usize,
        is_full: bool,
    }

    impl TestFile {
        fn write(&mut self, data: &[u8], offset: i64) -> c_int {
            if self.is_full {
                return ffi::SQLITE_FULL;
            }
            let offset = usize::try_from(offset).unwrap();
            let end = offset + data.len();
            self.bytes.resize(self.bytes.len().max(end), 0);
            self.bytes[offset..end].copy_from_slice(data);
            self.writes += 1;
            ffi::SQLITE_OK
        }
    }

    fn frame_offset(frame: i64) -> i64 {
        LOG_HEADER_BYTES + frame * FRAME_BYTES
    }

    fn header(database_pages: u32) -> [u8; FRAME_HEADER_BYTES] {
        let mut header = [7; FRAME_HEADER_BYTES];
        header[4..8].copy_from_slice(&database_pages.to_be_bytes());
        header
    }

    fn append_frame(
        gathering: &mut Gathering,
        file: &mut TestFile,
        frame: i64,
        database_pages: u32,
        fill: u8,
    ) -> c_int {
        let offset = frame_offset(frame);
        let code = gathering.append(&header(database_pages), offset, |d, o| file.write(d, o));
        assert_eq!(code, ffi::SQLITE_OK);
        let page = [fill; PAGE_BYTES];
        let offset = offset + FRAME_HEADER_BYTES as i64;
        gathering.append(&page, offset, |d, o| file.write(d, o))
    }

    #[test]
    fn a_commit_is_one_write_and_whole_when_its_last_page_returns() {
        let (mut gathering, mut file) = (Gathering::default(), TestFile::default());
        for frame in 0..5 {
            assert_eq!(append_frame(&mut gathering, &mut file, frame, 0, 1), 0);
            assert_eq!(file.writes, 0);
        }
        assert_eq!(append_frame(&mut gathering, &mut file, 5, 9, 2), 0);
        assert_eq!(file.writes, 1);
        assert_eq!(file.bytes.len() as i64, frame_offset(6));
        gathering.discard();
        assert_eq!(append_frame(&mut gathering, &mut file, 6, 9, 3), 0);
        assert_eq!(file.writes, 2);
    }

    #[test]
    fn a_header_that_is_written_anew_waits_for_no_page() {
        let (mut gathering, mut file) = (Gathering::default(), TestFile::default());
        append_frame(&mut gathering, &mut file, 0, 0, 1);
        append_frame(&mut gathering, &mut file, 1, 9, 2);
        let changed = header(10);
        let code = gathering.append(&changed, frame_offset(1), |d, o| file.write(d, o));
        assert_eq!(code, ffi::SQLITE_OK);
        let at = usize::try_from(frame_offset(1)).unwrap();
        assert_eq!(file.bytes[at..at + FRAME_HEADER_BYTES], changed);
        assert!(gathering.bytes.is_empty());
    }

    #[test]
    fn a_commit_longer_than_the_capacity_is_written_in_pieces() {
        let (mut gathering, mut file) = (Gathering::default(), TestFile::default());
        let frames = 3 * CAPACITY_BYTES as i64 / FRAME_BYTES;
        for frame in 0..frames {
            let database_pages = u32::from(frame == frames - 1);
            append_frame(&mut gathering, &mut file, frame, database_pages, 1);
        }
        assert_eq!(file.bytes.len() as i64, frame_offset(frames));
        assert!((3..=4).contains(&file.writes), "{}", file.writes);
    }

    #[test]
    fn a_commit_that_found_no_room_never_gets_there_later() {
        let (mut gathering, mut file) = (Gathering::default(), TestFile::default());
        append_frame(&mut gathering, &mut file, 0, 0, 1);
        file.is_full = true;
        let code = append_frame(&mut gathering, &mut file, 1, 9, 2);
        assert_eq!(code, ffi::SQLITE_FULL);
        file.is_full = false;
        // SQLite may read what it wrote before; the commit's last page is not among that.
        assert_eq!(gathering.flush(|d, o| file.write(d, o)), ffi::SQLITE_OK);
        let whole_page_end = frame_offset(1) + FRAME_HEADER_BYTES as i64;
        assert_eq!(file.bytes.len() as i64, whole_page_end);
        gathering.discard();
        append_frame(&mut gathering, &mut file, 0, 9, 3);
        assert_eq!(file.bytes[usize::try_from(whole_page_end).unwrap() - 1], 7);
        assert_eq!(file.bytes[usize::try_from(frame_offset(1)).unwrap() - 1], 3);
    }

    #[test]
    fn a_new_version_of_sqlite_is_read_before_it_is_trusted() {
        assert_eq!(ffi::SQLITE_VERSION_NUMBER, KNOWN_SQLITE_VERSION);
        assert!(name().is_some());
    }
}
