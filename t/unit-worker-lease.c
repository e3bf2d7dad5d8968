/* unit-worker-lease.c - a lease that ends, and the step that cannot be taken back; suspects alone; what was left behind
 * SPDX-License-Identifier: MIT
 * The queue's functions are this file's own: leases are as short as a test wants them. */
#include "t/lib/tap.h"

#include <event2/event.h>
#include <fcntl.h>
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#include "common/base/clock.h"
#include "common/base/memory.h"
#include "worker/claims.h"
#include "worker/deaths.h"
#include "t/lib/loop.h"

static struct event_base *base;
static struct counters *counters;
static struct queue_options options;
static char dir[] = "/tmp/slimta-unit-XXXXXX";

/* ---- the queue: each call is written down; an answer is "" for success, or a reply */

static struct {
	struct buffer calls;
	const char *renewals;		/* of renew, a word each, the last one stays: "ok", "lost", "away" */
	const char *marks;		/* likewise of mark: "ok", "away", "gone", "none" */
	bool lost;			/* a renewal was refused */
	int64_t lease_ms;
	const char *to_claim;		/* what the next claim gives, a letter each: 's'uspect or not */
	storage_claimed_fn *claimed;
	void *claimed_arg;
	unsigned under_way, most, most_alone;
} storage;

struct answer {
	storage_done_fn *done;
	void *arg;
	struct reply why;
};

static void on_answer(evutil_socket_t fd, short what, void *arg)
{
	struct answer *answer = arg;

	(void)fd;
	(void)what;
	answer->done(answer->arg, reply_is_none(&answer->why) ? NULL : &answer->why);
	reply_release(&answer->why);
	free(answer);
}

static void soon(event_callback_fn fn, void *arg)
{
	event_base_once(base, -1, EV_TIMEOUT, fn, arg, &(struct timeval){ 0, 1000 });
}

static const char *next_word(const char **words)
{
	const char *word = *words, *space = word ? strchr(word, ' ') : NULL;

	if (space)
		*words = space + 1;
	return word ? word : "ok";
}

static void answer_as(const char *word, storage_done_fn *done, void *arg)
{
	struct answer *answer = xcalloc(1, sizeof(*answer));

	*answer = (struct answer){ .done = done, .arg = arg };
	if (text_has_prefix(word, "lost"))
		reply_set(&answer->why, 450, "4.2.0", "Lease is lost");
	if (text_has_prefix(word, "away"))
		reply_set(&answer->why, 451, "4.3.0", "Away");
	if (text_has_prefix(word, "gone"))
		reply_set(&answer->why, 550, "5.1.1", "No such message");
	if (text_has_prefix(word, "none"))
		reply_set(&answer->why, 502, "5.3.3", "No marks");
	soon(on_answer, answer);
}

static void note(const char *call)
{
	buffer_appendf(&storage.calls, "%s%s", storage.calls.size ? " " : "", call);
}

const char *queue_name(const struct queue *queue)
{
	(void)queue;
	return "q";
}

const struct queue_options *queue_options(const struct queue *queue)
{
	(void)queue;
	return &options;
}

int64_t queue_retry_delay_ms(const struct queue *queue, unsigned attempts)
{
	(void)queue;
	return attempts;
}

static void on_claim(evutil_socket_t fd, short what, void *arg)
{
	const char *letters = storage.to_claim;
	struct lease *leases[16];
	size_t count = 0;

	(void)fd;
	(void)what;
	(void)arg;
	storage.to_claim = NULL;
	for (; letters && letters[count]; count++) {
		leases[count] = xcalloc(1, sizeof(struct lease));
		id_new(leases[count]->id);
		leases[count]->suspect = letters[count] == 's';
		leases[count]->lease_ms = storage.lease_ms;
		leases[count]->claimed_boot_ms = clock_boot_ms();
	}
	storage.claimed(storage.claimed_arg, leases, count);
}

void queue_claim(struct queue *queue, size_t max, uint64_t max_bytes, int64_t lease_ms, storage_claimed_fn *done, void *arg)
{
	(void)queue;
	(void)max;
	(void)max_bytes;
	(void)lease_ms;
	note("claim");
	storage.claimed = done;
	storage.claimed_arg = arg;
	if (storage.to_claim)
		soon(on_claim, NULL);
}

void queue_stop(struct queue *queue)
{
	(void)queue;
	if (storage.claimed && !storage.to_claim)
		soon(on_claim, NULL);
}

void queue_claim_id(struct queue *queue, const char *id, int64_t lease_ms, storage_claimed_fn *done,
	storage_done_fn *refused, void *arg)
{
	(void)queue;
	(void)id;
	(void)lease_ms;
	(void)done;
	note("claim_id");
	answer_as("lost", refused, arg);
}

