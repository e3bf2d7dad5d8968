/* listener_socket.c - the addresses of a listener, and opening its sockets
 * SPDX-License-Identifier: MIT */
#include <errno.h>
#include <netdb.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include "common/base/fault.h"
#include "common/base/file.h"
#include "common/base/memory.h"
#include "common/net/listener.h"

static bool is_everywhere(const struct listener_options *listener)
{
	return listener->interface[0] == '\0' || strcmp(listener->interface, "*") == 0;
}

static void add_address(
	struct listener_address **items, size_t *count, const void *address, size_t size)
{
	struct listener_address *added;

	if (size > sizeof added->sockaddr)
		return;
	for (size_t i = 0; i < *count; i++)
		if ((*items)[i].size == size && memcmp((*items)[i].sockaddr, address, size) == 0)
			return;
	*items = xrealloc(*items, *count + 1, sizeof **items);
	added = &(*items)[(*count)++];
	memset(added, 0, sizeof *added);
	memcpy(added->sockaddr, address, size);
	added->size = (unsigned)size;
	added->family = ((const struct sockaddr *)address)->sa_family;
}

/* A kernel without IPv6 is no reason to refuse `all interfaces`. */
static bool have_family(int family)
{
	int fd = socket(family, SOCK_STREAM | SOCK_CLOEXEC, 0);

	if (fd >= 0)
		close(fd);
	return fd >= 0 || errno != EAFNOSUPPORT;
}

static int resolve(const struct listener_options *listener, struct listener_address **items,
	size_t *count, char **why)
{
	bool all = is_everywhere(listener);
	struct addrinfo hints = { .ai_flags = AI_PASSIVE | AI_NUMERICSERV,
		.ai_socktype = SOCK_STREAM,
		.ai_family = listener->type == LISTENER_TCP4   ? AF_INET
			     : listener->type == LISTENER_TCP6 ? AF_INET6
							       : AF_UNSPEC };
	struct addrinfo *found;
	char port[16];
	int failed;

	snprintf(port, sizeof port, "%u", listener->port);
	failed = getaddrinfo(all ? NULL : listener->interface, port, &hints, &found);
	if (failed) {
		*why = xasprintf("cannot find the address of %s: %s", listener->interface,
			failed == EAI_SYSTEM ? strerror(errno) : gai_strerror(failed));
		return -1;
	}
	for (struct addrinfo *a = found; a; a = a->ai_next)
		if (!all || have_family(a->ai_family))
			add_address(items, count, a->ai_addr, a->ai_addrlen);
	freeaddrinfo(found);
	if (*count)
		return 0;
	*why = xasprintf("%s has no address here", listener->interface);
	return -1;
}

int listener_addresses(const struct listener_options *listener, struct listener_address **items,
	size_t *count, char **why)
{
	struct sockaddr_un name = { .sun_family = AF_UNIX };

	*items = NULL;
	*count = 0;
	if (listener->type != LISTENER_UNIX)
		return resolve(listener, items, count, why);
	if (strlen(listener->path) >= sizeof name.sun_path) {
		*why = xasprintf("%s is too long for a unix socket", listener->path);
		return -1;
	}
	memcpy(name.sun_path, listener->path, strlen(listener->path));
	add_address(items, count, &name,
		offsetof(struct sockaddr_un, sun_path) + strlen(listener->path) + 1);
	return 0;
}

static int bind_tcp(const struct listener_address *address, bool shared_port)
{
	const int on = 1;
	int fd = socket(address->family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);

	if (fd < 0)
		return -1;
	if (setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on) < 0 ||
		(shared_port && setsockopt(fd, SOL_SOCKET, SO_REUSEPORT, &on, sizeof on) < 0) ||
		(address->family == AF_INET6 &&
			setsockopt(fd, IPPROTO_IPV6, IPV6_V6ONLY, &on, sizeof on) < 0) ||
		setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on) < 0 ||
		FAULT("listener.bind",
			bind(fd, (const struct sockaddr *)address->sockaddr, address->size)) < 0)
		fd_close(&fd);
	return fd;
}

/* 0: nothing there, or a socket that nobody listens on any more. */
static int probe_unix(
	const struct listener_options *listener, const struct listener_address *address)
{
	struct stat there;
	int fd, result;

	if (lstat(listener->path, &there) < 0)
		return errno == ENOENT ? 0 : -1;
	if (!S_ISSOCK(there.st_mode)) {
		errno = EEXIST;
		return -1;
	}
	fd = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	if (fd < 0)
		return -1;
	result = connect(fd, (const struct sockaddr *)address->sockaddr, address->size);
	if (result < 0 && (errno == ECONNREFUSED || errno == ENOENT)) {
		close(fd);
		return 0;
	}
	if (result == 0 || errno == EAGAIN)
		errno = EADDRINUSE;	/* a full backlog is somebody's too */
	fd_close(&fd);
	return -1;
}

int listener_probe(const struct listener_options *listener, const struct listener_address *address)
{
	int fd;

	if (listener->type == LISTENER_UNIX)
		return probe_unix(listener, address);
	fd = bind_tcp(address, false);
	if (fd < 0)
		return -1;
	close(fd);
	return 0;
}

static int bind_unix(
	const struct listener_options *listener, const struct listener_address *address)
{
	mode_t before;
	int fd;

	if (probe_unix(listener, address) < 0)
		return -1;
	if (unlink(listener->path) < 0 && errno != ENOENT)
		return -1;
	fd = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	if (fd < 0)
		return -1;
	before = umask(0777);	/* nobody gets in before the mode is what was asked for */
	if (FAULT("listener.bind",
		    bind(fd, (const struct sockaddr *)address->sockaddr, address->size)) < 0)
		fd_close(&fd);
	umask(before);
	if (fd >= 0 && chmod(listener->path, listener->mode) < 0)
		fd_close(&fd);
	return fd;
}

int listener_bind(const struct listener_options *listener, const struct listener_address *address,
	bool shared_port)
{
	return listener->type == LISTENER_UNIX ? bind_unix(listener, address) :
						 bind_tcp(address, shared_port);
}

int listener_listen(int fd, unsigned backlog)
{
	return FAULT("listener.listen", listen(fd, (int)backlog));
}

int listener_socket(const struct listener_options *listener, const struct listener_address *address,
	bool shared_port)
{
	int fd = listener_bind(listener, address, shared_port);

	if (fd >= 0 && listener_listen(fd, listener->backlog) < 0)
		fd_close(&fd);
	return fd;
}
