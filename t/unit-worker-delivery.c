/* unit-worker-delivery.c - claim, relay and record against a storage and a relay that do what the test says
 * SPDX-License-Identifier: MIT
 * P19: a message that cannot be read does not stop the queue.
 * The queue's functions are this file's own, so that each of them can fail at will. */
#include "t/lib/tap.h"

#include <event2/event.h>
#include <unistd.h>

#include "common/base/clock.h"
#include "common/base/file.h"
#include "common/base/log.h"
#include "common/base/memory.h"
#include "worker/claims.h"


/* What the queue was asked, and what it answers. */
static struct {
	struct strings calls;
	const char *fail;		/* calls that begin so ... */
	const char *fail_with;		/* ... get this code and status */
	unsigned fail_times;
	bool fails_keep_lease;
	size_t to_claim;		/* messages that a claim may give */
	size_t claimed_at_most;
	struct event *pending;
	storage_claimed_fn *claimed;
	void *claimed_arg;
	int64_t lease_ms;
	struct outcomes done;		/* of the message, at get */
	const char *const *recipients;
} storage;

static struct event_base *base;
static struct counters *counters;
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

static struct lease *new_lease(void)
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

static void end_lease(struct lease *lease)
{
	for (size_t i = 0; i < ARRAY_SIZE(given); i++)
		if (lease && given[i] == lease)
			given[i] = NULL;
	free(lease);
}

static struct envelope *new_envelope(void)
{
	struct envelope *envelope = envelope_new();

	envelope->sender = xstrdup("s@example.org");
	for (size_t i = 0; storage.recipients[i]; i++)
		envelope_add_recipient(envelope, storage.recipients[i]);
	return envelope;
}

static void give_message(const struct answer *answer)
{
	struct envelope *envelope = reply_is_none(&answer->why) ? new_envelope() : NULL;
	struct message_state state = { .attempts = 2 };

	outcomes_merge(&state.done, &storage.done);
	answer->message(answer->arg, envelope ? NULL : &answer->why, &envelope, &state);
	envelope_free(envelope);
	message_state_release(&state);
}

static void give_leases(const struct answer *answer)
{
	struct lease *leases[16];

	for (size_t i = 0; i < answer->count; i++)
		leases[i] = new_lease();
	answer->claimed(answer->arg, leases, answer->count);
}

static void on_answer(evutil_socket_t fd, short what, void *arg)
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

static void answer_soon(struct answer answer, const char *call)
{
	struct answer *soon = xmemdup(&answer, sizeof(answer));

	strings_add(&storage.calls, call);
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
	return attempts * 100000;
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
	answer_soon((struct answer){ .claimed = done, .arg = arg, .count = count }, "claim");
}

void queue_stop(struct queue *queue)
{
	(void)queue;
	if (storage.claimed)
		answer_soon((struct answer){ .claimed = storage.claimed, .arg = storage.claimed_arg }, "stop");
	storage.claimed = NULL;
}

void queue_claim_id(struct queue *queue, const char *id, int64_t lease_ms, storage_claimed_fn *done,
	storage_done_fn *refused, void *arg)
{
	(void)queue;
	(void)id;
	(void)lease_ms;
	answer_soon((struct answer){ .claimed = done, .done = refused, .arg = arg, .count = 1 }, "claim_id");
}

void queue_get(struct queue *queue, struct lease *lease, storage_message_fn *done, void *arg)
{
	(void)queue;
	(void)lease;
	answer_soon((struct answer){ .message = done, .arg = arg }, "get");
}

static void ask(const char *call, struct lease **lease, storage_done_fn *done, void *arg)
{
	bool fails = storage.fail_times && text_has_prefix(call, storage.fail);

	if (lease && !(fails && storage.fails_keep_lease)) {
		end_lease(*lease);
		*lease = NULL;
	}
	answer_soon((struct answer){ .done = done, .arg = arg }, call);
}

void queue_renew(struct queue *queue, struct lease *lease, const struct outcomes *done_so_far, storage_done_fn *done, void *arg)
{
	char *call = xasprintf("renew %zu", done_so_far->count);

	(void)queue;
	(void)lease;
	ask(call, NULL, done, arg);
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
	ask(call, lease, done, arg);
	free(call);
	buffer_release(&reply);
}