struct got {
	storage_message_fn *done;
	void *arg;
};

static void on_get(evutil_socket_t fd, short what, void *arg)
{
	struct got *got = arg;
	struct envelope *envelope = envelope_new();
	struct message_state state = { 0 };

	(void)fd;
	(void)what;
	envelope->sender = xstrdup("s@example.org");
	envelope_add_recipient(envelope, "r@example.net");
	got->done(got->arg, NULL, &envelope, &state);
	free(got);
}

void queue_get(struct queue *queue, struct lease *lease, storage_message_fn *done, void *arg)
{
	struct got got = { done, arg };

	(void)queue;
	(void)lease;
	soon(on_get, xmemdup(&got, sizeof(got)));
}

void queue_renew(struct queue *queue, struct lease *lease, const struct outcomes *done_so_far, storage_done_fn *done, void *arg)
{
	(void)queue;
	(void)lease;
	note(done_so_far->count ? "renew+1" : "renew");
	storage.lost = text_has_prefix(storage.renewals, "lost");
	answer_as(next_word(&storage.renewals), done, arg);
}

void queue_defer(struct queue *queue, struct lease **lease, int64_t delay_ms, bool attempted,
	const struct outcomes *done_so_far, const struct attempt *attempt, storage_done_fn *done, void *arg)
{
	(void)queue;
	(void)delay_ms;
	(void)done_so_far;
	(void)attempt;
	free(*lease);
	*lease = NULL;
	note(attempted ? "defer" : "untried");
	answer_as(storage.lost ? "lost" : "ok", done, arg);
}

/* No destination is suspended. */
void queue_put_aside(struct queue *queue, struct lease **lease, int64_t delay_ms, unsigned group,
	const struct outcomes *done_so_far, storage_done_fn *done, void *arg)
{
	(void)group;
	queue_defer(queue, lease, delay_ms, false, done_so_far, NULL, done, arg);
}

void queue_recall(struct queue *queue, unsigned group)
{
	(void)queue;
	(void)group;
}

void queue_settings(struct queue *queue, storage_settings_fn *done, void *arg)
{
	(void)queue;
	(void)done;
	(void)arg;
}

void queue_remove(struct queue *queue, struct lease **lease, storage_done_fn *done, void *arg)
{
	(void)queue;
	free(*lease);
	*lease = NULL;
	note("remove");
	answer_as(storage.lost ? "lost" : "ok", done, arg);
}

void queue_mark(struct queue *queue, const char *id, enum mark mark, const char *reason, storage_done_fn *done, void *arg)
{
	(void)queue;
	(void)reason;
	(void)id;
	note(mark == MARK_STRIKE ? "strike" : mark == MARK_SUSPECT ? "suspect" : "?");
	answer_as(next_word(&storage.marks), done, arg);
}

/* ---- a relay that asks before it delivers, if it is told to go on */

struct asking {
	struct relay relay;
	struct relay_delivery delivery;
	unsigned asked, sent, delivered;
	int64_t takes_ms;		/* from the question to the result */
	struct event *sending;
};

static void settle(struct relay_delivery *delivery, bool delivered)
{
	struct reply reply = { 0 };

	if (delivered)
		reply_set(&reply, 250, "2.0.0", "done");
	storage.under_way--;
	delivery->settled(delivery->arg, 0, RELAY_RESULT(&reply, "there"));
	delivery->finished(delivery->arg);
	reply_release(&reply);
}

static void on_sent(evutil_socket_t fd, short what, void *arg)
{
	struct asking *asking = arg;

	(void)fd;
	(void)what;
	settle(&asking->delivery, true);
}

static void on_go(void *arg, enum relay_go go)
{
	struct asking *asking = arg;

	if (go != RELAY_GO) {
		settle(&asking->delivery, false);
		return;
	}
	asking->sent++;
	event_add(asking->sending, &(struct timeval){ asking->takes_ms / 1000, asking->takes_ms % 1000 * 1000 });
}

static void on_deliver(evutil_socket_t fd, short what, void *arg)
{
	struct asking *asking = arg;
	enum relay_go go;

	(void)fd;
	(void)what;
	asking->asked++;
	go = asking->delivery.commit(asking->delivery.arg, on_go, asking);
	if (go != RELAY_WAIT)
		on_go(asking, go);
}

static void asking_deliver(struct relay *relay, const struct relay_delivery *delivery)
{
	struct asking *asking = (struct asking *)relay;

	asking->delivery = *delivery;
	asking->delivered++;
	storage.under_way++;
	soon(on_deliver, asking);
}

