/* control.c - the messages between the master and its children
 * SPDX-License-Identifier: MIT
 * On the wire: one octet of type, then the JSON object as text; a descriptor by SCM_RIGHTS. */
#include "common/net/control.h"

#include <errno.h>
#include <event2/event.h>
#include <fcntl.h>
#include <poll.h>
#include <stdbool.h>
#include <sys/queue.h>
#include <sys/socket.h>
#include <unistd.h>

#include "common/base/clock.h"
#include "common/base/fault.h"
#include "common/base/file.h"
#include "common/base/log.h"
#include "common/base/memory.h"

#define WAITING_MAX 64		/* messages that a peer may leave unread before it is given up */
#define MESSAGES_AN_EVENT 16

struct waiting {
	TAILQ_ENTRY(waiting) entry;
	char *data;
	size_t size;
	int fd;
};

struct control {
	int fd;
	struct event *readable, *writable;
	control_message_fn *message;
	control_closed_fn *closed;
	void *arg;
	TAILQ_HEAD(, waiting) waiting;
	unsigned waiting_count;
	bool broken;			/* `closed` is owed or was called */
	bool calling, freed;		/* a callback runs; it freed us meanwhile */
};

int control_pair(int ours[2])
{
	if (FAULT("control.pair", socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, ours)) < 0)
		return -1;
	if (fd_set_nonblocking(ours[0], true) < 0) {
		fd_close(&ours[0]);
		fd_close(&ours[1]);
		return -1;
	}
	return 0;
}

/* ---- octets */

static ssize_t send_octets(int fd, const char *data, size_t size, int passed)
{
	union {
		struct cmsghdr header;
		char space[CMSG_SPACE(sizeof(int))];
	} extra = { 0 };
	struct iovec octets = { (char *)data, size };
	struct msghdr message = { .msg_iov = &octets, .msg_iovlen = 1 };

	if (passed >= 0) {
		message.msg_control = extra.space;
		message.msg_controllen = sizeof extra.space;
		extra.header.cmsg_level = SOL_SOCKET;
		extra.header.cmsg_type = SCM_RIGHTS;
		extra.header.cmsg_len = CMSG_LEN(sizeof(int));
		memcpy(CMSG_DATA(&extra.header), &passed, sizeof passed);
	}
	return sendmsg(fd, &message, MSG_DONTWAIT | MSG_NOSIGNAL);
}

/* The first descriptor that came along; the kernel may have made more of them than we ask for. */
static int passed_fd(struct msghdr *message)
{
	int kept = -1;

	for (struct cmsghdr *c = CMSG_FIRSTHDR(message); c; c = CMSG_NXTHDR(message, c)) {
		if (c->cmsg_level != SOL_SOCKET || c->cmsg_type != SCM_RIGHTS)
			continue;
		for (size_t at = 0; at + sizeof(int) <= c->cmsg_len - CMSG_LEN(0);
			at += sizeof(int)) {
			int fd;

			memcpy(&fd, CMSG_DATA(c) + at, sizeof fd);
			if (kept < 0)
				kept = fd;
			else
				close(fd);
		}
	}
	return kept;
}

/* -1 with errno; EPIPE is the end, EPROTO what is no message. */
static int receive(int fd, enum control_type *type, json_t **body, int *passed)
{
	/* One thread reads, and no callback runs while it is in use. */
	static char data[CONTROL_MAX_BYTES];
	union {
		struct cmsghdr header;
		char space[CMSG_SPACE(sizeof(int))];
	} extra;
	struct iovec octets = { data, sizeof data };
	struct msghdr message = { .msg_iov = &octets, .msg_iovlen = 1,
		.msg_control = extra.space, .msg_controllen = sizeof extra.space };
	ssize_t size = recvmsg(fd, &message, MSG_DONTWAIT | MSG_CMSG_CLOEXEC);

	if (size < 0)
		return -1;
	*passed = passed_fd(&message);
	*body = size > 1 ? json_loadb(data + 1, (size_t)size - 1, 0, NULL) : NULL;
	if (size > 0 && !(message.msg_flags & MSG_TRUNC) &&
		(unsigned char)data[0] < CONTROL_TYPES && json_is_object(*body)) {
		*type = (enum control_type)data[0];
		return 0;
	}
	fd_close(passed);
	json_decref(*body);
	errno = size == 0 ? EPIPE : EPROTO;
	return -1;
}

