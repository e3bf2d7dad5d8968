/* recorder.h - the parts of the recorder
 * SPDX-License-Identifier: MIT
 * Of recorder.c: the file and its lock, and which files and directories are recorded. */
#ifndef SLIMTA_T_RECORDER_H
#define SLIMTA_T_RECORDER_H

#include <limits.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/stat.h>
#include <sys/uio.h>

#define PATH_SIZE (2 * PATH_MAX)
#define INODE "%lx:%lx"
#define INODE_OF(status) (unsigned long)(status).st_dev, (unsigned long)(status).st_ino

/* For tests that load the library: another file than SLIMTA_RECORD; an event of their own, such as that a next hop has
 * taken a message. */
void recorder_start(const char *path);
void recorder_note(const char *text);

bool recorder_is_on(void);
/* Held over a call and its record; leaves errno alone. */
void recorder_lock(void);
void recorder_unlock(void);
/* A line, and the first `size` octets of the vector if there is one. */
void record(const struct iovec *iov, int count, size_t size, const char *format, ...)
	__attribute__((format(printf, 4, 5)));
__attribute__((noreturn)) void recorder_give_up(const char *what);
uint64_t recorder_next_sync(void);		/* the lock is held */

/* The whole path of a name, or of a descriptor; false: it is none of ours. */
bool is_ours(int directory_fd, const char *name, char path[PATH_SIZE]);
bool fd_is_ours(int fd, struct stat *, char path[PATH_SIZE]);
/* Calls that nobody has needed so far: the reader fails when it meets one. */
void unknown(const char *call, const char *path);
void unknown_fd(const char *call, int fd);

#endif
