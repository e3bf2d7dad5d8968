/* unit-master-exec.c - programs by descriptor, with descriptors at their places
 * SPDX-License-Identifier: MIT */
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#include "common/base/buffer.h"
#include "common/base/file.h"
#include "master/exec.h"
#include "t/lib/tap.h"

/* What a shell with that script writes to its descriptor 1. */
static pid_t run(const char *script, struct exec_plan *plan, struct buffer *out)
{
	char *const argv[] = { (char *)"sh", (char *)"-c", (char *)script, NULL };
	int ends[2], status;
	pid_t pid;

	if (pipe2(ends, O_CLOEXEC) < 0)
		exit(1);
	plan->argv = argv;
	plan->exec_fd = open("/bin/sh", O_PATH | O_CLOEXEC);
	plan->fds[0] = -1;
	plan->fds[1] = ends[1];
	plan->fds[2] = STDERR_FILENO;
	pid = exec_start(plan);
	close(ends[1]);
	close(plan->exec_fd);
	fd_read_all(ends[0], out, 65536);
	close(ends[0]);
	if (pid > 0)
		waitpid(pid, &status, 0);
	return pid;
}

static void test_places(void)
{
	struct exec_plan plan = { .fd_count = 4, .more_count = 2 };
	struct buffer out = { 0 };
	int null_fd = open("/dev/null", O_RDWR), zero_fd = open("/dev/zero", O_RDONLY), more[2];

	/* Sources stand where targets are, crosswise, and one of them is left open on purpose. */
	plan.fds[3] = zero_fd;
	more[0] = null_fd;
	more[1] = zero_fd;
	plan.more = more;
	run("for f in /proc/self/fd/*; do printf '%s=%s ' ${f##*/} $(readlink "
	    "/proc/$$/fd/${f##*/}); done",
		&plan, &out);
	ok(strstr(buffer_str(&out), "0=/dev/null "), "0 is /dev/null");
	ok(strstr(buffer_str(&out), "3=/dev/zero 4=/dev/null 5=/dev/zero "),
		"the others stand in order");
	ok(!strstr(buffer_str(&out), " 6=/") && !strstr(buffer_str(&out), " 7=/"),
		"nothing else is open");
	diag("%s", buffer_str(&out));
	buffer_release(&out);
	close(null_fd);
	close(zero_fd);
}

static unsigned long long mask_of(const char *status, const char *name)
{
	const char *line = strstr(status, name);

	return line ? strtoull(line + strlen(name), NULL, 16) : ~0ULL;
}

static void test_signals(void)
{
	struct exec_plan plan = { .fd_count = 3 };
	struct buffer out = { 0 };
	sigset_t blocked;

	signal(SIGPIPE, SIG_IGN);
	sigemptyset(&blocked);
	sigaddset(&blocked, SIGTERM);
	sigprocmask(SIG_BLOCK, &blocked, NULL);
	run("grep -E 'Sig(Blk|Ign)' /proc/self/status", &plan, &out);
	ok(mask_of(buffer_str(&out), "SigBlk:") == 0, "no signal is blocked");
	/* 32 and 33 are the C library's own, out of reach of signal(2). */
	ok((mask_of(buffer_str(&out), "SigIgn:") & 0x7fffffff) == 0, "no signal is ignored");
	buffer_release(&out);
	sigprocmask(SIG_UNBLOCK, &blocked, NULL);
}

static void test_failure(void)
{
	char *const argv[] = { (char *)"x", NULL };
	struct exec_plan plan = { .argv = argv, .fds = { -1, -1, STDERR_FILENO }, .fd_count = 3 };

	plan.exec_fd = open("/etc/passwd", O_PATH | O_CLOEXEC);
	ok(exec_start(&plan) == -1 && errno == EACCES,
		"what is no program is an error with its errno");
	ok(waitpid(-1, NULL, WNOHANG) < 0 && errno == ECHILD, "and leaves no process behind");
	close(plan.exec_fd);
}

int main(void)
{
	test_places();
	test_signals();
	test_failure();
	return done_testing();
}
