/* unit-worker-results.c - what becomes of results: limits, operators, notifications that cannot be written (lesson P5)
 * SPDX-License-Identifier: MIT */
#include "t/lib/fake_queue.h"

static struct scripted scripted;

/* The outcomes of a message that has left, or was given back: "0 failed 450 later..., 1 delivered ..." */
static void done_is(const char *wanted, const char *what)
{
	static const char *const kinds[] = { "", "delayed", "warned", "delivered", "confirmed", "failed", "bounced" };
	struct buffer got = { 0 };

	for (size_t i = 0; i < storage.state.done.count; i++) {
		const struct outcome *outcome = &storage.state.done.items[i];

		buffer_appendf(&got, "%s%zu %s ", i ? ", " : "", outcome->index, kinds[outcome->kind]);
		reply_append(&outcome->reply, &got);
	}
	is_str(buffer_str(&got), wanted, what);
	buffer_release(&got);
}

static void told_is(size_t count, const char *wanted, const char *what)
{
	is_int(storage.notified.count, count, what);
	if (storage.notified.count)
		is_str(storage.notified.items[storage.notified.count - 1] + ID_SIZE, wanted, "to whom, and of whom");
}

static void remember(unsigned attempts, const char *text)
{
	struct attempt attempt = { .time_ms = 1000, .host = (char *)"there", .tls = (char *)"TLSv1.3" };

	storage.state.attempts = attempts;
	if (text) {
		reply_set(&attempt.reply, 450, "4.2.1", "%s", text);
		message_state_add_attempt(&storage.state, &attempt);
	}
	reply_release(&attempt.reply);
}

static void maximum(void)
{
	static const struct {
		unsigned attempts, maximum;
		const char *calls;
	} rows[] = {
		{ 0, 0, "get, renew 1, submit, remove" },
		{ 0, 1, "get, defer 100000 tried 0: 450 4.0.0 later there" },
		{ 1, 1, "get, renew 1, submit, remove" },
		{ 2, 3, "get, defer 300000 tried 0: 450 4.0.0 later there" },
		{ 3, 3, "get, renew 1, submit, remove" },
		{ 999, 1000, "get, defer 100000000 tried 0: 450 4.0.0 later there" },
		{ 1000, 1000, "get, renew 1, submit, remove" },
		{ 100000, UINT_MAX, "get, defer 10000100000 tried 0: 450 4.0.0 later there" },
	};

	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		char *what = xasprintf("attempt %u of maximum %u", rows[i].attempts + 1, rows[i].maximum);

		set_up(&scripted, TO("later@x"));
		storage.state.attempts = rows[i].attempts;
		options.retry.maximum = rows[i].maximum;
		delivery_makes(&scripted, rows[i].calls, what);
		free(what);
	}
	done_is("", "any number: nobody has failed");

	set_up(&scripted, TO("later@x", "ok@x", "untried@x"));
	options.retry.maximum = 2;
	delivery_makes(&scripted, "get, renew 1, renew 2, submit, defer 0 untried 2: ",
		"the last attempt: who was not tried in it has it yet");
	done_is("0 bounced 450 4.0.0 later (Too many retries), 1 delivered 250 2.0.0 done", "the others are settled");
}

