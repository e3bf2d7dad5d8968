/* unit-queue-marks.c - marks on every driver: beside a lease, at once, in order, and what outweighs them
 * SPDX-License-Identifier: MIT */
#include "t/lib/contract.h"

#define HOUR_MS 3600000

static struct place worker, operator;

static struct envelope *written(int64_t delay_ms)
{
	struct envelope *envelope = message("m@example.org", "Subject: m\r\n\r\n");

	if (do_write(&worker, &envelope, 1, delay_ms))
		abort();
	return envelope;
}

static struct lease *claimed(const char *id)
{
	struct answer answer;

	if (do_claim(&worker, 1, &answer, WAIT_MS) != 1 || strcmp(answer.leases[0]->id, id) != 0)
		abort();
	return answer.leases[0];
}

static void peek(const char *id, struct answer *answer)
{
	do_peek(&operator, id, false, answer);
}

static bool is_held(const char *id, const char *reason)
{
	struct answer seen;
	bool held;

	peek(id, &seen);
	held = seen.place == PLACE_HELD && seen.state.held && strcmp(seen.state.held, reason) == 0;
	answer_release(&seen);
	return held;
}

static void done_with(struct envelope *envelope)
{
	if (do_discard(&operator, envelope->id))
		abort();
	envelope_free(envelope);
}

static void test_hold_at_once(void)
{
	struct envelope *envelope = written(0);
	struct answer waiting;

	is_int(do_mark(&operator, envelope->id, MARK_HOLD, "a reason"), 0, "a new message is held at once");
	ok(is_held(envelope->id, "a reason"), "for that reason");
	is_int(do_info(&operator).held, 1, "info counts it");
	is_int(do_claim(&worker, 1, &waiting, 100), 0, "nobody gets it");
	is_int(do_mark(&operator, envelope->id, MARK_RELEASE, NULL), 0, "released");
	ok(wait_for(&worker, &waiting, WAIT_MS) && waiting.lease_count == 1, "the claim that waits gets it");
	is_int(do_defer(&worker, waiting.leases[0], 0, false, NULL, NULL), 0, "given back");
	done_with(envelope);
}

static void test_beside_a_lease(void)
{
	struct envelope *envelope = written(0);
	struct lease *lease = claimed(envelope->id);
	struct answer seen;

	is_int(do_mark(&operator, envelope->id, MARK_HOLD, "later"), 0, "marked under a lease");
	peek(envelope->id, &seen);
	is_int(seen.place, PLACE_LEASED, "which is not touched");
	is_int(seen.asked.count, 1, "the mark waits");
	is_str(seen.asked.count ? seen.asked.items[0] : "", "hold: later", "and is seen");
	ok(!seen.state.held, "it is not obeyed yet");
	answer_release(&seen);
	do_get(&worker, lease, &seen);
	is_int(seen.why.code, 0, "who has it goes on");
	answer_release(&seen);
	is_int(do_defer(&worker, lease, HOUR_MS, true, NULL, NULL), 0, "and gives it back");
	ok(is_held(envelope->id, "later"), "held");
	peek(envelope->id, &seen);
	is_int(seen.asked.count, 0, "nothing waits any more");
	is_int(seen.state.attempts, 1, "the attempt counts");
	answer_release(&seen);
	is_int(do_mark(&operator, envelope->id, MARK_RELEASE, NULL), 0, "released");
	lease = claimed(envelope->id);
	ok(lease != NULL, "due at once, whatever the delay was");
	do_defer(&worker, lease, HOUR_MS, false, NULL, NULL);
	done_with(envelope);
}

