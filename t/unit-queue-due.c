/* unit-queue-due.c - the table of due ids: order, shares of new and deferred ones, what stays when others go
 * SPDX-License-Identifier: MIT */
#include "common/base/memory.h"
#include "common/queue/disk/due.h"
#include "t/lib/tap.h"

#define NOW_MS 1000000
#define HOLDER 7

static void make_id(char id[ID_SIZE], unsigned number)
{
	snprintf(id, ID_SIZE, "%026u", number);
}

static void add(struct due_table *table, unsigned number, int64_t due_ms, bool tried)
{
	char id[ID_SIZE];

	make_id(id, number);
	due_wait(table, due_add(table, id), due_ms, tried, NOW_MS);
}

/* Pops `max` at a time until `total` came; how many of them were deferred ones. */
static unsigned pop(struct due_table *table, size_t max, unsigned total, bool *too_many)
{
	struct due_item items[64];
	unsigned tried = 0, count = 0;

	while (count < total) {
		size_t want = max < total - count ? max : total - count, got = due_pop(table, NOW_MS, want, HOLDER, items);

		*too_many = *too_many || got > want;
		for (size_t i = 0; i < got; i++)
			tried += items[i].tried;
		count += (unsigned)got;
		if (!got)
			break;
	}
	return tried;
}

static void test_shares(void)
{
	static const size_t sizes[] = { 1, 2, 3, 5, 7, 10, 64 };

	for (unsigned i = 0; i < ARRAY_SIZE(sizes); i++) {
		struct due_table table = { 0 };
		bool too_many = false;
		unsigned tried;

		for (unsigned k = 0; k < 200; k++)
			add(&table, k, NOW_MS - 1000 + k, k < 100);
		tried = pop(&table, sizes[i], 100, &too_many);
		is_int(tried, 50, "of a hundred that are popped half are deferred ones");
		tried += pop(&table, sizes[i], 100, &too_many);
		is_int(tried, 100, "then the rest of both");
		ok(!too_many, "never more than asked for, %zu at a time", sizes[i]);
		due_release(&table);
	}
}

static void test_giving_way(void)
{
	struct due_table table = { 0 };
	struct due_item items[64];
	bool too_many = false;

	for (unsigned k = 0; k < 60; k++)
		add(&table, k, NOW_MS - 1000 + k, k < 3);
	is_int(pop(&table, 10, 10, &too_many), 3, "three deferred ones, and the rest of ten are new");
	is_int(due_pop(&table, NOW_MS, 64, HOLDER, items), 50, "without deferred ones all are new");
	is_int(due_pop(&table, NOW_MS, 64, HOLDER, items), 0, "none twice");
	due_release(&table);
	for (unsigned k = 0; k < 60; k++)
		add(&table, k, NOW_MS - 1000 + k, true);
	is_int(due_pop(&table, NOW_MS, 64, HOLDER, items), 60, "without new ones all are deferred");
	due_release(&table);
}

static void test_order(void)
{
	struct due_table table = { 0 };
	struct due_item items[64];
	bool ascending = true;

	for (unsigned k = 0; k < 50; k++)
		add(&table, k, NOW_MS - (k * 37) % 50, true);
	add(&table, 50, NOW_MS + 1, true);
	add(&table, 51, NOW_MS + 500, false);
	is_int(due_ready(&table, NOW_MS), 50, "fifty are due");
	is_int(due_next(&table, NOW_MS), NOW_MS, "so the next is due now");
	due_pop(&table, NOW_MS, 64, HOLDER, items);
	for (unsigned k = 1; k < 50; k++)
		ascending = ascending && items[k - 1].due_ms <= items[k].due_ms;
	ok(ascending, "those due first come first");
	is_int(due_next(&table, NOW_MS), NOW_MS + 1, "then the next one's time");
	is_int(due_pop(&table, NOW_MS + 500, 64, HOLDER, items), 2, "both are due by then");
	is_int(due_next(&table, NOW_MS), INT64_MAX, "none waits");
	due_release(&table);
}

/* A thousand ids in and out at random: every one that is in is found, and no other. */
static void test_random(void)
{
	static bool in[1000];
	struct due_table table = { 0 };
	unsigned seed = 12345, wrong = 0;
	char id[ID_SIZE];

	for (unsigned step = 0; step < 20000; step++) {
		unsigned number = (seed = seed * 1103515245 + 12345) / 65536 % 1000;
		struct due_entry *entry;

		make_id(id, number);
		entry = due_find(&table, id);
		wrong += (entry != NULL) != in[number];
		if (entry && step % 3 == 0) {
			due_drop(&table, entry);
			in[number] = false;
		} else if (entry && step % 3 == 1) {
			due_park(&table, entry);
		} else {
			add(&table, number, NOW_MS + (int64_t)(step % 200) - 100, step % 2);
			in[number] = true;
		}
	}
	is_int(wrong, 0, "what is in is found, and nothing else");
	due_release(&table);
}

int main(void)
{
	test_shares();
	test_giving_way();
	test_order();
	test_random();
	return done_testing();
}