static void asking_drain(struct relay *relay, int64_t bound_ms)
{
	(void)relay;
	(void)bound_ms;
}

static const struct relay_driver driver = {
	.type = "asking", .size = sizeof(struct asking), .deliver = asking_deliver, .drain = asking_drain,
};

/* ---- running */

static void set_true(void *arg)
{
	*(bool *)arg = true;
}

static void loop_until(const bool *over, int64_t bound_ms)
{
	LOOP_UNTIL(base, *over, bound_ms);
}

static void set_up(struct asking *asking, int64_t lease_ms, const char *renewals)
{
	buffer_release(&storage.calls);
	memset(&storage, 0, sizeof(storage));
	storage.lease_ms = lease_ms;
	storage.renewals = renewals;
	*asking = (struct asking){ .relay = { .driver = &driver, .name = (char *)"asking", .capacity = 16 } };
	asking->sending = event_new(base, -1, 0, on_sent, asking);
}

static void on_ended(void *arg, struct delivery *delivery)
{
	(void)delivery;
	*(bool *)arg = true;
}

static void deliver(struct asking *asking, const char *calls, unsigned sent, const char *what)
{
	struct delivery_context context = { .base = base, .relay = &asking->relay, .counters = counters };
	struct lease *lease = xcalloc(1, sizeof(*lease));
	bool over = false;

	id_new(lease->id);
	lease->lease_ms = storage.lease_ms;
	lease->claimed_boot_ms = clock_boot_ms();
	delivery_begin(&context, &lease, on_ended, &over);
	loop_until(&over, 15000);
	ok(over, "it ended");
	is_str(buffer_str(&storage.calls), calls, what);
	is_int(asking->asked, 1, "asked once");
	is_int(asking->sent, sent, sent ? "and sent" : "and not sent");
	event_free(asking->sending);
}

static void last_step(void)
{
	struct asking asking;

	set_up(&asking, INT64_MAX, "lost");
	deliver(&asking, "remove", 1, "a lease for life is never asked for");
	set_up(&asking, 3600000, "lost");
	deliver(&asking, "remove", 1, "nor is one that lasts long enough");
	set_up(&asking, 12000, "ok");
	asking.relay.step_ms = 5000;
	deliver(&asking, "renew remove", 1, "one that lasts less than the step and 10 s is renewed first");
	set_up(&asking, 12000, "lost");
	asking.relay.step_ms = 5000;
	deliver(&asking, "renew untried claim_id", 0, "where it is lost nothing is sent");
	set_up(&asking, 12000, "away");
	asking.relay.step_ms = 5000;
	deliver(&asking, "renew remove", 1, "a storage that is away stops nobody whose lease outlives the step");
	set_up(&asking, 2000, "away");
	asking.relay.step_ms = 5000;
	deliver(&asking, "renew untried", 0, "but one that does not");
	set_up(&asking, 2000, "ok");
	asking.relay.step_ms = 5000;
	deliver(&asking, "renew untried", 0, "a lease that is shorter than the step cannot be used");
	set_up(&asking, 2400, "lost");
	asking.takes_ms = 1500;
	storage.renewals = "ok lost";
	deliver(&asking, "renew renew renew+1 remove claim_id", 1, "one that is lost behind the dot: its result is recorded");
}

/* A storage that is away when a result is to be recorded beside a lost lease is not asked without a pause, nor for ever. */
static void lost_and_away(void)
{
	struct asking asking;
	struct delivery_context context = { .base = base, .relay = &asking.relay, .counters = counters };
	struct lease *lease = xcalloc(1, sizeof(*lease)), *kept = lease;
	struct delivery *delivery;
	int64_t began_ms = clock_boot_ms();
	bool over = false;

	set_up(&asking, 2400, "ok lost away");
	asking.takes_ms = 1500;
	id_new(lease->id);
	lease->lease_ms = storage.lease_ms;
	lease->claimed_boot_ms = clock_boot_ms();
	delivery = delivery_begin(&context, &lease, on_ended, &over);
	LOOP_UNTIL(base, over || text_has_suffix(buffer_str(&storage.calls), "renew+1 renew+1 renew+1"), 15000);
	ok(!over && storage.calls.size < 60, "it is asked again: %s", buffer_str(&storage.calls));
	ok(clock_boot_ms() - began_ms >= asking.takes_ms + 500, "after pauses");
	delivery_drain(delivery);
	loop_until(&over, 15000);
	ok(over, "a drain ends it");
	free(kept);		/* as its queue would, at the end */
	event_free(asking.sending);
}

/* ---- suspects */

