/* sink_hosts.c - the addresses that sink listens on: next hops that are fast, slow to greet, or silent
 * SPDX-License-Identifier: MIT */
#include <arpa/inet.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

#include "common/base/memory.h"
#include "t/bench/sink_hosts.h"
#include "t/bench/tool.h"

#define FILLED_BY 3	/* connections that a backlog of none has no room for */

uint64_t hosts_wanted[HOST_KINDS] = { 1, 0, 0 };
struct host_figures host_figures[HOST_KINDS];
static struct host *hosts;
static size_t host_count;

static int open_listener(struct sockaddr_in *address, int backlog)
{
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	socklen_t size = sizeof(*address);

	setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &(int){ 1 }, sizeof(int));
	if (bind(fd, (struct sockaddr *)address, sizeof(*address)) != 0 || listen(fd, backlog) != 0)
		die("cannot listen: %s", strerror(errno));
	getsockname(fd, (struct sockaddr *)address, &size);
	return fd;
}

/* These connections stay until the end of the process. */
static void fill_backlog(const struct sockaddr_in *address)
{
	for (int i = 0; i < FILLED_BY; i++) {
		int fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);

		if (fd < 0 || (connect(fd, (const struct sockaddr *)address, sizeof(*address)) != 0 && errno != EINPROGRESS))
			die("cannot fill a backlog: %s", strerror(errno));
	}
}

static void say_where(const struct sockaddr_in *address)
{
	char text[INET_ADDRSTRLEN];

	inet_ntop(AF_INET, &address->sin_addr, text, sizeof(text));
	printf("{\"listening\": \"%s:%u\"}\n", text, ntohs(address->sin_port));
	fflush(stdout);
}

void hosts_open(struct sockaddr_in first, int poller)
{
	struct sockaddr_in address = first;

	for (size_t kind = 0; kind < HOST_KINDS; kind++)
		host_count += hosts_wanted[kind];
	hosts = xcalloc(host_count, sizeof(*hosts));
	for (size_t i = 0; i < host_count; i++) {
		struct host *host = &hosts[i];
		struct epoll_event event = { .events = EPOLLIN, .data.ptr = host };

		host->kind = i < hosts_wanted[HOST_FAST] ? HOST_FAST :
			i < hosts_wanted[HOST_FAST] + hosts_wanted[HOST_SLOW] ? HOST_SLOW : HOST_SILENT;
		address.sin_addr.s_addr = htonl(ntohl(first.sin_addr.s_addr) + (uint32_t)i);
		host->fd = open_listener(&address, host->kind == HOST_SILENT ? 0 : SOMAXCONN);
		if (!i)
			first.sin_port = address.sin_port;
		if (host->kind == HOST_SILENT)
			fill_backlog(&address);
		else
			epoll_ctl(poller, EPOLL_CTL_ADD, host->fd, &event);
	}
	say_where(&first);
}

void hosts_close(void)
{
	for (size_t i = 0; i < host_count; i++)
		close(hosts[i].fd);
	free(hosts);
}

bool hosts_have(const void *event_data)
{
	const struct host *host = event_data;

	return host >= hosts && host < hosts + host_count;
}

void host_connected(struct host *host)
{
	struct host_figures *figures = &host_figures[host->kind];

	figures->connections++;
	if (++host->now > figures->most_to_a_host)
		figures->most_to_a_host = host->now;
}

void host_disconnected(struct host *host)
{
	host->now--;
}

void host_took(struct host *host, int64_t now_us)
{
	host_figures[host->kind].messages++;
	host_figures[host->kind].last_us = now_us;
}

void hosts_print(void)
{
	static const char *const names[] = { "fast", "slow" };

	for (size_t kind = 0; kind < ARRAY_SIZE(names); kind++) {
		const struct host_figures *figures = &host_figures[kind];

		printf("\"%s\": {\"messages\": %llu, \"connections\": %llu, \"most_to_a_host\": %llu, \"last_s\": %.6f}, ",
			names[kind], (unsigned long long)figures->messages, (unsigned long long)figures->connections,
			(unsigned long long)figures->most_to_a_host, (double)figures->last_us / 1e6);
	}
}
