/* exec.h - fork and exec of a program by descriptor, with its descriptors at fixed places
 * SPDX-License-Identifier: MIT */
#ifndef SLIMTA_MASTER_EXEC_H
#define SLIMTA_MASTER_EXEC_H

#include <stddef.h>
#include <sys/types.h>

struct exec_plan {
	int exec_fd;			/* O_PATH */
	char *const *argv;
	int fds[7];			/* fds[i] becomes descriptor i; -1: /dev/null */
	size_t fd_count;
	const int *more;		/* and these come after them */
	size_t more_count;
};

/* fork(), in the child with all signals as they were made: no handler of our loop runs there. The pid, 0, or -1. */
pid_t exec_fork(void);
/* The child: all signals as they were made, everything else closed, none of the environment that was meant for
 * us alone (NOTIFY_SOCKET and its like are cleared at start). The pid, or -1 with errno: also where the program
 * could not be executed, in which case nothing is left to wait for. */
pid_t exec_start(const struct exec_plan *);

#endif