static void suspects(void)
{
	struct asking asking;
	struct delivery_context context = { .base = base, .relay = &asking.relay, .counters = counters };
	struct claims *all;
	bool never = false, drained = false;

	set_up(&asking, INT64_MAX, NULL);
	storage.to_claim = "s";
	all = claims_new(&context);
	loop_until(&never, 100);
	is_str(buffer_str(&storage.calls), "claim remove claim", "while a suspect is under way nothing is claimed");
	storage.to_claim = "ss";
	soon(on_claim, NULL);
	loop_until(&never, 100);
	is_str(buffer_str(&storage.calls), "claim remove claim remove remove claim", "one suspect after the other");
	is_int(asking.delivered, 3, "all are delivered");
	claims_drain(all, 1000, set_true, &drained);
	loop_until(&drained, 2000);
	ok(drained, "it ends");
	claims_free(all);
	event_free(asking.sending);

	set_up(&asking, INT64_MAX, NULL);
	asking.takes_ms = 60000;
	storage.to_claim = "s.s";
	all = claims_new(&context);
	loop_until(&never, 100);
	is_int(asking.delivered, 1, "suspects wait for what is under way");
	is_int(claims_under_way(all), 3, "and count");
	drained = false;
	claims_drain(all, 1000, set_true, &drained);
	loop_until(&never, 100);
	is_str(buffer_str(&storage.calls), "claim untried untried", "a drain gives them back untried");
	ok(!drained && claims_past_the_dot(all), "and waits for what is past the dot");
	event_active(asking.sending, EV_TIMEOUT, 0);
	loop_until(&drained, 2000);
	ok(drained && !claims_past_the_dot(all), "until that has its answer");
	claims_free(all);
	event_free(asking.sending);
}

/* ---- what dead workers held */

static void leave_dead(unsigned begun)
{
	pid_t pid = fork();

	if (!pid) {
		struct now *now = now_open(dir, "q", &(struct now_keeper){ "w", "h" }, 8);
		char id[ID_SIZE];

		for (unsigned i = 0; i < 3; i++) {
			id_new(id);
			now_reach(now, now_hold(now, id), i < begun ? LEASE_BEGUN :
				i == 1 ? LEASE_IN_LINE : LEASE_CLAIMED);
		}
		raise(SIGKILL);
	}
	waitpid(pid, NULL, 0);
}

static void deaths_make(const char *calls, bool left, int64_t after_ms, const char *what)
{
	struct deaths_context context = { base, NULL, dir, "r" };
	bool seen = false, never = false;
	struct deaths *deaths = deaths_new(&context, set_true, &seen);
	char *path = xasprintf("%s/q-0.now", dir);

	ok(!seen, "not from within");
	loop_until(&seen, 5000);
	ok(seen, "all was looked at");
	if (after_ms)
		loop_until(&never, after_ms);
	is_str(buffer_str(&storage.calls), calls, what);
	deaths_stop(deaths);
	deaths_free(deaths);
	is_int(access(path, F_OK) == 0, left, left ? "the file stays" : "the file is away");
	free(path);
	buffer_release(&storage.calls);
}

static void left_behind(void)
{
	buffer_release(&storage.calls);
	deaths_make("", false, 0, "nobody died: nothing is marked");
	leave_dead(0);
	deaths_make("", false, 0, "claimed alone is no reason");
	leave_dead(1);
	deaths_make("strike", false, 0, "the only one in delivery gets a strike");
	leave_dead(2);
	deaths_make("suspect suspect", false, 0, "of several nobody knows which one it was");
	leave_dead(1);
	storage.marks = "gone";
	deaths_make("strike", false, 0, "one that is not there any more is fine");
	leave_dead(2);
	storage.marks = "none";
	deaths_make("suspect suspect", false, 0, "so is a storage without marks");
	leave_dead(2);
	storage.marks = "ok away";
	deaths_make("suspect suspect", true, 0, "while the storage is away the file is kept");
	storage.marks = "ok away ok";
	deaths_make("suspect suspect suspect", false, 1500, "and what was not marked is tried again");
	deaths_stop(NULL);
	deaths_free(NULL);
}

int main(void)
{
	if (!mkdtemp(dir))
		return 1;
	base = event_base_new();
	counters = counters_create(0, NULL);
	last_step();
	lost_and_away();
	suspects();
	left_behind();
	is_int(counter_sum(counters, COUNTER_WORKER_ATTEMPTS), 0, "nothing is counted as under way any more");
	buffer_release(&storage.calls);
	counters_free(counters);
	event_base_free(base);
	is_int(rmdir(dir), 0, "nothing is left");
	return done_testing();
}
