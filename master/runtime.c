/* runtime.c - runtime_dir with its lock, and the master's own rights
 * SPDX-License-Identifier: MIT */
#include "common/net/runtime.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/capability.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "common/base/file.h"
#include "common/base/memory.h"
#include "master/master.h"

/* -1: said on stderr. */
static int lock_runtime(struct master *master, const char *folder)
{
	char *path = xasprintf("%s/master.lock", folder);
	int result = -1;

	master->lock_fd = open(path, O_RDWR | O_CREAT | O_NOFOLLOW | O_CLOEXEC, 0600);
	if (master->lock_fd >= 0)
		result = ofd_lock(master->lock_fd, 0, 0, true);
	if (result == 0)
		fprintf(stderr, "slimta-master: already running: another one has the lock %s\n",
			path);
	else if (result < 0)
		fprintf(stderr, "slimta-master: cannot lock %s: %s\n", path, strerror(errno));
	free(path);
	return result > 0 ? 0 : -1;
}

int runtime_open(struct master *master)
{
	const struct program_plan *worker = &master->current->plans[PROGRAM_WORKER];
	const char *path = master->current->plans[PROGRAM_MASTER].process.runtime_dir;
	char *why;

	if (runtime_dir_make(path, &worker->identity, &why) < 0) {
		fprintf(stderr, "slimta-master: %s\n", why);
		free(why);
		return -1;
	}
	return lock_runtime(master, path);
}

/* Sockets below 1024 and files for others; ending children that have another user. What children may do is not
 * touched by this: a program that root executes begins with all that the container lets it have. */
int privileges_reduce(void)
{
	static const int kept[] = { CAP_CHOWN, CAP_DAC_OVERRIDE, CAP_FOWNER, CAP_KILL, CAP_SETGID,
		CAP_SETUID, CAP_NET_BIND_SERVICE };
	struct __user_cap_header_struct header = { .version = _LINUX_CAPABILITY_VERSION_3 };
	struct __user_cap_data_struct data[_LINUX_CAPABILITY_U32S_3];
	unsigned wanted = 0;

	if (geteuid() != 0)
		return 0;
	for (size_t i = 0; i < ARRAY_SIZE(kept); i++)
		wanted |= 1u << kept[i];
	if (syscall(SYS_capget, &header, data) < 0)
		return -1;
	data[0].effective = data[0].permitted &= wanted;
	data[1].effective = data[1].permitted = 0;
	data[0].inheritable = data[1].inheritable = 0;
	return syscall(SYS_capset, &header, data) < 0 ? -1 : 0;
}