void queue_remove(struct queue *queue, struct lease **lease, storage_done_fn *done, void *arg)
{
	(void)queue;
	ask("remove", lease, done, arg);
}

/* ---- the relay: settles by the local part, one recipient a turn of the loop */

struct scripted {
	struct relay relay;
	struct relay_delivery delivery;
	struct event *turn;
	size_t next;
	unsigned under_way, at_most, delivered;
	bool holds;			/* goes on only when told */
};

static void settle(struct scripted *scripted, size_t index)
{
	const char *address = scripted->delivery.envelope->recipients[index].address;
	struct reply reply = { 0 };

	if (text_has_prefix(address, "ok"))
		reply_set(&reply, 250, "2.0.0", "done");
	else if (text_has_prefix(address, "later"))
		reply_set(&reply, 450, NULL, "later");
	else if (text_has_prefix(address, "never"))
		reply_set(&reply, 550, "5.1.1", "never");
	scripted->delivery.settled(scripted->delivery.arg, index, &reply, "there");
	reply_release(&reply);
}

static void on_turn(evutil_socket_t fd, short what, void *arg)
{
	struct scripted *scripted = arg;
	size_t count = scripted->delivery.envelope->recipient_count;

	(void)fd;
	(void)what;
	if (scripted->holds)
		return;
	while (scripted->next < count && outcomes_find(&storage.done, scripted->next))
		scripted->next++;
	if (scripted->next < count) {
		settle(scripted, scripted->next++);
		event_active(scripted->turn, EV_TIMEOUT, 0);
		return;
	}
	scripted->under_way--;
	scripted->delivery.finished(scripted->delivery.arg);
}

static void scripted_deliver(struct relay *relay, const struct relay_delivery *delivery)
{
	struct scripted *scripted = (struct scripted *)relay;

	scripted->delivery = *delivery;
	scripted->next = 0;
	scripted->delivered++;
	if (++scripted->under_way > scripted->at_most)
		scripted->at_most = scripted->under_way;
	event_active(scripted->turn, EV_TIMEOUT, 0);
}

static void scripted_drain(struct relay *relay, int64_t bound_ms)
{
	(void)bound_ms;
	(void)relay;
}

static const struct relay_driver driver = {
	.type = "scripted", .size = sizeof(struct scripted), .deliver = scripted_deliver, .drain = scripted_drain,
};

/* ---- running */

static void on_late(evutil_socket_t fd, short what, void *arg)
{
	(void)fd;
	(void)what;
	*(bool *)arg = true;
}

static void loop_until(const bool *over, int64_t bound_ms)
{
	struct timeval bound = { bound_ms / 1000, bound_ms % 1000 * 1000 };
	bool late = false;
	struct event *timer = event_new(base, -1, 0, on_late, &late);

	event_add(timer, &bound);
	while (!*over && !late)
		event_base_loop(base, EVLOOP_ONCE);
	event_free(timer);
}

static void on_ended(void *arg, struct delivery *delivery)
{
	(void)delivery;
	*(bool *)arg = true;
}

static void set_up(struct scripted *scripted, const char *const *recipients)
{
	strings_release(&storage.calls);
	outcomes_release(&storage.done);
	memset(&storage, 0, sizeof(storage));
	storage.lease_ms = INT64_MAX;
	storage.recipients = recipients;
	*scripted = (struct scripted){ .relay = { .driver = &driver, .name = (char *)"scripted", .capacity = 1 } };
	scripted->turn = event_new(base, -1, 0, on_turn, scripted);
}

static void calls_are(const char *wanted, const char *what)
{
	struct buffer got = { 0 };

	for (size_t i = 0; i < storage.calls.count; i++) {
		buffer_append_str(&got, i ? ", " : "");
		buffer_append_str(&got, storage.calls.items[i]);
	}
	is_str(buffer_str(&got), wanted, what);
	buffer_release(&got);
}

