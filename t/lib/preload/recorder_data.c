/* recorder_data.c - the recorder's calls on octets and times, and syncs
 * SPDX-License-Identifier: MIT */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/sendfile.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "t/lib/preload/recorder.h"

#define BLOCK 65536
#define ADLER 65521

/* ---- octets */

/* What others learn: an answer to the end of the data, and that a message was delivered. */
static void tell(const struct iovec *iov, int count)
{
	static const char *const signs[] = { "250 2.6.0 ", " delivered id=", " failed id=" };

	for (int i = 0; recorder_is_on() && i < count; i++)
		for (unsigned sign = 0; sign < sizeof(signs) / sizeof(*signs); sign++) {
			if (!memmem(iov[i].iov_base, iov[i].iov_len, signs[sign], strlen(signs[sign])))
				continue;
			recorder_lock();
			record(&iov[i], 1, iov[i].iov_len, "said");
			recorder_unlock();
			break;
		}
}

/* `offset` -1: where the descriptor stands. */
static ssize_t do_write(int fd, const struct iovec *iov, int count, off_t offset)
{
	char path[PATH_SIZE];
	struct stat status;
	ssize_t written;
	off_t at = offset;
	bool ours = fd_is_ours(fd, &status, path);

	if (!ours)
		tell(iov, count);
	if (ours) {
		recorder_lock();
		if (offset < 0 && fstat(fd, &status) == 0)
			at = fcntl(fd, F_GETFL) & O_APPEND ? status.st_size : lseek(fd, 0, SEEK_CUR);
	}
	written = offset < 0 ? syscall(SYS_writev, fd, iov, count) : syscall(SYS_pwritev, fd, iov, count, offset, 0);
	if (ours) {
		if (written > 0)
			record(iov, count, (size_t)written, "write " INODE " %lld", INODE_OF(status), (long long)at);
		recorder_unlock();
	}
	return written;
}

ssize_t write(int fd, const void *data, size_t size)
{
	return do_write(fd, &(struct iovec){ (void *)data, size }, 1, -1);
}

ssize_t pwrite(int fd, const void *data, size_t size, off_t offset)
{
	return do_write(fd, &(struct iovec){ (void *)data, size }, 1, offset);
}

ssize_t writev(int fd, const struct iovec *iov, int count)
{
	return do_write(fd, iov, count, -1);
}

ssize_t pwritev(int fd, const struct iovec *iov, int count, off_t offset)
{
	return do_write(fd, iov, count, offset);
}

ssize_t pwrite64(int fd, const void *data, size_t size, off_t offset) __attribute__((alias("pwrite")));
ssize_t pwritev64(int fd, const struct iovec *iov, int count, off_t offset) __attribute__((alias("pwritev")));

ssize_t sendto(int fd, const void *data, size_t size, int flags, const struct sockaddr *to, socklen_t to_size)
{
	tell(&(struct iovec){ (void *)data, size }, 1);
	return syscall(SYS_sendto, fd, data, size, flags, to, to_size);
}

ssize_t send(int fd, const void *data, size_t size, int flags)
{
	return sendto(fd, data, size, flags, NULL, 0);
}

ssize_t sendmsg(int fd, const struct msghdr *message, int flags)
{
	tell(message->msg_iov, (int)message->msg_iovlen);
	return syscall(SYS_sendmsg, fd, message, flags);
}

int ftruncate(int fd, off_t size)
{
	char path[PATH_SIZE];
	struct stat status;
	int result;

	if (!fd_is_ours(fd, &status, path))
		return (int)syscall(SYS_ftruncate, fd, size);
	recorder_lock();
	result = (int)syscall(SYS_ftruncate, fd, size);
	if (result == 0)
		record(NULL, 0, 0, "truncate " INODE " %lld", INODE_OF(status), (long long)size);
	recorder_unlock();
	return result;
}

int ftruncate64(int fd, off_t size) __attribute__((alias("ftruncate")));

int futimens(int fd, const struct timespec times[2])
{
	char path[PATH_SIZE];
	struct stat status;
	int result;

	if (!fd_is_ours(fd, &status, path))
		return (int)syscall(SYS_utimensat, fd, NULL, times, 0);
	recorder_lock();
	result = (int)syscall(SYS_utimensat, fd, NULL, times, 0);
	if (result == 0 && fstat(fd, &status) == 0)
		record(NULL, 0, 0, "utimens " INODE " %lld", INODE_OF(status),
			status.st_mtim.tv_sec * 1000000000LL + status.st_mtim.tv_nsec);
	recorder_unlock();
	return result;
}

int utimensat(int fd, const char *name, const struct timespec times[2], int flags)
{
	char path[PATH_SIZE];

	if (is_ours(fd, name, path))
		unknown("utimensat", path);
	return (int)syscall(SYS_utimensat, fd, name, times, flags);
}

