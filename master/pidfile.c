/* pidfile.c - says which process we are to those who look into a file
 * SPDX-License-Identifier: MIT */
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "common/base/buffer.h"
#include "common/base/fault.h"
#include "common/base/file.h"
#include "common/base/memory.h"
#include "master/master.h"

#define COMMAND_NAME "slimta-master"

/* 0: no file, or none with a number in it. -1 with errno: it cannot be read. */
static int read_pid(const char *path, pid_t *pid)
{
	struct buffer text = { 0 };
	long number;

	*pid = 0;
	if (file_read(path, &text, 64) < 0) {
		buffer_release(&text);
		return errno == ENOENT ? 0 : errno == EFBIG ? 0 : -1;
	}
	number = strtol(buffer_str(&text), NULL, 10);
	if (number > 0 && number <= INT32_MAX)
		*pid = (pid_t)number;
	buffer_release(&text);
	return 0;
}

/* Numbers come round, in containers soon: only a process that is called like us counts. */
static bool is_master(pid_t pid)
{
	char *path = xasprintf("/proc/%d/comm", (int)pid);
	struct buffer name = { 0 };
	bool same = pid != getpid() && (kill(pid, 0) == 0 || errno == EPERM);

	if (same && file_read(path, &name, 64) == 0)
		same = strncmp(buffer_str(&name), COMMAND_NAME "\n", sizeof COMMAND_NAME) == 0;
	buffer_release(&name);
	free(path);
	return same;
}

int pidfile_check(const char *path, char **why)
{
	pid_t pid;

	if (read_pid(path, &pid) < 0) {
		*why = xasprintf("cannot read pid_file %s: %s", path, strerror(errno));
		return -1;
	}
	if (pid && is_master(pid)) {
		*why = xasprintf("pid_file %s is that of a running slimta-master (process %d)",
			path, (int)pid);
		return -1;
	}
	return 0;
}

/* By rename, so that nobody reads half a number, and a link planted there leads nowhere. */
int pidfile_write(const char *path)
{
	char *fresh = xasprintf("%s.new", path);
	char text[32];
	int fd, saved;

	snprintf(text, sizeof text, "%d\n", (int)getpid());
	unlink(fresh);
	fd = FAULT("pidfile.open",
		open(fresh, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0644));
	if (fd >= 0 && fchmod(fd, 0644) == 0 && fd_write_all(fd, text, strlen(text)) == 0 &&
	    rename(fresh, path) == 0) {
		close(fd);
		free(fresh);
		return 0;
	}
	saved = errno;
	if (fd >= 0)
		unlink(fresh);
	fd_close(&fd);
	free(fresh);
	errno = saved;
	return -1;
}

void pidfile_remove(const char *path)
{
	pid_t pid;

	if (read_pid(path, &pid) == 0 && pid == getpid())
		unlink(path);
}
