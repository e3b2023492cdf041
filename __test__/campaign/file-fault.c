// Lets the n-th operation of a process on the files of one folder fail, or be its last.
// Loaded by LD_PRELOAD; file-fault.js owns the control file that FILE_FAULT_CONTROL names and that is
// mapped here, and says what its fields mean. FILE_FAULT_FOLDER is the folder.

#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/types.h>
#include <unistd.h>

enum { WRITE = 1, SYNC = 2, OPEN = 4, TRUNCATE = 8, UNLINK = 16, RENAME = 32, READ = 64 };
enum { SHORT = -1, DIE = -2, DIE_TORN = -3 };

struct control {
  int32_t armed, action, persists, kinds;
  int64_t after, seen, fired;
};

static struct control *control;
static const char *folder;
static size_t folder_length;

__attribute__((constructor)) static void start(void) {
  const char *path = getenv("FILE_FAULT_CONTROL");
  folder = getenv("FILE_FAULT_FOLDER");
  if (!path || !folder) return;
  folder_length = strlen(folder);
  int (*real_open)(const char *, int, ...) = (int (*)(const char *, int, ...))dlsym(RTLD_NEXT, "open");
  int fd = real_open(path, O_RDWR);
  if (fd < 0) return;
  void *mapped = mmap(NULL, sizeof *control, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
  close(fd);
  if (mapped != MAP_FAILED) control = mapped;
}

static int is_watched_path(const char *path) {
  return control && path && strncmp(path, folder, folder_length) == 0;
}

static int is_watched(int fd) {
  if (!control || !control->armed) return 0;
  char link[64], path[4096];
  snprintf(link, sizeof link, "/proc/self/fd/%d", fd);
  ssize_t length = readlink(link, path, sizeof path - 1);
  if (length < 0) return 0;
  path[length] = 0;
  return is_watched_path(path);
}

// What becomes of the present operation: 0 for nothing, an errno, or one of the actions.
static int fate(int kind) {
  if (!control->armed || !(control->kinds & kind)) return 0;
  int64_t number = __atomic_add_fetch(&control->seen, 1, __ATOMIC_SEQ_CST);
  if (number < control->after || (number > control->after && !control->persists)) return 0;
  __atomic_add_fetch(&control->fired, 1, __ATOMIC_SEQ_CST);
  if (control->action == DIE || (control->action == DIE_TORN && kind != WRITE)) {
    kill(getpid(), SIGKILL);
    for (;;) pause();
  }
  // Only a write can be short; anything else says that the disk is full.
  if (control->action == SHORT && kind != WRITE) return ENOSPC;
  return control->action;
}

#define REAL(name) ((__typeof__(&name))dlsym(RTLD_NEXT, #name))

#define FAIL(number)   \
  do {                 \
    errno = (number);  \
    return -1;         \
  } while (0)

// A write that may be cut off in its middle.
#define WRITTEN(call_with_length)                        \
  do {                                                   \
    int what = is_watched(fd) ? fate(WRITE) : 0;         \
    if (what > 0) FAIL(what);                            \
    if (what < 0) {                                      \
      size_t length = count > 1 ? count / 2 : count;     \
      ssize_t written = call_with_length;                \
      if (what == SHORT) return written;                 \
      kill(getpid(), SIGKILL);                           \
      for (;;) pause();                                  \
    }                                                    \
    size_t length = count;                               \
    return call_with_length;                             \
  } while (0)

ssize_t write(int fd, const void *data, size_t count) { WRITTEN(REAL(write)(fd, data, length)); }
ssize_t pwrite(int fd, const void *data, size_t count, off_t at) { WRITTEN(REAL(pwrite)(fd, data, length, at)); }
ssize_t pwrite64(int fd, const void *data, size_t count, off64_t at) { WRITTEN(REAL(pwrite64)(fd, data, length, at)); }

#define GUARDED(watched, kind, call)           \
  do {                                         \
    int what = (watched) ? fate(kind) : 0;     \
    if (what > 0) FAIL(what);                  \
    return call;                               \
  } while (0)

ssize_t pread(int fd, void *data, size_t count, off_t at) { GUARDED(is_watched(fd), READ, REAL(pread)(fd, data, count, at)); }
ssize_t pread64(int fd, void *data, size_t count, off64_t at) { GUARDED(is_watched(fd), READ, REAL(pread64)(fd, data, count, at)); }
int fsync(int fd) { GUARDED(is_watched(fd), SYNC, REAL(fsync)(fd)); }
int fdatasync(int fd) { GUARDED(is_watched(fd), SYNC, REAL(fdatasync)(fd)); }
int ftruncate(int fd, off_t length) { GUARDED(is_watched(fd), TRUNCATE, REAL(ftruncate)(fd, length)); }
int ftruncate64(int fd, off64_t length) { GUARDED(is_watched(fd), TRUNCATE, REAL(ftruncate64)(fd, length)); }
int unlink(const char *path) { GUARDED(is_watched_path(path), UNLINK, REAL(unlink)(path)); }
int unlinkat(int at, const char *path, int flags) { GUARDED(is_watched_path(path), UNLINK, REAL(unlinkat)(at, path, flags)); }
int rename(const char *from, const char *to) { GUARDED(is_watched_path(to), RENAME, REAL(rename)(from, to)); }
int link(const char *from, const char *to) { GUARDED(is_watched_path(to), RENAME, REAL(link)(from, to)); }
int linkat(int at, const char *from, int to_at, const char *to, int flags) {
  GUARDED(is_watched_path(to), RENAME, REAL(linkat)(at, from, to_at, to, flags));
}

#define OPENED(call)                                         \
  do {                                                       \
    va_list rest;                                            \
    va_start(rest, flags);                                   \
    mode_t mode = flags & (O_CREAT | __O_TMPFILE) ? va_arg(rest, mode_t) : 0; \
    va_end(rest);                                            \
    GUARDED(is_watched_path(path), OPEN, call);              \
  } while (0)

int open(const char *path, int flags, ...) { OPENED(REAL(open)(path, flags, mode)); }
int open64(const char *path, int flags, ...) { OPENED(REAL(open64)(path, flags, mode)); }
int openat(int at, const char *path, int flags, ...) { OPENED(REAL(openat)(at, path, flags, mode)); }
int openat64(int at, const char *path, int flags, ...) { OPENED(REAL(openat64)(at, path, flags, mode)); }
