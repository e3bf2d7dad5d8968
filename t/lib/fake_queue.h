/* fake_queue.h - a queue and a relay that do what a test of deliveries says
 * SPDX-License-Identifier: MIT
 * The queue's functions are defined here, so that each of them can fail, or be the last thing that a worker did. What
 * is recorded of the one message stays; answers come from the loop. */
#ifndef SLIMTA_T_FAKE_QUEUE_H
#define SLIMTA_T_FAKE_QUEUE_H

#include <event2/event.h>
#include <limits.h>
#include <unistd.h>

#include "common/base/clock.h"
#include "common/base/file.h"
#include "common/base/log.h"
#include "common/base/memory.h"
#include "t/lib/loop.h"
#include "t/lib/tap.h"
#include "worker/claims.h"
#include "worker/relay_drivers.h"

#define MAYBE __attribute__((unused)) static
#define TO(...) (const char *const[]){ __VA_ARGS__, NULL }
#define MESSAGE_ID "0jqs8e3c5v0123456789abcdef"

enum cut { CUT_NONE, CUT_BEFORE, CUT_AFTER };	/* the call takes effect, or not; it is never answered */

/* What the queue was asked, and what it answers. */
static struct {
	struct strings calls;
	const char *fail;		/* calls that begin so ... */
	const char *fail_with;		/* ... get this code and status */
	unsigned fail_times;
	bool fails_keep_lease;
	enum cut cut;
	size_t cut_at;			/* this call, from 1 on, is the worker's last */
	bool was_cut;
	size_t to_claim;		/* messages that a claim may give */
	size_t claimed_at_most;
	storage_claimed_fn *claimed;
	void *claimed_arg;
	int64_t lease_ms;
	/* the message */
	struct message_state state;
	bool gone;
	const char *const *recipients;
	const char *sender;
	int64_t set_up_ms;		/* wall clock */
	int64_t age_ms;			/* of the message, then */
	unsigned fickle;		/* how often the fickle one was tried */
	void (*edit)(struct envelope *);	/* NULL: none */
	/* what came in: one entry an id */
	struct strings notified;	/* "ID TO ACTION RECIPIENT..." ... */
	struct strings octets;		/* ... and all of it */
	storage_done_fn *unanswered;	/* of a submission that was cut */
	void *unanswered_arg;
} storage;

static struct event_base *base;
static struct suspended *suspended;	/* what deliveries look at; NULL: nothing is */
#include "t/lib/fake_settings.h"
static struct counters *counters;
static struct pool *pool;
static struct queue_options options;

/* ---- the loop: every answer comes from it */

struct answer {
	struct event *event;
	storage_done_fn *done;
	storage_message_fn *message;
	storage_claimed_fn *claimed;
	void *arg;
	struct reply why;
	size_t count;
};

/* Those given out; at the end of a test the storage would close with what is left. */
static struct lease *given[32];

MAYBE struct lease *new_lease(void)
{
	struct lease *lease = xcalloc(1, sizeof(*lease));
	size_t i = 0;

	while (given[i])
		if (++i == ARRAY_SIZE(given))
			BUG("more leases than a test needs");
	given[i] = lease;

	id_new(lease->id);
	lease->lease_ms = storage.lease_ms;
	lease->claimed_boot_ms = clock_boot_ms();
	return lease;
}

MAYBE void end_lease(struct lease *lease)
{
	for (size_t i = 0; i < ARRAY_SIZE(given); i++)
		if (lease && given[i] == lease)
			given[i] = NULL;
	free(lease);
}

MAYBE struct envelope *new_envelope(void)
{
	struct envelope *envelope = envelope_new();

	memcpy(envelope->id, MESSAGE_ID, ID_SIZE);
	envelope->sender = xstrdup(storage.sender);
	envelope->timestamp_ms = storage.set_up_ms - storage.age_ms;
	for (size_t i = 0; storage.recipients[i]; i++)
		envelope_add_recipient(envelope, storage.recipients[i]);
	buffer_append_str(&envelope->content.memory, "Subject: x\r\n\r\nbody\r\n");
	content_finish(&envelope->content);
	if (storage.edit)
		storage.edit(envelope);
	return envelope;
}

