//! Owns the layer that puts the [disk in memory](crate::disk) under SQLite, as the default one:
//! the crate opens its files on it without knowing (<https://www.sqlite.org/c3ref/vfs.html>).
//!
//! Times, random numbers and sleeping stay the system's.

use crate::disk::{Class, Inode, Operation, SharedMemory, Verdict, with_disk};
use rusqlite::ffi::{self, sqlite3_file, sqlite3_io_methods, sqlite3_vfs};
use std::ffi::{CStr, c_char, c_int, c_void};
use std::ptr;
use whatsapp_uploader_database::rusqlite;

/// An open file: SQLite gives the memory, whose first field it reads.
#[repr(C)]
struct OpenFile {
    base: sqlite3_file,
    inode: Inode,
    level: c_int,
    /// A sync of a log or journal that this handle made syncs the folder as well.
    syncs_name: bool,
    delete_name: *mut String,
    shared_slots: u32,
    exclusive_slots: u32,
    has_memory: bool,
}

static METHODS: sqlite3_io_methods = sqlite3_io_methods {
    iVersion: 2,
    xClose: Some(close),
    xRead: Some(read),
    xWrite: Some(write),
    xTruncate: Some(truncate),
    xSync: Some(sync),
    xFileSize: Some(file_size),
    xLock: Some(lock),
    xUnlock: Some(unlock),
    xCheckReservedLock: Some(check_reserved_lock),
    xFileControl: Some(file_control),
    xSectorSize: Some(sector_size),
    xDeviceCharacteristics: Some(characteristics),
    xShmMap: Some(map_memory),
    xShmLock: Some(lock_memory),
    xShmBarrier: Some(barrier),
    xShmUnmap: Some(unmap_memory),
    xFetch: None,
    xUnfetch: None,
};

/// Makes the disk in memory the default one of this process.
pub fn register() {
    // SAFETY: the default layer is registered for the life of the process; the copy is leaked,
    // so that it is as well, and keeps its methods that need no file.
    let code = unsafe {
        ffi::sqlite3_initialize();
        let system = ffi::sqlite3_vfs_find(ptr::null());
        let mut vfs: sqlite3_vfs = *system;
        vfs.zName = c"proof-memory".as_ptr();
        vfs.szOsFile = size_of::<OpenFile>() as c_int;
        vfs.xOpen = Some(open);
        vfs.xDelete = Some(delete);
        vfs.xAccess = Some(access);
        vfs.xFullPathname = Some(full_path_name);
        ffi::sqlite3_vfs_register(Box::leak(Box::new(vfs)), 1)
    };
    assert_eq!(code, ffi::SQLITE_OK, "the layer could not be registered");
}

/// SAFETY: only for a name that SQLite gives: null, or a text that ends with NUL.
unsafe fn name_of(name: *const c_char) -> String {
    if name.is_null() {
        return String::new();
    }
    // SAFETY: as the function's.
    unsafe { CStr::from_ptr(name) }
        .to_string_lossy()
        .into_owned()
}

/// SAFETY: only for a file that [`open`] has filled and that SQLite uses on this thread.
unsafe fn of<'a>(file: *mut sqlite3_file) -> &'a mut OpenFile {
    // SAFETY: as the function's: SQLite gave the memory of `szOsFile` bytes.
    unsafe { &mut *file.cast::<OpenFile>() }
}

fn judge(class: Class) -> Verdict {
    with_disk(|disk| disk.judge(class))
}

/// Returns from an operation that is to fail.
macro_rules! fail_if_due {
    ($class:expr) => {
        if let Verdict::Fail(code) | Verdict::HalfThenFail(code) = judge($class) {
            return code;
        }
    };
}