/* Delivers one message; what the storage was asked is `wanted`. */
static void delivery_makes(struct scripted *scripted, const char *wanted, const char *what)
{
	struct delivery_context context = { base, NULL, &scripted->relay, counters };
	struct lease *lease = new_lease();
	bool over = false;

	delivery_begin(&context, &lease, on_ended, &over);
	ok(!lease && !over, "the lease is taken, and nothing called back from within");
	loop_until(&over, 15000);
	ok(over, "it ended");
	calls_are(wanted, what);
	event_free(scripted->turn);
}

#define TO(...) (const char *const[]){ __VA_ARGS__, NULL }

static void results(void)
{
	struct scripted scripted;
	struct reply before = { 0 };

	set_up(&scripted, TO("ok"));
	delivery_makes(&scripted, "get, remove", "delivered: removed");
	is_int(counter_sum(counters, COUNTER_WORKER_DELIVERED), 1, "and counted");

	set_up(&scripted, TO("later"));
	delivery_makes(&scripted, "get, defer 300000 tried 0: 450 4.0.0 later there", "transient: deferred");
	is_int(counter_sum(counters, COUNTER_WORKER_DEFERRED), 1, "and counted");

	set_up(&scripted, TO("never"));
	delivery_makes(&scripted, "get, defer 300000 tried 0: 550 5.1.1 never there",
		"permanent: deferred with its reply while there are no bounces");

	set_up(&scripted, TO("ok1", "later", "ok2", "never"));
	delivery_makes(&scripted, "get, renew 1, renew 2, defer 300000 tried 2: 450 4.0.0 later there",
		"mixed: each delivered one is recorded while the others are under way");

	set_up(&scripted, TO("ok1", "later", "ok2"));
	reply_set(&before, 250, NULL, "before");
	outcomes_add(&storage.done, &(struct outcome){ 0, OUTCOME_DELIVERED, before });
	delivery_makes(&scripted, "get, defer 300000 tried 2: 450 4.0.0 later there",
		"what was delivered before is not tried again");

	set_up(&scripted, TO("ok1"));
	outcomes_add(&storage.done, &(struct outcome){ 0, OUTCOME_DELIVERED, before });
	delivery_makes(&scripted, "get, remove", "all were delivered before: only removed");
	is_int(scripted.delivered, 0, "without the relay");

	set_up(&scripted, TO("untried1", "untried2"));
	delivery_makes(&scripted, "get, defer 0 untried 0: ", "not begun: given back, at no cost");
	set_up(&scripted, TO("ok", "untried"));
	delivery_makes(&scripted, "get, renew 1, defer 0 untried 1: ", "but what was delivered is recorded");
	reply_release(&before);
}

static void failing(struct scripted *scripted, const char *const *recipients, const char *call, const char *with,
	unsigned times, bool keeps)
{
	set_up(scripted, recipients);
	storage.fail = call;
	storage.fail_with = with;
	storage.fail_times = times;
	storage.fails_keep_lease = keeps;
}

static void storage_fails(void)
{
	struct scripted scripted;

	failing(&scripted, TO("ok"), "get", "451 4.3.0", 1, true);
	delivery_makes(&scripted, "get, get, remove", "a fetch that failed is repeated");
	failing(&scripted, TO("ok"), "get", "451 4.3.0", 99, true);
	delivery_makes(&scripted, "get, get, get, get, defer 60000 untried 0: ",
		"what cannot be read does not keep its place for ever");
	failing(&scripted, TO("ok"), "remove", "451 4.3.0", 2, true);
	delivery_makes(&scripted, "get, remove, remove, remove", "so is a removal, as long as it takes");
	failing(&scripted, TO("ok"), "remove", "451 4.3.0", 1, false);
	delivery_makes(&scripted, "get, remove, claim_id, remove", "under a new lease where the old one is gone");
	is_int(scripted.delivered, 1, "and nothing is delivered twice");
	failing(&scripted, TO("later"), "defer", "451 4.3.0", 1, true);
	delivery_makes(&scripted, "get, defer 300000 tried 0: 450 4.0.0 later there, "
		"defer 300000 tried 0: 450 4.0.0 later there", "a deferral too");
	failing(&scripted, TO("ok1", "ok2", "ok3"), "renew", "451 4.3.0", 9, true);
	delivery_makes(&scripted, "get, renew 1, renew 2, remove", "a renewal that fails does not hold up the rest");
	failing(&scripted, TO("ok"), "get", "554 5.6.0", 1, true);
	delivery_makes(&scripted, "get, defer 0 untried 0: ", "a damaged message is let go");
	is_int(scripted.delivered, 0, "untried");
	failing(&scripted, TO("ok"), "remove", "550 5.1.1", 1, false);
	delivery_makes(&scripted, "get, remove", "a removal that can never be done is not repeated");
}

