/* claim.c - claims from a redis queue: they ask once, then wait for a token, and ask again
 * SPDX-License-Identifier: MIT */
#include <hiredis/hiredis.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/base/clock.h"
#include "common/base/memory.h"
#include "common/queue/redis/work.h"

#define ANSWER_MAX 8388608		/* octets of an answer, about */
#define FAILED_MS 1000			/* until it is asked again, where redis refused */
#define CLAIM_SIZE (ID_SIZE + REDIS_NUMBER_SIZE)

/* The one that waits. */
struct redis_claim {
	size_t max;
	uint64_t max_bytes;
	int64_t lease_ms;
	uint64_t number;
	bool again;			/* an answer may have been lost */
	storage_claimed_fn *done;
	void *arg;
};

/* Its script, under way. */
struct redis_claiming {
	struct redis_queue *queue;
	int64_t asked_boot_ms, lease_ms;
	bool rung;			/* a token came meanwhile */
	struct redis_lease **leases;	/* of its answer */
	size_t count, left;		/* left: marks are being obeyed first */
};

static void claim(struct redis_queue *queue);

static int64_t lease_of(const struct redis_queue *queue, int64_t asked_ms)
{
	return queue->lease_ms ? queue->lease_ms : asked_ms;
}

static void claim_name(const struct redis_work *work, uint64_t number, char name[CLAIM_SIZE])
{
	snprintf(name, CLAIM_SIZE, "%s:%llu", work->tag, (unsigned long long)number);
}

/* ---- the answer */

static void finish_claim(struct redis_queue *queue, struct lease *const leases[], size_t count)
{
	struct redis_claim *one = queue->work->claim;

	queue->work->claim = NULL;
	event_del(queue->work->claim_again);
	one->done(one->arg, leases, count);
	free(one);
}

static void hand_over(struct redis_queue *queue, struct redis_claiming *claiming)
{
	struct redis_work *work = queue->work;
	struct lease **leases = xcalloc(claiming->count, sizeof(struct lease *));

	for (size_t i = 0; i < claiming->count; i++) {
		LIST_INSERT_HEAD(&work->leases, claiming->leases[i], next);
		leases[i] = &claiming->leases[i]->lease;
	}
	finish_claim(queue, leases, claiming->count);
	free((void *)leases);
}

static void claiming_free(struct redis_claiming *claiming)
{
	free((void *)claiming->leases);
	free(claiming);
}

/* It stopped meanwhile: nobody waits for them any more. */
static void give_back(struct redis_queue *queue, struct redis_claiming *claiming)
{
	redis_release_stop(queue, claiming->leases, claiming->count);
	for (size_t i = 0; i < claiming->count; i++)
		redis_lease_free(claiming->leases[i]);
}

static void wait_or_ask(struct redis_queue *queue, bool again)
{
	if (!queue->work->claim)
		return;
	if (again)
		claim(queue);
	else
		redis_bell_wait(queue->work->wake);
}

/* All that came with the answer is ready. Where there was something, though none of it is due, there may be more. */
static void ready(struct redis_claiming *claiming, bool again)
{
	struct redis_queue *queue = claiming->queue;
	struct redis_work *work = queue->work;

	if (!work) {
		for (size_t i = 0; i < claiming->count; i++)
			redis_lease_free(claiming->leases[i]);
		claiming_free(claiming);
		return;
	}
	work->claiming = NULL;
	if (claiming->count && work->claim && !work->stopped)
		hand_over(queue, claiming);
	else if (claiming->count)
		give_back(queue, claiming);
	else
		wait_or_ask(queue, again || claiming->rung);
	/* What that token was about is for others, if nobody asks here. */
	if (claiming->rung && !work->claim)
		redis_sweep_now(queue);
	claiming_free(claiming);
}

static void add(struct redis_claiming *claiming, struct redis_lease *lease)
{
	claiming->leases = xgrow((void *)claiming->leases, claiming->count, sizeof(struct redis_lease *));
	claiming->leases[claiming->count++] = lease;
}

