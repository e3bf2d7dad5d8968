/* unit-worker-delivery.c - claim, relay and record against a storage and a relay that do what the test says
 * SPDX-License-Identifier: MIT
 * P19: a message that cannot be read does not stop the queue. */
#include "t/lib/fake_queue.h"

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
	delivery_makes(&scripted, "get, renew 1, submit, remove", "permanent: recorded, bounced, removed");
	is_int(counter_sum(counters, COUNTER_WORKER_FAILED), 1, "and counted");
	is_int(counter_sum(counters, COUNTER_WORKER_NOTIFIED), 1, "so is the bounce");

	set_up(&scripted, TO("ok1", "later", "ok2", "never"));
	delivery_makes(&scripted, "get, renew 1, renew 2, renew 3, submit, "
		"defer 300000 tried 3: 450 4.0.0 later there",
		"mixed: each delivered one is recorded while the others are under way");

	set_up(&scripted, TO("ok1", "later", "ok2"));
	reply_set(&before, 250, NULL, "before");
	outcomes_add(&storage.state.done, &(struct outcome){ 0, OUTCOME_DELIVERED, before });
	delivery_makes(&scripted, "get, defer 300000 tried 2: 450 4.0.0 later there",
		"what was delivered before is not tried again");

	set_up(&scripted, TO("ok1"));
	outcomes_add(&storage.state.done, &(struct outcome){ 0, OUTCOME_DELIVERED, before });
	delivery_makes(&scripted, "get, remove", "all were delivered before: only removed");
	is_int(scripted.delivered, 0, "without the relay");

	set_up(&scripted, TO("untried1", "untried2"));
	delivery_makes(&scripted, "get, defer 0 untried 0: ", "not begun: given back, at no cost");
	set_up(&scripted, TO("ok", "untried"));
	delivery_makes(&scripted, "get, renew 1, defer 0 untried 1: ", "but what was delivered is recorded");
	reply_release(&before);
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
	struct delivery_context context;
	struct lease *lease;
	bool over = false;

	set_up(&scripted, TO("ok"));
	storage.lease_ms = 300;
	scripted.holds = true;
	lease = new_lease();
	context = context_of(&scripted);
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
	struct delivery_context context;
	struct claims *all;
	bool never = false, drained = false;

	set_up(&scripted, TO("ok"));
	storage.to_claim = 5;
	context = context_of(&scripted);
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
	struct delivery_context context;
	struct claims *all;
	bool never = false, drained = false;

	failing(&scripted, TO("ok"), "remove", "451 4.3.0", 99, false);
	storage.to_claim = 1;
	context = context_of(&scripted);
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
	context = context_of(&scripted);
	all = claims_new(&context);
	loop_until(&never, 50);
	is_int(log_open("unit", &(struct log_settings){ .level = LOG_LEVEL_INFO, .output = path }), 0, "log opened");
	claims_stop(all);
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
	fake_open();
	results();
	storage_fails();
	lease_is_kept();
	claims();
	drain_with_a_failing_storage();
	abandoned();
	is_int(counter_sum(counters, COUNTER_WORKER_ATTEMPTS), 0, "nothing is counted as under way any more");
	fake_close();
	return done_testing();
}
