/* unit-worker-vectors.c - random results over several attempts, on every storage (lesson S1)
 * SPDX-License-Identifier: MIT
 * Each recipient is delivered once, or told once to have failed, and nobody is tried again after that; workers come
 * and go in between where the storage lasts. SEED repeats a run. */
#include <sys/queue.h>

#include "t/lib/storage.h"

#include "common/base/log.h"
#include "worker/claims.h"

#define MESSAGES 30
#define RECIPIENTS_MAX 6
#define LIVES 4

static struct {
	unsigned recipients, delivered[RECIPIENTS_MAX], told[RECIPIENTS_MAX], again;
	bool settled[RECIPIENTS_MAX];
} messages[MESSAGES];

static struct random_relay {
	struct relay relay;
	TAILQ_HEAD(, under_way) all;
	struct event *turn;
	bool draining;
	unsigned settled, drain_after;
} relay;

struct under_way {
	TAILQ_ENTRY(under_way) link;
	struct relay_delivery delivery;
	size_t next;
};

static struct event_base *base;
static struct pool *pool;
static struct counters *counters;
static struct queue *queue;
static struct config *config;
static struct process_options process;
static bool over;

/* ---- the relay */

static void take_notice(const struct envelope *notice)
{
	const char *at = buffer_str(&notice->content.memory);
	unsigned message, recipient;

	while ((at = strstr(at, "\r\nFinal-Recipient: rfc822; r"))) {
		at += strlen("\r\nFinal-Recipient: rfc822; r");
		if (sscanf(at, "%u-m%u@x", &recipient, &message) == 2 && message < MESSAGES && recipient < RECIPIENTS_MAX)
			messages[message].told[recipient]++;
	}
}

static void draw(struct reply *reply, unsigned recipient)
{
	unsigned dice = (unsigned)(random() % 100);

	if (dice < 35)
		reply_set(reply, 250, "2.0.0", "done");
	else if (dice < 65)
		reply_set(reply, 450, "4.2.0", "later");
	else if (dice < 95)
		reply_set(reply, 550, "5.1.1", recipient % 2 ? "one reason" : "another");
}

static void settle_one(const struct relay_delivery *delivery, size_t index)
{
	const char *address = delivery->envelope->recipients[index].address;
	struct reply reply = { 0 };
	unsigned message, recipient;

	if (!*delivery->envelope->sender) {
		take_notice(delivery->envelope);
		reply_set(&reply, 250, "2.0.0", "told");
	} else if (sscanf(address, "r%u-m%u@x", &recipient, &message) == 2) {
		if (!relay.draining)
			draw(&reply, recipient);
		messages[message].again += messages[message].settled[recipient];
		messages[message].delivered[recipient] += reply_is_success(&reply);
		messages[message].settled[recipient] |= reply_is_success(&reply) || reply_is_permanent(&reply);
	}
	relay.settled++;
	delivery->settled(delivery->arg, index, RELAY_RESULT(&reply, "there"));
	reply_release(&reply);
}

/* One recipient of each message a turn. */
static void on_turn(evutil_socket_t fd, short what, void *arg)
{
	struct under_way *one, *next;

	(void)fd;
	(void)what;
	(void)arg;
	for (one = TAILQ_FIRST(&relay.all); one; one = next) {
		const struct relay_delivery delivery = one->delivery;

		next = TAILQ_NEXT(one, link);
		while (one->next < delivery.envelope->recipient_count &&
				!outcome_is_open(outcomes_find(delivery.done, one->next)))
			one->next++;
		if (one->next < delivery.envelope->recipient_count) {
			settle_one(&delivery, one->next++);
			continue;
		}
		TAILQ_REMOVE(&relay.all, one, link);
		free(one);
		delivery.finished(delivery.arg);
	}
	if (!TAILQ_EMPTY(&relay.all))
		event_add(relay.turn, &(struct timeval){ 0, 100 });
}

static void random_deliver(struct relay *self, const struct relay_delivery *delivery)
{
	struct under_way *one = xcalloc(1, sizeof(*one));

	(void)self;
	one->delivery = *delivery;
	TAILQ_INSERT_TAIL(&relay.all, one, link);
	event_add(relay.turn, &(struct timeval){ 0, 100 });
}

static void random_drain(struct relay *self, int64_t bound_ms)
{
	(void)self;
	(void)bound_ms;
	relay.draining = true;
}

static const struct relay_driver driver = {
	.type = "random", .size = sizeof(relay), .is_final = true, .deliver = random_deliver, .drain = random_drain,
};

/* ---- a worker's life */

static void set_true(void *arg)
{
	*(bool *)arg = true;
}

static void on_opened(void *arg, const struct reply *why)
{
	(void)why;
	set_true(arg);
}

static void run_until(const bool *condition, int64_t bound_ms)
{
	int64_t end_ms = clock_boot_ms() + bound_ms;

	while (!*condition && clock_boot_ms() < end_ms) {
		event_base_loopexit(base, &(struct timeval){ 0, 5000 });
		event_base_dispatch(base);
	}
}

