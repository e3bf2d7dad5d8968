/* redis_write.c - messages into redis: encoded, made by one script, waited for where replicas are to have them
 * SPDX-License-Identifier: MIT
 * Copies of a split mostly have the same content: it is sent once. */
#include <hiredis/hiredis.h>
#include <stdlib.h>
#include <string.h>

#include "common/base/fault.h"
#include "common/base/log.h"
#include "common/base/memory.h"
#include "common/queue/redis/redis_queue.h"

#define ARGS_BEFORE 2			/* count, delay */
#define ARGS_EACH 4			/* id, derived, head, number of the content */
#define DISCARD_BEFORE 3		/* of discard.lua: for how long two kinds of ids are known, the mark */
#define SMALL 65536			/* octets that are encoded on the loop */
#define LARGE_AT_ONCE (64ULL << 20)	/* octets of larger ones; beyond that they wait for each other */
#define ROOM_BESIDE 65536		/* of a command: names, numbers, lengths */

struct run {
	const char *data;
	size_t size;
	char *owned;			/* NULL: the envelope's */
};

struct write_op {
	struct task task;
	STAILQ_ENTRY(write_op) next;
	uint64_t octets;		/* counted in the line; 0: it is small */
	struct redis_queue *queue;
	struct envelope *const *items;
	size_t count;
	int64_t delay_ms;
	uint64_t bulk_max, query_max;	/* as they were when it began */
	struct buffer *heads;
	struct run *contents;
	size_t content_count;
	struct numbers {
		char content[REDIS_NUMBER_SIZE], accepted[REDIS_NUMBER_SIZE];
	} *numbers;			/* by item; one more: count and delay */
	struct redis_part *args;
	size_t arg_count;
	unsigned pending;		/* answers that are to come: of the script, of the replicas */
	bool written, early;		/* early: the replicas answered before it was written */
	struct reply why, waited;
	storage_done_fn *done;
	void *arg;
};

/* ---- encoding: of what is not small in a thread */

static int read_content(const struct content *content, struct run *run)
{
	struct content_piece pieces[CONTENT_PIECES];
	unsigned count = content_pieces(content, pieces);

	run->size = (size_t)content_size(content);
	if (count <= 1 && (!count || pieces[0].data)) {
		run->data = count ? pieces[0].data : "";
		return 0;
	}
	run->data = run->owned = xmalloc(run->size);
	return FAULT("redis.read", (int)(content_read(content, 0, run->owned, run->size) == (long)run->size)) == 1 ? 0 : -1;
}

static void add_content(struct write_op *op, size_t item, const struct run *run)
{
	const struct run *last = &op->contents[op->content_count - (op->content_count > 0)];

	if (op->content_count > 0 && last->size == run->size && memcmp(last->data, run->data, run->size) == 0)
		free(run->owned);
	else
		op->contents[op->content_count++] = *run;
	redis_number_text(op->numbers[item].content, (int64_t)op->content_count);
}

static void check_sizes(struct write_op *op)
{
	uint64_t whole = ROOM_BESIDE;
	bool fits = true;

	for (size_t i = 0; i < op->count; i++) {
		whole += op->heads[i].size + ROOM_BESIDE / 256;
		fits = fits && op->heads[i].size <= op->bulk_max;
	}
	for (size_t i = 0; i < op->content_count; i++) {
		whole += op->contents[i].size;
		fits = fits && op->contents[i].size <= op->bulk_max;
	}
	if (!fits || whole > op->query_max)
		reply_set(&op->why, 552, "5.3.4", "Message is too large for the storage of the queue");
}

static void write_work(struct task *task)
{
	struct write_op *op = CONTAINER_OF(task, struct write_op, task);

	for (size_t i = 0; i < op->count; i++) {
		struct run run = { 0 };

		if (FAULT("redis.encode", stored_encode(op->items[i], &op->heads[i])) < 0 ||
				read_content(&op->items[i]->content, &run) < 0) {
			free(run.owned);
			reply_set(&op->why, 451, "4.3.0", "Error queuing message");
			return;
		}
		add_content(op, i, &run);
	}
	check_sizes(op);
}

