/* unit-queue-front.c - the section of a queue, and the way in: policies, one write, an outcome that is not known
 * SPDX-License-Identifier: MIT */
#include "common/queue/retry.h"
#include "common/queue/submit.h"
#include "t/lib/storage.h"

#define DISK "type: disk, envelope_dir: /tmp/e, meta_dir: /tmp/m"

static struct queue *load(const char *section, struct buffer *errors_text)
{
	const struct process_options process = { .runtime_dir = (char *)"/nowhere", .hostname = (char *)"h",
		.fqdn = (char *)"h.example.com" };
	const struct storage_context context = { .process = &process, .role = STORAGE_FOR_EDGE };
	char *text = xasprintf("edge: {a: {type: smtp, queue: q, max_size: 1M}, b: {type: smtp, queue: q, max_size: 3M},\n"
		"  c: {type: smtp, queue: other, max_size: 9M}}\nqueue: {q: {%s}}\nrelay: {r: {type: blackhole}}\n", section);
	struct config_errors errors = { 0 };
	struct config *config = config_parse("t.conf", text, strlen(text), &errors);
	struct queue *queue = config ? queue_load(config, "q", &context, &errors) : NULL;

	buffer_reset(errors_text);
	config_errors_print(&errors, errors_text);
	config_errors_release(&errors);
	config_free(config);
	free(text);
	return queue;
}

static void test_options(void)
{
	struct buffer errors = { 0 };
	struct queue *queue = load(DISK ", relay: r", &errors);

	ok(queue != NULL, "a section with what is required");
	diag("%s", buffer_str(&errors));
	is_str(queue_name(queue), "q", "its name");
	is_str(queue_options(queue)->relay, "r", "its relay");
	is_int(queue_options(queue)->min_free_bytes, 6 << 20, "min_free: twice the largest max_size of its edges");
	is_int(queue_options(queue)->max_messages, 0, "max_messages: any number");
	is_int(queue_retry_delay_ms(queue, 1), 300000, "retry.delay: 300 seconds");
	is_int(queue_options(queue)->retry.maximum, 0, "retry.maximum: never tried again");
	is_int(queue_options(queue)->bounce_size_limit, 51200, "bounce_size_limit: 50K");
	is_int(queue->storage->max_strikes, 3, "max_strikes: 3, and the storage knows it");
	ok(!queue_options(queue)->bounce_queue && !queue_options(queue)->double_bounce, "bounces go to itself");
	queue_free(queue);
	queue = load(DISK ", relay: r, min_free: 0, max_messages: 12, retry: {delay: '7'}", &errors);
	is_int(queue_options(queue)->min_free_bytes, 0, "min_free: 0");
	is_int(queue_options(queue)->max_messages, 12, "max_messages: 12");
	is_int(queue_retry_delay_ms(queue, 1000), 7000, "retry.delay: 7");
	queue_free(queue);
	queue = load(DISK ", relay: r, retry: {maximum_age: 5d, notify_delay: 4h}, bounce_queue: q, "
		"double_bounce: Postmaster, bounce_size_limit: 64M, max_strikes: 0", &errors);
	ok(queue_options(queue)->retry.maximum == UINT32_MAX, "a maximum_age alone: any number of attempts");
	is_int(queue_options(queue)->retry.maximum_age_ms, 432000000, "maximum_age: 5d");
	is_int(queue_options(queue)->retry.notify_delay_ms, 14400000, "notify_delay: 4h");
	is_str(queue_options(queue)->bounce_queue, "q", "bounce_queue: q");
	is_str(queue_options(queue)->double_bounce, "Postmaster", "double_bounce: Postmaster");
	is_int(queue_options(queue)->bounce_size_limit, 67108864, "bounce_size_limit: 64M");
	is_int(queue->storage->max_strikes, 0, "max_strikes: 0");
	queue_free(queue);
	queue = load(DISK ", relay: r, retry: {maximum: 3, maximum_age: 1h, delay: 'log(4 - x)'}", &errors);
	is_int(queue_options(queue)->retry.maximum, 3, "both: what comes first; and the delay is asked for no more than that");
	queue_free(queue);
	buffer_release(&errors);
}