static void open_queue(void)
{
	struct storage_context context = { .base = base, .disk = pool, .process = &process, .queue = "q",
		.role = STORAGE_FOR_WORKER };
	struct config_errors errors = { 0 };
	bool opened = false;

	queue = queue_load(config, "q", &context, &errors);
	if (!queue)
		BUG("the queue: %s", errors.items[0].text);
	config_errors_release(&errors);
	queue_open(queue, on_opened, &opened);
	run_until(&opened, 5000);
}

static void on_counted(void *arg, const struct reply *why, const struct queue_counts *counts)
{
	*(bool *)arg = true;
	if (!why && !counts->fresh && !counts->deferred && !counts->leased && !counts->held)
		over = true;
}

/* Until the queue is empty, or `drain_after` recipients are settled. */
static void live(void)
{
	struct delivery_context context = { .base = base, .queue = queue, .relay = &relay.relay, .counters = counters,
		.disk = pool, .bounce_queue = queue, .hostname = "mx.example" };
	struct claims *claims;
	int64_t end_ms = clock_boot_ms() + 60000;
	bool drained = false;

	relay.settled = 0;
	relay.draining = false;
	claims = claims_new(&context);
	while (!over && clock_boot_ms() < end_ms && (!relay.drain_after || relay.settled < relay.drain_after)) {
		bool counted = false;

		queue_info(queue, on_counted, &counted);
		run_until(&counted, 5000);
	}
	claims_drain(claims, 1000, set_true, &drained);
	run_until(&drained, 10000);
	claims_stop(claims);
	queue_free(queue);
	claims_free(claims);
}

static void fill(void)
{
	for (unsigned m = 0; m < MESSAGES; m++) {
		struct envelope *envelope = envelope_new();
		bool done = false;

		messages[m].recipients = 1 + (unsigned)(random() % RECIPIENTS_MAX);
		envelope->sender = xstrdup("s@x");
		for (unsigned r = 0; r < messages[m].recipients; r++) {
			char *address = xasprintf("r%u-m%u@x", r, m);

			envelope_add_recipient(envelope, address);
			free(address);
		}
		buffer_append_str(&envelope->content.memory, "Subject: x\r\n\r\nx\r\n");
		content_finish(&envelope->content);
		queue_submit(queue, &envelope, on_opened, &done);
		run_until(&done, 5000);
	}
}

static void judge(const char *name)
{
	unsigned wrong = 0, told = 0, delivered = 0;

	for (unsigned m = 0; m < MESSAGES; m++) {
		for (unsigned r = 0; r < messages[m].recipients; r++) {
			delivered += messages[m].delivered[r];
			told += messages[m].told[r];
			if (messages[m].delivered[r] + messages[m].told[r] == 1)
				continue;
			wrong++;
			diag("r%u of message %u: delivered %u times, told %u times", r, m, messages[m].delivered[r],
				messages[m].told[r]);
		}
		wrong += messages[m].again;
	}
	ok(over, "%s: the queue is empty in the end", name);
	is_int(wrong, 0, "each recipient was delivered or told once, and not tried again");
	ok(delivered > 10 && told > 10, "%u delivered, %u told", delivered, told);
}

static void walk(const char *name, const char *section, unsigned lives)
{
	char *text;
	struct config_errors errors = { 0 };

	scratch_make();
	memset(messages, 0, sizeof(messages));
	over = false;
	process = (struct process_options){ .runtime_dir = scratch, .hostname = (char *)"h", .fqdn = (char *)"h.example" };
	text = xasprintf("queue: {q: {%s, relay: r, retry: {delay: 0.01, maximum: 3}}}\nrelay: {r: {type: blackhole}}\n",
		section);
	for (char *at; (at = strchr(text, '@'));) {
		char *filled = xasprintf("%.*s%s%s", (int)(at - text), text, scratch, at + 1);

		free(text);
		text = filled;
	}
	config = config_parse("t.conf", text, strlen(text), &errors);
	free(text);
	open_queue();
	fill();
	for (unsigned life = 1; life <= lives && !over; life++) {
		relay.drain_after = life < lives ? 25 : 0;
		if (life > 1)
			open_queue();
		live();
	}
	judge(name);
	config_free(config);
	scratch_remove();
}

int main(void)
{
	const char *given = getenv("SEED");
	unsigned seed = given ? (unsigned)strtoul(given, NULL, 10) : (unsigned)clock_wall_ms();

	setvbuf(stdout, NULL, _IOLBF, 0);
	diag("SEED=%u", seed);
	srandom(seed);
	log_open("unit", &(struct log_settings){ .level = LOG_LEVEL_WARN });
	base = event_base_new();
	pool = pool_new(base, "disk", 4);
	counters = counters_create(0, NULL);
	TAILQ_INIT(&relay.all);
	relay.relay = (struct relay){ .driver = &driver, .name = (char *)"random", .capacity = 10 };
	relay.turn = event_new(base, -1, 0, on_turn, NULL);
	walk("disk", "type: disk, envelope_dir: @/env, meta_dir: @/meta, allow_volatile: true", LIVES);
	walk("memory", "type: memory", 1);
	event_free(relay.turn);
	pool_free(pool);
	counters_free(counters);
	event_base_free(base);
	log_close();
	return done_testing();
}