static void test_delivered_wins(void)
{
	static const enum mark all[] = { MARK_HOLD, MARK_RELEASE, MARK_RETRY, MARK_BOUNCE, MARK_SUSPECT, MARK_STRIKE,
		MARK_DISCARD };
	struct envelope *envelope = written(0);
	struct lease *lease = claimed(envelope->id);
	struct answer seen;
	unsigned refused = 0;

	for (unsigned i = 0; i < ARRAY_SIZE(all); i++)
		refused += do_mark(&operator, envelope->id, all[i], NULL) != 0;
	is_int(refused, 0, "every mark is taken beside a lease");
	is_int(do_remove(&worker, lease), 0, "delivered: removed");
	peek(envelope->id, &seen);
	is_int(seen.why.code, 550, "whatever was asked, it is gone");
	answer_release(&seen);
	refused = 0;
	for (unsigned i = 0; i < ARRAY_SIZE(all); i++)
		refused += do_mark(&operator, envelope->id, all[i], NULL) == 550;
	is_int(refused, ARRAY_SIZE(all), "a mark on what is not there: 550");
	is_int(do_write(&worker, &envelope, 1, 0), 0, "written again");
	is_int(do_info(&worker).oldest_age_ms, -1, "it is known as finished");
	envelope_free(envelope);
}

static void test_discard(void)
{
	struct envelope *envelope = written(HOUR_MS);
	struct answer seen;
	struct lease *lease;

	is_int(do_mark(&operator, envelope->id, MARK_DISCARD, NULL), 0, "discarded at once");
	peek(envelope->id, &seen);
	is_int(seen.why.code, 550, "gone");
	answer_release(&seen);
	envelope_free(envelope);
	envelope = written(0);
	lease = claimed(envelope->id);
	do_mark(&operator, envelope->id, MARK_DISCARD, NULL);
	do_mark(&operator, envelope->id, MARK_HOLD, "too late");
	is_int(do_defer(&worker, lease, 0, true, NULL, NULL), 0, "asked for under a lease, which ends");
	peek(envelope->id, &seen);
	is_int(seen.why.code, 550, "gone, and what came behind it with it");
	answer_release(&seen);
	envelope_free(envelope);
}

static void test_retry(void)
{
	struct envelope *envelope = written(HOUR_MS);
	struct answer waiting;
	struct lease *lease;

	is_int(do_claim(&worker, 1, &waiting, 50), 0, "not due");
	is_int(do_mark(&operator, envelope->id, MARK_RETRY, NULL), 0, "retry");
	ok(wait_for(&worker, &waiting, WAIT_MS) && waiting.lease_count == 1, "due now");
	do_mark(&operator, envelope->id, MARK_RETRY, NULL);
	do_defer(&worker, waiting.leases[0], HOUR_MS, true, NULL, NULL);
	lease = claimed(envelope->id);
	ok(lease != NULL, "asked for under a lease: due as it ends");
	do_defer(&worker, lease, HOUR_MS, true, NULL, NULL);
	is_int(do_claim(&worker, 1, &waiting, 100), 0, "once");
	done_with(envelope);
	envelope = written(0);
	ok(wait_for(&worker, &waiting, WAIT_MS) && waiting.lease_count == 1, "the claim goes on");
	do_remove(&worker, waiting.leases[0]);
	envelope_free(envelope);
}

static void test_bounce(void)
{
	struct envelope *envelope = written(HOUR_MS);
	struct lease *lease;
	struct answer got;

	do_mark(&operator, envelope->id, MARK_HOLD, NULL);
	is_int(do_mark(&operator, envelope->id, MARK_BOUNCE, "no use"), 0, "to be bounced, though it is held");
	lease = claimed(envelope->id);
	do_get(&worker, lease, &got);
	is_str(got.state.bounce, "no use", "it comes at once, and says so");
	ok(!got.state.held, "held no more");
	answer_release(&got);
	do_defer(&worker, lease, HOUR_MS, false, NULL, NULL);
	peek(envelope->id, &got);
	is_str(got.state.bounce, "no use", "until it is done");
	answer_release(&got);
	done_with(envelope);
}

