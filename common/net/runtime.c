/* runtime.c - who children may be, and the directory where the processes meet
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

/* The nearest thing in the file that says who the user is, or ought to. */
static const struct config_node *user_node(const struct config *config, const char *program)
{
	const struct config_node *process = config_get(config_root(config), "process");
	const struct config_node *own = config_get(process, program);
	const struct config_node *general = config_get(process, "slimta");
	const struct config_node *candidates[] = {
		config_get(own, "user"), config_get(general, "user"), own, general, process,
	};

	for (size_t i = 0; i < ARRAY_SIZE(candidates); i++)
		if (candidates[i])
			return candidates[i];
	return config_root(config);
}

int identity_check(const struct config *config, const char *program, const struct identity *identity,
	bool allow_root, struct config_errors *errors)
{
	const struct config_node *node = user_node(config, program);
	uid_t us = geteuid();

	if (us == 0 && identity->uid == 0 && allow_root) {
		config_warning_at(errors, node, "slimta-%s runs as root", program);
		return 0;
	}
	if (us == 0 && identity->uid == 0) {
		config_error_at(errors, node, "started as root: expected a user other than root that "
			"slimta-%s becomes (--allow-root lets it stay root)", program);
		return -1;
	}
	if (us != 0 && (identity->uid != us || identity->gid != getegid())) {
		config_error_at(errors, node, "not started as root: user and group must be absent, or "
			"those it was started with (%u, %u)", (unsigned)us, (unsigned)getegid());
		return -1;
	}
	return 0;
}

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
