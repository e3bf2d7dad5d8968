/* unit-edge-turns.c - turns at a thread: one client after another, whatever each wants; bounds; who leaves
 * SPDX-License-Identifier: MIT */
#include "t/lib/tap.h"

#include <event2/event.h>

#include "common/base/buffer.h"
#include "common/base/memory.h"
#include "edge/turns.h"

struct guess {
	struct turn turn;
	char name;
	bool idle;			/* finds nothing to do */
	struct guess *leaves;		/* when it is done: who goes */
};

static struct event_base *base;
static struct turns *turns;
static struct buffer order;
static unsigned at_work, most_at_work;

static void work(void *arg)
{
	(void)arg;
	__atomic_add_fetch(&at_work, 1, __ATOMIC_SEQ_CST);
	if (at_work > most_at_work)
		most_at_work = at_work;
	__atomic_sub_fetch(&at_work, 1, __ATOMIC_SEQ_CST);
}

static void done(void *arg)
{
	struct guess *guess = arg;

	buffer_append_char(&order, guess->name);
	if (guess->leaves)
		turns_leave(turns, &guess->leaves->turn);
}

static void take(void *arg)
{
	struct guess *guess = arg;

	if (guess->idle)
		buffer_append_char(&order, '-');
	else
		turns_work(turns, work, done, guess);
}

static bool wait_for(struct guess *guess, uint64_t client, char name)
{
	guess->name = name;
	return turns_wait(turns, &guess->turn, client, take, guess);
}

/* What was done, and in which order, until so many were. */
static const char *run(size_t count)
{
	while (order.size < count)
		event_base_loop(base, EVLOOP_ONCE);
	event_base_loop(base, EVLOOP_NONBLOCK);
	return buffer_str(&order);
}

static void in_turn(void)
{
	struct guess guesses[9] = { 0 };

	for (size_t i = 0; i < 5; i++)
		ok(wait_for(&guesses[i], 1, (char)('a' + i)), "one who wants much");
	ok(wait_for(&guesses[5], 2, 'X') && wait_for(&guesses[6], 3, 'Y') && wait_for(&guesses[7], 2, 'Z'), "and others");
	is_int((int64_t)order.size, 0, "nothing within the call");
	is_str(run(8), "aXYbZcde", "each in turn");
	is_int(most_at_work, 1, "one at a time");
	buffer_reset(&order);
	for (size_t i = 0; i < 3; i++)
		wait_for(&guesses[i], 1, (char)('a' + i));
	wait_for(&guesses[3], 1, 'd');
	while (guesses[1].turn.client)
		event_base_loop(base, EVLOOP_ONCE);
	wait_for(&guesses[4], 2, 'X');
	is_str(run(5), "abcXd", "one that comes later waits for one turn of each");
	buffer_reset(&order);
}

static void leaving(void)
{
	struct guess guesses[4] = { { .leaves = &guesses[2] }, { .idle = true } };

	wait_for(&guesses[0], 1, 'a');
	wait_for(&guesses[1], 1, 'b');
	wait_for(&guesses[2], 2, 'c');
	wait_for(&guesses[3], 3, 'd');
	is_str(run(3), "ad-", "who has left has no turn, who has nothing to do hinders nobody");
	turns_leave(turns, &guesses[2].turn);
	buffer_reset(&order);
}

static void bounds(void)
{
	static struct guess one[TURNS_OF_CLIENT + 1], each[TURNS_CLIENTS];
	struct guess *all = each;
	unsigned taken = 0;

	while (taken <= TURNS_OF_CLIENT && wait_for(&one[taken], 1, 'a'))
		taken++;
	is_int(taken, TURNS_OF_CLIENT, "so many of one client");
	for (taken = 1; taken <= TURNS_CLIENTS && wait_for(&all[taken - 1], 1 + taken, 'b'); )
		taken++;
	is_int(taken, TURNS_CLIENTS, "so many clients");
	ok(!wait_for(&one[TURNS_OF_CLIENT], 1, 'a') && !one[TURNS_OF_CLIENT].turn.client, "who is refused does not wait");
	turns_leave(turns, &one[3].turn);
	ok(wait_for(&one[TURNS_OF_CLIENT], 1, 'a'), "there is room behind who left");
	run(TURNS_OF_CLIENT + TURNS_CLIENTS - 1);
	is_int((int64_t)order.size, TURNS_OF_CLIENT + TURNS_CLIENTS - 1, "each had its turn");
	buffer_reset(&order);
}

static void ending(void)
{
	struct guess guess = { 0 };

	wait_for(&guess, 1, 'a');
	while (guess.turn.client)
		event_base_loop(base, EVLOOP_ONCE);
	turns_free(turns);
	is_str(buffer_str(&order), "a", "what is under way comes to its end");
	turns_free(NULL);
}

int main(void)
{
	base = event_base_new();
	turns = turns_new(base, "turns");
	in_turn();
	leaving();
	bounds();
	ending();
	buffer_release(&order);
	event_base_free(base);
	return done_testing();
}