static void on_obeyed(void *arg, struct redis_lease **lease, const struct reply *why)
{
	struct redis_claiming *claiming = arg;
	struct redis_work *work = claiming->queue->work;

	if (!why) {
		add(claiming, *lease);
		*lease = NULL;
	} else if (why->code == 451 && work && work->claim) {
		work->claim->again = true;	/* it may still be ours */
	}
	if (--claiming->left == 0)
		ready(claiming, true);
}

static void set_lease(struct redis_lease *lease, const struct redis_claiming *claiming)
{
	lease->lease.claimed_boot_ms = claiming->asked_boot_ms;
	lease->lease.lease_ms = claiming->lease_ms;
}

/* One by its id. */
struct redis_claim_id {
	LIST_ENTRY(redis_claim_id) next;	/* until redis has answered */
	struct redis_queue *queue;
	char id[ID_SIZE];
	int64_t asked_boot_ms, lease_ms;
	storage_claimed_fn *done;
	storage_done_fn *refused;
	void *arg;
};

/* Answers come in the order in which redis does things: who asked for it by its id takes it anew in a moment, as ours. */
static bool is_asked_for(const struct redis_work *work, const char *id)
{
	const struct redis_claim_id *one;

	LIST_FOREACH(one, &work->claim_ids, next)
		if (strcmp(one->id, id) == 0)
			return true;
	return false;
}

static void read_answer(struct redis_claiming *claiming, const struct redisReply *reply)
{
	struct redis_queue *queue = claiming->queue;
	int64_t now_ms = redis_number(redis_item(reply, 0), 0);

	queue->work->fresh_next = redis_text_is(redis_item(reply, 1), "new");
	if (!redis_number(redis_item(reply, 2), 1))
		redis_sweep_now(queue);
	claiming->left = 1;
	for (size_t i = 3; i < reply->elements; i++) {
		struct redis_lease *lease = redis_lease_read(queue, redis_item(reply, i), now_ms);

		if (!lease)
			continue;
		if (is_asked_for(queue->work, lease->lease.id)) {
			redis_lease_free(lease);
			continue;
		}
		set_lease(lease, claiming);
		if (!lease->record.marks.count && !lease->record.damage) {
			add(claiming, lease);
			continue;
		}
		claiming->left++;
		redis_obey_first(queue, lease, false, on_obeyed, claiming);
	}
	if (--claiming->left == 0)
		ready(claiming, false);
}

static void failed(struct redis_claiming *claiming, const struct reply *why)
{
	struct redis_queue *queue = claiming->queue;
	struct redis_work *work = queue->work;

	if (work) {
		work->claiming = NULL;
		/* What it took, if it did, is found again by its name. */
		if (work->claim && storage_is_unknown(why))
			work->claim->again = true;
		if (work->claim)
			event_add(work->claim_again, &(struct timeval){ .tv_sec = FAILED_MS / 1000 });
	}
	claiming_free(claiming);
}

static void on_claimed(void *arg, const struct redisReply *reply, const struct reply *why)
{
	struct redis_claiming *claiming = arg;
	struct redis_work *work = claiming->queue->work;

	if (why || !work || reply->type != REDIS_REPLY_ARRAY) {
		struct reply none = { 0 };

		if (!why)
			reply_set(&none, 451, "4.3.0", "Redis gave no answer to a claim");
		failed(claiming, why ? why : &none);
		reply_release(&none);
		return;
	}
	if (work->claim)
		work->claim->again = false;
	read_answer(claiming, reply);
}

/* ---- asking */

static void send_claim(struct redis_queue *queue)
{
	struct redis_work *work = queue->work;
	const struct redis_claim *one = work->claim;
	struct redis_claiming *claiming = work->claiming = xcalloc(1, sizeof(*claiming));
	char max[REDIS_NUMBER_SIZE], bytes[REDIS_NUMBER_SIZE], lease_ms[REDIS_NUMBER_SIZE], with[REDIS_NUMBER_SIZE];
	char all[REDIS_NUMBER_SIZE], name[CLAIM_SIZE];

	*claiming = (struct redis_claiming){ .queue = queue, .asked_boot_ms = clock_boot_ms(), .lease_ms = one->lease_ms };
	claim_name(work, one->number, name);
	const struct redis_part args[] = {
		redis_text_part(redis_number_text(max, (int64_t)one->max)),
		redis_text_part(redis_number_text(bytes, (int64_t)one->max_bytes)),
		redis_text_part(redis_number_text(lease_ms, one->lease_ms)),
		redis_text_part(work->owner), redis_text_part(name), redis_text_part(one->again ? "1" : ""),
		redis_text_part(redis_number_text(with, REDIS_CONTENT_WITH)),
		redis_text_part(redis_number_text(all, ANSWER_MAX)),
		redis_text_part(work->fresh_next ? "new" : "deferred"),
	};
	redis_script(queue, SCRIPT_CLAIM, args, ARRAY_SIZE(args), on_claimed, claiming);
}

