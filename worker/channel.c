/* channel.c - packets with descriptors over a SOCK_SEQPACKET socket, on the loop
 * SPDX-License-Identifier: MIT */
#include "worker/channel.h"

#include <errno.h>
#include <event2/event.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/queue.h>
#include <sys/socket.h>
#include <unistd.h>

#include "common/base/fault.h"
#include "common/base/file.h"
#include "common/base/memory.h"

struct waiting {
	TAILQ_ENTRY(waiting) link;
	size_t size;
	unsigned fd_count;
	int fds[CHANNEL_FDS];
	char data[];
};

struct channel {
	int fd;
	struct channel_events events;
	struct event *readable, *writable, *broken;
	bool closed;
	TAILQ_HEAD(, waiting) waiting;
	size_t waiting_bytes;
};

union control_space {
	char space[CMSG_SPACE(CHANNEL_FDS * sizeof(int))];
	struct cmsghdr align;
};

static void waiting_free(struct channel *channel, struct waiting *waiting)
{
	TAILQ_REMOVE(&channel->waiting, waiting, link);
	channel->waiting_bytes -= waiting->size;
	for (unsigned i = 0; i < waiting->fd_count; i++)
		fd_close(&waiting->fds[i]);
	free(waiting);
}

static void close_now(struct channel *channel)
{
	if (channel->closed)
		return;
	channel->closed = true;
	event_del(channel->readable);
	event_del(channel->writable);
	channel->events.closed(channel->events.arg);
}

static void on_broken(evutil_socket_t fd, short what, void *arg)
{
	(void)fd;
	(void)what;
	close_now(arg);
}

static void break_off(struct channel *channel)
{
	if (!channel->closed)
		event_active(channel->broken, EV_TIMEOUT, 0);
}

/* What came, of at most CHANNEL_PACKET_MAX octets; -1 with errno. A packet that was cut is EMSGSIZE. */
static ssize_t receive(struct channel *channel, char *packet, int fds[CHANNEL_FDS], unsigned *fd_count)
{
	union control_space control;
	struct iovec iov = { packet, CHANNEL_PACKET_MAX };
	struct msghdr message = { .msg_iov = &iov, .msg_iovlen = 1, .msg_control = &control,
		.msg_controllen = sizeof(control) };
	ssize_t size;

	*fd_count = 0;
	size = FAULT("spawn.receive", recvmsg(channel->fd, &message, MSG_DONTWAIT | MSG_CMSG_CLOEXEC));
	if (size < 0)
		return -1;
	for (struct cmsghdr *c = CMSG_FIRSTHDR(&message); c; c = CMSG_NXTHDR(&message, c)) {
		if (c->cmsg_level != SOL_SOCKET || c->cmsg_type != SCM_RIGHTS)
			continue;
		*fd_count = (unsigned)((c->cmsg_len - CMSG_LEN(0)) / sizeof(int));
		memcpy(fds, CMSG_DATA(c), *fd_count * sizeof(int));
	}
	if (message.msg_flags & MSG_CTRUNC)
		while (*fd_count < CHANNEL_FDS)
			fds[(*fd_count)++] = -1;
	if (!(message.msg_flags & MSG_TRUNC))
		return size;
	errno = EMSGSIZE;
	return -1;
}

/* One packet a call: the callback may free the channel. */
static void on_readable(evutil_socket_t fd, short what, void *arg)
{
	struct channel *channel = arg;
	char packet[CHANNEL_PACKET_MAX];
	int fds[CHANNEL_FDS];
	unsigned fd_count;
	ssize_t size = receive(channel, packet, fds, &fd_count);

	(void)fd;
	(void)what;
	if (size > 0)
		channel->events.packet(channel->events.arg, packet, (size_t)size, fds, fd_count);
	else if (size == 0 || (errno != EAGAIN && errno != EINTR))
		close_now(channel);
	for (unsigned i = 0; i < fd_count; i++)
		fd_close(&fds[i]);
}