static void test_strikes(void)
{
	struct envelope *envelope = written(HOUR_MS);
	struct lease *lease;
	bool suspect;

	is_int(do_mark(&operator, envelope->id, MARK_SUSPECT, NULL), 0, "suspect");
	is_int(strikes_of(&operator, envelope->id, &suspect), 0, "no strike");
	ok(suspect, "but suspect");
	do_mark(&operator, envelope->id, MARK_STRIKE, NULL);
	is_int(strikes_of(&operator, envelope->id, &suspect), 1, "a strike");
	do_mark(&operator, envelope->id, MARK_RETRY, NULL);
	lease = claimed(envelope->id);
	ok(lease->suspect, "its lease says that it is suspect");
	do_mark(&operator, envelope->id, MARK_STRIKE, NULL);
	do_mark(&operator, envelope->id, MARK_STRIKE, NULL);
	do_defer(&worker, lease, 0, false, NULL, NULL);
	is_int(strikes_of(&operator, envelope->id, &suspect), 3, "given back untried: those that came meanwhile count, each");
	lease = claimed(envelope->id);
	do_mark(&operator, envelope->id, MARK_STRIKE, NULL);
	do_defer(&worker, lease, 0, true, NULL, NULL);
	is_int(strikes_of(&operator, envelope->id, &suspect), 0, "a result outweighs them all");
	ok(!suspect, "not suspect any more");
	done_with(envelope);
}

static void test_max_strikes(void)
{
	struct envelope *envelope = written(HOUR_MS);
	struct answer waiting;
	bool suspect;

	operator.storage->max_strikes = worker.storage->max_strikes = 2;
	do_mark(&operator, envelope->id, MARK_STRIKE, NULL);
	do_mark(&operator, envelope->id, MARK_STRIKE, NULL);
	ok(is_held(envelope->id, "2 workers died in its delivery"), "held by strikes, and it says why");
	do_mark(&operator, envelope->id, MARK_RETRY, NULL);
	is_int(do_claim(&worker, 1, &waiting, 100), 0, "a retry does not free it");
	do_mark(&operator, envelope->id, MARK_RELEASE, NULL);
	ok(wait_for(&worker, &waiting, WAIT_MS) && waiting.lease_count == 1, "a release does");
	do_mark(&operator, envelope->id, MARK_STRIKE, NULL);
	do_mark(&operator, envelope->id, MARK_STRIKE, NULL);
	do_defer(&worker, waiting.leases[0], 0, true, NULL, NULL);
	is_int(strikes_of(&operator, envelope->id, &suspect), 0, "a result");
	ok(!is_held(envelope->id, "2 workers died in its delivery"), "keeps older deaths from holding it");
	operator.storage->max_strikes = worker.storage->max_strikes = 0;
	done_with(envelope);
}

static void test_order(void)
{
	struct envelope *envelope = written(0);
	struct lease *lease = claimed(envelope->id);
	struct answer seen;

	do_mark(&operator, envelope->id, MARK_HOLD, "one");
	do_mark(&operator, envelope->id, MARK_RELEASE, NULL);
	do_mark(&operator, envelope->id, MARK_HOLD, "two");
	do_mark(&operator, envelope->id, MARK_HOLD, "two");
	peek(envelope->id, &seen);
	ok(seen.asked.count >= 3 && strcmp(seen.asked.items[0], "hold: one") == 0, "several marks wait in order");
	answer_release(&seen);
	do_defer(&worker, lease, 0, true, NULL, NULL);
	ok(is_held(envelope->id, "two"), "the last one counts");
	do_mark(&operator, envelope->id, MARK_RELEASE, NULL);
	lease = claimed(envelope->id);
	do_mark(&operator, envelope->id, MARK_HOLD, "three");
	do_mark(&operator, envelope->id, MARK_RELEASE, NULL);
	do_defer(&worker, lease, HOUR_MS, true, NULL, NULL);
	lease = claimed(envelope->id);
	ok(lease != NULL, "the other way round it is due at once");
	do_remove(&worker, lease);
	envelope_free(envelope);
}

