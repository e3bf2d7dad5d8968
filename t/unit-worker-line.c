/* unit-worker-line.c - who waits for a connection, who is given back, and when another connection is of use
 * SPDX-License-Identifier: MIT */
#include "t/lib/tap.h"

#include "common/base/memory.h"
#include "worker/line.h"

#define MESSAGES 600

static struct {
	struct outgoing outgoing;
	int waits;			/* -1: it was not told */
	unsigned told, refused, finished;
	int64_t later_ms;
} messages[MESSAGES];
static struct line line;
static size_t next;

/* ---- in place of outgoing.c */

static size_t number_of(const struct outgoing *outgoing)
{
	for (size_t i = 0; i < MESSAGES; i++)
		if (&messages[i].outgoing == outgoing)
			return i;
	BUG("no message of ours");
}

void outgoing_say_in_line(struct outgoing *outgoing, bool waits)
{
	messages[number_of(outgoing)].waits = waits;
	messages[number_of(outgoing)].told++;
}

void outgoing_refuse(struct outgoing *outgoing, const struct relay_result *why)
{
	messages[number_of(outgoing)].refused++;
	messages[number_of(outgoing)].later_ms = why->later_ms;
}

void outgoing_finish(struct outgoing *outgoing, const struct relay_result *result)
{
	messages[number_of(outgoing)].finished += reply_is_none(result->reply);
}

void outgoing_free(struct outgoing *outgoing)
{
	messages[number_of(outgoing)].refused += 100;
}

static void begin(int64_t now_ms)
{
	memset(messages, 0, sizeof(messages));
	for (size_t i = 0; i < MESSAGES; i++)
		messages[i].waits = -1;
	next = 0;
	line_init(&line, now_ms);
}

static void add(size_t count, int64_t now_ms)
{
	for (; count; count--)
		line_add(&line, &messages[next++].outgoing, now_ms);
}

static int take(bool is_new, int64_t now_ms)
{
	struct outgoing *outgoing = line_take(&line, is_new, now_ms);

	return outgoing ? (int)number_of(outgoing) : -1;
}

static unsigned count_refused(void)
{
	unsigned count = 0;

	for (size_t i = 0; i < MESSAGES; i++)
		count += messages[i].refused;
	return count;
}

/* ---- tests */

static void test_order(void)
{
	begin(0);
	ok(line_is_empty(&line), "nobody is there at first");
	add(3, 0);
	is_int(take(false, 1), 0, "first come");
	is_int(messages[0].waits, 0, "and it knows");
	line_add_again(&line, &messages[0].outgoing);
	is_int(take(false, 2), 1, "one whose connection was lost goes over a new one only");
	is_int(take(true, 3), 0, "and then before all others");
	is_int(take(true, 4), 2, "a new one is for all");
	is_int(take(true, 5), -1, "until there are none");
	ok(line_is_empty(&line), "nobody is there at last");
}

static void test_who_waits(void)
{
	unsigned told;

	begin(0);
	add(5, 0);
	line_say_who_waits(&line, 2);
	is_int(messages[0].waits * 10000 + messages[1].waits * 1000 + messages[2].waits * 100 + messages[4].waits, 101,
		"those for whom a connection is made do not wait");
	told = messages[4].told;
	line_say_who_waits(&line, 1);
	is_int(messages[1].waits, 1, "one that is promised no more does");
	add(1, 0);
	line_say_who_waits(&line, 1);
	is_int(messages[5].waits, 1, "so does a new one");
	is_int(messages[4].told, told, "those between are not told again");
	line_add_again(&line, &messages[6].outgoing);
	next = 7;
	line_say_who_waits(&line, 1);
	ok(messages[6].waits == 0 && messages[0].waits == 1, "one that goes first takes the promise over");
	line_refuse_all(&line, RELAY_RESULT(&(struct reply){ 0 }, ""));
	is_int(count_refused(), 7, "all are refused at once");
	add(2, 0);
	add(4, 0);
	line_refuse_behind(&line, 3, RELAY_RESULT(&(struct reply){ 0 }, ""));
	ok(messages[12].refused && messages[10].refused && !messages[9].refused, "or all but those in front");
	line_finish_all(&line);
	is_int(messages[7].finished + messages[8].finished + messages[9].finished, 3, "or not attempted");
	add(2, 0);
	line_release(&line);
	is_int(count_refused(), 210, "or freed");
}

static void test_excess(void)
{
	begin(1000);
	add(30, 1000);
	line_refuse_excess(&line, 10, "mx", 1999);
	is_int(count_refused(), 0, "a line may be long for a moment");
	line_refuse_excess(&line, 10, "mx", 2000);
	is_int(count_refused(), 20, "one that does not move gives back what is beyond its bound");
	ok(messages[10].refused && messages[29].refused && !messages[9].refused, "the last ones");
	is_int(messages[29].later_ms, 5000, "for 5 s");
	add(1, 2001);
	line_refuse_excess(&line, 10, "mx", 2001);
	is_int(messages[30].later_ms, 5000, "it is full now");
	add(3, 2000 + 21000);
	line_refuse_excess(&line, 10, "mx", 2000 + 21000);
	is_int(messages[31].later_ms, 21000, "the longer it is, the later");
	add(1, 2000 + 9000000);
	line_refuse_excess(&line, 10, "mx", 2000 + 9000000);
	is_int(messages[34].later_ms, 300000, "but for 5 minutes at most");
	for (unsigned i = 0; i < 6; i++)
		take(true, 9100000);
	line_refuse_excess(&line, 10, "mx", 9100000);
	add(20, 9100000);
	line_refuse_excess(&line, 10, "mx", 9100010);
	is_int(messages[54].refused, 1, "still beyond the bound");
	is_int(messages[54].later_ms, 5000, "of which nothing is left once the line was below the half");
}

static void test_moving(void)
{
	begin(0);
	add(500, 0);
	for (unsigned i = 0; i < 60; i++)
		take(true, 900);
	line_refuse_excess(&line, 10, "mx", 1000);
	is_int(count_refused(), 140, "what is taken within 5 s is not given back: 300 of 440");
	is_int(messages[499].later_ms, 5000, "the rest is");
	ok(!messages[359].refused && messages[360].refused, "from the end");
	line_refuse_excess(&line, 10, "mx", 2000);
	is_int(line.count, 10, "if nothing moves any more, all are beyond the bound but 10");
}

static void test_more(void)
{
	begin(0);
	ok(!line_is_long(&line, 1, 5000), "nobody waits");
	add(3, 5000);
	ok(!line_is_long(&line, 1, 5100) && !line_is_long(&line, 1, 5999), "three are soon gone");
	ok(line_is_long(&line, 1, 6000), "unless they are not");
	is_int(line_look_in_ms(&line, 5000), 100, "to be looked at when it is no moment any more");
	is_int(line_look_in_ms(&line, 5100), 900, "and when it stands still");
	take(true, 6500);
	ok(line_is_long(&line, 2, 7000), "two for two, for long");
	ok(!line_is_long(&line, 3, 7000), "three are enough for two");
	ok(line_is_long(&line, 3, 7500), "unless nothing moves");
	begin(0);
	add(20, 0);
	ok(!line_is_long(&line, 1, 99), "20 that have just come");
	ok(line_is_long(&line, 5, 100), "are worth five more");
	ok(!line_is_long(&line, 6, 100), "and not six");
}

int main(void)
{
	test_order();
	test_who_waits();
	test_excess();
	test_moving();
	test_more();
	return done_testing();
}
