/* unit-worker-suspended.c - suspended destinations: who is left alone, who is not, and until when
 * SPDX-License-Identifier: MIT */
#include "t/lib/fake_queue.h"

#define NEVER INT64_MAX
#define VALUE "{\"by\":\"ann\",\"since\":1790000000000,\"reason\":\"they asked\"}"

static struct scripted scripted;
static struct setting settings[4];

static void set_true(void *arg)
{
	*(bool *)arg = true;
}

static void look(void)
{
	bool over = false;

	suspended_look(suspended, set_true, &over);
	loop_until(&over, 5000);
	ok(over, "looked");
}

/* Up to the first NULL; all for `for_ms`. */
static void suspend(int64_t for_ms, const char *const *domains)
{
	static struct strings keys;

	strings_release(&keys);
	fake_settings.count = 0;
	for (size_t i = 0; domains[i]; i++) {
		char *key = suspension_key(domains[i]);

		strings_add(&keys, key);
		free(key);
	}
	for (size_t i = 0; i < keys.count; i++)
		settings[fake_settings.count++] = (struct setting){ keys.items[i], VALUE, for_ms };
	fake_settings.settings = settings;
	if (!suspended)
		suspended = suspended_new(base, NULL);
	look();
	strings_release(&storage.calls);
	if (!*domains)
		strings_release(&keys);
}

static void resume_all(void)
{
	suspend(NEVER, TO(NULL));
	suspended_stop(suspended);
	suspended_free(suspended);
	suspended = NULL;
}

static void delivers(const char *const *recipients, const char *calls, unsigned attempts, const char *what)
{
	set_up(&scripted, recipients);
	suspend(NEVER, TO("a.example", ".b.example"));
	delivery_makes(&scripted, calls, what);
	is_int(scripted.delivered, attempts, "attempts");
	resume_all();
}

static void who_is_left_alone(void)
{
	delivers(TO("ok@a.example"), "get, aside long one 0", 0, "all: put aside, unrecorded");
	delivers(TO("ok@A.Example"), "get, aside long one 0", 0, "in any case");
	delivers(TO("ok@x.a.example"), "get, remove", 1, "a domain below is another");
	delivers(TO("ok@x.b.example", "never@y.x.B.example"), "get, aside long one 0", 0, "unless all below are meant");
	delivers(TO("ok@b.example"), "get, remove", 1, "which does not mean itself");
	delivers(TO("ok@xa.example", "ok@example"), "get, renew 1, remove", 1, "others that end alike");
	delivers(TO("ok@a.example", "ok@x.b.example"), "get, aside long several 0", 0, "of several");
	delivers(TO("ok@c.example", "never@a.example"), "get, aside long one 1", 1, "others are delivered: recorded with it");
	delivers(TO("never@c.example", "ok@a.example", "ok@d.example"), "get, renew 2, submit, aside long one 2", 1,
		"others fail: told");
	delivers(TO("later@c.example", "ok@a.example"), "get, defer 300000 tried 0: 450 4.0.0 later there", 1,
		"another has to wait: that is an attempt, and its time");
	delivers(TO("untried@c.example", "ok@a.example"), "get, defer 0 untried 0: ", 1, "or was not begun: at once");
}

static void for_how_long(void)
{
	set_up(&scripted, TO("ok@a.example"));
	suspend(60000, TO("a.example"));
	delivery_makes(&scripted, "get, aside 60s one 0", "until the suspension ends");
	resume_all();

	set_up(&scripted, TO("ok@a.example"));
	storage.age_ms = 100000;
	options.retry.maximum_age_ms = 130000;
	suspend(NEVER, TO("a.example"));
	delivery_makes(&scripted, "get, aside 30s one 0", "until it is too old");
	storage.age_ms = 130000;
	next_delivery_makes(&scripted, "get, renew 1, submit, remove", "and then it fails");
	ok(text_has_suffix(storage.notified.items[0], "s@example.org failed ok@a.example"), "and its sender is told");
	resume_all();

	set_up(&scripted, TO("ok@a.example"));
	storage.state.bounce = xstrdup("operator");
	suspend(NEVER, TO("a.example"));
	delivery_makes(&scripted, "get, renew 1, submit, remove", "an operator's bounce does not wait");
	resume_all();
}

static void who_is_told(void)
{
	set_up(&scripted, TO("ok@a.example", "ok@c.example"));
	storage.age_ms = 5000;
	options.retry.notify_delay_ms = 8000;
	suspend(NEVER, TO("a.example"));
	delivery_makes(&scripted, "get, aside 3s one 1", "until its sender is to be told");
	storage.age_ms = 9000;
	next_delivery_makes(&scripted, "get, renew 2, submit, aside long one 2", "late: recorded, told, put aside again");
	is_int(storage.notified.count, 1, "one notification");
	ok(text_has_suffix(storage.notified.items[0], "s@example.org delayed ok@a.example"), "of the one who waits");
	ok(strstr(storage.octets.items[0], "451 4.3.2 Deliveries to a.example are suspended"), "and why");
	next_delivery_makes(&scripted, "get, aside long one 2", "once");
	resume_all();
	next_delivery_makes(&scripted, "get, remove", "and goes after that");
}