static void test_reason_stays(void)
{
	struct envelope *envelope = written(0);
	struct lease *lease = claimed(envelope->id);

	do_mark(&operator, envelope->id, MARK_HOLD, "why");
	do_mark(&operator, envelope->id, MARK_HOLD, NULL);
	do_defer(&worker, lease, 0, true, NULL, NULL);
	ok(is_held(envelope->id, "why"), "held again without a reason, beside a lease: the first reason stays");
	is_int(do_mark(&operator, envelope->id, MARK_HOLD, NULL), 0, "and again");
	ok(is_held(envelope->id, "why"), "it still does");
	do_mark(&operator, envelope->id, MARK_HOLD, "another");
	ok(is_held(envelope->id, "another"), "until there is another");
	do_mark(&operator, envelope->id, MARK_RELEASE, NULL);
	do_mark(&operator, envelope->id, MARK_HOLD, NULL);
	ok(is_held(envelope->id, "operator"), "a release ends it");
	done_with(envelope);
}

static void test_strange_reasons(void)
{
	struct envelope *envelope = written(0);
	struct lease *lease = claimed(envelope->id);
	struct answer seen;

	is_int(do_mark(&operator, envelope->id, MARK_HOLD, "a\n{\"mark\":\"discard\"}\n\xff"), 0, "a reason of any octets");
	do_defer(&worker, lease, 0, true, NULL, NULL);
	peek(envelope->id, &seen);
	is_int(seen.place, PLACE_HELD, "is no mark of its own");
	ok(seen.state.held && strstr(seen.state.held, "discard"), "and is kept, escaped as need be");
	answer_release(&seen);
	done_with(envelope);
}

/* Where a storage can. */
static void test_take(void)
{
	struct envelope *envelope = written(0);
	struct lease *lease = claimed(envelope->id);

	do_mark(&operator, envelope->id, MARK_HOLD, "taken");
	is_int(do_take(&operator, envelope->id), 0, "taken from who has it");
	ok(is_held(envelope->id, "taken"), "what was asked beside his lease is obeyed");
	is_int(do_defer(&worker, lease, 0, true, NULL, NULL), 450, "his result is refused");
	is_int(strikes_of(&operator, envelope->id, NULL), 0, "it is not touched");
	is_int(do_take(&operator, envelope->id), 0, "nobody has it: success");
	done_with(envelope);
	envelope = written(0);
	do_discard(&operator, envelope->id);
	is_int(do_take(&operator, envelope->id), 550, "not there");
	envelope_free(envelope);
}

static void test_lasts(void)
{
	struct envelope *items[2] = { written(0), written(HOUR_MS) };
	struct lease *lease = claimed(items[0]->id);
	struct answer got;

	do_mark(&operator, items[0]->id, MARK_BOUNCE, "lasts");
	do_mark(&operator, items[1]->id, MARK_HOLD, "lasts");
	(void)lease;			/* ends with its place */
	place_close(&operator);
	place_close(&worker);
	contract_open(&worker, NULL, STORAGE_FOR_WORKER);
	contract_open(&operator, &worker, STORAGE_FOR_OPERATOR);
	ok(is_held(items[1]->id, "lasts"), "opened again: one is still held");
	lease = claimed(items[0]->id);
	do_get(&worker, lease, &got);
	is_str(got.state.bounce, "lasts", "what was asked beside a lease that died is obeyed by the next");
	answer_release(&got);
	do_remove(&worker, lease);
	done_with(items[1]);
	envelope_free(items[0]);
}

static void walk(void)
{
	contract_open(&worker, NULL, STORAGE_FOR_WORKER);
	contract_open(&operator, &worker, STORAGE_FOR_OPERATOR);
	test_hold_at_once();
	test_beside_a_lease();
	test_delivered_wins();
	test_discard();
	test_retry();
	test_bounce();
	test_strikes();
	test_max_strikes();
	test_order();
	test_reason_stays();
	test_strange_reasons();
	if (operator.storage->driver->take)
		test_take();
	if (driver->lasts)
		test_lasts();
	is_int(do_info(&operator).oldest_age_ms, -1, "nothing is left");
	place_close(&operator);
	place_close(&worker);
}

int main(void)
{
	contract_walk(walk);
	return done_testing();
}
