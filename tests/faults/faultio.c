/* Counts what a process writes below one directory, and makes the n-th call fail, or the process die there.
 *
 * Loaded with LD_PRELOAD. Armed by fault_arm() in the process that is to suffer. While armed, the wall clock stands
 * still, so that two runs write the same bytes.
 */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <limits.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/types.h>
#include <time.h>
#include <unistd.h>

enum mode { COUNT, KILL_BEFORE, KILL_AFTER, KILL_TORN, NO_SPACE, NO_SPACE_FROM, IO_ERROR, IO_ERROR_FROM };
enum verdict { PASS, FAIL, TEAR, DIE_AFTER };

static char directory[PATH_MAX];
static size_t directory_length;
static enum mode mode;
static long target, count;
static int armed;
static char kinds[4096]; /* of every call: '+' may need room on the disk, '-' does not */

#define FROZEN_S 1800000000L
#define REAL(name) \
    static __typeof__(name) *real; \
    if (!real) real = (__typeof__(name) *)dlsym(RTLD_NEXT, #name)

void fault_arm(const char *path, int wanted_mode, long nth) {
    snprintf(directory, sizeof directory, "%s/", path);
    directory_length = strlen(directory);
    mode = (enum mode)wanted_mode;
    target = nth;
    count = 0;
    memset(kinds, 0, sizeof kinds);
    armed = 1;
}

const char *fault_kinds(void) { armed = 0; return kinds; }

static int below(const char *path) { return armed && path && strncmp(path, directory, directory_length) == 0; }

static int is_watched(int fd) {
    char link[64], path[PATH_MAX];
    if (!armed) return 0;
    snprintf(link, sizeof link, "/proc/self/fd/%d", fd);
    ssize_t length = readlink(link, path, sizeof path - 1);
    if (length <= 0) return 0;
    path[length] = 0;
    return below(path);
}

static void die(void) { kill(getpid(), SIGKILL); pause(); }

/* What happens to this call; `takes_space` = it may need room on the disk. */
static enum verdict judge(int takes_space) {
    long number = ++count;
    if (number < (long)sizeof kinds) kinds[number - 1] = takes_space ? '+' : '-';
    int is_sticky = mode == NO_SPACE_FROM || mode == IO_ERROR_FROM;
    if (is_sticky ? number < target : number != target) return PASS;
    switch (mode) {
    case KILL_BEFORE: die();
    case KILL_AFTER: return DIE_AFTER;
    case KILL_TORN: return TEAR;
    case NO_SPACE: case NO_SPACE_FROM:
        if (!takes_space) return PASS;
        errno = ENOSPC;
        return FAIL;
    case IO_ERROR: case IO_ERROR_FROM:
        errno = EIO;
        return FAIL;
    default: return PASS;
    }
}

#define GUARD(watched, takes_space, call) \
    do { \
        if (!(watched)) return call; \
        enum verdict verdict = judge(takes_space); \
        if (verdict == FAIL) return -1; \
        if (verdict == PASS) return call; \
    } while (0)

ssize_t write(int fd, const void *data, size_t size) {
    REAL(write);
    GUARD(is_watched(fd), 1, real(fd, data, size));
    real(fd, data, mode == KILL_TORN ? size / 2 : size);
    die();
    return -1;
}

#define PWRITE(name, offset_type) \
    ssize_t name(int fd, const void *data, size_t size, offset_type offset) { \
        REAL(name); \
        GUARD(is_watched(fd), 1, real(fd, data, size, offset)); \
        real(fd, data, mode == KILL_TORN ? size / 2 : size, offset); \
        die(); \
        return -1; \
    }
PWRITE(pwrite, off_t)
PWRITE(pwrite64, off64_t)

#define ON_FD(name) \
    int name(int fd) { \
        REAL(name); \
        GUARD(is_watched(fd), 0, real(fd)); \
        real(fd); \
        die(); \
        return -1; \
    }
ON_FD(fsync)
ON_FD(fdatasync)

#define TRUNCATE(name, offset_type) \
    int name(int fd, offset_type size) { \
        REAL(name); \
        GUARD(is_watched(fd), 1, real(fd, size)); \
        real(fd, size); \
        die(); \
        return -1; \
    }
TRUNCATE(ftruncate, off_t)
TRUNCATE(ftruncate64, off64_t)

#define ON_PATHS(name, takes_space) \
    int name(const char *from, const char *to) { \
        REAL(name); \
        GUARD(below(from) || below(to), takes_space, real(from, to)); \
        real(from, to); \
        die(); \
        return -1; \
    }
ON_PATHS(rename, 1)
ON_PATHS(link, 1)

int unlink(const char *path) {
    REAL(unlink);
    GUARD(below(path), 0, real(path));
    real(path);
    die();
    return -1;
}

int clock_gettime(clockid_t clock, struct timespec *now) {
    REAL(clock_gettime);
    int result = real(clock, now);
    if (armed && clock == CLOCK_REALTIME) { now->tv_sec = FROZEN_S; now->tv_nsec = 0; }
    return result;
}