static void at_pick_up(void)
{
	set_up(&scripted, TO("ok1@x", "ok2@x"));
	remember(5, "busy");
	options.retry.maximum = 4;
	outcomes_add(&storage.state.done, &(struct outcome){ 1, OUTCOME_DELIVERED, { 250, 0, 0, NULL }, NULL, 5 });
	delivery_makes(&scripted, "get, renew 2, submit, remove", "a maximum below the attempts made");
	is_int(scripted.delivered, 0, "no further one");
	done_is("0 failed 450 4.2.1 busy (Too many retries), 1 delivered 250 2.0.0", "its last reply");
	told_is(1, "s@example.org failed ok1@x", "told");

	set_up(&scripted, TO("ok@x"));
	remember(5, "busy\nline two (Too many retries)");
	options.retry.maximum = 4;
	delivery_makes(&scripted, "get, renew 1, submit, remove", "a reply that says so already");
	done_is("0 failed 450 4.2.1 busy / line two (Too many retries)", "does not say it twice");

	set_up(&scripted, TO("ok@x"));
	storage.age_ms = 60000;
	storage.state.attempts = 0;
	options.retry.maximum_age_ms = 60000;
	delivery_makes(&scripted, "get, renew 1, submit, remove", "too old, and never tried");
	done_is("0 failed 451 4.4.7 Delivery time expired", "says so");

	set_up(&scripted, TO("ok@x"));
	storage.age_ms = -60000;
	options.retry.maximum_age_ms = 1;
	delivery_makes(&scripted, "get, remove", "a clock that went back makes nobody old");

	set_up(&scripted, TO("ok@x", "later@x"));
	storage.state.bounce = xstrdup("spam run");
	delivery_makes(&scripted, "get, renew 2, submit, remove", "an operator wants it bounced");
	done_is("0 failed 550 5.7.0 Returned to sender by an operator (spam run), "
		"1 failed 550 5.7.0 Returned to sender by an operator (spam run)", "with his reason");
	is_int(scripted.delivered, 0, "untried");
}

/* The suffix is there, however long the reply. */
static void long_reply(void)
{
	struct buffer text = { 0 };
	const struct reply *reply;

	for (unsigned i = 0; i < 3000; i++)
		buffer_append_str(&text, "\xe2\x98\x83");
	set_up(&scripted, TO("ok@x"));
	remember(5, buffer_str(&text));
	options.retry.maximum = 4;
	delivery_makes(&scripted, "get, renew 1, submit, remove", "a reply of 8 KB");
	reply = &storage.state.done.items[0].reply;
	ok(text_has_suffix(reply->text, " (Too many retries)"), "its end is what was added");
	ok(utf8_is_valid(reply->text, strlen(reply->text)), "and no character was cut");
	buffer_release(&text);
}

static void late(void)
{
	set_up(&scripted, TO("later@x", "ok@x"));
	storage.age_ms = 5000;
	options.retry.notify_delay_ms = 5000;
	delivery_makes(&scripted, "get, renew 2, submit, defer 300000 tried 2: 450 4.0.0 later there",
		"late: recorded, told, given back");
	told_is(1, "s@example.org delayed later@x", "told");
	done_is("0 warned 450 4.0.0 later, 1 delivered 250 2.0.0 done", "and recorded");
}

static void ask_for_all(struct envelope *envelope)
{
	for (size_t i = 0; i < envelope->recipient_count; i++)
		envelope->recipients[i].notify = NOTIFY_SUCCESS | NOTIFY_FAILURE | NOTIFY_DELAY;
}

/* RFC 3461 5.2.2 */
static void passed_on(void)
{
	set_up(&scripted, TO("Passed@x", "later@x"));
	storage.edit = ask_for_all;
	delivery_makes(&scripted, "get, renew 1, defer 300000 tried 1: 450 4.0.0 later there",
		"a next hop that tells of success itself");
	done_is("0 confirmed 250 2.0.0 done", "it is recorded that nothing is owed");
	is_str(storage.state.done.items[0].tls, "TLSv1.3", "and how it went there");
	is_str(storage.state.last[0].tls, "TLSv1.3", "as with the attempt");
	told_is(0, NULL, "nobody is told by us");

	set_up(&scripted, TO("Passed@x"));
	storage.edit = ask_for_all;
	delivery_makes(&scripted, "get, remove", "nor where it was the only one");

	set_up(&scripted, TO("script-lP@x"));
	storage.edit = ask_for_all;
	storage.state.attempts = 0;
	storage.age_ms = 5000;
	options.retry.notify_delay_ms = 5000;
	delivery_makes(&scripted, "get, renew 1, submit, defer 100000 tried 1: 450 4.0.0 later there", "late at first");
	next_delivery_makes(&scripted, "get, remove", "and passed on");
	told_is(1, "s@example.org delayed script-lP@x", "of the delay alone");
}