/* P5: what is waited after each attempt, in milliseconds, whatever its number. */
static void test_schedules(void)
{
	static const struct {
		const char *delay;
		int64_t attempts_1, attempts_2, attempts_10, attempts_1000, attempts_1001, attempts_most;
	} rows[] = {
		{ "900", 900000, 900000, 900000, 900000, 900000, 900000 },
		{ "0.25", 250, 250, 250, 250, 250, 250 },
		{ "900 * 1.5 ** (x - 1) if x < 10 else 4000.0006", 900000, 1350000, 4000001, 4000001, 4000001, 4000001 },
		{ "min(60 * 2 ** x, 86400)", 120000, 240000, 61440000, 86400000, 86400000, 86400000 },
		{ "2 ** x", 2000, 4000, 1024000, RETRY_DELAY_MAX_MS, RETRY_DELAY_MAX_MS, RETRY_DELAY_MAX_MS },
		{ "1000 - x", 999000, 998000, 990000, 0, 0, 0 },
		{ "x % 3 * 60", 60000, 120000, 60000, 60000, 120000, 0 },
	};
	struct buffer errors = { 0 };

	for (unsigned i = 0; i < ARRAY_SIZE(rows); i++) {
		char *section = xasprintf(DISK ", relay: r, retry: {delay: '%s'}", rows[i].delay);
		struct queue *queue = load(section, &errors);

		diag("%s %s", rows[i].delay, buffer_str(&errors));
		is_int(queue_retry_delay_ms(queue, 1), rows[i].attempts_1, "after the first");
		is_int(queue_retry_delay_ms(queue, 2), rows[i].attempts_2, "after the second");
		is_int(queue_retry_delay_ms(queue, 10), rows[i].attempts_10, "after the tenth");
		is_int(queue_retry_delay_ms(queue, 1000), rows[i].attempts_1000, "after the last that was tried");
		is_int(queue_retry_delay_ms(queue, 1001), rows[i].attempts_1001, "after the next");
		is_int(queue_retry_delay_ms(queue, UINT32_MAX), rows[i].attempts_most, "after any number");
		queue_free(queue);
		free(section);
	}
	buffer_release(&errors);
}

static void test_errors(void)
{
	static const struct {
		const char *section, *expected;
	} rows[] = {
		{ DISK ", relay: r, retry: {delay: 60 * y}", "t.conf:3:90: queue.q.retry.delay: column 6 of the expression: "
			"unknown name y" },
		{ DISK ", relay: r, retry: {delay: 500 - x}", "for x = 501: expected a time, not -1 seconds" },
		{ DISK ", relay: r, retry: {delay: 1 / (1000 - x)}",
			"column 3 of the expression, for x = 1000: division by zero" },
		{ DISK ", relay: r, retry: {delay: inf}", "for x = 1: expected a time that ends" },
		{ DISK ", relay: r, retry: {delay: x * nan}", "for x = 1: expected a time, not what is not a number" },
		{ DISK ", relay: r, retry: {delay: 1e308 * x}", "for x = 2: expected a time that ends" },
		{ DISK ", relay: r, retry: {delay: ''}", "expected a number, a name" },
		{ DISK ", relay: r, retry: {delay: [300]}", "queue.q.retry.delay" },
		{ DISK ", relay: r, retry: {maximum: -1}", "queue.q.retry.maximum" },
		{ DISK ", relay: r, retry: {maximum: 3, delay: 1 / (3 - x)}", "for x = 3: " },
		{ DISK ", relay: r, retry: {maximum: 0, delay: 60 +}", "column 5 of the expression" },
		{ DISK ", relay: r, retry: {maximum_age: soon}", "queue.q.retry.maximum_age" },
		{ DISK ", relay: r, retry: {notify_delay: -4h}", "queue.q.retry.notify_delay" },
		{ DISK ", relay: r, bounce_queue: qq", "no queue is named \"qq\" (did you mean \"q\"?)" },
		{ DISK ", relay: r, double_bounce: p@", "expected an address" },
		{ DISK ", relay: r, double_bounce: 'p@x, q@x'", "expected an address" },
		{ DISK ", relay: r, bounce_size_limit: 65M", "queue.q.bounce_size_limit" },
		{ DISK ", relay: r, max_strikes: 1001", "queue.q.max_strikes" },
		{ DISK ", relay: r, scan_intervall: 3", "scan_interval" },
		{ DISK ", relay: r, scan_interval: 0", "scan_interval" },
		{ DISK ", relay: r, allow_volatile: perhaps", "allow_volatile" },
		{ DISK ", relay: r, policies: [{type: add_dete_header}]", "add_date_header" },
		{ "type: disk, relay: r, meta_dir: /tmp/m", "envelope_dir" },
		{ "type: tape, relay: r", "type of queue" },
	};
	struct buffer errors = { 0 };

	for (unsigned i = 0; i < ARRAY_SIZE(rows); i++) {
		struct queue *queue = load(rows[i].section, &errors);

		if (!ok(!queue && errors.size && strstr(buffer_str(&errors), rows[i].expected), "%s", rows[i].section))
			diag("%s", buffer_str(&errors));
		queue_free(queue);
	}
	buffer_release(&errors);
}

