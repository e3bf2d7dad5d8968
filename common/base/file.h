/* file.h - descriptors, whole reads and writes, kernel locks
 * SPDX-License-Identifier: MIT */
#ifndef SLIMTA_BASE_FILE_H
#define SLIMTA_BASE_FILE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

struct buffer;

/* All of them: 0 (or the descriptor), or -1 with errno. Descriptors are opened O_CLOEXEC. */
int fd_write_all(int fd, const void *data, size_t size);	/* blocking descriptors; no partial writes */
int fd_read_all(int fd, struct buffer *out, size_t max);	/* to the end; EFBIG beyond `max` */
int file_read(const char *path, struct buffer *out, size_t max);
int fd_set_nonblocking(int fd, bool on);
int fd_set_cloexec(int fd, bool on);
void fd_close(int *fd);			/* closes if not -1, sets -1, keeps errno */
int directory_sync(const char *path);	/* fsync of the directory itself */
int directory_make(const char *path, mode_t mode);	/* one level; an existing directory is success */

/* Open-file-description locks (fcntl F_OFD_SETLK): they belong to the open, end with its last close and
 * are never waited for. `lock`: 1 = ours now, 0 = another has it, -1 = errno. */
int ofd_lock(int fd, off_t start, off_t size, bool exclusive);
int ofd_unlock(int fd, off_t start, off_t size);
/* 1 = somebody else holds a lock that conflicts with an exclusive one, 0 = nobody, -1 = errno. */
int ofd_is_locked(int fd, off_t start, off_t size);

/* A sealed, read-only memfd with these octets (F_SEAL_SEAL, SHRINK, GROW, WRITE). */
int memfd_sealed(const char *name, const void *data, size_t size);
/* One of zeros to be shared, which keeps its size (F_SEAL_SEAL, SHRINK, GROW). */
int memfd_shared(const char *name, size_t size);

#endif
