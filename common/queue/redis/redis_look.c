/* redis_look.c - what stands in a redis queue, shown: peek, list, info
 * SPDX-License-Identifier: MIT
 * Heads are read in a thread, from copies. How far a lease's owner is with it is known on its own host alone. */
#include <hiredis/hiredis.h>
#include <stdlib.h>
#include <string.h>

#include "common/base/clock.h"
#include "common/base/memory.h"
#include "common/queue/now.h"
#include "common/queue/redis/redis_queue.h"

#define LIST_MAX 1000			/* messages of a batch */
#define LIST_OCTETS "1048576"		/* of what is known of them */

/* One message, looked at. */
struct look {
	struct redis_record record;
	struct envelope *envelope;	/* NULL: it cannot be read */
	enum stored_result result;
	enum lease_phase phase;
	int64_t leased_for_ms, in_phase_ms;
};

static void look_release(struct look *look)
{
	redis_record_release(&look->record);
	envelope_free(look->envelope);
}

/* Thread. */
static void look_at_owner(struct look *look, const struct now_view *view)
{
	const struct now_seen *seen = now_find(view, look->record.id);

	if (!seen || !look->record.owner || strcmp(seen->owner, look->record.owner) != 0)
		return;
	look->phase = seen->held.phase;
	look->in_phase_ms = now_in_phase(&seen->held, look->leased_for_ms);
}

static struct now_view *see_owners(const struct redis_queue *queue)
{
	return now_look(queue->storage.context.process->runtime_dir, queue->storage.context.queue);
}

/* Thread. `octets` NULL: without its content. */
static void look_decode(struct look *look, const struct buffer *octets, const char **why)
{
	struct redis_record *record = &look->record;

	look->result = redis_decode(&record->head, octets ? buffer_str(octets) : NULL,
		octets ? octets->size : record->octets, &look->envelope, why);
	if (look->result == STORED_OK && strcmp(look->envelope->id, record->id) != 0) {
		envelope_free(look->envelope);
		look->envelope = NULL;
		look->result = STORED_DAMAGED;
		*why = "it is another message";
	}
	if (look->result != STORED_DAMAGED)
		return;
	record->place = record->place == PLACE_LEASED ? PLACE_LEASED : PLACE_HELD;
	if (!record->state.held)
		record->state.held = xstrdup("damaged");
}

static int look_read(struct look *look, const struct redisReply *reply, int64_t now_ms)
{
	if (redis_record_read(&look->record, reply, now_ms) < 0)
		return -1;
	look->leased_for_ms = look->record.since_ms ? now_ms - look->record.since_ms : -1;
	return 0;
}

/* ---- peek */

struct peek_op {
	struct task task;
	struct redis_queue *queue;
	bool content, there;
	struct look look;
	struct buffer octets;
	struct reply why;
	storage_peeked_fn *done;
	void *arg;
};

static void peek_work(struct task *task)
{
	struct peek_op *op = CONTAINER_OF(task, struct peek_op, task);
	struct look *look = &op->look;
	const char *why = look->record.damage;

	if (look->record.place == PLACE_LEASED) {
		struct now_view *view = see_owners(op->queue);

		look_at_owner(look, view);
		now_view_free(view);
	}
	if (!why || look->record.head.size)
		look_decode(look, op->content ? &op->octets : NULL, &why);
	if (look->record.damage || look->result == STORED_DAMAGED)
		reply_set(&op->why, 554, "5.6.0", "Message is damaged: %s", why);
	else if (look->result != STORED_OK)
		reply_set(&op->why, 451, "4.3.0", "Message cannot be read: %s", why);
}

static void peek_finish(struct peek_op *op, const struct reply *why)
{
	struct redis_record *record = &op->look.record;
	struct peeked peeked = { .envelope = op->look.envelope, .state = record->state, .place = record->place,
		.owner = record->owner, .leased_for_ms = record->place == PLACE_LEASED ? op->look.leased_for_ms : -1,
		.phase = op->look.phase, .in_phase_ms = op->look.in_phase_ms };

	for (size_t i = 0; i < record->marks.count; i++)
		mark_show(&peeked.asked, record->marks.items[i].mark, record->marks.items[i].reason);
	if (why && op->look.envelope) {
		envelope_free(peeked.envelope);
		peeked.envelope = NULL;
	}
	op->done(op->arg, why, op->there ? &peeked : NULL);
	op->look.envelope = peeked.envelope;
	record->state = peeked.state;
	record->owner = peeked.owner;
	strings_release(&peeked.asked);
	look_release(&op->look);
	buffer_release(&op->octets);
	reply_release(&op->why);
	free(op);
}