unsafe extern "C" fn open(
    _: *mut sqlite3_vfs,
    name: ffi::sqlite3_filename,
    file: *mut sqlite3_file,
    flags: c_int,
    out_flags: *mut c_int,
) -> c_int {
    // SAFETY: SQLite's contract: memory for an OpenFile, a name or null, a place for flags or null.
    unsafe {
        (*file).pMethods = ptr::null();
        let name = name_of(name);
        let mut granted = flags;
        match judge(Class::Open) {
            // As the system's layer: what may not be written is opened for reading.
            Verdict::Fail(ffi::SQLITE_READONLY) => {
                granted = flags & !(ffi::SQLITE_OPEN_READWRITE | ffi::SQLITE_OPEN_CREATE)
                    | ffi::SQLITE_OPEN_READONLY;
            }
            Verdict::Fail(code) | Verdict::HalfThenFail(code) => return code,
            Verdict::Do => {}
        }
        let creates = granted & ffi::SQLITE_OPEN_CREATE != 0;
        let found = with_disk(|disk| match disk.find(&name) {
            Some(inode) => Some((inode, false)),
            None if creates || name.is_empty() => Some((disk.create(&name), true)),
            None => None,
        });
        let Some((inode, _)) = found else {
            return ffi::SQLITE_CANTOPEN;
        };
        let is_journal = flags
            & (ffi::SQLITE_OPEN_WAL
                | ffi::SQLITE_OPEN_MAIN_JOURNAL
                | ffi::SQLITE_OPEN_SUPER_JOURNAL)
            != 0;
        let deletes = flags & ffi::SQLITE_OPEN_DELETEONCLOSE != 0;
        ptr::write(
            file.cast(),
            OpenFile {
                base: sqlite3_file {
                    pMethods: &raw const METHODS,
                },
                inode,
                level: ffi::SQLITE_LOCK_NONE,
                syncs_name: is_journal && creates,
                delete_name: if deletes {
                    Box::into_raw(Box::new(name))
                } else {
                    ptr::null_mut()
                },
                shared_slots: 0,
                exclusive_slots: 0,
                has_memory: false,
            },
        );
        if !out_flags.is_null() {
            *out_flags = granted;
        }
    }
    ffi::SQLITE_OK
}

unsafe extern "C" fn delete(_: *mut sqlite3_vfs, name: *const c_char, sync: c_int) -> c_int {
    fail_if_due!(Class::Delete);
    // SAFETY: a name that SQLite gives.
    let name = unsafe { name_of(name) };
    if with_disk(|disk| disk.delete(&name, sync != 0)) {
        ffi::SQLITE_OK
    } else {
        ffi::SQLITE_IOERR_DELETE_NOENT
    }
}

unsafe extern "C" fn access(
    _: *mut sqlite3_vfs,
    name: *const c_char,
    flags: c_int,
    out: *mut c_int,
) -> c_int {
    fail_if_due!(Class::Access);
    // SAFETY: a name and a place for the answer that SQLite gives.
    unsafe {
        let name = name_of(name);
        // A log without contents counts as none, as in the system's layer.
        let there = with_disk(|disk| {
            disk.find(&name).is_some_and(|inode| {
                flags != ffi::SQLITE_ACCESS_EXISTS
                    || disk
                        .files
                        .get(&inode)
                        .is_some_and(|file| !file.bytes.is_empty())
            })
        });
        *out = c_int::from(there);
    }
    ffi::SQLITE_OK
}

unsafe extern "C" fn full_path_name(
    _: *mut sqlite3_vfs,
    name: *const c_char,
    room: c_int,
    out: *mut c_char,
) -> c_int {
    // SAFETY: a text that ends with NUL, and `room` bytes for the answer.
    unsafe {
        let bytes = CStr::from_ptr(name).to_bytes_with_nul();
        if bytes.len() > room as usize {
            return ffi::SQLITE_CANTOPEN;
        }
        ptr::copy_nonoverlapping(bytes.as_ptr().cast(), out, bytes.len());
    }
    ffi::SQLITE_OK
}

unsafe extern "C" fn close(file: *mut sqlite3_file) -> c_int {
    // SAFETY: an open file; SQLite forgets it after this call.
    unsafe {
        unmap_memory(file, 0);
        unlock(file, ffi::SQLITE_LOCK_NONE);
        let open = of(file);
        if !open.delete_name.is_null() {
            let name = Box::from_raw(open.delete_name);
            with_disk(|disk| disk.delete(&name, false));
        }
        open.base.pMethods = ptr::null();
    }
    ffi::SQLITE_OK
}

unsafe extern "C" fn read(
    file: *mut sqlite3_file,
    out: *mut c_void,
    length: c_int,
    offset: i64,
) -> c_int {
    fail_if_due!(Class::Read);
    let (length, offset) = (length as usize, offset as usize);
    // SAFETY: an open file and `length` bytes for the answer.
    let (inode, out) = unsafe {
        (
            of(file).inode,
            std::slice::from_raw_parts_mut(out.cast::<u8>(), length),
        )
    };
    let given = with_disk(|disk| {
        let bytes = disk.files.get(&inode).map_or(&[][..], |file| &file.bytes);
        let from = bytes.get(offset..).unwrap_or(&[]);
        let given = from.len().min(length);
        out[..given].copy_from_slice(&from[..given]);
        given
    });
    out[given..].fill(0);
    if given == length {
        ffi::SQLITE_OK
    } else {
        ffi::SQLITE_IOERR_SHORT_READ
    }
}