static void full_lines(void)
{
	set_up(&scripted, TO("Full@x", "Gorged@x"));
	delivery_makes(&scripted, "get, defer 5000 untried 0: 451 4.4.5 Too many messages wait for there there",
		"full lines: due when the first is looked at again, at no cost");
	is_str(storage.state.waits, "Too many messages wait for there", "it is said why");

	set_up(&scripted, TO("Gorged@x", "ok@x", "never@x"));
	delivery_makes(&scripted, "get, renew 1, renew 2, submit, "
		"defer 40000 untried 2: 451 4.4.5 Too many messages wait for there there", "others are done with");
	next_delivery_makes(&scripted, "get, defer 40000 untried 2: 451 4.4.5 Too many messages wait for there there",
		"and not tried again");

	set_up(&scripted, TO("Full@x", "untried@x"));
	delivery_makes(&scripted, "get, defer 0 untried 0: ", "who waits for no line is due at once");

	set_up(&scripted, TO("Full@x", "later@x"));
	delivery_makes(&scripted, "get, defer 300000 tried 0: 450 4.0.0 later there",
		"who was tried and has to wait is not tried sooner for the sake of another");
	is_str(storage.state.waits, NULL, "it was attempted");

	set_up(&scripted, TO("Full@x"));
	storage.age_ms = 5000;
	options.retry.notify_delay_ms = 5000;
	delivery_makes(&scripted, "get, renew 1, submit, "
		"defer 5000 untried 1: 451 4.4.5 Too many messages wait for there there", "late in a full line");
	told_is(1, "s@example.org delayed Full@x", "is told");
	done_is("0 warned 451 4.4.5 Too many messages wait for there", "with the reason");
}

static void ask_for_nothing(struct envelope *envelope)
{
	for (size_t i = 0; i < envelope->recipient_count; i++)
		envelope->recipients[i].notify = NOTIFY_NEVER;
}

static void nobody_to_tell(void)
{
	set_up(&scripted, TO("never@x", "later@x"));
	storage.edit = ask_for_nothing;
	options.retry.notify_delay_ms = 1;
	storage.age_ms = 10;
	delivery_makes(&scripted, "get, defer 300000 tried 1: 450 4.0.0 later there",
		"who wants to know nothing costs no record of its own");
	done_is("0 failed 550 5.1.1 never", "though the failure is one");

	set_up(&scripted, TO("never@x", "ok@x"));
	storage.sender = "";
	delivery_makes(&scripted, "get, remove", "no sender: nobody is told");

	set_up(&scripted, TO("never@x"));
	storage.sender = "";
	options.double_bounce = (char *)"p@x";
	delivery_makes(&scripted, "get, renew 1, submit, remove", "but the address for it");
	told_is(1, "p@x failed never@x", "told");

	set_up(&scripted, TO("never@x"));
	storage.sender = "";
	options.double_bounce = (char *)"never@x";
	delivery_makes(&scripted, "get, remove", "and that one is not told of itself");
}

/* 0: the notification comes after pauses. */
static void bounce_queue_fails(void)
{
	failing(&scripted, TO("never@x"), "submit", "452 4.3.1", 2, false);
	delivery_makes(&scripted, "get, renew 1, submit, submit, submit, remove", "a full bounce queue is asked again");
	told_is(1, "s@example.org failed never@x", "told");

	failing(&scripted, TO("never@x"), "submit", "550 5.7.1", 1, false);
	delivery_makes(&scripted, "get, renew 1, submit, mark 0 its bounce was refused: 550 5.7.1 as the test wants, "
		"defer 60000 tried 1: 550 5.1.1 never there", "one that refuses: held for an operator");
	done_is("0 failed 550 5.1.1 never", "and still owed");

	failing(&scripted, TO("never@x"), "submit", "554 5.3.0", 1, false);
	delivery_makes(&scripted, "get, renew 1, submit, remove", "another message of its id is itself");

	failing(&scripted, TO("never@x"), "renew", "451 4.3.0", 2, true);
	delivery_makes(&scripted, "get, renew 1, renew 1, renew 1, submit, remove",
		"nothing is told before it is recorded");
	failing(&scripted, TO("never@x"), "renew", "450 4.2.0", 1, true);
	delivery_makes(&scripted, "get, renew 1, defer 60000 tried 1: 550 5.1.1 never there",
		"nor where the message is another worker's now");
	told_is(0, NULL, "who tells it");
}

