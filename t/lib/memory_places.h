/* memory_places.h - a memory queue under test: its worker and a client of it in one process, raw sockets beside them
 * SPDX-License-Identifier: MIT */
#ifndef SLIMTA_T_MEMORY_PLACES_H
#define SLIMTA_T_MEMORY_PLACES_H

#include <sys/socket.h>
#include <sys/un.h>

#include "common/base/file.h"
#include "t/lib/storage.h"

MAYBE void open_or_bail(struct place *place, const struct place *beside, enum storage_role role, const char *section)
{
	if (place_open_beside(place, beside, role, section))
		return;
	printf("Bail out! cannot open: %s\n", place->opened.text ? place->opened.text : "?");
	exit(1);
}

/* The loop runs for a while, or until *until. */
MAYBE void run_loop(struct place *place, int ms, bool (*until)(void *arg), void *arg)
{
	const struct answer never = { 0 };

	for (int64_t end = clock_boot_ms() + ms; clock_boot_ms() < end && !(until && until(arg));)
		wait_for(place, &never, 5);
}

MAYBE struct sockaddr_un socket_address(const char *name)
{
	struct sockaddr_un address = { .sun_family = AF_UNIX };

	snprintf(address.sun_path, sizeof(address.sun_path), "%.60s/run/%.30s", scratch, name);
	return address;
}

/* Blocking, connected to the worker; -1. */
MAYBE int raw_connect(const char *name)
{
	struct sockaddr_un address = socket_address(name);
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);

	if (connect(fd, (struct sockaddr *)&address, sizeof(address)) < 0)
		fd_close(&fd);
	return fd;
}

MAYBE int raw_listen(const char *name)
{
	struct sockaddr_un address = socket_address(name);
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);

	unlink(address.sun_path);
	if (bind(fd, (struct sockaddr *)&address, sizeof(address)) < 0 || listen(fd, 8) < 0)
		abort();
	return fd;
}

MAYBE void raw_send(int fd, const char *text)
{
	if (send(fd, text, strlen(text), MSG_NOSIGNAL) < 0)
		diag("send: %m");
}

/* What comes until a line is whole, or the end, while the loop runs; "" at the end. To be freed. */
MAYBE char *raw_line(struct place *place, int fd)
{
	struct buffer got = { 0 };
	char c;

	for (int64_t end = clock_boot_ms() + WAIT_MS; clock_boot_ms() < end;) {
		ssize_t size = recv(fd, &c, 1, MSG_DONTWAIT);

		if (size == 0 || (size < 0 && errno != EAGAIN))
			break;
		if (size == 1 && c == '\n')
			break;
		if (size == 1)
			buffer_append_char(&got, c);
		else
			run_loop(place, 5, NULL, NULL);
	}
	return buffer_detach(&got);
}

#endif