MAYBE void give_message(const struct answer *answer)
{
	struct envelope *envelope = reply_is_none(&answer->why) ? new_envelope() : NULL;
	struct message_state state;

	message_state_copy(&state, &storage.state);
	answer->message(answer->arg, envelope ? NULL : &answer->why, &envelope, &state);
	envelope_free(envelope);
	message_state_release(&state);
}

MAYBE void give_leases(const struct answer *answer)
{
	struct lease *leases[16];

	for (size_t i = 0; i < answer->count; i++)
		leases[i] = new_lease();
	answer->claimed(answer->arg, leases, answer->count);
}

MAYBE void on_answer(evutil_socket_t fd, short what, void *arg)
{
	struct answer *answer = arg;

	(void)fd;
	(void)what;
	if (answer->message)
		give_message(answer);
	else if (answer->claimed)
		give_leases(answer);
	else
		answer->done(answer->arg, reply_is_none(&answer->why) ? NULL : &answer->why);
	event_free(answer->event);
	reply_release(&answer->why);
	free(answer);
}

/* Notes the call. True if it has its effect. */
MAYBE bool takes_effect(const char *call)
{
	strings_add(&storage.calls, call);
	if (storage.cut && storage.calls.count == storage.cut_at) {
		storage.was_cut = true;
		return storage.cut == CUT_AFTER;
	}
	return !(storage.fail_times && text_has_prefix(call, storage.fail));
}

MAYBE void answer_soon(struct answer answer)
{
	const char *call = storage.calls.items[storage.calls.count - 1];
	struct answer *soon;

	if (storage.was_cut)
		return;
	soon = xmemdup(&answer, sizeof(answer));
	if (storage.fail_times && text_has_prefix(call, storage.fail)) {
		storage.fail_times--;
		reply_set(&soon->why, (unsigned)atoi(storage.fail_with), storage.fail_with + 4, "as the test wants");
		if (soon->claimed && soon->done)
			soon->claimed = NULL;
	}
	soon->event = event_new(base, -1, 0, on_answer, soon);
	event_active(soon->event, EV_TIMEOUT, 0);
}

/* ---- the queue */

struct queue;

const char *queue_name(const struct queue *queue)
{
	(void)queue;
	return "test";
}

const struct queue_options *queue_options(const struct queue *queue)
{
	(void)queue;
	return &options;
}

int64_t queue_retry_delay_ms(const struct queue *queue, unsigned attempts)
{
	(void)queue;
	return (int64_t)attempts * 100000;
}

void queue_claim(struct queue *queue, size_t max, uint64_t max_bytes, int64_t lease_ms, storage_claimed_fn *done, void *arg)
{
	size_t count = storage.to_claim < max ? storage.to_claim : max;

	(void)queue;
	(void)max_bytes;
	(void)lease_ms;
	if (!count) {
		storage.claimed = done;
		storage.claimed_arg = arg;
		return;
	}
	storage.to_claim -= count;
	storage.claimed_at_most = count > storage.claimed_at_most ? count : storage.claimed_at_most;
	takes_effect("claim");
	answer_soon((struct answer){ .claimed = done, .arg = arg, .count = count });
}

void queue_stop(struct queue *queue)
{
	(void)queue;
	if (storage.claimed) {
		takes_effect("stop");
		answer_soon((struct answer){ .claimed = storage.claimed, .arg = storage.claimed_arg });
	}
	storage.claimed = NULL;
}

void queue_claim_id(struct queue *queue, const char *id, int64_t lease_ms, storage_claimed_fn *done,
	storage_done_fn *refused, void *arg)
{
	(void)queue;
	(void)id;
	(void)lease_ms;
	takes_effect("claim_id");
	answer_soon((struct answer){ .claimed = done, .done = refused, .arg = arg, .count = 1 });
}

void queue_get(struct queue *queue, struct lease *lease, storage_message_fn *done, void *arg)
{
	(void)queue;
	(void)lease;
	takes_effect("get");
	answer_soon((struct answer){ .message = done, .arg = arg });
}