int control_receive(int fd, int timeout_ms, enum control_type *type, json_t **body, int *passed)
{
	int64_t end = clock_boot_ms() + timeout_ms;
	int extra = -1;

	for (;;) {
		int64_t left = end - clock_boot_ms();
		struct pollfd poll_fd = { .fd = fd, .events = POLLIN };
		int ready = poll(&poll_fd, 1, left > 0 ? (int)left : 0);

		if (ready == 0) {
			errno = ETIMEDOUT;
			return -1;
		}
		if (ready > 0 && receive(fd, type, body, &extra) == 0)
			break;
		if (errno != EINTR && errno != EAGAIN)
			return -1;
	}
	if (passed)
		*passed = extra;
	else
		fd_close(&extra);
	return 0;
}

/* ---- with a loop */

/* `closed` is called from the loop, never inside control_send. */
static void give_up(struct control *control)
{
	if (control->broken)
		return;
	control->broken = true;
	event_del(control->writable);
	event_active(control->readable, EV_READ, 0);
}

static void waiting_free(struct control *control, struct waiting *first)
{
	TAILQ_REMOVE(&control->waiting, first, entry);
	control->waiting_count--;
	fd_close(&first->fd);
	free(first->data);
	free(first);
}

static void on_writable(evutil_socket_t fd, short what, void *arg)
{
	struct control *control = arg;
	struct waiting *first;

	(void)what;
	while ((first = TAILQ_FIRST(&control->waiting))) {
		if (send_octets(fd, first->data, first->size, first->fd) < 0) {
			if (errno == EAGAIN || errno == EINTR)
				event_add(control->writable, NULL);
			else
				give_up(control);
			return;
		}
		waiting_free(control, first);
	}
}

static void on_readable(evutil_socket_t fd, short what, void *arg)
{
	struct control *control = arg;

	(void)what;
	control->calling = true;
	for (int i = 0; i < MESSAGES_AN_EVENT && !control->broken; i++) {
		enum control_type type;
		json_t *body;
		int passed;

		if (receive(fd, &type, &body, &passed) < 0) {
			control->broken = errno != EAGAIN && errno != EINTR;
			if (errno == EPROTO)
				log_error("control", "received what is no message");
			break;
		}
		control->message(control->arg, type, body, passed);
		json_decref(body);
		if (control->freed)
			break;
	}
	if (control->broken && !control->freed) {
		event_del(control->readable);
		event_del(control->writable);
		control->closed(control->arg);
	}
	control->calling = false;
	if (control->freed)
		control_free(control);
}

struct control *control_new(struct event_base *base, int fd, control_message_fn *message,
	control_closed_fn *closed, void *arg)
{
	struct control *control = xcalloc(1, sizeof *control);

	control->fd = fd;
	control->message = message;
	control->closed = closed;
	control->arg = arg;
	TAILQ_INIT(&control->waiting);
	control->readable = event_new(base, fd, EV_READ | EV_PERSIST, on_readable, control);
	control->writable = event_new(base, fd, EV_WRITE, on_writable, control);
	if (!control->readable || !control->writable)
		BUG("event_new failed for a control socket");
	event_add(control->readable, NULL);
	return control;
}

void control_free(struct control *control)
{
	if (!control)
		return;
	if (control->calling) {
		control->freed = true;
		return;
	}
	event_free(control->readable);
	event_free(control->writable);
	while (!TAILQ_EMPTY(&control->waiting))
		waiting_free(control, TAILQ_FIRST(&control->waiting));
	close(control->fd);
	free(control);
}

static void wait_for_room(struct control *control, char *data, size_t size, int passed)
{
	struct waiting *last = xcalloc(1, sizeof *last);

	last->data = data;
	last->size = size;
	last->fd = passed >= 0 ? fcntl(passed, F_DUPFD_CLOEXEC, 0) : -1;
	TAILQ_INSERT_TAIL(&control->waiting, last, entry);
	control->waiting_count++;
	if (control->waiting_count > WAITING_MAX || (passed >= 0 && last->fd < 0))
		give_up(control);
	else
		event_add(control->writable, NULL);
}

void control_send(
	struct control *control, enum control_type type, json_t *body_taken, int fd_borrowed)
{
	char *text = body_taken ? json_dumps(body_taken, JSON_COMPACT) : xstrdup("{}");
	size_t size = text ? strlen(text) + 1 : 0;
	char *data;

	json_decref(body_taken);
	if (!text || size > CONTROL_MAX_BYTES)
		BUG("a control message of type %d is too large or no JSON", (int)type);
	data = xmalloc(size);
	data[0] = (char)type;
	memcpy(data + 1, text, size - 1);
	free(text);
	if (!control->broken && TAILQ_EMPTY(&control->waiting)) {
		if (send_octets(control->fd, data, size, fd_borrowed) >= 0) {
			free(data);
			return;
		}
		if (errno != EAGAIN && errno != EINTR)
			give_up(control);
	}
	if (control->broken)
		free(data);
	else
		wait_for_room(control, data, size, fd_borrowed);
}