/* ---- a storage that answers as it is told */

static struct fake {
	struct storage storage;
	unsigned writes, discards, last_count;
	unsigned unknown;		/* writes whose outcome is not known */
	unsigned code;			/* of the others; 0: success */
	struct {
		storage_done_fn *done;
		void *arg;
		struct reply why;
	} waiting;
	struct event *answer;
	char taken[ID_SIZE];
} fake;

static void on_answer(evutil_socket_t fd, short what, void *arg)
{
	(void)fd;
	(void)what;
	(void)arg;
	fake.waiting.done(fake.waiting.arg, reply_is_none(&fake.waiting.why) ? NULL : &fake.waiting.why);
}

static void fake_answer(storage_done_fn *done, void *arg)
{
	fake.waiting.done = done;
	fake.waiting.arg = arg;
	event_active(fake.answer, EV_TIMEOUT, 0);
}

static void fake_write(struct storage *storage, struct envelope *const items[], size_t count, int64_t delay_ms,
	storage_done_fn *done, void *arg)
{
	(void)storage;
	(void)items;
	(void)delay_ms;
	fake.writes++;
	fake.last_count = (unsigned)count;
	reply_release(&fake.waiting.why);
	if (fake.unknown) {
		fake.unknown--;
		reply_set(&fake.waiting.why, 451, "4.4.2", "Connection lost");
	} else if (fake.code) {
		reply_set(&fake.waiting.why, fake.code, NULL, "As told");
	}
	fake_answer(done, arg);
}

static void fake_discard(struct storage *storage, const char *const ids[], size_t count, storage_done_fn *done, void *arg)
{
	(void)storage;
	(void)ids;
	fake.discards++;
	fake.last_count = (unsigned)count;
	reply_release(&fake.waiting.why);
	fake_answer(done, arg);
}

static void fake_take(struct storage *storage, const char *id, storage_done_fn *done, void *arg)
{
	(void)storage;
	snprintf(fake.taken, sizeof(fake.taken), "%s", id);
	reply_release(&fake.waiting.why);
	fake_answer(done, arg);
}

static const struct option no_rows[] = { { 0 } };
static const struct storage_driver fake_driver = { .type = "fake", .size = sizeof(struct fake), .options = no_rows,
	.write = fake_write, .discard = fake_discard, .take = fake_take };

static void submit(struct queue *queue, struct place *place, struct answer *answer)
{
	struct envelope *envelope = message("front@example.org", "Subject: x\r\n\r\n");

	memset(answer, 0, sizeof(*answer));
	queue_submit(queue, &envelope, on_done, answer);
	ok(envelope == NULL, "the envelope is taken");
	is_int(queue_pending(queue), 1, "one is under way");
	answered(place, answer);
	is_int(queue_pending(queue), 0, "none is");
}

static void on_settings(void *arg, const struct reply *why, const struct setting *settings, size_t count)
{
	(void)settings;
	(void)count;
	on_done(arg, why);
}