/* 1: it left, 0: there is no room now, -1: errno. */
static int transmit(struct channel *channel, const void *data, size_t size, const int *fds, unsigned fd_count)
{
	union control_space control = { { 0 } };
	struct iovec iov = { (void *)data, size };
	struct msghdr message = { .msg_iov = &iov, .msg_iovlen = 1 };

	if (fd_count) {
		message.msg_control = &control;
		message.msg_controllen = CMSG_SPACE(fd_count * sizeof(int));
		control.align.cmsg_level = SOL_SOCKET;
		control.align.cmsg_type = SCM_RIGHTS;
		control.align.cmsg_len = CMSG_LEN(fd_count * sizeof(int));
		memcpy(CMSG_DATA(&control.align), fds, fd_count * sizeof(int));
	}
	if (FAULT("spawn.send", sendmsg(channel->fd, &message, MSG_DONTWAIT | MSG_NOSIGNAL)) >= 0)
		return 1;
	return errno == EAGAIN || errno == EINTR || errno == ENOBUFS ? 0 : -1;
}

static void on_writable(evutil_socket_t fd, short what, void *arg)
{
	struct channel *channel = arg;
	struct waiting *first;

	(void)fd;
	(void)what;
	while ((first = TAILQ_FIRST(&channel->waiting))) {
		int sent = transmit(channel, first->data, first->size, first->fds, first->fd_count);

		if (sent < 0)
			close_now(channel);
		if (sent <= 0)
			return;
		waiting_free(channel, first);
	}
	event_del(channel->writable);
	if (channel->events.flushed)
		channel->events.flushed(channel->events.arg);
}

static void keep_waiting(struct channel *channel, const void *data, size_t size, const int *fds, unsigned fd_count)
{
	struct waiting *waiting;

	if (channel->waiting_bytes + size > CHANNEL_WAITING_MAX) {
		break_off(channel);
		return;
	}
	waiting = xcalloc(1, sizeof(*waiting) + size);
	memcpy(waiting->data, data, size);
	waiting->size = size;
	for (unsigned i = 0; i < fd_count; i++) {
		waiting->fds[waiting->fd_count] = fcntl(fds[i], F_DUPFD_CLOEXEC, 3);
		if (waiting->fds[waiting->fd_count] < 0)
			break_off(channel);
		else
			waiting->fd_count++;
	}
	TAILQ_INSERT_TAIL(&channel->waiting, waiting, link);
	channel->waiting_bytes += size;
	event_add(channel->writable, NULL);
}

struct channel *channel_new(struct event_base *base, int fd, const struct channel_events *events)
{
	struct channel *channel = xcalloc(1, sizeof(*channel));

	*channel = (struct channel){ .fd = fd, .events = *events };
	TAILQ_INIT(&channel->waiting);
	channel->readable = event_new(base, fd, EV_READ | EV_PERSIST, on_readable, channel);
	channel->writable = event_new(base, fd, EV_WRITE | EV_PERSIST, on_writable, channel);
	channel->broken = event_new(base, -1, 0, on_broken, channel);
	if (!channel->readable || !channel->writable || !channel->broken || event_add(channel->readable, NULL) < 0)
		BUG("no event for a channel");
	return channel;
}

void channel_free(struct channel *channel)
{
	if (!channel)
		return;
	event_free(channel->readable);
	event_free(channel->writable);
	event_free(channel->broken);
	while (!TAILQ_EMPTY(&channel->waiting))
		waiting_free(channel, TAILQ_FIRST(&channel->waiting));
	close(channel->fd);
	free(channel);
}

void channel_send(struct channel *channel, const void *data, size_t size, const int *fds, unsigned fd_count)
{
	int sent;

	if (channel->closed)
		return;
	if (!TAILQ_EMPTY(&channel->waiting)) {
		keep_waiting(channel, data, size, fds, fd_count);
		return;
	}
	sent = transmit(channel, data, size, fds, fd_count);
	if (sent == 0)
		keep_waiting(channel, data, size, fds, fd_count);
	else if (sent < 0)
		break_off(channel);
}

bool channel_is_waiting(const struct channel *channel)
{
	return !TAILQ_EMPTY(&channel->waiting);
}
