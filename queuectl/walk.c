/* walk.c - the messages that an operator means, queue by queue, a batch at a time
 * SPDX-License-Identifier: MIT */
#include "queuectl/walk.h"

#include <stdio.h>

static bool is_full(const struct walk *walk)
{
	return walk->limit && walk->count >= walk->limit;
}

static bool is_enough(const struct walk *walk)
{
	return is_full(walk) || (walk->ends && walk->ends(walk));
}

static void on_listed(void *arg, const struct reply *why, const struct list_entry *entries, size_t count,
	const char *cursor)
{
	struct walk *walk = arg;

	walk->done = true;
	walk->cursor[0] = '\0';
	if (why) {
		walk->failed = true;
		operator_fail_queue(walk->operator, walk->queue, why);
	}
	for (size_t i = 0; i < count && !is_full(walk); i++) {
		walk->each(walk, walk->queue, &entries[i]);
		walk->count++;
	}
	if (!is_full(walk))
		snprintf(walk->cursor, sizeof(walk->cursor), "%s", cursor);
}

static void list_batch(struct walk *walk, const struct list_filter *filter)
{
	size_t max = WALK_BATCH;
	char cursor[LIST_CURSOR_SIZE];

	/* Where all match, no more are read than wanted. */
	if (walk->limit && !walk->arguments->filtered && walk->limit - walk->count < max)
		max = walk->limit - walk->count;
	snprintf(cursor, sizeof(cursor), "%s", walk->cursor);
	walk->done = false;
	queue_list(walk->queue, filter, cursor, max, on_listed, walk);
	operator_wait(walk->operator, &walk->done);
	if (walk->flush)
		walk->flush(walk);
}

static void walk_queues(struct walk *walk, const struct list_filter *filter)
{
	for (size_t i = 0; i < walk->operator->queue_count && !is_enough(walk); i++) {
		walk->queue = walk->operator->queues[i];
		walk->cursor[0] = '\0';
		while (operator_may_ask(walk->operator, walk->queue)) {
			list_batch(walk, filter);
			if (!*walk->cursor || is_enough(walk))
				break;
		}
		walk->failed |= !operator_may_ask(walk->operator, walk->queue);
	}
}

static void walk_id(struct walk *walk, const char *id)
{
	struct list_filter filter = walk->arguments->filter;
	size_t before = walk->count;

	filter.id = id;
	walk->failed = false;
	walk_queues(walk, &filter);
	if (walk->count > before)
		return;
	if (!walk->failed)
		operator_say_absent(walk->operator, id, walk->arguments->filtered ? ", or not what was asked for" : "");
	if (walk->absent)
		walk->absent(walk, id, walk->failed || walk->operator->partly);
}

void walk_messages(struct walk *walk)
{
	const struct arguments *arguments = walk->arguments;

	for (size_t i = 0; i < arguments->id_count && !is_enough(walk); i++)
		walk_id(walk, arguments->ids[i]);
	if (!arguments->id_count)
		walk_queues(walk, &arguments->filter);
}

bool walk_one(struct walk *walk, struct queue *queue, const char *id)
{
	const struct list_filter filter = { .id = id };

	walk->queue = queue;
	walk->cursor[0] = '\0';
	walk->failed = false;
	list_batch(walk, &filter);
	return !walk->failed;
}