/* What becomes of a write whose outcome nobody tells; four were made before. */
static void test_unknown(struct queue *queue, struct place *place)
{
	struct envelope *envelope = message("front@example.org", "Subject: x\r\n\r\n");
	struct answer answer = { 0 };

	/* That the second one did nothing says nothing of the first: it is asked for until the minute is over. */
	fake.unknown = 1;
	fake.code = 452;
	queue_submit(queue, &envelope, on_done, &answer);
	LIST_FIRST(&queue->submissions)->begun_boot_ms -= 59000;
	answered(place, &answer);
	is_int(answer.why.code, 451, "an unknown outcome, then a refusal: 451");
	is_int(fake.writes, 6, "after one more");
	is_int(fake.discards, 1, "and it was taken back");
	answer_release(&answer);
	fake.code = fake.discards = 0;

	/* A minute of it: begun a minute ago. */
	envelope = message("front@example.org", "Subject: x\r\n\r\n");
	fake.unknown = 1000;
	memset(&answer, 0, sizeof(answer));
	queue_submit(queue, &envelope, on_done, &answer);
	LIST_FIRST(&queue->submissions)->begun_boot_ms -= 61000;
	answered(place, &answer);
	is_int(answer.why.code, 451, "after a minute: 451");
	is_int(fake.discards, 1, "and it was taken back");
	answer_release(&answer);

	/* Taken back, its id would count as finished, and the next one to write it would take it for written. */
	envelope = message("front@example.org", "Subject: x\r\n\r\n");
	id_derive("0jqs8e3c5v0123456789abcdef", "x", 1, envelope->id);
	memset(&answer, 0, sizeof(answer));
	queue_submit(queue, &envelope, on_done, &answer);
	LIST_FIRST(&queue->submissions)->begun_boot_ms -= 61000;
	answered(place, &answer);
	is_int(answer.why.code, 451, "a notification: 451");
	is_int(fake.discards, 1, "and it is not taken back: it comes again under this id");
	answer_release(&answer);
}

static void test_lacks(struct queue *queue, struct place *place)
{
	struct storage_driver without = fake_driver;
	struct answer answer = { 0 };

	queue_mark(queue, "x", MARK_HOLD, "", on_done, &answer);
	answered(place, &answer);
	is_int(answer.why.code, 502, "a mark that the storage does not have");
	answer_release(&answer);
	queue_set(queue, "key", "value", INT64_MAX, on_done, &answer);
	answered(place, &answer);
	is_int(answer.why.code, 502, "a setting");
	answer_release(&answer);
	queue_settings(queue, on_settings, &answer);
	answered(place, &answer);
	is_int(answer.why.code, 502, "and asking for them");
	answer_release(&answer);
	queue_take(queue, "x", on_done, &answer);
	answered(place, &answer);
	is_int(answer.why.code, 0, "a message is taken by a storage that can");
	is_str(fake.taken, "x", "that one");
	answer_release(&answer);
	without.take = NULL;
	without.untaken = "as it says";
	fake.storage.driver = &without;
	queue_take(queue, "x", on_done, &answer);
	answered(place, &answer);
	is_int(answer.why.code, 502, "one that cannot");
	is_str(answer.why.text, "as it says", "says why");
	answer_release(&answer);
}

static void test_submit(void)
{
	struct buffer errors = { 0 };
	struct queue *queue = load(DISK ", relay: r, policies: [{type: add_date_header}]", &errors);
	struct storage *disk = queue->storage;
	struct place place = { .base = event_base_new() };
	struct answer answer;

	fake.storage = *disk;
	fake.storage.driver = &fake_driver;
	fake.storage.context.base = place.base;
	fake.answer = event_new(place.base, -1, 0, on_answer, NULL);
	queue->storage = &fake.storage;

	submit(queue, &place, &answer);
	is_int(answer.why.code, 0, "stored");
	is_int(fake.writes, 1, "by one write");
	fake.code = 452;
	submit(queue, &place, &answer);
	is_int(answer.why.code, 452, "a known failure is the answer");
	answer_release(&answer);
	is_int(fake.writes, 2, "at once");
	fake.code = 0;
	fake.unknown = 1;
	submit(queue, &place, &answer);
	is_int(answer.why.code, 0, "an unknown outcome is asked for again");
	is_int(fake.writes, 4, "by writing again");
	is_int(fake.discards, 0, "nothing was taken back");

	test_unknown(queue, &place);
	test_lacks(queue, &place);
	queue->storage = disk;
	event_free(fake.answer);
	queue_free(queue);
	event_base_free(place.base);
	buffer_release(&errors);
}

int main(void)
{
	test_options();
	test_schedules();
	test_errors();
	test_submit();
	return done_testing();
}
