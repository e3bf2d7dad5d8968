/* runtime.c - the directory where the processes meet
 * SPDX-License-Identifier: MIT */
#include "common/net/runtime.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "common/base/fault.h"
#include "common/base/file.h"
#include "common/base/memory.h"

static int give_directory(int fd, const struct identity *owner)
{
	struct stat now;

	if (fstat(fd, &now) < 0)
		return -1;
	if ((now.st_uid != owner->uid || now.st_gid != owner->gid) && geteuid() == 0 &&
	    FAULT("runtime.chown", fchown(fd, owner->uid, owner->gid)) < 0)
		return -1;
	if (geteuid() != 0 && now.st_uid != geteuid()) {
		errno = EACCES;
		return -1;
	}
	return (now.st_mode & 07777) == 0750 ? 0 : fchmod(fd, 0750);
}

int runtime_dir_make(const char *path, const struct identity *owner, char **why)
{
	int fd;

	if (FAULT("runtime.mkdir", mkdir(path, 0750)) < 0 && errno != EEXIST) {
		*why = xasprintf("cannot make runtime_dir %s: %s", path, strerror(errno));
		return -1;
	}
	fd = open(path, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	if (fd >= 0 && give_directory(fd, owner) == 0) {
		close(fd);
		return 0;
	}
	*why = errno == EACCES ? xasprintf("runtime_dir %s belongs to another user", path) :
				 xasprintf("cannot use runtime_dir %s: %s", path, strerror(errno));
	fd_close(&fd);
	return -1;
}
