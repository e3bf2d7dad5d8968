/* sort.c - list --sort: all messages are looked at for their key, and those wanted are read again to be printed
 * SPDX-License-Identifier: MIT */
#include <stdlib.h>
#include <string.h>

#include "common/base/clock.h"
#include "common/base/memory.h"
#include "queuectl/list.h"

#define LEAST_KEPT 1000

struct record {
	int64_t key;		/* the least comes first */
	char id[ID_SIZE];
	unsigned queue;
};

struct sorting {
	struct walk walk;
	struct record *records;
	size_t count, capacity;
	size_t wanted;		/* 0: all */
	bool reverse;
};

/* Of equal key: the older one first, or last. */
static int compare(const void *a, const void *b, void *arg)
{
	const struct record *one = a, *other = b;
	const struct sorting *sorting = arg;

	if (one->key != other->key)
		return one->key < other->key ? -1 : 1;
	return sorting->reverse ? memcmp(other->id, one->id, ID_LENGTH) : memcmp(one->id, other->id, ID_LENGTH);
}

static int64_t age_key(const struct list_entry *entry)
{
	return id_is_derived(entry->id) ? clock_wall_ms() - entry->age_ms : id_wall_ms(entry->id);
}

static int64_t due_key(const struct list_entry *entry)
{
	bool waits = entry->place == PLACE_NEW || entry->place == PLACE_DEFERRED;

	return waits ? clock_wall_ms() + entry->due_in_ms : INT64_MAX;
}

static int64_t key_of(enum sort_key sort, const struct list_entry *entry)
{
	switch (sort) {
	case SORT_NONE:
	case SORT_AGE:
		return age_key(entry);
	case SORT_DUE:
		return due_key(entry);
	case SORT_SIZE:
		return -(int64_t)entry->size;
	case SORT_ATTEMPTS:
		return -(int64_t)entry->attempts;
	}
	BUG("an order that is none");
}

/* Only the first of them can be wanted. */
static void cut(struct sorting *sorting)
{
	if (sorting->count)
		qsort_r(sorting->records, sorting->count, sizeof(*sorting->records), compare, sorting);
	if (sorting->wanted && sorting->count > sorting->wanted)
		sorting->count = sorting->wanted;
}

static void make_room(struct sorting *sorting)
{
	if (sorting->count < sorting->capacity)
		return;
	if (sorting->wanted)
		cut(sorting);
	if (sorting->count > sorting->capacity / 2 || !sorting->capacity) {
		sorting->capacity = sorting->capacity ? sorting->capacity * 2 : LEAST_KEPT;
		sorting->records = xrealloc(sorting->records, sorting->capacity, sizeof(*sorting->records));
	}
}

static unsigned place_of(const struct operator *operator, const struct queue *queue)
{
	unsigned i = 0;

	while (operator->queues[i] != queue)
		i++;
	return i;
}

static void keep_each(struct walk *walk, struct queue *queue, const struct list_entry *entry)
{
	struct sorting *sorting = (struct sorting *)walk;
	int64_t key = key_of(walk->arguments->sort, entry);
	struct record *record;

	make_room(sorting);
	record = &sorting->records[sorting->count++];
	record->key = sorting->reverse && key != INT64_MAX ? -key : key;
	record->queue = place_of(walk->operator, queue);
	memcpy(record->id, entry->id, ID_SIZE);
}

static void print_each(struct walk *walk, struct queue *queue, const struct list_entry *entry)
{
	print_list_entry(walk->operator, queue, entry);
}

void list_sorted(struct operator *operator, const struct arguments *arguments)
{
	struct sorting sorting = {
		.walk = { .operator = operator, .arguments = arguments, .each = keep_each },
		.wanted = arguments->limit, .reverse = arguments->reverse,
	};
	struct walk printing = { .operator = operator, .arguments = arguments, .each = print_each };
	size_t i = 0;

	walk_messages(&sorting.walk);
	cut(&sorting);
	while (i < sorting.count &&
			walk_one(&printing, operator->queues[sorting.records[i].queue], sorting.records[i].id))
		i++;
	free(sorting.records);
}
