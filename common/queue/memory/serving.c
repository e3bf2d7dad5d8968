/* serving.c - which worker serves a memory queue: its lock and its socket in runtime_dir
 * SPDX-License-Identifier: MIT */
#include "common/queue/memory/serving.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "common/base/fault.h"
#include "common/base/file.h"
#include "common/base/memory.h"
#include "common/net/unix_socket.h"
#include "common/queue/storage.h"

#define BACKLOG 128
enum { LOCK_SERVES, LOCK_ALONE, LOCK_NEXT };

#define NAME_SIZE 300

static int set_name(char name[NAME_SIZE], const char *queue, const char *suffix)
{
	int size = snprintf(name, NAME_SIZE, "queue-%s%s", queue, suffix);

	if (size > 0 && size < NAME_SIZE)
		return 0;
	errno = ENAMETOOLONG;
	return -1;
}

/* By way of the directory's descriptor, as a socket's address has room for 107 octets only. */
static char *socket_path(int directory_fd, const char *queue, const char *suffix)
{
	return xasprintf("/proc/self/fd/%d/queue-%s%s", directory_fd, queue, suffix);
}

static int open_directory(const struct storage_context *context)
{
	return FAULT("memory.directory", open(context->process->runtime_dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC));
}

static int open_files(struct serving *serving, const struct storage_context *context)
{
	char name[NAME_SIZE];

	serving->directory_fd = open_directory(context);
	if (serving->directory_fd < 0 || set_name(name, serving->queue, ".lock") < 0)
		return -1;
	serving->lock_fd = FAULT("memory.lock", openat(serving->directory_fd, name,
		O_RDWR | O_CREAT | O_NOFOLLOW | O_CLOEXEC, 0600));
	return serving->lock_fd < 0 ? -1 : 0;
}

/* 1: ours, or we may wait for it; 0: another is there; -1 with errno. */
static int take_locks(struct serving *serving, const struct storage_context *context)
{
	int result = ofd_lock(serving->lock_fd, LOCK_NEXT, 1, true);

	if (result != 1)
		return result;
	result = ofd_lock(serving->lock_fd, LOCK_SERVES, 1, true);
	serving->holds = result == 1;
	if (result == 0)
		return context->supervised && ofd_is_locked(serving->lock_fd, LOCK_ALONE, 1) == 0;
	if (result == 1 && !context->supervised)
		result = ofd_lock(serving->lock_fd, LOCK_ALONE, 1, true);
	return result;
}

static int listen_as_next(struct serving *serving)
{
	char *path = socket_path(serving->directory_fd, serving->queue, ".new");
	struct identity owner = { .uid = geteuid(), .gid = getegid() };
	struct stat status;

	serving->fd = FAULT("memory.listen", unix_socket_listen(path, SOCK_STREAM, BACKLOG, &owner));
	if (serving->fd >= 0 && stat(path, &status) < 0)
		fd_close(&serving->fd);
	if (serving->fd >= 0) {
		serving->device = status.st_dev;
		serving->inode = status.st_ino;
	}
	free(path);
	return serving->fd < 0 ? -1 : 0;
}

int serving_show(struct serving *serving)
{
	char from[NAME_SIZE], to[NAME_SIZE];

	if (serving->shown)
		return 0;
	if (set_name(from, serving->queue, ".new") < 0 || set_name(to, serving->queue, "") < 0 ||
			FAULT("memory.rename", renameat(serving->directory_fd, from, serving->directory_fd, to)) < 0)
		return -1;
	serving->shown = true;
	return 0;
}

/* A successor of ours may come from now on. */
static void be_followed(struct serving *serving)
{
	if (serving->holds && serving->shown)
		ofd_unlock(serving->lock_fd, LOCK_NEXT, 1);
}

bool serving_is_awaited(const struct serving *serving)
{
	return ofd_is_locked(serving->lock_fd, LOCK_NEXT, 1) == 1;
}

bool serving_hold(struct serving *serving)
{
	if (!serving->holds)
		serving->holds = ofd_lock(serving->lock_fd, LOCK_SERVES, 1, true) == 1;
	if (serving->holds && !serving->shown && serving_show(serving) < 0)
		return false;
	be_followed(serving);
	return serving->holds;
}

int serving_begin(struct serving *serving, const struct storage_context *context, struct reply *why)
{
	int result;

	*serving = (struct serving){ .directory_fd = -1, .lock_fd = -1, .fd = -1, .queue = context->queue };
	result = open_files(serving, context);
	if (result == 0 && (result = take_locks(serving, context)) == 0) {
		reply_set(why, 554, "5.3.0", "another worker serves this queue, or waits to, and only one can");
		serving_end(serving);
		return -1;
	}
	if (result > 0 && listen_as_next(serving) == 0 && (!serving->holds || serving_show(serving) == 0)) {
		be_followed(serving);
		return 0;
	}
	reply_set(why, 554, "5.3.0", "its socket in %s cannot be made: %s", context->process->runtime_dir, strerror(errno));
	serving_end(serving);
	return -1;
}

static void remove_if_ours(const struct serving *serving, const char *suffix)
{
	char name[NAME_SIZE];
	struct stat status;

	if (serving->fd >= 0 && set_name(name, serving->queue, suffix) == 0 &&
			fstatat(serving->directory_fd, name, &status, AT_SYMLINK_NOFOLLOW) == 0 &&
			status.st_dev == serving->device && status.st_ino == serving->inode)
		unlinkat(serving->directory_fd, name, 0);
}

void serving_end(struct serving *serving)
{
	remove_if_ours(serving, "");
	remove_if_ours(serving, ".new");
	fd_close(&serving->fd);
	fd_close(&serving->lock_fd);
	fd_close(&serving->directory_fd);
}

bool serving_trusts(int fd)
{
	struct ucred peer;
	socklen_t size = sizeof(peer);

	if (FAULT("memory.peer", getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &peer, &size)) < 0)
		return false;
	return peer.uid == geteuid() || peer.uid == 0;
}

int serving_connect(const struct storage_context *context, bool next)
{
	int directory_fd = open_directory(context), fd;
	char *path;

	if (directory_fd < 0)
		return -1;
	path = socket_path(directory_fd, context->queue, next ? ".new" : "");
	fd = FAULT("memory.connect", unix_socket_connect(path, SOCK_STREAM, SOCK_NONBLOCK));
	free(path);
	fd_close(&directory_fd);
	if (fd >= 0 && geteuid() != 0 && !serving_trusts(fd)) {
		fd_close(&fd);
		errno = EPERM;
	}
	return fd;
}
