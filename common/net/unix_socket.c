/* unix_socket.c - sockets with a path, between the processes of one machine
 * SPDX-License-Identifier: MIT */
#include "common/net/unix_socket.h"

#include <errno.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include "common/base/fault.h"
#include "common/base/file.h"
#include "common/config/process.h"

static int set_name(struct sockaddr_un *name, const char *path)
{
	*name = (struct sockaddr_un){ .sun_family = AF_UNIX };
	if (strlen(path) >= sizeof(name->sun_path)) {
		errno = ENAMETOOLONG;
		return -1;
	}
	memcpy(name->sun_path, path, strlen(path));
	return 0;
}

int unix_socket_listen(const char *path, int type, int backlog, const struct identity *owner)
{
	struct sockaddr_un name;
	mode_t before;
	int fd;

	if (set_name(&name, path) < 0)
		return -1;
	fd = socket(AF_UNIX, type | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	if (fd < 0)
		return -1;
	unlink(path);
	before = umask(0177);	/* nobody gets in before it has its owner */
	if (FAULT("unix.bind", bind(fd, (const struct sockaddr *)&name, sizeof(name))) < 0 ||
			(geteuid() == 0 && chown(path, owner->uid, owner->gid) < 0) || listen(fd, backlog) < 0)
		fd_close(&fd);
	umask(before);
	return fd;
}

int unix_socket_connect(const char *path, int type, int flags)
{
	struct sockaddr_un name;
	int fd;

	if (set_name(&name, path) < 0)
		return -1;
	fd = socket(AF_UNIX, type | flags | SOCK_CLOEXEC, 0);
	if (fd >= 0 && FAULT("unix.connect", connect(fd, (const struct sockaddr *)&name, sizeof(name))) < 0)
		fd_close(&fd);
	return fd;
}
