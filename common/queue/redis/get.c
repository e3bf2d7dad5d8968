/* get.c - the message under a lease of a redis queue
 * SPDX-License-Identifier: MIT */
#include <hiredis/hiredis.h>
#include <stdlib.h>
#include <string.h>

#include "common/base/clock.h"
#include "common/base/log.h"
#include "common/base/memory.h"
#include "common/queue/redis/work.h"

struct get {
	struct task task;
	struct redis_queue *queue;
	struct redis_lease *lease;	/* of who asks, who keeps it until the answer */
	struct buffer head;
	void *octets;
	uint64_t size;
	struct envelope *envelope;
	enum stored_result result;
	const char *damage;
	storage_message_fn *done;
	void *arg;
};

static void get_free(struct get *get)
{
	envelope_free(get->envelope);
	buffer_release(&get->head);
	free(get->octets);
	free(get);
}

static void refuse(struct get *get, const struct reply *why)
{
	get->done(get->arg, why, NULL, NULL);
	get_free(get);
}

static void refuse_with(struct get *get, unsigned code, const char *status, const char *text)
{
	struct reply why = { 0 };

	reply_set(&why, code, status, "%s", text);
	refuse(get, &why);
	reply_release(&why);
}

/* What redis knows of it or not: our defer says it again. */
static void on_held(void *arg, const struct reply *why)
{
	struct get *get = arg;

	(void)why;
	refuse_with(get, 554, "5.6.0", "Message is damaged");
}

static void hold(struct get *get)
{
	struct redis_lease *lease = get->lease;

	log_error("queue", "damaged message held", LOG_TEXT("id", lease->lease.id),
		LOG_TEXT("queue", get->queue->storage.context.queue), LOG_TEXT("why", get->damage));
	xstrset(&lease->record.state.held, "damaged");
	lease->damaged = lease->dirty = true;
	redis_renew(&get->queue->storage, &lease->lease, NULL, on_held, get);
}

static void give(struct get *get)
{
	const struct redis_lease *lease = get->lease;
	struct message_state state;

	message_state_copy(&state, &lease->record.state);
	state.due_in_ms = lease->record.due_ms ? lease->record.due_ms - redis_lease_now_ms(lease) : 0;
	get->done(get->arg, NULL, &get->envelope, &state);
	message_state_release(&state);
	get_free(get);
}

static void decode(struct task *task)
{
	struct get *get = (struct get *)task;

	get->result = redis_decode(&get->head, get->octets, get->size, &get->envelope, &get->damage);
}

static void decoded(struct task *task)
{
	struct get *get = (struct get *)task;

	if (!get->queue->work)
		refuse_with(get, 451, "4.3.0", "The storage is closed");
	else if (get->result == STORED_OK)
		give(get);
	else if (get->result == STORED_DAMAGED)
		hold(get);
	else if (get->result == STORED_FOREIGN)
		refuse_with(get, 451, "4.3.0", "Message is of another version");
	else
		refuse_with(get, 451, "4.3.0", "Message cannot be read now");
}

static void on_fetched(void *arg, const struct redisReply *reply, const struct reply *why)
{
	struct get *get = arg;
	const struct redisReply *head = redis_item(reply, 0), *octets = redis_item(reply, 1);
	bool whole = head->type == REDIS_REPLY_STRING && octets->type == REDIS_REPLY_STRING;
	struct reply refused = { 0 };

	if (reply && reply->type == REDIS_REPLY_ERROR) {
		redis_error_reply(reply, &refused);
		why = &refused;
	}
	if (why) {
		refuse(get, why);
		reply_release(&refused);
		return;
	}
	if (!whole && redis_item(reply, 2)->type == REDIS_REPLY_NIL) {
		refuse_with(get, 550, "5.1.1", "No such message");
		return;
	}
	if (!whole) {
		get->damage = "its head or its content is missing";
		hold(get);
		return;
	}
	buffer_append(&get->head, head->str, (size_t)head->len);
	get->size = (uint64_t)octets->len;
	get->octets = xmemdup(octets->str, (size_t)octets->len);
	tasks_run(&get->queue->tasks, &get->task);
}

void redis_get(struct storage *storage, struct lease *lease, storage_message_fn *done, void *arg)
{
	struct redis_queue *queue = (struct redis_queue *)storage;
	struct redis_lease *ours = (struct redis_lease *)lease;
	struct get *get = xcalloc(1, sizeof(*get));
	char *key;

	*get = (struct get){ .task = { .work = decode, .done = decoded }, .queue = queue, .lease = ours, .done = done,
		.arg = arg };
	if (ours->octets) {
		get->head = ours->record.head;
		ours->record.head = (struct buffer){ 0 };
		get->octets = ours->octets;
		get->size = ours->record.octets;
		ours->octets = NULL;
		tasks_run(&queue->tasks, &get->task);
		return;
	}
	buffer_release(&ours->record.head);
	key = xasprintf("%s%s", queue->prefix, lease->id);
	const struct redis_part command[] = { REDIS_PART("HMGET"), redis_text_part(key), REDIS_PART("head"),
		REDIS_PART("octets"), REDIS_PART("place") };
	redis_send(queue->redis, command, ARRAY_SIZE(command), 0, on_fetched, get);
	free(key);
}
