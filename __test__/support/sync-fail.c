// Lets fsync and fdatasync of a database's files fail with EIO while a control file says so.
// Loaded by LD_PRELOAD. SYNC_FAIL_CONTROL names the control file: a `d` in it fails the syncs of
// *.db, a `w` those of *-wal. SYNC_FAIL_LOG names a file that gets a letter for each sync of
// either: `d` or `w`, in upper case when it failed.

#define _GNU_SOURCE
#include <ctype.h>
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static int ends_with(const char *text, const char *end) {
  size_t length = strlen(text), end_length = strlen(end);
  return length >= end_length && strcmp(text + length - end_length, end) == 0;
}

// Which of a database's files a descriptor is open on: `d`, `w`, or 0 for any other.
static char kind_of(int fd) {
  char link[64], path[4096];
  snprintf(link, sizeof link, "/proc/self/fd/%d", fd);
  ssize_t length = readlink(link, path, sizeof path - 1);
  if (length < 0) return 0;
  path[length] = 0;
  if (ends_with(path, ".db")) return 'd';
  return ends_with(path, "-wal") ? 'w' : 0;
}

static int must_fail(char kind) {
  const char *control = getenv("SYNC_FAIL_CONTROL");
  int fd = control ? open(control, O_RDONLY) : -1;
  if (fd < 0) return 0;
  char kinds[8];
  ssize_t length = read(fd, kinds, sizeof kinds);
  close(fd);
  return length > 0 && memchr(kinds, kind, (size_t)length) != NULL;
}

static void tell(char letter) {
  const char *log = getenv("SYNC_FAIL_LOG");
  int fd = log ? open(log, O_WRONLY | O_CREAT | O_APPEND, 0600) : -1;
  if (fd < 0) return;
  (void)!write(fd, &letter, 1);
  close(fd);
}

static int sync_or_fail(const char *name, int fd) {
  char kind = kind_of(fd);
  if (kind && must_fail(kind)) {
    tell((char)toupper(kind));
    errno = EIO;
    return -1;
  }
  if (kind) tell(kind);
  int (*real)(int) = (int (*)(int))dlsym(RTLD_NEXT, name);
  return real(fd);
}

int fsync(int fd) { return sync_or_fail("fsync", fd); }

int fdatasync(int fd) { return sync_or_fail("fdatasync", fd); }
