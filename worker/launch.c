/* launch.c - one process for a command: its identity, signals and descriptors
 * SPDX-License-Identifier: MIT
 * Between fork and exec only system calls: other threads may have held any lock. */
#include "worker/launch.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "common/base/fault.h"

#define STATUS_FD 3

static _Noreturn void give_up(int status_fd)
{
	int why = errno ? errno : EINVAL;

	if (write(status_fd, &why, sizeof(why)) < 0)
		_exit(127);
	_exit(126);
}

/* Without libc, which keeps two of them to itself. */
static void default_signals(void)
{
	static const char all_default[64], none[_NSIG / 8];	/* a zero sigaction is SIG_DFL */

	for (int number = 1; number < _NSIG; number++)
		syscall(SYS_rt_sigaction, number, all_default, NULL, sizeof(none));
	syscall(SYS_rt_sigprocmask, SIG_SETMASK, none, NULL, sizeof(none));
}

/* 0, 1, 2 and the status as 3; the rest is closed. */
static int place_descriptors(const struct launch *launch)
{
	int status_fd = launch->status_fd;

	for (int i = 0; i < 3; i++)
		if (dup2(launch->fds[i], i) < 0)
			return -1;
	if (status_fd != STATUS_FD && dup3(status_fd, STATUS_FD, O_CLOEXEC) < 0)
		return -1;
	return close_range(STATUS_FD + 1, ~0u, 0);
}

/* The wrappers of libc tell all threads, of which only this one came along: plain system calls. */
static int assume_identity(const struct command_identity *identity)
{
	uid_t uid = identity->uid;
	gid_t gid = identity->gid;

	if (!identity->change)
		return 0;
	if (syscall(SYS_setgroups, identity->group_count, identity->groups) < 0
		|| syscall(SYS_setresgid, gid, gid, gid) < 0 || syscall(SYS_setresuid, uid, uid, uid) < 0)
		return -1;
	if (getuid() == uid && geteuid() == uid && getgid() == gid && getegid() == gid
		&& (uid == 0 || syscall(SYS_setresuid, -1, 0, -1) < 0))
		return 0;
	errno = EPERM;
	return -1;
}

/* As execvp, but that a file without an interpreter is never given to a shell. */
static void execute(const char *name, char *const args[], char *const environment[])
{
	const char *path = "", *end;
	char full[PATH_MAX];
	int why = ENOENT;

	if (strchr(name, '/')) {
		execve(name, args, environment);
		return;
	}
	for (size_t i = 0; environment[i]; i++)
		if (strncmp(environment[i], "PATH=", 5) == 0)
			path = environment[i] + 5;
	for (; *path; path = *end ? end + 1 : end) {
		end = strchrnul(path, ':');
		if (end == path
			|| snprintf(full, sizeof(full), "%.*s/%s", (int)(end - path), path, name) >= PATH_MAX)
			continue;
		execve(full, args, environment);
		if (errno != ENOENT && errno != ENOTDIR)
			why = errno;
	}
	errno = why;
}

static _Noreturn void become_command(const struct launch *launch, pid_t parent)
{
	const struct command *command = launch->command;

	default_signals();
	setsid();
	guard_slot_enter(launch->slot);
	if (place_descriptors(launch) < 0)
		give_up(launch->status_fd);
	if (setrlimit(RLIMIT_NOFILE, &launch->files) < 0 || assume_identity(&command->identity) < 0)
		give_up(STATUS_FD);
	/* Whom the guard has not seen must not run; and if the guard was killed too, this remains. */
	if (prctl(PR_SET_PDEATHSIG, SIGKILL) < 0 || getppid() != parent)
		give_up(STATUS_FD);
	umask(077);
	if (chdir(command->options.cwd ? command->options.cwd : "/") < 0)
		give_up(STATUS_FD);
	execute(launch->args[0], launch->args, command->environment);
	give_up(STATUS_FD);
}

pid_t launch_process(const struct launch *launch)
{
	sigset_t all, before;
	pid_t parent = getpid(), pid;

	/* No handler of ours may run in the child: it would write to the loop's own descriptors. */
	sigfillset(&all);
	pthread_sigmask(SIG_SETMASK, &all, &before);
	pid = FAULT("spawner.fork", fork());
	if (pid == 0)
		become_command(launch, parent);
	pthread_sigmask(SIG_SETMASK, &before, NULL);
	return pid;
}
