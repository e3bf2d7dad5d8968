/* given.c - sockets from systemd (sd_listen_fds(3))
 * SPDX-License-Identifier: MIT */
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "common/base/file.h"
#include "common/base/log.h"
#include "common/base/memory.h"
#include "common/base/text.h"
#include "master/sockets.h"

#define FIRST_GIVEN_FD 3
#define GIVEN_MAX 1024

static bool number_of(const char *variable, uint64_t max, uint64_t *out)
{
	const char *text = getenv(variable);

	return text && parse_u64(text, strlen(text), max, out);
}

void given_sockets_open(struct given_sockets *given)
{
	const char *names = getenv("LISTEN_FDNAMES");
	uint64_t pid, count;

	*given = (struct given_sockets){ 0 };
	if (number_of("LISTEN_PID", INT32_MAX, &pid) && (pid_t)pid == getpid() &&
	    number_of("LISTEN_FDS", GIVEN_MAX, &count) && count > 0) {
		given->items = xcalloc(count, sizeof *given->items);
		for (; given->count < count; given->count++) {
			struct given_socket *socket = &given->items[given->count];
			size_t size = names ? strcspn(names, ":") : 0;

			socket->fd = FIRST_GIVEN_FD + (int)given->count;
			socket->name = xstrndup(names ? names : "", size);
			names = names && names[size] ? names + size + 1 : NULL;
			fd_set_cloexec(socket->fd, true);
		}
	}
	unsetenv("LISTEN_PID");
	unsetenv("LISTEN_FDS");
	unsetenv("LISTEN_FDNAMES");
}

static bool listens(int fd)
{
	int listening = 0;
	socklen_t size = sizeof listening;

	return getsockopt(fd, SOL_SOCKET, SO_ACCEPTCONN, &listening, &size) == 0 && listening;
}

static int take(struct given_socket *socket)
{
	int fd = socket->fd;

	if (!listens(fd) || fd_set_nonblocking(fd, true) < 0)
		return -1;
	socket->fd = -1;
	return fd;
}

int given_sockets_take_named(struct given_sockets *given, const char *name)
{
	int fd;

	for (size_t i = 0; i < given->count; i++)
		if (given->items[i].fd >= 0 && strcmp(given->items[i].name, name) == 0 &&
		    (fd = take(&given->items[i])) >= 0)
			return fd;
	return -1;
}

int given_sockets_take_at(struct given_sockets *given, const struct listener_address *address)
{
	int fd;

	for (size_t i = 0; i < given->count; i++)
		if (given->items[i].fd >= 0 && socket_is_at(given->items[i].fd, address) &&
		    (fd = take(&given->items[i])) >= 0)
			return fd;
	return -1;
}

void given_sockets_release(struct given_sockets *given)
{
	for (size_t i = 0; i < given->count; i++) {
		if (given->items[i].fd >= 0) {
			log_warn("master", "closed a socket from LISTEN_FDS that no listener has",
				LOG_TEXT("name", given->items[i].name),
				LOG_INT("fd", given->items[i].fd));
			close(given->items[i].fd);
		}
		free(given->items[i].name);
	}
	free(given->items);
	*given = (struct given_sockets){ 0 };
}
