// @ts-check
'use strict';

/** Owns what an addon's file must be like on each platform. */

const MAX_UNPACKED = 3_000_000;
const MAX_PACKED = 1_300_000;
const MAX_GLIBC = '2.17';
const ANDROID_PAGE = 0x4000;
const MAX_MACOS = 11;
const REGISTRATION = 'napi_register_module_v1';

/**
 * What bionic has at API level 24 of what SQLite and Rust's standard library ask for, and the weak
 * symbols that both do without. `__errno_location`, `_Unwind_*` and `__emutls_get_address` are not
 * there: glibc's errno, an unwinder that no phone ships, thread locals of an old compiler.
 */
const BIONIC = new Set(
  (
    '__cxa_atexit __cxa_finalize __cxa_thread_atexit_impl __errno __sF __system_property_get __stack_chk_fail __register_atfork abort access ' +
    'arc4random_buf bsearch calloc chmod clock clock_getres clock_gettime clock_nanosleep close closedir dirfd ' +
    'dl_iterate_phdr dladdr dlclose dlerror dlopen dlsym dup dup2 environ exit fchmod fchown fclose fcntl fdatasync ' +
    'fdopendir fflush fileno fopen fprintf fputc fputs fread free fseek fstat fstat64 fstatat64 fsync ftell ' +
    'ftruncate ftruncate64 fwrite getauxval getcwd getenv getegid geteuid getgid getpagesize getpid getrusage gettid ' +
    'gettimeofday getuid gmtime_r ioctl isatty kill localtime_r lseek lseek64 lstat lstat64 madvise malloc ' +
    'malloc_usable_size memchr memcmp memcpy memmem memmove memrchr memset mkdir mktime mmap mmap64 mprotect mremap ' +
    'msync munmap nanosleep open open64 openat openat64 opendir pause perror pipe2 poll posix_memalign prctl pread ' +
    'pread64 printf pthread_atfork pthread_attr_destroy pthread_attr_getstack pthread_attr_init ' +
    'pthread_attr_setstacksize pthread_cond_broadcast pthread_cond_destroy pthread_cond_init pthread_cond_signal ' +
    'pthread_cond_timedwait pthread_cond_wait pthread_condattr_destroy pthread_condattr_init ' +
    'pthread_condattr_setclock pthread_create pthread_detach pthread_getattr_np pthread_getspecific pthread_join ' +
    'pthread_key_create pthread_key_delete pthread_mutex_destroy pthread_mutex_init pthread_mutex_lock ' +
    'pthread_mutex_trylock pthread_mutex_unlock pthread_mutexattr_destroy pthread_mutexattr_init ' +
    'pthread_mutexattr_settype pthread_once pthread_rwlock_destroy pthread_rwlock_rdlock pthread_rwlock_unlock ' +
    'pthread_rwlock_wrlock pthread_self pthread_setname_np pthread_setspecific pthread_sigmask pwrite pwrite64 qsort ' +
    'raise rand read readdir readdir64 readdir64_r readlink realloc realpath rename rmdir sched_getaffinity ' +
    'sched_yield sendfile setenv sigaction sigaltstack sigemptyset signal sleep snprintf sqrt stat stat64 strcasecmp ' +
    'strchr strcmp strcpy strcspn strdup strerror_r strlen strncasecmp strncmp strncpy strrchr strspn strstr strtod ' +
    'strtol strtoul symlink syscall sysconf sysinfo time umask uname unlink unlinkat unsetenv usleep utimes vfprintf ' +
    'vsnprintf write writev acos acosh asin asinh atan atan2 atanh ceil cos cosh exp exp2 floor fmod fmodf log log10 ' +
    'log2 pow powf sin sinh tan tanh trunc'
  ).split(' '),
);

const GLIBC_LIBRARY =
  /^(libc\.so\.6|libm\.so\.6|libdl\.so\.2|libpthread\.so\.0|libgcc_s\.so\.1|ld-linux[-\w]*\.so\.\d)$/;
const WINDOWS_LIBRARY =
  /^(kernel32|ntdll|advapi32|bcrypt|bcryptprimitives|userenv|ws2_32|synchronization|vcruntime140|ucrtbase|msvcrt|node|api-ms-win-[-\w]+)\.(dll|exe)$/i;