static void lease_is_kept(void)
{
	struct scripted scripted;
	struct delivery_context context = { base, NULL, &scripted.relay, counters };
	struct lease *lease;
	bool over = false;

	set_up(&scripted, TO("ok"));
	storage.lease_ms = 300;
	scripted.holds = true;
	lease = new_lease();
	delivery_begin(&context, &lease, on_ended, &over);
	loop_until(&over, 250);
	calls_are("get, renew 0, renew 0", "at each third of a lease it is renewed");
	scripted.holds = false;
	event_active(scripted.turn, EV_TIMEOUT, 0);
	loop_until(&over, 5000);
	ok(over, "until the message is done");
	event_free(scripted.turn);
}

static void set_true(void *arg)
{
	*(bool *)arg = true;
}

static void claims(void)
{
	struct scripted scripted;
	struct delivery_context context = { base, NULL, &scripted.relay, counters };
	struct claims *all;
	bool never = false, drained = false;

	set_up(&scripted, TO("ok"));
	storage.to_claim = 5;
	all = claims_new(&context);
	loop_until(&never, 200);
	is_int(scripted.delivered, 5, "all that is due is delivered");
	is_int(scripted.at_most, 1, "no more at once than the relay takes");
	is_int(claims_under_way(all), 0, "and then it waits");
	claims_drain(all, 1000, set_true, &drained);
	ok(!drained, "a drain calls back from the loop");
	loop_until(&drained, 2000);
	ok(drained, "and ends");
	claims_free(all);
	event_free(scripted.turn);
}

static void drain_with_a_failing_storage(void)
{
	struct scripted scripted;
	struct delivery_context context = { base, NULL, &scripted.relay, counters };
	struct claims *all;
	bool never = false, drained = false;

	failing(&scripted, TO("ok"), "remove", "451 4.3.0", 99, false);
	storage.to_claim = 1;
	all = claims_new(&context);
	loop_until(&never, 50);
	is_int(claims_under_way(all), 1, "a message that cannot be recorded is kept");
	claims_drain(all, 1000, set_true, &drained);
	loop_until(&drained, 2000);
	ok(drained, "at a drain it is tried once more, and given up");
	calls_are("claim, get, remove, claim_id, remove", "at once");
	claims_free(all);
	event_free(scripted.turn);
}

static void abandoned(void)
{
	struct scripted scripted;
	struct delivery_context context = { base, NULL, &scripted.relay, counters };
	char path[] = "/tmp/slimta-unit-XXXXXX";
	struct buffer log = { 0 };
	struct claims *all;
	bool never = false;
	int fd = mkstemp(path);

	failing(&scripted, TO("ok"), "remove", "451 4.3.0", 99, false);
	storage.to_claim = 1;
	all = claims_new(&context);
	loop_until(&never, 50);
	is_int(log_open("unit", &(struct log_settings){ .level = LOG_LEVEL_INFO, .output = path }), 0, "log opened");
	claims_free(all);
	log_close();
	is_int(fd_read_all(fd, &log, 65536), 0, "and read");
	ok(strstr(buffer_str(&log), " in doubt id="), "a worker that ends at once says what it delivered unrecorded");
	buffer_release(&log);
	fd_close(&fd);
	unlink(path);
	event_free(scripted.turn);
	for (size_t i = 0; i < ARRAY_SIZE(given); i++)
		end_lease(given[i]);
}

int main(void)
{
	base = event_base_new();
	counters = counters_create(0, NULL);
	results();
	storage_fails();
	lease_is_kept();
	claims();
	drain_with_a_failing_storage();
	abandoned();
	is_int(counter_sum(counters, COUNTER_WORKER_ATTEMPTS), 0, "nothing is counted as under way any more");
	strings_release(&storage.calls);
	outcomes_release(&storage.done);
	counters_free(counters);
	event_base_free(base);
	return done_testing();
}
