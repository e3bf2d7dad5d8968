/* launch.h - one process for a command: its identity, signals and descriptors
 * SPDX-License-Identifier: MIT */
#ifndef SLIMTA_WORKER_LAUNCH_H
#define SLIMTA_WORKER_LAUNCH_H

#include <sys/resource.h>

#include "worker/command.h"
#include "worker/guard.h"

struct launch {
	const struct command *command;
	char *const *args;
	int fds[3];			/* its stdin, stdout and stderr */
	int status_fd;			/* close-on-exec: gets the errno if it does not come to the program */
	struct rlimit files;		/* its limit of descriptors */
	struct guard_slot *slot;	/* the child enters it */
};

/* Forks; the child leads a session and group of its own, has default signals, umask 077, no other descriptors,
 * and dies with us: its group by the guard, its leader by the kernel too. The pid, or -1 with errno. */
pid_t launch_process(const struct launch *);

#endif