static void peek_done(struct task *task)
{
	struct peek_op *op = CONTAINER_OF(task, struct peek_op, task);

	peek_finish(op, reply_is_none(&op->why) ? NULL : &op->why);
}

static void on_peeked(void *arg, const struct redisReply *reply, const struct reply *why)
{
	struct peek_op *op = arg;
	const struct redisReply *octets = redis_item(reply, 2);

	if (why) {
		peek_finish(op, why);
		return;
	}
	op->there = look_read(&op->look, redis_item(reply, 1), redis_number(redis_item(reply, 0), 0)) == 0;
	if (!op->there) {
		reply_set(&op->why, 550, "5.1.1", "No such message");
		peek_finish(op, &op->why);
		return;
	}
	if (octets->type == REDIS_REPLY_STRING)
		buffer_append(&op->octets, octets->str, (size_t)octets->len);
	op->task.work = peek_work;
	op->task.done = peek_done;
	tasks_run(&op->queue->tasks, &op->task);
}

void redis_peek(struct storage *storage, const char *id, bool content, storage_peeked_fn *done, void *arg)
{
	struct peek_op *op = xcalloc(1, sizeof(*op));

	*op = (struct peek_op){ .queue = (struct redis_queue *)storage, .content = content, .done = done, .arg = arg };
	if (id_is_valid(id)) {
		redis_script(op->queue, SCRIPT_PEEK, (const struct redis_part[]){ { id, ID_LENGTH }, { "1", content } }, 2,
			on_peeked, op);
		return;
	}
	reply_set(&op->why, 550, "5.1.1", "No such message");
	op->task.done = peek_done;
	tasks_soon(&op->queue->tasks, &op->task);
}

/* ---- list */

struct list_op {
	struct task task;
	struct redis_queue *queue;
	const struct list_filter *filter;
	struct look *looks;
	size_t count, unread;
	char cursor[LIST_CURSOR_SIZE];
	storage_list_fn *done;
	void *arg;
};

static void list_work(struct task *task)
{
	struct list_op *op = CONTAINER_OF(task, struct list_op, task);
	struct now_view *view = NULL;

	for (size_t i = 0; i < op->count; i++) {
		const char *why;

		if (op->looks[i].record.head.size)
			look_decode(&op->looks[i], NULL, &why);
		if (op->looks[i].record.place != PLACE_LEASED)
			continue;
		if (!view)
			view = see_owners(op->queue);
		look_at_owner(&op->looks[i], view);
	}
	now_view_free(view);
}

static void describe(struct list_entry *entry, const struct look *look)
{
	const struct redis_record *record = &look->record;

	*entry = (struct list_entry){ 0 };
	list_entry_describe(entry, record->id, look->envelope, &record->state);
	entry->size = record->octets;
	entry->due_in_ms = record->state.due_in_ms;
	entry->place = record->place;
	entry->owner = record->owner;
	entry->phase = look->phase;
	entry->leased_for_ms = look->leased_for_ms > 0 ? look->leased_for_ms : 0;
	entry->in_phase_ms = look->in_phase_ms;
}

static void list_finish(struct list_op *op, const struct reply *why)
{
	struct list_entry *entries = xcalloc(op->count + 1, sizeof(*entries));
	size_t count = 0;

	for (size_t i = 0; i < op->count; i++) {
		describe(&entries[count], &op->looks[i]);
		count += list_filter_matches(op->filter, &entries[count]);
	}
	op->done(op->arg, why, entries, count, op->cursor);
	for (size_t i = 0; i < op->count; i++)
		look_release(&op->looks[i]);
	free(entries);
	free(op->looks);
	free(op);
}

static void list_done(struct task *task)
{
	list_finish(CONTAINER_OF(task, struct list_op, task), NULL);
}

