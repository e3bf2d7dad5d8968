/* exec.c - fork and exec of a program by descriptor
 * SPDX-License-Identifier: MIT */
#include "master/exec.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/close_range.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "common/base/fault.h"
#include "common/base/file.h"
#include "common/base/memory.h"

/* Between fork and exec: only calls that need no lock. `first_free` is the first descriptor that is not wanted. */
static int place_fds(const struct exec_plan *plan, int *sources, int first_free)
{
	size_t count = plan->fd_count + plan->more_count;
	int null_fd = open("/dev/null", O_RDWR | O_CLOEXEC);

	if (null_fd < 0)
		return -1;
	for (size_t i = 0; i < count; i++) {
		int fd = i < plan->fd_count ? plan->fds[i] : plan->more[i - plan->fd_count];

		sources[i] = fcntl(fd < 0 ? null_fd : fd, F_DUPFD_CLOEXEC, first_free);
		if (sources[i] < 0)
			return -1;
	}
	for (size_t i = 0; i < count; i++)
		if (dup2(sources[i], (int)i) < 0)
			return -1;
	return 0;
}

static void reset_signals(void)
{
	sigset_t none;

	for (int number = 1; number < NSIG; number++)
		signal(number, SIG_DFL);
	sigemptyset(&none);
	sigprocmask(SIG_SETMASK, &none, NULL);
}

pid_t exec_fork(void)
{
	sigset_t all, before;
	pid_t pid;

	/* A handler would write to the pipe of our loop. */
	sigfillset(&all);
	sigprocmask(SIG_SETMASK, &all, &before);
	pid = FAULT("exec.fork", fork());
	if (pid == 0)
		reset_signals();
	else
		sigprocmask(SIG_SETMASK, &before, NULL);
	return pid;
}

static void child(const struct exec_plan *plan, int *sources, int report_fd)
{
	int first_free = (int)(plan->fd_count + plan->more_count);
	int exec_fd, error;

	report_fd = fcntl(report_fd, F_DUPFD_CLOEXEC, first_free);
	exec_fd = fcntl(plan->exec_fd, F_DUPFD_CLOEXEC, first_free);
	if (exec_fd >= 0 && place_fds(plan, sources, first_free) == 0) {
		syscall(SYS_close_range, (unsigned)first_free, ~0U, CLOSE_RANGE_CLOEXEC);
		syscall(SYS_execveat, exec_fd, "", plan->argv, environ, AT_EMPTY_PATH);
	}
	error = errno;
	if (write(report_fd, &error, sizeof error) < 0)
		_exit(126);
	_exit(127);
}

/* The end of the pipe without an octet: exec has closed it. */
static int await_exec(int fd)
{
	int error = 0;
	ssize_t size;

	do
		size = read(fd, &error, sizeof error);
	while (size < 0 && errno == EINTR);
	return size == (ssize_t)sizeof error ? error : 0;
}

pid_t exec_start(const struct exec_plan *plan)
{
	int *sources = xcalloc(plan->fd_count + plan->more_count, sizeof *sources);
	int report[2] = { -1, -1 }, error;
	pid_t pid = -1;

	if (pipe2(report, O_CLOEXEC) == 0) {
		pid = exec_fork();
		if (pid == 0)
			child(plan, sources, report[1]);
	}
	fd_close(&report[1]);
	error = pid > 0 ? await_exec(report[0]) : 0;
	fd_close(&report[0]);
	free(sources);
	if (error) {
		while (waitpid(pid, NULL, 0) < 0 && errno == EINTR)
			;
		errno = error;
		return -1;
	}
	return pid;
}
