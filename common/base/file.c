/* file.c - descriptors, whole reads and writes, kernel locks
 * SPDX-License-Identifier: MIT */
#include "common/base/file.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "common/base/buffer.h"
#include "common/base/fault.h"

#define READ_FIRST 4096
#define READ_MAX 65536

int fd_write_all(int fd, const void *data, size_t size)
{
	const char *at = data;

	while (size) {
		ssize_t written = FAULT("file.write", write(fd, at, size));

		if (written < 0 && errno == EINTR)
			continue;
		if (written < 0)
			return -1;
		if (written == 0) {
			errno = EIO;
			return -1;
		}
		at += written;
		size -= (size_t)written;
	}
	return 0;
}

int fd_read_all(int fd, struct buffer *out, size_t max)
{
	size_t room = READ_FIRST;
	size_t held = 0;

	for (;;) {
		ssize_t got;

		buffer_reserve(out, room);
		got = FAULT("file.read", read(fd, out->data + out->size, room));
		if (got < 0 && errno == EINTR)
			continue;
		if (got < 0)
			return -1;
		if (got == 0)
			return 0;
		held += (size_t)got;
		if (held > max) {
			errno = EFBIG;
			return -1;
		}
		out->size += (size_t)got;
		out->data[out->size] = '\0';
		room = READ_MAX;
	}
}

int file_read(const char *path, struct buffer *out, size_t max)
{
	int fd = open(path, O_RDONLY | O_CLOEXEC);
	int result;

	if (fd < 0)
		return -1;
	result = fd_read_all(fd, out, max);
	fd_close(&fd);
	return result;
}

static int flag_set(int fd, int get, int set, int flag, bool on)
{
	int flags = fcntl(fd, get);

	if (flags < 0)
		return -1;
	return fcntl(fd, set, on ? flags | flag : flags & ~flag) < 0 ? -1 : 0;
}

int fd_set_nonblocking(int fd, bool on)
{
	return flag_set(fd, F_GETFL, F_SETFL, O_NONBLOCK, on);
}

int fd_set_cloexec(int fd, bool on)
{
	return flag_set(fd, F_GETFD, F_SETFD, FD_CLOEXEC, on);
}

void fd_close(int *fd)
{
	int kept = errno;

	if (*fd != -1)
		close(*fd);
	*fd = -1;
	errno = kept;
}

int directory_sync(const char *path)
{
	int fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	int result;

	if (fd < 0)
		return -1;
	result = FAULT("file.sync_directory", fsync(fd));
	fd_close(&fd);
	return result;
}

int directory_make(const char *path, mode_t mode)
{
	struct stat status;

	if (!FAULT("file.make_directory", mkdir(path, mode)))
		return 0;
	if (errno != EEXIST)
		return -1;
	if (stat(path, &status) < 0)
		return -1;
	if (S_ISDIR(status.st_mode))
		return 0;
	errno = ENOTDIR;
	return -1;
}

static struct flock lock_range(off_t start, off_t size, short type)
{
	return (struct flock){ .l_type = type, .l_whence = SEEK_SET, .l_start = start, .l_len = size };
}

int ofd_lock(int fd, off_t start, off_t size, bool exclusive)
{
	struct flock range = lock_range(start, size, exclusive ? F_WRLCK : F_RDLCK);

	if (!FAULT("file.lock", fcntl(fd, F_OFD_SETLK, &range)))
		return 1;
	return errno == EAGAIN || errno == EACCES ? 0 : -1;
}

int ofd_unlock(int fd, off_t start, off_t size)
{
	struct flock range = lock_range(start, size, F_UNLCK);

	return fcntl(fd, F_OFD_SETLK, &range) < 0 ? -1 : 0;
}

int ofd_is_locked(int fd, off_t start, off_t size)
{
	struct flock range = lock_range(start, size, F_WRLCK);

	if (fcntl(fd, F_OFD_GETLK, &range) < 0)
		return -1;
	return range.l_type != F_UNLCK;
}

int memfd_sealed(const char *name, const void *data, size_t size)
{
	int fd = memfd_create(name, MFD_CLOEXEC | MFD_ALLOW_SEALING);

	if (fd < 0)
		return -1;
	if (fd_write_all(fd, data, size) < 0 || lseek(fd, 0, SEEK_SET) < 0 ||
			fcntl(fd, F_ADD_SEALS, F_SEAL_SEAL | F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_WRITE) < 0)
		fd_close(&fd);
	return fd;
}

int memfd_shared(const char *name, size_t size)
{
	int fd = memfd_create(name, MFD_CLOEXEC | MFD_ALLOW_SEALING);

	if (fd < 0)
		return -1;
	if (ftruncate(fd, (off_t)size) < 0 ||
			fcntl(fd, F_ADD_SEALS, F_SEAL_SEAL | F_SEAL_SHRINK | F_SEAL_GROW) < 0)
		fd_close(&fd);
	return fd;
}