/* Who is still open is tried although a notification that is owed from before cannot be written. */
static void others_go_on(void)
{
	failing(&scripted, TO("ok@x", "never@x", "later@x"), "submit", "451 4.3.0", 1, false);
	outcomes_add(&storage.state.done, &(struct outcome){ 1, OUTCOME_FAILED, { 550, 1, 1, (char *)"never" }, NULL, 5 });
	delivery_makes(&scripted, "get, submit, renew 2, defer 300000 tried 2: 450 4.0.0 later there",
		"one submission, and on it goes");
	is_int(scripted.delivered, 1, "the others were tried");
	done_is("0 delivered 250 2.0.0 done, 1 failed 550 5.1.1 never", "the bounce is owed");

	next_delivery_makes(&scripted, "get, submit, defer 400000 tried 2: 450 4.0.0 later there", "it is written with the next");
	told_is(1, "s@example.org failed never@x", "told");

	/* One fails as the other did, later. */
	failing(&scripted, TO("never1@x", "never@x"), "submit", "451 4.3.0", 1, false);
	outcomes_add(&storage.state.done, &(struct outcome){ 0, OUTCOME_FAILED, { 550, 1, 1, (char *)"never" }, NULL, 5 });
	delivery_makes(&scripted, "get, submit, defer 60000 tried 2: 550 5.1.1 never there", "both are owed");
	next_delivery_makes(&scripted, "get, submit, submit, remove", "a notification each, as the first may have been written");
	told_is(2, "s@example.org failed never@x", "told");
}

static void on_submit_pause(evutil_socket_t fd, short what, void *arg)
{
	(void)fd;
	(void)what;
	delivery_drain(*(struct delivery **)arg);
}

static void drained(void)
{
	struct delivery_context context;
	struct delivery *delivery;
	struct event *timer = event_new(base, -1, 0, on_submit_pause, &delivery);
	struct lease *lease;
	bool over = false;

	failing(&scripted, TO("never@x", "later@x"), "submit", "451 4.3.0", 99, false);
	context = context_of(&scripted);
	lease = new_lease();
	delivery = delivery_begin(&context, &lease, on_ended, &over);
	event_add(timer, &(struct timeval){ 0, 50000 });
	loop_until(&over, 5000);
	ok(over, "a drain while the bounce queue is away ends it");
	calls_are("get, renew 1, submit, submit, defer 300000 tried 1: 450 4.0.0 later there",
		"with what is recorded, and the attempt");
	done_is("0 failed 550 5.1.1 never", "the bounce is owed");
	event_free(timer);
	event_free(scripted.turn);

	storage.fail_times = 0;
	next_delivery_makes(&scripted, "get, submit, defer 400000 tried 1: 450 4.0.0 later there",
		"who comes next writes it first, then tries the others");
	done_is("0 bounced 550 5.1.1 never", "and records it with that");
	is_int(scripted.delivered, 2, "an attempt each");
}

/* The process ends while a notification is made. */
static void ends_in_between(void)
{
	struct delivery_context context;
	struct delivery *delivery;
	struct lease *lease;
	bool over = false;

	set_up(&scripted, TO("never@x"));
	storage.sender = "";
	options.double_bounce = xstrdup("p@x");
	context = context_of(&scripted);
	lease = new_lease();
	delivery = delivery_begin(&context, &lease, on_ended, &over);
	while (!pool_pending(pool))
		event_base_loop(base, EVLOOP_ONCE);
	delivery_stop(delivery);
	/* The queue goes, and what its section says with it. */
	free(options.double_bounce);
	options.double_bounce = NULL;
	delivery_abandon(delivery);
	while (pool_pending(pool))
		event_base_loop(base, EVLOOP_ONCE);
	calls_are("get, renew 1", "nothing is asked any more");
	ok(!over, "and nobody told that it ended");
	for (size_t i = 0; i < ARRAY_SIZE(given); i++)
		end_lease(given[i]);
	event_free(scripted.turn);
}

int main(void)
{
	fake_open();
	log_open("unit", &(struct log_settings){ .level = LOG_LEVEL_ERROR });
	maximum();
	at_pick_up();
	long_reply();
	late();
	passed_on();
	full_lines();
	nobody_to_tell();
	bounce_queue_fails();
	others_go_on();
	drained();
	ends_in_between();
	log_close();
	fake_close();
	return done_testing();
}
