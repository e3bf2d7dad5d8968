/* unit-net-control.c - messages between master and child
 * SPDX-License-Identifier: MIT */
#include <errno.h>
#include <event2/event.h>
#include <fcntl.h>
#include <sys/socket.h>
#include <unistd.h>

#include "common/base/file.h"
#include "common/base/memory.h"
#include "common/net/control.h"
#include "t/lib/tap.h"

struct seen {
	struct event_base *base;
	struct control *control;
	unsigned messages, closed;
	enum control_type last;
	json_int_t number;
	int fd;
	bool free_at_once;
};

static void on_message(void *arg, enum control_type type, json_t *body, int fd)
{
	struct seen *seen = arg;

	seen->messages++;
	seen->last = type;
	seen->number = json_integer_value(json_object_get(body, "number"));
	if (fd >= 0) {
		fd_close(&seen->fd);
		seen->fd = fd;
	}
	if (seen->free_at_once) {
		control_free(seen->control);
		seen->control = NULL;
	}
}

static void on_closed(void *arg)
{
	struct seen *seen = arg;

	seen->closed++;
	control_free(seen->control);
	seen->control = NULL;
}

static void run(struct seen *seen)
{
	for (int i = 0; i < 50; i++)
		event_base_loop(seen->base, EVLOOP_NONBLOCK);
}

static json_t *numbered(int number)
{
	return json_pack("{s:i}", "number", number);
}

static void open_pair(struct seen *seen, struct seen *other)
{
	int ends[2];

	if (control_pair(ends) < 0)
		exit(1);
	fd_set_nonblocking(ends[1], true);
	*seen = (struct seen){ .base = event_base_new(), .fd = -1 };
	*other = (struct seen){ .base = seen->base, .fd = -1 };
	seen->control = control_new(seen->base, ends[0], on_message, on_closed, seen);
	other->control = control_new(seen->base, ends[1], on_message, on_closed, other);
}

static void close_pair(struct seen *seen, struct seen *other)
{
	control_free(seen->control);
	control_free(other->control);
	fd_close(&seen->fd);
	fd_close(&other->fd);
	event_base_free(seen->base);
}

static void test_messages(void)
{
	struct seen a, b;
	int pipe_ends[2];
	char octet = 0;

	open_pair(&a, &b);
	control_send(a.control, CONTROL_DRAIN, numbered(7), -1);
	run(&a);
	is_int(b.messages, 1, "one message arrives");
	is_int(b.last, CONTROL_DRAIN, "with its type");
	is_int(b.number, 7, "and its body");

	if (pipe2(pipe_ends, O_CLOEXEC) < 0)
		exit(1);
	control_send(a.control, CONTROL_LOG, NULL, pipe_ends[1]);
	close(pipe_ends[1]);
	run(&a);
	ok(b.fd >= 0 && (fcntl(b.fd, F_GETFD) & FD_CLOEXEC), "a descriptor arrives, close-on-exec");
	ok(write(b.fd, "x", 1) == 1 && read(pipe_ends[0], &octet, 1) == 1 && octet == 'x',
		"the same one");
	close(pipe_ends[0]);

	b.free_at_once = true;
	control_send(a.control, CONTROL_STATS, NULL, -1);
	control_send(a.control, CONTROL_STATS, NULL, -1);
	run(&a);
	is_int(b.messages, 3, "a receiver may free its end in the callback");
	is_int(a.closed, 1, "and the other end learns of it");
	close_pair(&a, &b);
}

static void test_waiting(void)
{
	struct seen a, b;
	int sent = 0;

	open_pair(&a, &b);
	for (; sent < 40; sent++) {
		char *large = xcalloc(1, 60001);

		memset(large, 'x', 60000);
		control_send(a.control, CONTROL_STATS,
			json_pack("{s:i,s:s}", "number", sent, "x", large), -1);
		free(large);
	}
	run(&a);
	is_int(b.messages, 40, "what did not fit at once waits and arrives");
	is_int(b.number, 39, "in order");
	is_int(a.closed, 0, "and nobody is given up");
	close_pair(&a, &b);
}

static void test_bound(void)
{
	struct seen a = { .fd = -1 };
	int ends[2], sent = 0;

	if (control_pair(ends) < 0)
		exit(1);
	a.base = event_base_new();
	a.control = control_new(a.base, ends[0], on_message, on_closed, &a);
	for (; sent < 2000; sent++)
		control_send(a.control, CONTROL_STATS, numbered(sent), -1);
	is_int(a.closed, 0, "a peer that reads nothing is not given up inside the call");
	run(&a);
	is_int(a.closed, 1, "but from the loop");
	close(ends[1]);
	event_base_free(a.base);
}

static void test_hostile(void)
{
	static const struct {
		const char *name, *data;
		size_t size;
	} cases[] = {
		{ "an unknown type", "\x09{}", 3 },
		{ "a negative type", "\xff{}", 3 },
		{ "no body", "\x01", 1 },
		{ "no JSON", "\x01{", 2 },
		{ "no object", "\x01[]", 3 },
	};

	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		struct seen a = { .fd = -1 };
		int ends[2];

		if (control_pair(ends) < 0)
			exit(1);
		a.base = event_base_new();
		a.control = control_new(a.base, ends[0], on_message, on_closed, &a);
		if (send(ends[1], cases[i].data, cases[i].size, 0) < 0)
			exit(1);
		run(&a);
		ok(a.closed == 1 && a.messages == 0, "%s closes", cases[i].name);
		close(ends[1]);
		event_base_free(a.base);
	}
}

static void test_receive(void)
{
	enum control_type type = CONTROL_TYPES;
	json_t *body = NULL;
	int ends[2];

	if (control_pair(ends) < 0)
		exit(1);
	ok(control_receive(ends[1], 20, &type, &body, NULL) < 0 && errno == ETIMEDOUT,
		"nothing: ETIMEDOUT");
	if (send(ends[0], "\0{\"number\":3}", 13, 0) < 0)
		exit(1);
	ok(control_receive(ends[1], 1000, &type, &body, NULL) == 0 && type == CONTROL_START,
		"a message");
	is_int(json_integer_value(json_object_get(body, "number")), 3, "its body");
	json_decref(body);
	close(ends[0]);
	ok(control_receive(ends[1], 1000, &type, &body, NULL) < 0 && errno == EPIPE,
		"the end: EPIPE");
	close(ends[1]);
	if (pipe(ends) < 0)
		exit(1);
	if (write(ends[1], "x", 1) < 0)
		exit(1);
	ok(control_receive(ends[0], 1000, &type, &body, NULL) < 0 && errno == ENOTSOCK,
		"no socket: refused");
	close(ends[0]);
	close(ends[1]);
}

int main(void)
{
	test_messages();
	test_waiting();
	test_bound();
	test_hostile();
	test_receive();
	return done_testing();
}