MAYBE void let_go(const char *call, struct lease **lease)
{
	if (storage.fails_keep_lease && storage.fail_times && text_has_prefix(call, storage.fail))
		return;
	end_lease(*lease);
	*lease = NULL;
}

void queue_renew(struct queue *queue, struct lease *lease, const struct outcomes *done_so_far, storage_done_fn *done, void *arg)
{
	char *call = xasprintf("renew %zu", done_so_far->count);

	(void)queue;
	(void)lease;
	if (takes_effect(call))
		outcomes_merge(&storage.state.done, done_so_far);
	answer_soon((struct answer){ .done = done, .arg = arg });
	free(call);
}

void queue_defer(struct queue *queue, struct lease **lease, int64_t delay_ms, bool attempted,
	const struct outcomes *done_so_far, const struct attempt *attempt, storage_done_fn *done, void *arg)
{
	struct buffer reply = { 0 };
	char *call;

	(void)queue;
	if (attempt)
		reply_append(&attempt->reply, &reply);
	call = xasprintf("defer %lld %s %zu: %s%s%s", (long long)delay_ms, attempted ? "tried" : "untried",
		done_so_far->count, buffer_str(&reply), attempt ? " " : "", attempt ? attempt->host : "");
	if (takes_effect(call)) {
		outcomes_merge(&storage.state.done, done_so_far);
		message_state_defer(&storage.state, attempted, attempt);
	}
	let_go(call, lease);
	answer_soon((struct answer){ .done = done, .arg = arg });
	free(call);
	buffer_release(&reply);
}

/* A wait of less than a quarter of an hour in seconds. */
void queue_put_aside(struct queue *queue, struct lease **lease, int64_t delay_ms, unsigned group,
	const struct outcomes *done_so_far, storage_done_fn *done, void *arg)
{
	char *wait = delay_ms < 900000 ? xasprintf("%llds", (long long)(delay_ms + 500) / 1000) : xstrdup("long");
	char *call = xasprintf("aside %s %s %zu", wait, group == ASIDE_SEVERAL ? "several" : "one", done_so_far->count);

	(void)queue;
	if (takes_effect(call))
		outcomes_merge(&storage.state.done, done_so_far);
	let_go(call, lease);
	answer_soon((struct answer){ .done = done, .arg = arg });
	free(call);
	free(wait);
}

void queue_recall(struct queue *queue, unsigned group)
{
	(void)queue;
	(void)group;
	takes_effect("recall");
}

void queue_remove(struct queue *queue, struct lease **lease, storage_done_fn *done, void *arg)
{
	(void)queue;
	if (takes_effect("remove"))
		storage.gone = true;
	let_go("remove", lease);
	answer_soon((struct answer){ .done = done, .arg = arg });
}

void queue_mark(struct queue *queue, const char *id, enum mark mark, const char *reason, storage_done_fn *done, void *arg)
{
	char *call = xasprintf("mark %d %s", (int)mark, reason ? reason : "");

	(void)queue;
	(void)id;
	takes_effect(call);
	answer_soon((struct answer){ .done = done, .arg = arg });
	free(call);
}

/* Its action, and whom it is about, by the second part. */
MAYBE void describe(const struct envelope *notification, struct buffer *out)
{
	const char *text = buffer_str(&notification->content.memory), *at = strstr(text, "\r\nAction: ");

	buffer_appendf(out, "%s %s", notification->id, notification->recipients[0].address);
	if (at)
		buffer_appendf(out, " %.*s", (int)strcspn(at + 10, "\r"), at + 10);
	for (at = text; (at = strstr(at, "\r\nFinal-Recipient: rfc822; ")); at += 27)
		buffer_appendf(out, " %.*s", (int)strcspn(at + 27, "\r"), at + 27);
}

