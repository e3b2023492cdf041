// Says, for every fsync and fdatasync of a process, whether its main thread made it.
// Loaded by LD_PRELOAD; one letter each on the descriptor that SYNC_WATCH_FD names.

#define _GNU_SOURCE
#include <dlfcn.h>
#include <stdlib.h>
#include <sys/syscall.h>
#include <unistd.h>

static void tell(void) {
  const char *fd = getenv("SYNC_WATCH_FD");
  if (fd) {
    const char *who = syscall(SYS_gettid) == getpid() ? "M" : "p";
    (void)!write(atoi(fd), who, 1);
  }
}

int fsync(int fd) {
  int (*real)(int) = (int (*)(int))dlsym(RTLD_NEXT, "fsync");
  tell();
  return real(fd);
}

int fdatasync(int fd) {
  int (*real)(int) = (int (*)(int))dlsym(RTLD_NEXT, "fdatasync");
  tell();
  return real(fd);
}
