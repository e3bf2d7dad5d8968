/* recorder.c - a library to preload: writes down, in one order for all processes, what is done to some directories
 * SPDX-License-Identifier: MIT
 * SLIMTA_RECORD is the file to append to, SLIMTA_RECORD_DIRS the directories (real paths, parted by colons). A call that
 * changes something is made and written down under one lock of all processes; a sync is written down as it begins, with
 * what the kernel had then, and as it ends: what came in between may or may not be part of it. What is told to others,
 * answers with success and lines of the log, stands before it goes out. t/lib/power_cut.py reads it. A record is a line of
 * fields, the last of which may be =N: then N octets follow. Calls are made by syscall(2), so that no order of loading
 * matters. */
#include "t/lib/preload/recorder.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <unistd.h>

struct shared {
	pthread_mutex_t lock;
	uint64_t syncs;
};

static struct shared *shared;
static char log_path[PATH_MAX];
static char directories[4 * PATH_MAX];

void recorder_give_up(const char *what)
{
	dprintf(2, "recorder: %s: %s\n", what, strerror(errno));
	abort();
}

bool recorder_is_on(void)
{
	return shared != NULL;
}

uint64_t recorder_next_sync(void)
{
	return ++shared->syncs;
}

/* ---- the file */

void recorder_start(const char *path)
{
	char name[PATH_MAX + 8];
	pthread_mutexattr_t kind;
	struct stat status;
	int fd;

	snprintf(log_path, sizeof(log_path), "%s", path);
	snprintf(name, sizeof(name), "%s.lock", path);
	fd = (int)syscall(SYS_openat, AT_FDCWD, name, O_RDWR | O_CREAT | O_CLOEXEC, 0666);
	if (fd < 0 || flock(fd, LOCK_EX) < 0 || fstat(fd, &status) < 0)
		recorder_give_up(name);
	if (!status.st_size && syscall(SYS_ftruncate, fd, sizeof(*shared)) < 0)
		recorder_give_up(name);
	shared = mmap(NULL, sizeof(*shared), PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	if (shared == MAP_FAILED)
		recorder_give_up(name);
	if (!status.st_size) {
		pthread_mutexattr_init(&kind);
		pthread_mutexattr_setpshared(&kind, PTHREAD_PROCESS_SHARED);
		pthread_mutexattr_setrobust(&kind, PTHREAD_MUTEX_ROBUST);
		pthread_mutex_init(&shared->lock, &kind);
	}
	flock(fd, LOCK_UN);	/* the mapping keeps what close() would end */
	close(fd);
}

__attribute__((constructor)) static void begin(void)
{
	const char *path = getenv("SLIMTA_RECORD"), *given = getenv("SLIMTA_RECORD_DIRS");

	snprintf(directories, sizeof(directories), "%s", given ? given : "");
	if (path && given)
		recorder_start(path);
}

void recorder_lock(void)
{
	if (!shared)
		recorder_give_up("not started");
	/* A process that was killed between its call and its record is found by the comparison at the end. */
	if (pthread_mutex_lock(&shared->lock) == EOWNERDEAD)
		pthread_mutex_consistent(&shared->lock);
}

void recorder_unlock(void)
{
	int kept = errno;

	pthread_mutex_unlock(&shared->lock);
	errno = kept;
}

static void write_all(int fd, const void *data, size_t size)
{
	const char *at = data;

	while (size) {
		ssize_t written = syscall(SYS_write, fd, at, size);

		if (written <= 0)
			recorder_give_up(log_path);
		at += written;
		size -= (size_t)written;
	}
}

void record(const struct iovec *iov, int count, size_t size, const char *format, ...)
{
	char line[2 * PATH_SIZE];
	int kept = errno, fd, length;
	va_list arguments;

	va_start(arguments, format);
	length = vsnprintf(line, sizeof(line), format, arguments);
	va_end(arguments);
	if (length < 0 || (size_t)length >= sizeof(line) - 32)
		recorder_give_up("a long record");
	length += snprintf(line + length, sizeof(line) - (size_t)length, iov ? " =%zu\n" : "\n", size);
	fd = (int)syscall(SYS_openat, AT_FDCWD, log_path, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0666);
	if (fd < 0)
		recorder_give_up(log_path);
	write_all(fd, line, (size_t)length);
	for (int i = 0; iov && i < count && size; i++) {
		size_t part = iov[i].iov_len < size ? iov[i].iov_len : size;

		write_all(fd, iov[i].iov_base, part);
		size -= part;
	}
	close(fd);
	errno = kept;
}

void recorder_note(const char *text)
{
	recorder_lock();
	record(NULL, 0, 0, "note %s", text);
	recorder_unlock();
}

/* ---- which files */

static bool is_below(const char *path)
{
	for (const char *at = directories; shared && *at;) {
		size_t size = strcspn(at, ":");

		if (size && strncmp(path, at, size) == 0 && (path[size] == '/' || !path[size]))
			return true;
		at += size + (at[size] == ':');
	}
	return false;
}

static bool fd_path(int fd, char path[PATH_SIZE])
{
	char link[32];
	ssize_t size;
	int kept = errno;

	snprintf(link, sizeof(link), fd == AT_FDCWD ? "/proc/self/cwd" : "/proc/self/fd/%d", fd);
	size = readlink(link, path, PATH_MAX);
	errno = kept;
	if (size < 0)
		return false;
	path[size] = '\0';
	return true;
}

bool is_ours(int directory_fd, const char *name, char path[PATH_SIZE])
{
	size_t size = 0;

	if (!shared)
		return false;
	path[0] = '\0';
	if (name[0] != '/') {
		if (!fd_path(directory_fd, path))
			return false;
		size = strlen(path);
		path[size++] = '/';
	}
	snprintf(path + size, PATH_SIZE - size, "%s", name);
	for (size = strlen(path); size > 1 && (path[size - 1] == '/' ||
			(path[size - 1] == '.' && path[size - 2] == '/')); size--)
		path[size - 1] = '\0';
	return is_below(path);
}

bool fd_is_ours(int fd, struct stat *status, char path[PATH_SIZE])
{
	int kept = errno;
	bool file = shared && fstat(fd, status) == 0 && (S_ISREG(status->st_mode) || S_ISDIR(status->st_mode));

	errno = kept;
	return file && fd_path(fd, path) && is_below(path);
}

void unknown(const char *call, const char *path)
{
	recorder_lock();
	record(NULL, 0, 0, "unknown %s %s", call, path);
	recorder_unlock();
}

void unknown_fd(const char *call, int fd)
{
	struct stat status;
	char path[PATH_SIZE];

	if (fd_is_ours(fd, &status, path))
		unknown(call, path);
}
