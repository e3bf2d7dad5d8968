/* daemon.c - leaves the terminal; the parent waits until all is well
 * SPDX-License-Identifier: MIT */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>

#include "common/base/file.h"
#include "master/master.h"

/* The exit code of who started us: 0 when the child is ready, else its own. */
_Noreturn static void wait_for_child(pid_t pid, int fd)
{
	char octet;
	ssize_t size;
	int status = 0;

	do
		size = read(fd, &octet, 1);
	while (size < 0 && errno == EINTR);
	if (size == 1)
		_exit(0);
	while (waitpid(pid, &status, 0) < 0 && errno == EINTR)
		;
	fprintf(stderr, "slimta-master: ended before it was ready; its log says why\n");
	_exit(WIFEXITED(status) && WEXITSTATUS(status) ? WEXITSTATUS(status) : 1);
}

int daemon_start(struct master *master)
{
	int ends[2], null_fd;
	pid_t pid;

	if (pipe2(ends, O_CLOEXEC) < 0)
		return -1;
	fflush(NULL);
	pid = fork();
	if (pid < 0) {
		fd_close(&ends[0]);
		fd_close(&ends[1]);
		return -1;
	}
	if (pid > 0) {
		close(ends[1]);
		wait_for_child(pid, ends[0]);
	}
	close(ends[0]);
	master->ready_fd = ends[1];
	null_fd = open("/dev/null", O_RDWR | O_CLOEXEC);
	if (null_fd < 0 || setsid() < 0 || chdir("/") < 0)
		return -1;
	for (int fd = 0; fd <= STDERR_FILENO; fd++)
		if (dup2(null_fd, fd) < 0)
			return -1;
	close(null_fd);
	return 0;
}

void daemon_is_ready(struct master *master)
{
	/* A parent that was killed meanwhile has nothing to learn. */
	if (master->ready_fd >= 0 && write(master->ready_fd, "", 1) < 0)
		(void)errno;
	fd_close(&master->ready_fd);
}