/** @type {Record<string, RegExp>} */
const LIBRARIES = {
  gnu: GLIBC_LIBRARY,
  musl: /^(libc\.so|libc\.musl-\w+\.so\.1|libgcc_s\.so\.1)$/,
  android: /^(libc|libm|libdl|liblog)\.so$/,
  darwin:
    /^\/(usr\/lib\/(libSystem\.B|libiconv\.2)\.dylib|System\/Library\/Frameworks\/CoreFoundation\.framework\/.*)$/,
  win32: WINDOWS_LIBRARY,
};

/** Symbols that only glibc has, by which a library built for it gives itself away. */
const GLIBC_ONLY =
  /^(__\w+_chk|gnu_get_libc_version|__libc_\w+|__(fx|lx|x)stat(64)?|__xpg_strerror_r_chk|__memcpy_chk)$/;

/** @param {string} name a platform's */
function familyOf(name) {
  if (/gnu/.test(name)) return 'gnu';
  if (/musl/.test(name)) return 'musl';
  return name.split('-')[0];
}

/** @param {string} name such as `napi_create_object` */
function isNodeApi(name) {
  return /^(napi|node_api)_[a-z0-9_]+$/.test(name);
}

/**
 * @param {string} left such as `2.4`
 * @param {string} right
 */
function isNewer(left, right) {
  const [a, b] = [left, right].map((text) => text.split('.').map(Number));
  return a[0] - b[0] || a[1] - b[1] || (a[2] ?? 0) - (b[2] ?? 0);
}

/**
 * Gives the newest glibc that a library asks for.
 *
 * @param {import('./report.js').BinaryReport} report
 */
function glibcFloor({ imported }) {
  const versions = imported.flatMap(({ version }) => version?.match(/^GLIBC_([\d.]+)$/)?.[1] ?? []);
  return versions.sort(isNewer).at(-1);
}

/**
 * Gives what keeps a file from being this platform's addon, the size apart.
 *
 * @param {string} platform
 * @param {import('./report.js').BinaryReport} report
 * @returns {string[]}
 */
function findFaults(platform, report) {
  const family = familyOf(platform);
  const format = { darwin: 'macho', win32: 'pe' }[family] ?? 'elf';
  if (report.format !== format) return [`a ${report.format} file, not ${format}`];
  const faults = [];
  const cpu = platform.split('-')[1];
  if (report.cpu !== cpu) faults.push(`built for ${report.cpu}`);
  if (!report.exported.includes(REGISTRATION)) faults.push(`does not export ${REGISTRATION}`);
  if (!report.isStripped) faults.push('not stripped');
  for (const library of report.needed) {
    if (!LIBRARIES[family].test(library)) faults.push(`needs the library ${library}`);
  }
  const own = report.imported.filter(({ name, isWeak }) => !isWeak && !isNodeApi(name));
  if (family === 'gnu') {
    const floor = glibcFloor(report);
    if (!floor) faults.push('asks for no symbol of glibc');
    else if (isNewer(floor, MAX_GLIBC) > 0) faults.push(`needs glibc ${floor}, beyond ${MAX_GLIBC}`);
    for (const { name, version } of own) if (!version) faults.push(`${name} is of no library`);
  } else if (family === 'musl') {
    for (const { name, version } of own) {
      const isGcc = version?.startsWith('GCC_') === true;
      if ((version && !isGcc) || GLIBC_ONLY.test(name)) faults.push(`${name} is glibc's`);
    }
  } else if (family === 'android') {
    for (const { name } of own) if (!BIONIC.has(name)) faults.push(`${name} is not in bionic of API 24`);
    for (const { name, isWeak } of report.imported) {
      if (/^_Unwind_|^__emutls_get_address$|^__errno_location$/.test(name)) faults.push(`${name} is not on a phone`);
      else if (isWeak && !BIONIC.has(name) && name !== 'getrandom') faults.push(`${name} is weak and unknown`);
    }
    if (report.hasThreadLocals) faults.push('has thread locals of ELF, which API 24 does not load');
    for (const alignment of report.loadAlignments ?? []) {
      if (alignment === 0 || alignment % ANDROID_PAGE !== 0) faults.push(`a segment aligned to ${alignment} only`);
    }
  } else if (family === 'darwin') {
    if (!report.minimumOs || Number.parseFloat(report.minimumOs) > MAX_MACOS) {
      faults.push(`needs macOS ${report.minimumOs}`);
    }
  }
  return [...new Set(faults)];
}

module.exports = { MAX_PACKED, MAX_UNPACKED, findFaults, glibcFloor };