int truncate(const char *name, off_t size)
{
	char path[PATH_SIZE];

	if (is_ours(AT_FDCWD, name, path))
		unknown("truncate", path);
	return (int)syscall(SYS_truncate, name, size);
}

int fallocate(int fd, int mode, off_t offset, off_t size)
{
	unknown_fd("fallocate", fd);
	return (int)syscall(SYS_fallocate, fd, mode, offset, size);
}

ssize_t copy_file_range(int from, off_t *from_offset, int to, off_t *to_offset, size_t size, unsigned flags)
{
	unknown_fd("copy_file_range", to);
	return syscall(SYS_copy_file_range, from, from_offset, to, to_offset, size, flags);
}

ssize_t sendfile(int to, int from, off_t *offset, size_t size)
{
	unknown_fd("sendfile", to);
	return syscall(SYS_sendfile, to, from, offset, size);
}

ssize_t splice(int from, off_t *from_offset, int to, off_t *to_offset, size_t size, unsigned flags)
{
	unknown_fd("splice", to);
	return syscall(SYS_splice, from, from_offset, to, to_offset, size, flags);
}

void *mmap(void *address, size_t size, int protection, int flags, int fd, off_t offset)
{
	if (fd >= 0 && protection & PROT_WRITE && flags & MAP_SHARED)
		unknown_fd("mmap", fd);
	return (void *)syscall(SYS_mmap, address, size, protection, flags, fd, offset);
}

/* ---- syncs */

/* Size and sum of what the kernel has of the file. */
static void record_content(int fd, const struct stat *status, uint64_t number)
{
	static unsigned char block[BLOCK];	/* the lock is held */
	char link[32];
	uint32_t a = 1, b = 0;
	off_t size = 0;
	ssize_t got;
	int other;

	snprintf(link, sizeof(link), "/proc/self/fd/%d", fd);
	other = (int)syscall(SYS_openat, AT_FDCWD, link, O_RDONLY | O_CLOEXEC, 0);
	while ((got = pread(other, block, sizeof(block), size)) > 0) {
		for (ssize_t i = 0; i < got; i++) {
			a = (a + block[i]) % ADLER;
			b = (b + a) % ADLER;
		}
		size += got;
	}
	close(other);
	record(NULL, 0, 0, "sync %llu " INODE " %lld %u", (unsigned long long)number, INODE_OF(*status), (long long)size,
		b << 16 | a);
}

/* The names that the kernel has in it. */
static void record_names(int fd, const char *path, uint64_t number)
{
	static char text[16 * BLOCK], block[BLOCK];	/* the lock is held */
	int other = (int)syscall(SYS_openat, fd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC, 0);
	size_t size = 0;
	long got;

	while ((got = syscall(SYS_getdents64, other, block, sizeof(block))) > 0) {
		for (long at = 0; at < got;) {
			struct dirent64 *entry = (struct dirent64 *)(block + at);

			if (size + sizeof(entry->d_name) >= sizeof(text))
				recorder_give_up("a large directory");
			size += (size_t)snprintf(text + size, sizeof(text) - size, "%s\n", entry->d_name);
			at += entry->d_reclen;
		}
	}
	close(other);
	record(&(struct iovec){ text, size }, 1, size, "syncdir %llu %s", (unsigned long long)number, path);
}

static int do_sync(int fd, long call)
{
	char path[PATH_SIZE];
	struct stat status;
	uint64_t number;
	int result;

	if (!fd_is_ours(fd, &status, path))
		return (int)syscall(call, fd);
	recorder_lock();
	number = recorder_next_sync();
	if (call == SYS_syncfs)
		record(NULL, 0, 0, "syncfs %llu %s", (unsigned long long)number, path);
	else if (S_ISDIR(status.st_mode))
		record_names(fd, path, number);
	else
		record_content(fd, &status, number);
	recorder_unlock();
	result = (int)syscall(call, fd);
	recorder_lock();
	record(NULL, 0, 0, "synced %llu %d %s", (unsigned long long)number, result,
		call == SYS_fdatasync ? "data" : "all");
	recorder_unlock();
	return result;
}

int fsync(int fd)
{
	return do_sync(fd, SYS_fsync);
}

int fdatasync(int fd)
{
	return do_sync(fd, SYS_fdatasync);
}

int syncfs(int fd)
{
	return do_sync(fd, SYS_syncfs);
}

int sync_file_range(int fd, off_t offset, off_t size, unsigned flags)
{
	unknown_fd("sync_file_range", fd);
	return (int)syscall(SYS_sync_file_range, fd, offset, size, flags);
}