unsafe extern "C" fn write(
    file: *mut sqlite3_file,
    data: *const c_void,
    length: c_int,
    offset: i64,
) -> c_int {
    // SAFETY: an open file and `length` bytes to write.
    let (inode, data) = unsafe {
        (
            of(file).inode,
            std::slice::from_raw_parts(data.cast::<u8>(), length as usize),
        )
    };
    with_disk(|disk| match disk.judge(Class::Write) {
        Verdict::Do => {
            disk.write(inode, offset as usize, data);
            ffi::SQLITE_OK
        }
        Verdict::Fail(_) | Verdict::HalfThenFail(_) if disk.lies => ffi::SQLITE_OK,
        Verdict::Fail(code) => code,
        Verdict::HalfThenFail(code) => {
            disk.write(inode, offset as usize, &data[..data.len() / 2]);
            code
        }
    })
}

unsafe extern "C" fn truncate(file: *mut sqlite3_file, size: i64) -> c_int {
    fail_if_due!(Class::Truncate);
    // SAFETY: an open file.
    let inode = unsafe { of(file).inode };
    with_disk(|disk| disk.truncate(inode, size as usize));
    ffi::SQLITE_OK
}

unsafe extern "C" fn sync(file: *mut sqlite3_file, _: c_int) -> c_int {
    fail_if_due!(Class::Sync);
    // SAFETY: an open file.
    let open = unsafe { of(file) };
    let (inode, with_name) = (open.inode, std::mem::take(&mut open.syncs_name));
    with_disk(|disk| disk.note(|| Operation::Sync { inode, with_name }));
    ffi::SQLITE_OK
}

unsafe extern "C" fn file_size(file: *mut sqlite3_file, out: *mut i64) -> c_int {
    fail_if_due!(Class::Size);
    // SAFETY: an open file and a place for the answer.
    unsafe {
        let inode = of(file).inode;
        *out = with_disk(|disk| {
            disk.files
                .get(&inode)
                .map_or(0, |file| file.bytes.len() as i64)
        });
    }
    ffi::SQLITE_OK
}

unsafe extern "C" fn lock(file: *mut sqlite3_file, level: c_int) -> c_int {
    // SAFETY: an open file.
    let open = unsafe { of(file) };
    if open.level >= level {
        return ffi::SQLITE_OK;
    }
    fail_if_due!(Class::Lock);
    with_disk(|disk| {
        let Some(locks) = disk.files.get_mut(&open.inode).map(|file| &mut file.locks) else {
            return ffi::SQLITE_IOERR_LOCK;
        };
        match level {
            ffi::SQLITE_LOCK_SHARED => {
                if locks.pending || locks.exclusive {
                    return ffi::SQLITE_BUSY;
                }
                locks.shared += 1;
            }
            ffi::SQLITE_LOCK_RESERVED => {
                if locks.reserved {
                    return ffi::SQLITE_BUSY;
                }
                locks.reserved = true;
            }
            _ => {
                if open.level < ffi::SQLITE_LOCK_RESERVED && locks.reserved
                    || open.level < ffi::SQLITE_LOCK_PENDING && locks.pending
                {
                    return ffi::SQLITE_BUSY;
                }
                locks.reserved = true;
                locks.pending = true;
                if locks.shared > 1 {
                    open.level = ffi::SQLITE_LOCK_PENDING;
                    return ffi::SQLITE_BUSY;
                }
                locks.exclusive = true;
            }
        }
        open.level = level;
        ffi::SQLITE_OK
    })
}

unsafe extern "C" fn unlock(file: *mut sqlite3_file, level: c_int) -> c_int {
    // SAFETY: an open file.
    let open = unsafe { of(file) };
    if open.level <= level {
        return ffi::SQLITE_OK;
    }
    with_disk(|disk| {
        if let Some(locks) = disk.files.get_mut(&open.inode).map(|file| &mut file.locks) {
            if open.level >= ffi::SQLITE_LOCK_RESERVED {
                locks.reserved = false;
            }
            if open.level >= ffi::SQLITE_LOCK_PENDING {
                locks.pending = false;
                locks.exclusive = false;
            }
            if level == ffi::SQLITE_LOCK_NONE {
                locks.shared = locks.shared.saturating_sub(1);
            }
        }
    });
    open.level = level;
    ffi::SQLITE_OK
}

