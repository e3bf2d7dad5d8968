/* unit-edge-limits.c - an edge that is nearly full has less patience, and has it again when it is not
 * SPDX-License-Identifier: MIT */
#include "t/lib/tap.h"

#include <event2/event.h>

#include "common/base/log.h"
#include "common/base/memory.h"
#include "edge/edge.h"

#define CLOCK_AHEAD CLOCK_MONOTONIC_COARSE	/* that of libevent */
#include "t/lib/clock_ahead.h"

static struct event_base *base;
static unsigned begun, ended;

static void on_busy(struct edge *edge, bool on)
{
	(void)edge;
	begun += on;
	ended += !on;
}

static void pass(void)
{
	ahead_s += 2;
	event_base_loop(base, EVLOOP_NONBLOCK);
}

static void come(struct edge *edge, unsigned count)
{
	while (count--) {
		if (edge_limits_accept(edge))
			ok(false, "there is room");
		edge->connections++;
	}
}

static void go(struct edge *edge, unsigned count)
{
	while (count--) {
		edge->connections--;
		edge_limits_closed(edge);
	}
}

/* `other` shares the memory: another process of the machine. */
static void test_busy(struct edge *edge, struct edge *other)
{
	come(edge, 9);
	pass();
	is_int(begun, 0, "nine of ten are not too many");
	come(edge, 1);
	is_int(begun, 1, "ten are");
	is_str(edge_limits_accept(edge), "Too many connections", "and there is no room for more");
	pass();
	is_int(ended, 0, "it stays so");
	go(edge, 1);
	pass();
	is_int(ended, 1, "until one is gone");
	come(other, 1);
	pass();
	ok(begun == 3 && other->limits.busy && edge->limits.busy, "another process counts, too");
	go(edge, 9);
	pass();
	ok(ended == 3 && !other->limits.busy && !edge->limits.busy, "as it does when it goes");
	ok(!evtimer_pending(edge->limits.watch, NULL), "an edge without connections has nothing to look for");
	go(other, 1);
}

int main(void)
{
	static const struct edge_driver driver = { .busy = on_busy };
	struct log_settings settings = { .level = LOG_LEVEL_ERROR, .output = "stderr" };
	struct limits *memory;
	struct child child = { 0 }, sibling;
	struct edge edge = { .driver = &driver, .name = "main", .child = &child }, other;
	int fd = -1;

	if (log_open("unit-edge-limits", &settings) < 0)
		BUG("no log");
	base = event_base_new();
	memory = limits_create(2, &fd);
	child.base = base;
	child.limits = limits_attach(fd, 0);
	sibling = child;
	sibling.limits = limits_attach(fd, 1);
	edge.limits.max_connections = 10;
	other = edge;
	other.child = &sibling;
	edge_limits_open(&edge);
	edge_limits_open(&other);
	test_busy(&edge, &other);
	edge_limits_close(&edge);
	edge_limits_close(&other);
	limits_free(child.limits);
	limits_free(sibling.limits);
	limits_free(memory);
	close(fd);
	event_base_free(base);
	return done_testing();
}