/* As a storage does: an id that is there is not there twice, and has the same content. */
MAYBE void take_in(const struct envelope *notification)
{
	struct buffer text = { 0 };

	describe(notification, &text);
	for (size_t i = 0; i < storage.notified.count; i++) {
		if (strncmp(storage.notified.items[i], buffer_str(&text), ID_LENGTH) != 0)
			continue;
		if (strcmp(storage.octets.items[i], buffer_str(&notification->content.memory)) != 0)
			is_str(buffer_str(&notification->content.memory), storage.octets.items[i],
				"a repeated notification is the same");
		buffer_release(&text);
		return;
	}
	strings_add(&storage.notified, buffer_str(&text));
	strings_add(&storage.octets, buffer_str(&notification->content.memory));
	buffer_release(&text);
}

void queue_submit(struct queue *queue, struct envelope **envelope, storage_done_fn *done, void *arg)
{
	(void)queue;
	if (takes_effect("submit"))
		take_in(*envelope);
	envelope_free(*envelope);
	*envelope = NULL;
	if (storage.was_cut) {
		storage.unanswered = done;
		storage.unanswered_arg = arg;
	}
	answer_soon((struct answer){ .done = done, .arg = arg });
}

/* ---- the relay: settles by the local part, one recipient a turn of the loop. A part "script-..." has a letter for each
 * attempt: o delivered, P delivered where its sender is told, l later, n never, F a full line for 5 s, G for 40 s, anything
 * else untried; the last one stays. "fickle-...": never, and delivered when
 * it is asked again. */

struct scripted {
	struct relay relay;
	struct relay_delivery delivery;
	struct event *turn;
	size_t next;
	unsigned under_way, at_most, delivered;
	bool holds;			/* goes on only when told */
	void (*settled)(size_t index, char how);	/* NULL: nobody wants to know */
};

MAYBE char how_it_goes(const char *address)
{
	size_t prefix = strlen("script-"), count, at = storage.state.attempts;

	if (text_has_prefix(address, "fickle-"))
		return storage.fickle++ ? 'o' : 'n';
	if (!text_has_prefix(address, "script-"))
		return address[0];
	count = strcspn(address + prefix, "@");
	return address[prefix + (at < count ? at : count - 1)];
}

MAYBE void settle(struct scripted *scripted, size_t index)
{
	char how = how_it_goes(scripted->delivery.envelope->recipients[index].address);
	struct reply reply = { 0 };

	if (how == 'o' || how == 'P')
		reply_set(&reply, 250, "2.0.0", "done");
	else if (how == 'l')
		reply_set(&reply, 450, NULL, "later");
	else if (how == 'n')
		reply_set(&reply, 550, "5.1.1", "never");
	if (scripted->settled)
		scripted->settled(index, how);
	scripted->delivery.settled(scripted->delivery.arg, index, &(struct relay_result){ .reply = &reply, .host = "there",
		.tls = "TLSv1.3", .dsn_passed_on = how == 'P', .later_ms = how == 'F' ? 5000 : how == 'G' ? 40000 : 0 });
	reply_release(&reply);
}

MAYBE void on_turn(evutil_socket_t fd, short what, void *arg)
{
	struct scripted *scripted = arg;
	size_t count = scripted->delivery.envelope->recipient_count;

	(void)fd;
	(void)what;
	if (scripted->holds)
		return;
	while (scripted->next < count && !relay_is_open(&scripted->delivery, scripted->next))
		scripted->next++;
	if (scripted->next < count) {
		settle(scripted, scripted->next++);
		event_active(scripted->turn, EV_TIMEOUT, 0);
		return;
	}
	scripted->under_way--;
	scripted->delivery.finished(scripted->delivery.arg);
}

MAYBE void scripted_deliver(struct relay *relay, const struct relay_delivery *delivery)
{
	struct scripted *scripted = (struct scripted *)relay;

	scripted->delivery = *delivery;
	scripted->next = 0;
	scripted->delivered++;
	if (++scripted->under_way > scripted->at_most)
		scripted->at_most = scripted->under_way;
	event_active(scripted->turn, EV_TIMEOUT, 0);
}

MAYBE void scripted_drain(struct relay *relay, int64_t bound_ms)
{
	(void)bound_ms;
	(void)relay;
}

static const struct relay_driver scripted_driver = {
	.type = "scripted", .size = sizeof(struct scripted), .is_final = true, .deliver = scripted_deliver,
	.drain = scripted_drain,
};