unsafe extern "C" fn check_reserved_lock(file: *mut sqlite3_file, out: *mut c_int) -> c_int {
    // SAFETY: an open file and a place for the answer.
    unsafe {
        let inode = of(file).inode;
        let is_reserved = with_disk(|disk| {
            disk.files
                .get(&inode)
                .is_some_and(|file| file.locks.reserved)
        });
        *out = c_int::from(is_reserved);
    }
    ffi::SQLITE_OK
}

unsafe extern "C" fn file_control(_: *mut sqlite3_file, _: c_int, _: *mut c_void) -> c_int {
    ffi::SQLITE_NOTFOUND
}

unsafe extern "C" fn sector_size(_: *mut sqlite3_file) -> c_int {
    4096
}

/// What SQLite's own layer for Unix says of a file.
unsafe extern "C" fn characteristics(_: *mut sqlite3_file) -> c_int {
    ffi::SQLITE_IOCAP_POWERSAFE_OVERWRITE
}

unsafe extern "C" fn map_memory(
    file: *mut sqlite3_file,
    page: c_int,
    size: c_int,
    extend: c_int,
    out: *mut *mut c_void,
) -> c_int {
    fail_if_due!(Class::MapMemory);
    // SAFETY: an open file and a place for the answer. Pages are boxed and freed with the last
    // user only, so they stay where they are while SQLite uses them.
    unsafe {
        let open = of(file);
        *out = with_disk(|disk| {
            let memory = disk.memories.entry(open.inode).or_default();
            if !std::mem::replace(&mut open.has_memory, true) {
                memory.users += 1;
            }
            while extend != 0 && memory.pages.len() <= page as usize {
                memory.pages.push(vec![0_u64; size as usize / 8].into());
            }
            memory
                .pages
                .get_mut(page as usize)
                .map_or(ptr::null_mut(), |page| page.as_mut_ptr().cast())
        });
    }
    ffi::SQLITE_OK
}

unsafe extern "C" fn lock_memory(
    file: *mut sqlite3_file,
    first: c_int,
    count: c_int,
    flags: c_int,
) -> c_int {
    // SAFETY: an open file.
    let open = unsafe { of(file) };
    let slots = first as usize..(first + count) as usize;
    if flags & ffi::SQLITE_SHM_UNLOCK == 0 {
        fail_if_due!(Class::LockMemory);
    }
    with_disk(|disk| {
        let memory = disk.memories.entry(open.inode).or_default();
        if flags & ffi::SQLITE_SHM_UNLOCK != 0 {
            release(open, memory, slots);
            return ffi::SQLITE_OK;
        }
        let is_shared = flags & ffi::SQLITE_SHM_SHARED != 0;
        for slot in slots.clone() {
            let own = open.shared_slots >> slot & 1;
            let is_held = memory.exclusive[slot] && open.exclusive_slots >> slot & 1 == 0
                || !is_shared && memory.shared[slot] > own;
            if is_held {
                return ffi::SQLITE_BUSY;
            }
        }
        for slot in slots {
            if is_shared && open.shared_slots >> slot & 1 == 0 {
                memory.shared[slot] += 1;
                open.shared_slots |= 1 << slot;
            } else if !is_shared {
                memory.exclusive[slot] = true;
                open.exclusive_slots |= 1 << slot;
            }
        }
        ffi::SQLITE_OK
    })
}

fn release(open: &mut OpenFile, memory: &mut SharedMemory, slots: std::ops::Range<usize>) {
    for slot in slots {
        if open.shared_slots >> slot & 1 == 1 {
            memory.shared[slot] -= 1;
        }
        if open.exclusive_slots >> slot & 1 == 1 {
            memory.exclusive[slot] = false;
        }
        open.shared_slots &= !(1 << slot);
        open.exclusive_slots &= !(1 << slot);
    }
}

unsafe extern "C" fn barrier(_: *mut sqlite3_file) {
    std::sync::atomic::fence(std::sync::atomic::Ordering::SeqCst);
}

unsafe extern "C" fn unmap_memory(file: *mut sqlite3_file, _: c_int) -> c_int {
    // SAFETY: an open file.
    let open = unsafe { of(file) };
    with_disk(|disk| {
        let Some(memory) = disk.memories.get_mut(&open.inode) else {
            return;
        };
        release(open, memory, 0..8);
        if std::mem::take(&mut open.has_memory) {
            memory.users -= 1;
            if memory.users == 0 {
                disk.memories.remove(&open.inode);
            }
        }
    });
    ffi::SQLITE_OK
}