/* One script at a time: a token that comes meanwhile has it asked once more. */
static void claim(struct redis_queue *queue)
{
	struct redis_work *work = queue->work;

	if (!work->claim || !queue->usable)
		return;
	if (work->claiming)
		work->claiming->rung = true;
	else
		send_claim(queue);
}

/* What the token is about is for somebody else, if nobody waits here: what is due, or that nobody sweeps. */
static void on_rung(void *arg)
{
	struct redis_queue *queue = arg;

	if (queue->work->stopped)
		redis_release_stop(queue, NULL, 0);
	else if (queue->work->claim)
		claim(queue);
	else
		redis_sweep_now(queue);
}

static void on_claim_again(evutil_socket_t fd, short what, void *arg)
{
	struct redis_queue *queue = arg;

	(void)fd;
	(void)what;
	if (!queue->work->claim)
		return;
	if (queue->work->stopped)
		finish_claim(queue, NULL, 0);
	else
		claim(queue);
}

void redis_claim_up(struct redis_queue *queue)
{
	if (!queue->work->stopped)
		claim(queue);
}

void redis_claim_unheard(struct redis_queue *queue)
{
	struct redis_work *work = queue->work;

	if (work->claim && !work->claiming && !work->stopped && !redis_bell_waits(work->wake))
		claim(queue);
}

void redis_claim(struct storage *storage, size_t max, uint64_t max_bytes, int64_t lease_ms, storage_claimed_fn *done, void *arg)
{
	struct redis_queue *queue = (struct redis_queue *)storage;
	struct redis_work *work = queue->work;

	if (work->claim)
		BUG("a second claim of one storage");
	if (!work->claim_again && !(work->claim_again = event_new(storage->context.base, -1, 0, on_claim_again, queue)))
		BUG("no event for a timer");
	work->claim = xcalloc(1, sizeof(*work->claim));
	*work->claim = (struct redis_claim){ .max = max ? max : 1, .max_bytes = max_bytes,
		.lease_ms = lease_of(queue, lease_ms), .number = ++work->claims, .done = done, .arg = arg };
	if (work->stopped) {
		event_active(work->claim_again, EV_TIMEOUT, 0);
		return;
	}
	if (!work->wake)
		work->wake = redis_bell_new(queue, "wake", on_rung, queue);
	redis_sweep_begin(queue, work->claim->lease_ms);
	claim(queue);
}

void redis_stop(struct storage *storage)
{
	struct redis_queue *queue = (struct redis_queue *)storage;
	struct redis_work *work = queue->work;

	if (!work || work->stopped)
		return;
	work->stopped = true;
	if (work->claim)
		event_active(work->claim_again, EV_TIMEOUT, 0);
	if (work->claims)
		redis_release_stop(queue, NULL, 0);
}

void redis_claim_close(struct redis_queue *queue)
{
	if (queue->work->claim)
		finish_claim(queue, NULL, 0);
	if (queue->work->claim_again)
		event_free(queue->work->claim_again);
	queue->work->claim_again = NULL;
}

/* ---- one by its id */

static void refuse(struct redis_claim_id *one, const struct reply *why)
{
	one->refused(one->arg, why);
	free(one);
}

static void refuse_with(struct redis_claim_id *one, unsigned code, const char *status, const char *text, const char *more)
{
	struct reply why = { 0 };

	reply_set(&why, code, status, "%s%s", text, more);
	refuse(one, &why);
	reply_release(&why);
}