static void fails_to_put_aside(void)
{
	failing(&scripted, TO("ok@a.example"), "aside", "451 4.3.0", 1, false);
	suspend(NEVER, TO("a.example"));
	delivery_makes(&scripted, "get, aside long one 0, claim_id, aside long one 0", "again, under a new lease");
	resume_all();
}

/* It was decided on before. */
static void ends_meanwhile(void)
{
	struct delivery_context context;
	struct lease *lease;
	bool over = false, ended = false;

	set_up(&scripted, TO("ok@c.example", "ok@a.example"));
	suspend(NEVER, TO("a.example"));
	scripted.holds = true;
	context = context_of(&scripted);
	lease = new_lease();
	delivery_begin(&context, &lease, on_ended, &over);
	while (!scripted.delivered)
		event_base_loop(base, EVLOOP_ONCE);
	fake_settings.count = 0;
	suspended_look(suspended, set_true, &ended);
	loop_until(&ended, 5000);
	scripted.holds = false;
	event_active(scripted.turn, EV_TIMEOUT, 0);
	loop_until(&over, 5000);
	calls_are("get, recall, defer 0 untried 1: ", "due at once when it ended while another was delivered");
	event_free(scripted.turn);
	resume_all();
}

static void what_is_said_of_changes(void)
{
	set_up(&scripted, TO("ok@a.example"));
	suspend(NEVER, TO("a.example", "b.example"));
	fake_settings.count = 1;
	look();
	calls_are("recall", "one has ended: recalled");
	settings[0].expires_in_ms = 60000;
	look();
	calls_are("recall, recall", "one ends earlier: recalled");
	settings[0].expires_in_ms = 59800;
	look();
	settings[0].expires_in_ms = NEVER;
	look();
	calls_are("recall, recall", "neither what is left of it, nor a later end");
	fake_settings.fail_with = "451 4.3.0";
	look();
	ok(suspended_find(suspended, "x@a.example"), "who cannot ask holds to what it knows");
	fake_settings.fail_with = NULL;
	settings[0].value = "no JSON";
	look();
	ok(suspended_find(suspended, "x@a.example"), "a value that is not understood suspends");
	settings[0].expires_in_ms = 1;
	look();
	while (suspended_find(suspended, "x@a.example"))
		;
	ok(1, "its end is obeyed before it is told");
	event_free(scripted.turn);
	resume_all();
}

static void until_called(const char *call)
{
	bool never = false;

	for (unsigned i = 0; i < 200 && !strings_contain(&storage.calls, call); i++)
		loop_until(&never, 50);
	ok(strings_contain(&storage.calls, call), "%s", call);
}

/* Mail that comes when nothing is suspended costs a look each two seconds, no mail none; what is suspended a timer. */
static void when_it_looks(void)
{
	struct delivery_context context;
	struct claims *all;
	bool never = false, drained = false;

	set_up(&scripted, TO("ok@c.example"));
	suspended = suspended_new(base, NULL);
	is_int(fake_settings.looks, 0, "not at start");
	storage.to_claim = 5;
	context = context_of(&scripted);
	all = claims_new(&context);
	while (scripted.delivered < 5)
		event_base_loop(base, EVLOOP_ONCE);
	is_int(fake_settings.looks, 1, "for the first that is claimed, and not again for what comes then");
	loop_until(&never, 2500);
	is_int(fake_settings.looks, 1, "nor while nothing comes");
	storage.to_claim = 1;
	fake_settings.count = 1;
	settings[0] = (struct setting){ "suspend:c.example", VALUE, NEVER };
	fake_settings.settings = settings;
	storage.claimed(storage.claimed_arg, (struct lease *const[]){ new_lease() }, 1);
	until_called("aside long one 0");
	is_int(fake_settings.looks, 2, "before the next that comes is begun");
	is_int(scripted.delivered, 5, "which it obeys");
	fake_settings.count = 0;
	until_called("recall");
	is_int(fake_settings.looks, 3, "and then by itself");
	loop_until(&never, 2500);
	is_int(fake_settings.looks, 3, "until nothing is suspended");
	claims_drain(all, 1000, set_true, &drained);
	loop_until(&drained, 2000);
	claims_free(all);
	event_free(scripted.turn);
	resume_all();
}

int main(void)
{
	fake_open();
	log_open("unit", &(struct log_settings){ .level = LOG_LEVEL_ERROR });
	who_is_left_alone();
	for_how_long();
	who_is_told();
	fails_to_put_aside();
	ends_meanwhile();
	what_is_said_of_changes();
	when_it_looks();
	log_close();
	fake_close();
	return done_testing();
}
