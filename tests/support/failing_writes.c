// Preloaded into a process (LD_PRELOAD), lets one of its calls that change files below a folder fail, or kills the
// process in it. `watch(folder, n, error)`: the n-th call from now on, counted from 0, and for a full disk all after it
// too, fail with `error`; 0 kills, and -1 only counts. A write that fails or kills has written its first half.
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <sys/types.h>
#include <unistd.h>

static char below[4096];
static long at = -1, calls = 0;
static int wanted = -1;

void watch(const char *folder, long n, int error) {
  strncpy(below, folder, sizeof below - 1);
  at = n, calls = 0, wanted = error;
}

long watched(void) { return calls; }

static int is_below(const char *path) { return below[0] && path && !strncmp(path, below, strlen(below)); }

static int handle_is_below(int handle) {
  char link[64], path[4096];
  if (!below[0]) return 0;
  snprintf(link, sizeof link, "/proc/self/fd/%d", handle);
  ssize_t size = readlink(link, path, sizeof path - 1);
  if (size < 0) return 0;
  path[size] = 0;
  return is_below(path);
}

static int is_time(void) {
  long call = calls++;
  if (wanted < 0) return 0;
  return call == at || (call > at && wanted == ENOSPC);
}

static int give_up(void) {
  if (wanted == 0) kill(getpid(), SIGKILL);
  errno = wanted;
  return -1;
}

#define NEXT(name) ((__typeof__(&name))dlsym(RTLD_NEXT, #name))

ssize_t write(int handle, const void *data, size_t size) {
  if (handle_is_below(handle) && is_time()) {
    NEXT(write)(handle, data, size / 2);
    return give_up();
  }
  return NEXT(write)(handle, data, size);
}

ssize_t pwrite(int handle, const void *data, size_t size, off_t offset) {
  if (handle_is_below(handle) && is_time()) {
    NEXT(pwrite)(handle, data, size / 2, offset);
    return give_up();
  }
  return NEXT(pwrite)(handle, data, size, offset);
}

ssize_t pwrite64(int handle, const void *data, size_t size, off64_t offset) {
  if (handle_is_below(handle) && is_time()) {
    NEXT(pwrite64)(handle, data, size / 2, offset);
    return give_up();
  }
  return NEXT(pwrite64)(handle, data, size, offset);
}

int fsync(int handle) { return handle_is_below(handle) && is_time() ? give_up() : NEXT(fsync)(handle); }

int ftruncate(int handle, off_t size) {
  return handle_is_below(handle) && is_time() ? give_up() : NEXT(ftruncate)(handle, size);
}

int ftruncate64(int handle, off64_t size) {
  return handle_is_below(handle) && is_time() ? give_up() : NEXT(ftruncate64)(handle, size);
}

int rename(const char *from, const char *to) {
  return is_below(to) && is_time() ? give_up() : NEXT(rename)(from, to);
}

int mkdir(const char *path, mode_t mode) {
  return is_below(path) && is_time() ? give_up() : NEXT(mkdir)(path, mode);
}

// A full disk still removes files, and a kill may come there too.
int unlinkat(int folder, const char *path, int flags) {
  if (handle_is_below(folder) && wanted == 0 && is_time()) return give_up();
  return NEXT(unlinkat)(folder, path, flags);
}