/* ---- running */

MAYBE void loop_until(const bool *over, int64_t bound_ms)
{
	LOOP_UNTIL(base, *over, bound_ms);
}

MAYBE void on_ended(void *arg, struct delivery *delivery)
{
	(void)delivery;
	*(bool *)arg = true;
}

MAYBE void storage_release(void)
{
	strings_release(&storage.calls);
	strings_release(&storage.notified);
	strings_release(&storage.octets);
	message_state_release(&storage.state);
	memset(&storage, 0, sizeof(storage));
	memset(&fake_settings, 0, sizeof(fake_settings));
}

/* A new message, tried twice before; it is tried as often as it takes. */
MAYBE void set_up(struct scripted *scripted, const char *const *recipients)
{
	storage_release();
	options = (struct queue_options){ .retry.maximum = UINT_MAX, .bounce_size_limit = 51200 };
	storage.lease_ms = INT64_MAX;
	storage.set_up_ms = clock_wall_ms();
	storage.recipients = recipients;
	storage.sender = "s@example.org";
	storage.state.attempts = 2;
	*scripted = (struct scripted){ .relay = { .driver = &scripted_driver, .name = (char *)"scripted", .capacity = 1 } };
	scripted->turn = event_new(base, -1, 0, on_turn, scripted);
}

MAYBE struct delivery_context context_of(struct scripted *scripted)
{
	return (struct delivery_context){ .base = base, .relay = &scripted->relay, .counters = counters, .disk = pool,
		.hostname = "mx.example", .suspended = suspended };
}

MAYBE void calls_are(const char *wanted, const char *what)
{
	struct buffer got = { 0 };

	for (size_t i = 0; i < storage.calls.count; i++) {
		buffer_append_str(&got, i ? ", " : "");
		buffer_append_str(&got, storage.calls.items[i]);
	}
	is_str(buffer_str(&got), wanted, what);
	buffer_release(&got);
}

/* One life of a worker with the message, to its end or to where it is cut. */
MAYBE void deliver(struct scripted *scripted)
{
	struct delivery_context context = context_of(scripted);
	struct lease *lease = new_lease();
	struct delivery *delivery;
	bool over = false;

	delivery = delivery_begin(&context, &lease, on_ended, &over);
	if (lease || over)
		BUG("the lease is taken, and nothing called back from within");
	while (!over && !storage.was_cut)
		event_base_loop(base, EVLOOP_ONCE);
	if (over)
		return;
	event_del(scripted->turn);
	delivery_stop(delivery);
	if (storage.unanswered)
		storage.unanswered(storage.unanswered_arg, &(struct reply){ .code = 451, .subject = 3 });
	storage.unanswered = NULL;
	delivery_abandon(delivery);
	for (size_t i = 0; i < ARRAY_SIZE(given); i++)
		end_lease(given[i]);
}

/* Delivers one message; what the storage was asked is `wanted`. */
MAYBE void delivery_makes(struct scripted *scripted, const char *wanted, const char *what)
{
	deliver(scripted);
	calls_are(wanted, what);
	event_free(scripted->turn);
}

/* By its next owner. */
MAYBE void next_delivery_makes(struct scripted *scripted, const char *wanted, const char *what)
{
	strings_release(&storage.calls);
	scripted->turn = event_new(base, -1, 0, on_turn, scripted);
	delivery_makes(scripted, wanted, what);
}

MAYBE void failing(struct scripted *scripted, const char *const *recipients, const char *call, const char *with,
	unsigned times, bool keeps)
{
	set_up(scripted, recipients);
	storage.fail = call;
	storage.fail_with = with;
	storage.fail_times = times;
	storage.fails_keep_lease = keeps;
}

MAYBE void fake_open(void)
{
	base = event_base_new();
	counters = counters_create(0, NULL);
	pool = pool_new(base, "disk", 1);
}

MAYBE void fake_close(void)
{
	storage_release();
	pool_free(pool);
	counters_free(counters);
	event_base_free(base);
}

#endif