/* Whether it takes less time than the way to a thread and back. */
static bool is_small(const struct write_op *op)
{
	uint64_t size = 0;

	for (size_t i = 0; i < op->count; i++) {
		struct content_piece pieces[CONTENT_PIECES];
		unsigned count = content_pieces(&op->items[i]->content, pieces);

		size += op->items[i]->recipient_count * 1024;
		while (count--) {
			if (!pieces[count].data)
				return false;
			size += pieces[count].size;
		}
	}
	return size <= SMALL;
}

/* ---- sent, and answered */

static void add_arg(struct write_op *op, const void *data, size_t size)
{
	op->args[op->arg_count++] = (struct redis_part){ data, size };
}

static void add_text(struct write_op *op, const char *text)
{
	add_arg(op, text, strlen(text));
}

static void make_args(struct write_op *op)
{
	struct numbers *whole = &op->numbers[op->count];
	int64_t delay_ms = op->delay_ms < REDIS_TIME_MAX / 2 ? op->delay_ms : REDIS_TIME_MAX / 2;

	redis_number_text(whole->content, (int64_t)op->count);
	redis_number_text(whole->accepted, delay_ms > 0 ? delay_ms : 0);
	op->args = xcalloc(ARGS_BEFORE + ARGS_EACH * op->count + op->content_count, sizeof(*op->args));
	add_text(op, whole->content);
	add_text(op, whole->accepted);
	for (size_t i = 0; i < op->count; i++) {
		const struct envelope *item = op->items[i];
		struct numbers *numbers = &op->numbers[i];

		if (id_is_derived(item->id))
			redis_number_text(numbers->accepted, item->timestamp_ms > 0 ? item->timestamp_ms : 0);
		add_arg(op, item->id, ID_LENGTH);
		add_text(op, numbers->accepted);
		add_arg(op, op->heads[i].data, op->heads[i].size);
		add_text(op, numbers->content);
	}
	for (size_t i = 0; i < op->content_count; i++)
		add_arg(op, op->contents[i].data, op->contents[i].size);
}

static void start_next(struct redis_queue *queue);

static void finish(struct write_op *op)
{
	struct redis_queue *queue = op->queue;

	queue->line.octets -= op->octets;
	op->done(op->arg, reply_is_none(&op->why) ? NULL : &op->why);
	for (size_t i = 0; i < op->count; i++)
		buffer_release(&op->heads[i]);
	for (size_t i = 0; i < op->content_count; i++)
		free(op->contents[i].owned);
	free(op->heads);
	free(op->contents);
	free(op->numbers);
	free(op->args);
	reply_release(&op->why);
	reply_release(&op->waited);
	free(op);
	start_next(queue);
}

/* A client is told what it can make use of; the log has redis' words. */
static void set_why(struct write_op *op, const struct reply *why)
{
	if (why->code == 452)
		reply_set(&op->why, 452, "4.3.1", "Insufficient system storage");
	else if (storage_is_unknown(why) || reply_is_permanent(why))
		reply_copy(&op->why, why);
	else
		reply_set(&op->why, 451, "4.3.0", "Error queuing message");
}

static void on_taken_back(void *arg, const struct redisReply *reply, const struct reply *why)
{
	struct write_op *op = arg;

	if (why)
		reply_set(&op->why, 451, "4.4.2", "Whether the message could be taken back is not known");
	else
		reply_set(&op->why, 451, "4.3.0", "Error queuing message");
	if (!why && redis_number(reply, 0) < (int64_t)op->count)
		log_warn("queue", "in doubt", LOG_TEXT("id", op->items[0]->id),
			LOG_TEXT("queue", op->queue->storage.context.queue),
			LOG_TEXT("reason", "too few replicas have it, and its delivery had begun"));
	finish(op);
}

/* As if it had never been: it may be written again, which would be lost if its id were known as finished, or if it were
 * marked beside a lease. Who has it by now delivers it, and the client, told to come again, sends a second one. */
static void take_back(struct write_op *op)
{
	struct redis_part *args = xcalloc(DISCARD_BEFORE + 2 * op->count, sizeof(*args));

	args[0] = args[1] = (struct redis_part)REDIS_PART("0");
	args[2] = (struct redis_part)REDIS_PART("");
	for (size_t i = 0; i < op->count; i++) {
		args[DISCARD_BEFORE + 2 * i] = (struct redis_part)REDIS_PART("");
		args[DISCARD_BEFORE + 2 * i + 1] = (struct redis_part){ op->items[i]->id, ID_LENGTH };
	}
	redis_script(op->queue, SCRIPT_DISCARD, args, DISCARD_BEFORE + 2 * op->count, on_taken_back, op);
	free(args);
}

