/* recorder_names.c - the recorder's calls on names: open, mkdir, rename, link, unlink
 * SPDX-License-Identifier: MIT */
#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "t/lib/preload/recorder.h"

int __open_2(const char *path, int flags);
int __openat_2(int fd, const char *path, int flags);

static int do_open(int directory_fd, const char *name, int flags, mode_t mode)
{
	char path[PATH_SIZE];
	struct stat status;
	bool unnamed = (flags & O_TMPFILE) == O_TMPFILE, existed;
	int fd;

	if (!(flags & (O_CREAT | O_TRUNC) || unnamed) || !is_ours(directory_fd, name, path))
		return (int)syscall(SYS_openat, directory_fd, name, flags, mode);
	recorder_lock();
	existed = fstatat(directory_fd, name, &status, 0) == 0;
	fd = (int)syscall(SYS_openat, directory_fd, name, flags, mode);
	if (fd >= 0 && fstat(fd, &status) == 0) {
		if (unnamed)
			record(NULL, 0, 0, "unnamed " INODE, INODE_OF(status));
		else if (!existed)
			record(NULL, 0, 0, "create " INODE " %s", INODE_OF(status), path);
		else if (flags & O_TRUNC)
			record(NULL, 0, 0, "truncate " INODE " 0", INODE_OF(status));
	}
	recorder_unlock();
	return fd;
}

static mode_t given_mode(int flags, va_list *arguments)
{
	return flags & O_CREAT || (flags & O_TMPFILE) == O_TMPFILE ? va_arg(*arguments, mode_t) : 0;
}

int open(const char *path, int flags, ...)
{
	va_list arguments;
	mode_t mode;

	va_start(arguments, flags);
	mode = given_mode(flags, &arguments);
	va_end(arguments);
	return do_open(AT_FDCWD, path, flags, mode);
}

int openat(int fd, const char *path, int flags, ...)
{
	va_list arguments;
	mode_t mode;

	va_start(arguments, flags);
	mode = given_mode(flags, &arguments);
	va_end(arguments);
	return do_open(fd, path, flags, mode);
}

int __open_2(const char *path, int flags)
{
	return do_open(AT_FDCWD, path, flags, 0);
}

int __openat_2(int fd, const char *path, int flags)
{
	return do_open(fd, path, flags, 0);
}

int creat(const char *path, mode_t mode)
{
	return do_open(AT_FDCWD, path, O_WRONLY | O_CREAT | O_TRUNC, mode);
}

int open64(const char *path, int flags, ...) __attribute__((alias("open")));
int openat64(int fd, const char *path, int flags, ...) __attribute__((alias("openat")));
int creat64(const char *path, mode_t mode) __attribute__((alias("creat")));

int mkdirat(int fd, const char *name, mode_t mode)
{
	char path[PATH_SIZE];
	struct stat status;
	int result;

	if (!is_ours(fd, name, path))
		return (int)syscall(SYS_mkdirat, fd, name, mode);
	recorder_lock();
	result = (int)syscall(SYS_mkdirat, fd, name, mode);
	if (result == 0 && fstatat(fd, name, &status, 0) == 0)
		record(NULL, 0, 0, "mkdir " INODE " %s", INODE_OF(status), path);
	recorder_unlock();
	return result;
}

int mkdir(const char *path, mode_t mode)
{
	return mkdirat(AT_FDCWD, path, mode);
}

int renameat2(int fd, const char *name, int to_fd, const char *to_name, unsigned flags)
{
	char from[PATH_SIZE], to[PATH_SIZE];
	bool ours = is_ours(fd, name, from);
	int result;

	/* Both are asked: `to` has to be filled in. */
	ours = is_ours(to_fd, to_name, to) || ours;
	if (!ours)
		return (int)syscall(SYS_renameat2, fd, name, to_fd, to_name, flags);
	recorder_lock();
	result = (int)syscall(SYS_renameat2, fd, name, to_fd, to_name, flags);
	if (result == 0)
		record(NULL, 0, 0, "rename %u %s %s", flags, from, to);
	recorder_unlock();
	return result;
}

int renameat(int fd, const char *name, int to_fd, const char *to_name)
{
	return renameat2(fd, name, to_fd, to_name, 0);
}

int rename(const char *from, const char *to)
{
	return renameat2(AT_FDCWD, from, AT_FDCWD, to, 0);
}

int linkat(int fd, const char *name, int to_fd, const char *to_name, int flags)
{
	char to[PATH_SIZE];
	struct stat status;
	int result;

	if (!is_ours(to_fd, to_name, to))
		return (int)syscall(SYS_linkat, fd, name, to_fd, to_name, flags);
	recorder_lock();
	result = (int)syscall(SYS_linkat, fd, name, to_fd, to_name, flags);
	if (result == 0 && fstatat(to_fd, to_name, &status, AT_SYMLINK_NOFOLLOW) == 0)
		record(NULL, 0, 0, "link " INODE " %s", INODE_OF(status), to);
	recorder_unlock();
	return result;
}

int link(const char *from, const char *to)
{
	return linkat(AT_FDCWD, from, AT_FDCWD, to, 0);
}

int unlinkat(int fd, const char *name, int flags)
{
	char path[PATH_SIZE];
	int result;

	if (!is_ours(fd, name, path))
		return (int)syscall(SYS_unlinkat, fd, name, flags);
	recorder_lock();
	result = (int)syscall(SYS_unlinkat, fd, name, flags);
	if (result == 0)
		record(NULL, 0, 0, "unlink %s", path);
	recorder_unlock();
	return result;
}

int unlink(const char *path)
{
	return unlinkat(AT_FDCWD, path, 0);
}

int rmdir(const char *path)
{
	return unlinkat(AT_FDCWD, path, AT_REMOVEDIR);
}

int symlinkat(const char *to, int fd, const char *name)
{
	char path[PATH_SIZE];

	if (is_ours(fd, name, path))
		unknown("symlinkat", path);
	return (int)syscall(SYS_symlinkat, to, fd, name);
}

int symlink(const char *to, const char *path)
{
	return symlinkat(to, AT_FDCWD, path);
}

int mkostemp(char *pattern, int flags)
{
	static const char letters[] = "abcdefghijklmnopqrstuvwxyz0123456789";
	char *at = pattern + strlen(pattern) - 6;

	for (unsigned tries = 0; tries < 1000; tries++) {
		unsigned char random[6];
		int fd;

		if (syscall(SYS_getrandom, random, sizeof(random), 0) != sizeof(random))
			return -1;
		for (unsigned i = 0; i < 6; i++)
			at[i] = letters[random[i] % 36];
		fd = do_open(AT_FDCWD, pattern, O_RDWR | O_CREAT | O_EXCL | flags, 0600);
		if (fd >= 0 || errno != EEXIST)
			return fd;
	}
	return -1;
}
