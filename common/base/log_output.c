/* log_output.c - where log lines go: stderr, a file, syslog or the journal, never waited for
 * SPDX-License-Identifier: MIT */
#include "common/base/log_output.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/uio.h>
#include <sys/un.h>
#include <unistd.h>

#include "common/base/fault.h"
#include "common/base/file.h"
#include "common/base/memory.h"

const char *log_syslog_path = "/dev/log";
const char *log_journald_path = "/run/systemd/journal/socket";

/* An open of our own, so that O_NONBLOCK is not shared with whoever gave us the descriptor; O_APPEND, since
 * it has an offset of its own too. The given one gets it where it is a file: whoever else writes by that one
 * would overwrite our lines. A socket cannot be opened, but has MSG_DONTWAIT. A pipe or terminal of
 * another user cannot be opened either: then poll() says whether there is room. */
static int open_stderr(struct log_output *output)
{
	struct stat status;

	if (fstat(STDERR_FILENO, &status) < 0)
		return -1;
	output->is_socket = S_ISSOCK(status.st_mode);
	if (S_ISREG(status.st_mode))
		fcntl(STDERR_FILENO, F_SETFL, fcntl(STDERR_FILENO, F_GETFL) | O_APPEND);
	if (!output->is_socket) {
		output->fd = FAULT("log.stderr", open("/proc/self/fd/2",
			O_WRONLY | O_APPEND | O_NONBLOCK | O_NOCTTY | O_CLOEXEC));
		if (output->fd >= 0)
			return 0;
		output->may_block = true;
	}
	output->fd = fcntl(STDERR_FILENO, F_DUPFD_CLOEXEC, 3);
	return output->fd < 0 ? -1 : 0;
}

static int open_file(struct log_output *output)
{
	output->fd = FAULT("log.file", open(output->path,
		O_WRONLY | O_APPEND | O_CREAT | O_NOFOLLOW | O_NONBLOCK | O_NOCTTY | O_CLOEXEC, 0640));
	return output->fd < 0 ? -1 : 0;
}

static int daemon_address(const char *path, struct sockaddr_un *address)
{
	size_t size = strlen(path);

	*address = (struct sockaddr_un){ .sun_family = AF_UNIX };
	if (size >= sizeof(address->sun_path)) {
		errno = ENAMETOOLONG;
		return -1;
	}
	memcpy(address->sun_path, path, size);
	return 0;
}

/* The socket that sends is not connected: each datagram finds the daemon by its path, so a restart of the
 * daemon needs nothing from us. Another one tries whether somebody is there now. */
static int open_daemon(struct log_output *output)
{
	struct sockaddr_un address;
	int probe, result;

	if (daemon_address(output->path, &address) < 0)
		return -1;
	probe = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	if (probe < 0)
		return -1;
	result = connect(probe, (struct sockaddr *)&address, sizeof(address));
	fd_close(&probe);
	if (result < 0)
		return -1;
	output->is_socket = true;
	output->fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	return output->fd < 0 ? -1 : 0;
}

static int open_kind(struct log_output *output, const char *name)
{
	if (!name || !strcmp(name, "stderr"))
		return open_stderr(output);
	if (!strcmp(name, "syslog")) {
		output->kind = LOG_OUTPUT_SYSLOG;
		output->path = xstrdup(log_syslog_path);
		return open_daemon(output);
	}
	if (!strcmp(name, "journald")) {
		output->kind = LOG_OUTPUT_JOURNALD;
		output->path = xstrdup(log_journald_path);
		return open_daemon(output);
	}
	if (name[0] != '/') {
		errno = EINVAL;
		return -1;
	}
	output->kind = LOG_OUTPUT_FILE;
	output->path = xstrdup(name);
	return open_file(output);
}

int log_output_open(struct log_output *output, const char *name)
{
	*output = (struct log_output){ .kind = LOG_OUTPUT_STDERR, .fd = -1 };
	if (open_kind(output, name) == 0)
		return 0;
	log_output_close(output);
	return -1;
}

void log_output_close(struct log_output *output)
{
	fd_close(&output->fd);
	free(output->path);
	output->path = NULL;
}

static int send_datagram(struct log_output *output, const void *data, size_t size)
{
	struct sockaddr_un address;

	if (daemon_address(output->path, &address) < 0)
		return -1;
	return sendto(output->fd, data, size, MSG_DONTWAIT | MSG_NOSIGNAL, (struct sockaddr *)&address,
		sizeof(address)) < 0 ? -1 : 0;
}

static int has_room(int fd)
{
	struct pollfd room = { .fd = fd, .events = POLLOUT };

	return poll(&room, 1, 0) == 1 && (room.revents & POLLOUT);
}

static ssize_t send_stream(struct log_output *output, struct iovec *parts)
{
	struct msghdr message = { .msg_iov = parts, .msg_iovlen = 2 };

	if (output->is_socket)
		return sendmsg(output->fd, &message, MSG_DONTWAIT | MSG_NOSIGNAL);
	if (output->may_block && !has_room(output->fd)) {
		errno = EAGAIN;
		return -1;
	}
	return FAULT("log.write", writev(output->fd, parts, 2));
}

/* A full disk or a stream socket may take a part of a line: the rest is given up, and the next line begins
 * with a line end, so that the two do not run together. */
int log_output_send(struct log_output *output, const void *data, size_t size)
{
	struct iovec parts[2] = {
		{ .iov_base = (char[]){ '\n' }, .iov_len = output->torn },
		{ .iov_base = (void *)data, .iov_len = size },
	};
	ssize_t sent;

	if (output->kind == LOG_OUTPUT_SYSLOG || output->kind == LOG_OUTPUT_JOURNALD)
		return send_datagram(output, data, size);
	do
		sent = send_stream(output, parts);
	while (sent < 0 && errno == EINTR);
	if (sent < 0 || (sent == 0 && size))
		return -1;
	size += parts[0].iov_len;
	output->torn = (size_t)sent < size && !(output->torn && sent == 1);
	return (size_t)sent < size ? -1 : 0;
}