static void on_id_obeyed(void *arg, struct redis_lease **lease, const struct reply *why)
{
	struct redis_claim_id *one = arg;
	struct redis_lease *ours;

	if (why || !one->queue->work) {
		if (why)
			refuse(one, why);
		else
			refuse_with(one, 451, "4.3.0", "The storage is closed", "");
		return;
	}
	ours = *lease;
	*lease = NULL;
	LIST_INSERT_HEAD(&one->queue->work->leases, ours, next);
	one->done(one->arg, (struct lease *const[]){ &ours->lease }, 1);
	free(one);
}

static void id_answer(struct redis_claim_id *one, const struct redisReply *reply)
{
	struct redis_lease *lease = redis_lease_read(one->queue, redis_item(reply, 1), redis_number(redis_item(reply, 0), 0));

	if (!lease) {
		refuse_with(one, 550, "5.1.1", "No such message", "");
		return;
	}
	lease->lease.claimed_boot_ms = one->asked_boot_ms;
	lease->lease.lease_ms = one->lease_ms;
	if (lease->record.marks.count || lease->record.damage) {
		redis_obey_first(one->queue, lease, true, on_id_obeyed, one);
		return;
	}
	on_id_obeyed(one, &lease, NULL);
	redis_lease_free(lease);
}

static void on_id_claimed(void *arg, const struct redisReply *reply, const struct reply *why)
{
	struct redis_claim_id *one = arg;

	if (one->queue->work)
		LIST_REMOVE(one, next);
	if (why) {
		refuse(one, why);
	} else if (redis_text_is(redis_item(reply, 0), "none")) {
		refuse_with(one, 550, "5.1.1", "No such message", "");
	} else if (redis_text_is(redis_item(reply, 0), "busy")) {
		const struct redisReply *owner = redis_item(reply, 1);
		bool known = owner->type == REDIS_REPLY_STRING && owner->len;

		refuse_with(one, 450, "4.2.0", known ? "Message is under a lease of " : "Message is under a lease",
			known ? owner->str : "");
	} else {
		id_answer(one, reply);
	}
}

static bool is_ours(const struct redis_work *work, const char *id)
{
	const struct redis_lease *lease;
	const struct redis_op *op;

	LIST_FOREACH(lease, &work->leases, next)
		if (strcmp(lease->lease.id, id) == 0)
			return true;
	TAILQ_FOREACH(op, &work->ops, next)
		if (op->lease && strcmp(op->lease->lease.id, id) == 0)
			return true;
	for (size_t i = 0; work->claiming && i < work->claiming->count; i++)
		if (strcmp(work->claiming->leases[i]->lease.id, id) == 0)
			return true;
	return false;
}

void redis_claim_id(struct storage *storage, const char *id, int64_t lease_ms, storage_claimed_fn *done,
	storage_done_fn *refused, void *arg)
{
	struct redis_queue *queue = (struct redis_queue *)storage;
	struct redis_work *work = queue->work;
	struct redis_claim_id *one;
	struct reply why = { 0 };
	char name[CLAIM_SIZE], lease_text[REDIS_NUMBER_SIZE];

	if (!id_is_valid(id))
		reply_set(&why, 550, "5.1.1", "No such message");
	else if (is_ours(work, id))
		reply_set(&why, 450, "4.2.0", "Message is under a lease of %s", work->owner);
	if (!reply_is_none(&why)) {
		tasks_answer(&queue->tasks, refused, arg, &why);
		reply_release(&why);
		return;
	}
	one = xcalloc(1, sizeof(*one));
	*one = (struct redis_claim_id){ .queue = queue, .asked_boot_ms = clock_boot_ms(), .lease_ms = lease_of(queue, lease_ms),
		.done = done, .refused = refused, .arg = arg };
	memcpy(one->id, id, ID_SIZE);
	LIST_INSERT_HEAD(&work->claim_ids, one, next);
	claim_name(work, ++work->claims, name);
	const struct redis_part args[] = {
		redis_text_part(one->id), redis_text_part(redis_number_text(lease_text, one->lease_ms)),
		redis_text_part(work->owner), redis_text_part(name), redis_text_part(work->tag),
	};
	redis_script(queue, SCRIPT_CLAIM_ID, args, ARRAY_SIZE(args), on_id_claimed, one);
}