/* What stands in the index may be anything: it is to come behind that in any case. */
static void set_cursor(struct list_op *op, const struct redisReply *last)
{
	if (last->type != REDIS_REPLY_STRING)
		return;
	if (last->len && strlen(last->str) == (size_t)last->len && last->len < 200)
		snprintf(op->cursor, sizeof(op->cursor), "%s", last->str);
	else
		snprintf(op->cursor, sizeof(op->cursor), "%.200s%c", last->str, strlen(last->str) < 200 ? '\1' : '\x7f');
}

static void add_look(struct list_op *op, const struct redisReply *record, int64_t now_ms)
{
	const struct redisReply *id = redis_item(record, 0);

	if (id->type == REDIS_REPLY_STRING && id_is_valid(id->str) && look_read(&op->looks[op->count], record, now_ms) == 0)
		op->count++;
}

static void on_listed(void *arg, const struct redisReply *reply, const struct reply *why)
{
	struct list_op *op = arg;
	int64_t now_ms = redis_number(redis_item(reply, 0), 0);
	bool single = op->filter && op->filter->id;

	if (why) {
		list_finish(op, why);
		return;
	}
	op->looks = xcalloc(reply->elements + 1, sizeof(*op->looks));
	if (single) {
		add_look(op, redis_item(reply, 1), now_ms);
	} else {
		set_cursor(op, redis_item(reply, 1));
		for (size_t i = 2; i < reply->elements; i++)
			add_look(op, redis_item(reply, i), now_ms);
	}
	op->task.work = list_work;
	op->task.done = list_done;
	tasks_run(&op->queue->tasks, &op->task);
}

void redis_list(struct storage *storage, const struct list_filter *filter, const char *cursor, size_t max,
	storage_list_fn *done, void *arg)
{
	struct list_op *op = xcalloc(1, sizeof(*op));
	char most[REDIS_NUMBER_SIZE];

	*op = (struct list_op){ .queue = (struct redis_queue *)storage, .filter = filter, .done = done, .arg = arg };
	redis_number_text(most, (int64_t)(max && max < LIST_MAX ? max : LIST_MAX));
	if (!filter || !filter->id) {
		redis_script(op->queue, SCRIPT_LIST, (const struct redis_part[]){ redis_text_part(cursor ? cursor : ""),
			redis_text_part(most), REDIS_PART(LIST_OCTETS) }, 3, on_listed, op);
	} else if (id_is_valid(filter->id)) {
		redis_script(op->queue, SCRIPT_PEEK, (const struct redis_part[]){ { filter->id, ID_LENGTH }, REDIS_PART("") }, 2,
			on_listed, op);
	} else {
		op->task.done = list_done;
		tasks_soon(&op->queue->tasks, &op->task);
	}
}

/* ---- info */

struct info_op {
	storage_info_fn *done;
	void *arg;
};

static uint64_t count_at(const struct redisReply *reply, size_t at)
{
	return (uint64_t)redis_number(redis_item(reply, at), 0);
}

/* By our clock, which made the ids. */
static int64_t oldest_age_ms(const struct redisReply *accepted, const struct redisReply *id)
{
	int64_t now_ms = clock_wall_ms(), oldest_ms = redis_number(accepted, INT64_MAX);

	if (id->type == REDIS_REPLY_STRING && id_is_valid(id->str) && id_wall_ms(id->str) < oldest_ms)
		oldest_ms = id_wall_ms(id->str);
	if (oldest_ms == INT64_MAX)
		return -1;
	return oldest_ms < now_ms ? now_ms - oldest_ms : 0;
}

static void on_info(void *arg, const struct redisReply *reply, const struct reply *why)
{
	struct info_op *op = arg;
	struct queue_counts counts = { .oldest_age_ms = -1 };
	uint64_t all = count_at(reply, 0), others;

	if (reply) {
		counts.deferred = count_at(reply, 1);
		counts.leased = count_at(reply, 2);
		counts.held = count_at(reply, 3);
		counts.octets = count_at(reply, 4);
		others = counts.deferred + counts.leased + counts.held;
		counts.fresh = all > others ? all - others : 0;
		counts.oldest_age_ms = oldest_age_ms(redis_item(reply, 5), redis_item(reply, 6));
	}
	op->done(op->arg, why, &counts);
	free(op);
}

void redis_info(struct storage *storage, storage_info_fn *done, void *arg)
{
	redis_script((struct redis_queue *)storage, SCRIPT_INFO, NULL, 0, on_info,
		xmemdup(&(struct info_op){ done, arg }, sizeof(struct info_op)));
}
