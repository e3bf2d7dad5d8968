/* unit-edge-tally.c - warnings that a flood repeats: the first at once, the others as a count every ten seconds
 * SPDX-License-Identifier: MIT
 * P8 */
#include "t/lib/tap.h"

#include <event2/event.h>
#include <fcntl.h>

#include "common/base/log.h"
#include "common/base/memory.h"
#include "edge/tally.h"

#define CLOCK_AHEAD CLOCK_MONOTONIC_COARSE	/* that of libevent */
#include "t/lib/clock_ahead.h"

static struct event_base *base;
static char path[] = "/tmp/unit-edge-tally.XXXXXX";

static void pass(long seconds)
{
	ahead_s += seconds;
	event_base_loop(base, EVLOOP_NONBLOCK);
}

/* What was logged since this was asked last, from the event on. */
static const char *logged(void)
{
	static char text[4096];
	static off_t at;
	int fd = open(path, O_RDONLY | O_CLOEXEC);
	ssize_t size = pread(fd, text, sizeof(text) - 1, at);
	char *event;

	close(fd);
	text[size > 0 ? size : 0] = '\0';
	at += size > 0 ? size : 0;
	event = strstr(text, "edge: ");
	return event ? event + 6 : text;
}

static void flood(struct tally *tally, unsigned count)
{
	for (unsigned i = 0; i < count; i++)
		tally_add(tally, "main", "none left", i);
}

static void test(void)
{
	struct tally *tally = tally_new(base, "refused one", "refused many", "because");

	flood(tally, 1);
	is_str(logged(), "refused one edge=main because=\"none left\" connections=0\n", "the first is logged at once");
	flood(tally, 10000);
	pass(9);
	is_str(logged(), "", "of 10,000 more nothing within ten seconds");
	pass(2);
	is_str(logged(), "refused many count=10000 edge=main because=\"none left\" connections=9999\n", "then their count");
	flood(tally, 3);
	is_str(logged(), "", "the flood goes on");
	pass(11);
	is_str(logged(), "refused many count=3 edge=main because=\"none left\" connections=2\n", "and is counted again");
	pass(11);
	is_str(logged(), "", "when it is over nothing is said");
	flood(tally, 1);
	is_str(logged(), "refused one edge=main because=\"none left\" connections=0\n", "another begins as the first did");
	flood(tally, 2);
	tally_flush(tally);
	is_str(logged(), "refused many count=2 edge=main because=\"none left\" connections=1\n", "its count can be had before");
	tally_flush(tally);
	pass(11);
	is_str(logged(), "", "once");
	tally_free(tally);
	tally_flush(NULL);
	tally_free(NULL);
}

int main(void)
{
	struct log_settings settings = { .level = LOG_LEVEL_INFO, .output = path };
	int fd = mkstemp(path);

	base = event_base_new();
	if (fd < 0 || !base || log_open("unit-edge-tally", &settings) < 0)
		BUG("no log");
	close(fd);
	test();
	log_close();
	unlink(path);
	event_base_free(base);
	return done_testing();
}