static void on_waited(void *arg, const struct reply *why);

static void conclude(struct write_op *op)
{
	if (--op->pending)
		return;
	if (reply_is_none(&op->why) && op->early) {
		op->early = false;
		op->pending++;
		redis_wait(op->queue, on_waited, op);
	} else if (!reply_is_none(&op->why) || reply_is_none(&op->waited)) {
		finish(op);
	} else if (storage_is_unknown(&op->waited)) {
		reply_set(&op->why, 451, "4.4.2", "Whether replicas have the message is not known");
		finish(op);
	} else {
		take_back(op);
	}
}

static void on_waited(void *arg, const struct reply *why)
{
	struct write_op *op = arg;

	op->early = !op->written;
	if (why)
		reply_copy(&op->waited, why);
	else
		reply_release(&op->waited);
	conclude(op);
}

static void on_written(void *arg, const struct redisReply *reply, const struct reply *why)
{
	struct write_op *op = arg;
	const struct redisReply *result = redis_item(reply, 0);

	op->written = true;
	if (why) {
		set_why(op, why);
	} else if (redis_text_is(result, "ok")) {
		redis_room_counted(op->queue, redis_number(redis_item(reply, 1), 0));
	} else {
		log_error("queue", "another message has this id", LOG_TEXT("id", op->items[0]->id),
			LOG_TEXT("queue", op->queue->storage.context.queue));
		reply_set(&op->why, 451, "4.3.0", "Another message has this id");
	}
	conclude(op);
}

static void write_done(struct task *task)
{
	struct write_op *op = CONTAINER_OF(task, struct write_op, task);

	if (!reply_is_none(&op->why)) {
		finish(op);
		return;
	}
	make_args(op);
	op->pending = op->queue->wait_replicas ? 2 : 1;
	redis_script_large(op->queue, SCRIPT_WRITE, op->args, op->arg_count, on_written, op);
	if (op->queue->wait_replicas)
		redis_wait(op->queue, on_waited, op);
}

/* ---- the line of large ones */

static uint64_t largest_of(const struct write_op *op)
{
	uint64_t largest = 1;

	for (size_t i = 0; i < op->count; i++)
		if (content_size(&op->items[i]->content) > largest)
			largest = content_size(&op->items[i]->content);
	return largest;
}

/* At least one is on its way while others wait. */
static void start_next(struct redis_queue *queue)
{
	struct redis_line *line = &queue->line;
	struct write_op *op;

	while ((op = STAILQ_FIRST(&line->waiting)) && (!line->octets || line->octets + op->octets <= LARGE_AT_ONCE)) {
		STAILQ_REMOVE_HEAD(&line->waiting, next);
		line->octets += op->octets;
		if (queue->usable) {
			tasks_run(&queue->tasks, &op->task);
			continue;
		}
		reply_set(&op->why, 451, "4.3.0", "The storage of the queue is away");
		tasks_soon(&queue->tasks, &op->task);
	}
}

void redis_write(struct storage *storage, struct envelope *const items[], size_t count, int64_t delay_ms,
	storage_done_fn *done, void *arg)
{
	struct write_op *op = xcalloc(1, sizeof(*op));

	*op = (struct write_op){ .queue = (struct redis_queue *)storage, .items = items, .count = count, .delay_ms = delay_ms,
		.done = done, .arg = arg };
	op->bulk_max = op->queue->bulk_max;
	op->query_max = op->queue->query_max;
	op->task.work = write_work;
	op->task.done = write_done;
	op->heads = xcalloc(count + 1, sizeof(*op->heads));
	op->contents = xcalloc(count + 1, sizeof(*op->contents));
	op->numbers = xcalloc(count + 1, sizeof(*op->numbers));
	if (op->queue->usable && !is_small(op)) {
		op->octets = largest_of(op);
		STAILQ_INSERT_TAIL(&op->queue->line.waiting, op, next);
		start_next(op->queue);
		return;
	}
	if (op->queue->usable)
		write_work(&op->task);
	else
		reply_set(&op->why, 451, "4.3.0", "The storage of the queue is away");
	if (reply_is_none(&op->why))
		write_done(&op->task);
	else
		tasks_soon(&op->queue->tasks, &op->task);
}

