/* unit-queue-state.c - outcomes of recipients and what is known of a message, as JSON and back
 * SPDX-License-Identifier: MIT */
#include "common/base/memory.h"
#include "common/queue/storage.h"
#include "t/lib/tap.h"

/* 7 has no common divisor with 1000: each once, in no order. */
static void test_many_outcomes(void)
{
	struct outcomes many = { 0 };
	unsigned wrong = 0;

	for (size_t i = 0; i < 1000; i++)
		outcomes_add(&many, &(struct outcome){ .index = i * 7 % 1000 * 2, .kind = OUTCOME_DELIVERED,
			.time_ms = (int64_t)i });
	is_int(many.count, 1000, "a thousand, in no order");
	for (size_t i = 0; i < 1000; i++) {
		wrong += many.items[i].index != 2 * i || outcomes_find(&many, 2 * i + 1) != NULL;
		wrong += outcomes_find(&many, i * 7 % 1000 * 2)->time_ms != (int64_t)i;
	}
	is_int(wrong, 0, "stand in order, and each is found");
	ok(!outcomes_find(&many, SIZE_MAX), "no other is");
	outcomes_release(&many);
}

static void test_outcomes(void)
{
	struct outcomes a = { 0 }, b = { 0 };
	struct reply first = { 0 }, second = { 0 };

	reply_set(&first, 250, "2.0.0", "first");
	reply_set(&second, 550, "5.1.1", "second");
	outcomes_add(&a, &(struct outcome){ 3, OUTCOME_DELIVERED, first });
	outcomes_add(&a, &(struct outcome){ 3, OUTCOME_FAILED, second });
	is_int(a.count, 1, "settled once");
	is_int(outcomes_find(&a, 3)->kind, OUTCOME_DELIVERED, "as it was settled first");
	is_str(outcomes_find(&a, 3)->reply.text, "first", "with its reply");
	outcomes_add(&b, &(struct outcome){ 1, OUTCOME_FAILED, second });
	outcomes_add(&b, &(struct outcome){ 3, OUTCOME_FAILED, second });
	outcomes_merge(&a, &b);
	is_int(a.count, 2, "merged: it only grows");
	outcomes_add(&a, &(struct outcome){ 1, OUTCOME_BOUNCED });
	outcomes_add(&a, &(struct outcome){ 3, OUTCOME_BOUNCED });
	is_int(outcomes_find(&a, 1)->kind, OUTCOME_BOUNCED, "a failure may become a bounce");
	is_str(outcomes_find(&a, 1)->reply.text, "second", "its reply stays");
	is_int(outcomes_find(&a, 3)->kind, OUTCOME_DELIVERED, "what was delivered may not");
	ok(!outcomes_find(&a, 0), "the others are open");
	outcomes_add(&a, &(struct outcome){ 5, OUTCOME_DELAYED, second, (char *)"mx.example.com", 77 });
	ok(outcome_is_open(outcomes_find(&a, 5)), "one that is late is open");
	outcomes_add(&a, &(struct outcome){ 5, OUTCOME_CONFIRMED });
	is_int(outcomes_find(&a, 5)->kind, OUTCOME_CONFIRMED, "and may come to any end");
	outcomes_add(&a, &(struct outcome){ 6, OUTCOME_DELAYED, second, (char *)"mx.example.com", 77 });
	outcomes_add(&a, &(struct outcome){ 6, OUTCOME_WARNED, first, (char *)"other.example.com", 78 });
	is_int(outcomes_find(&a, 6)->kind, OUTCOME_WARNED, "the sender was warned");
	is_str(outcomes_find(&a, 6)->host, "mx.example.com", "of what had been recorded");
	outcomes_add(&a, &(struct outcome){ 6, OUTCOME_DELAYED });
	is_int(outcomes_find(&a, 6)->kind, OUTCOME_WARNED, "and is so once");
	outcomes_add(&a, &(struct outcome){ 6, OUTCOME_FAILED, first, (char *)"other.example.com", 79 });
	is_int(outcomes_find(&a, 6)->time_ms, 79, "the end has its own reply, host and time");
	outcomes_release(&a);
	outcomes_release(&b);
	reply_release(&first);
	reply_release(&second);
}

static void test_marks(void)
{
	struct message_state state = { 0 };

	ok(!message_state_mark(&state, MARK_HOLD, "why", 3), "held: not due");
	is_str(state.held, "why", "for a reason");
	message_state_mark(&state, MARK_STRIKE, NULL, 3);
	is_str(state.held, "why", "which a strike leaves");
	ok(message_state_mark(&state, MARK_RELEASE, NULL, 3), "released: due");
	ok(!state.held && !state.strikes && !state.suspect, "and all forgiven");
	message_state_mark(&state, MARK_SUSPECT, NULL, 3);
	ok(state.suspect && !state.strikes, "suspect without a strike");
	for (int i = 0; i < 2; i++)
		ok(!message_state_mark(&state, MARK_STRIKE, NULL, 3) && !state.held, "strike %d", i + 1);
	message_state_mark(&state, MARK_STRIKE, NULL, 3);
	is_str(state.held, "3 workers died in its delivery", "the third holds it");
	ok(message_state_mark(&state, MARK_BOUNCE, "operator", 3) && !state.held, "to be bounced: due, held no more");
	is_str(state.bounce, "operator", "for a reason");
	message_state_survived(&state);
	ok(!state.suspect && !state.strikes, "it survived");
	ok(message_state_mark(&state, MARK_RETRY, NULL, 3), "retry: due");
	message_state_release(&state);
	for (int i = 0; i < 100; i++)
		message_state_mark(&state, MARK_STRIKE, NULL, 0);
	ok(!state.held, "no number of strikes holds it where there is no bound");
	message_state_release(&state);
}

static void test_round_trip(void)
{
	struct message_state state = { .attempts = 12, .strikes = 2, .suspect = true, .held = xstrdup("operator"),
		.bounce = xstrdup("admin"), .waits = xstrdup("a line") }, back;
	struct attempt attempt = { 0 };
	json_t *other = json_pack("{s:s, s:i}", "later", "kept", "attempts", 1), *object;
	const char *why;

	for (int i = 0; i < 12; i++) {
		reply_set(&attempt.reply, 450, "4.2.0", "try %d", i);
		attempt.time_ms = 1000 + i;
		attempt.host = (char *)(i == 11 ? "mx\xff.example.com" : "mx.example.com");
		attempt.tls = (char *)(i == 11 ? NULL : "TLSv1.3");
		message_state_add_attempt(&state, &attempt);
	}
	outcomes_add(&state.done, &(struct outcome){ 7, OUTCOME_FAILED, attempt.reply, (char *)"mx\xfe", 99,
		(char *)"TLSv1.2" });
	object = message_state_to_json(&state, other);
	is_str(json_string_value(json_object_get(object, "later")), "kept", "a member that we do not know is kept");
	is_int(message_state_from_json(&back, object, &why), 0, "and back");
	is_int(back.attempts, 12, "attempts");
	is_int(back.strikes, 2, "strikes");
	is_str(back.held, "operator", "held");
	is_str(back.bounce, "admin", "to be bounced");
	is_str(back.waits, "a line", "why it was not attempted");
	ok(back.suspect, "suspect");
	is_str(outcomes_find(&back.done, 7)->host, "\"mx\\xFE\"", "the host of an outcome, escaped");
	is_int(outcomes_find(&back.done, 7)->time_ms, 99, "and its time");
	is_str(outcomes_find(&back.done, 7)->tls, "TLSv1.2", "and TLS");
	is_int(back.last_count, ATTEMPTS_KEPT, "the last ten attempts");
	is_str(back.last[0].reply.text, "try 2", "oldest first");
	is_str(back.last[0].tls, "TLSv1.3", "with TLS");
	is_str(back.last[9].tls, NULL, "or without");
	is_int(back.last[9].time_ms, 1011, "with their times");
	ok(strcasestr(back.last[9].host, "\\xff") != NULL, "a name that is no UTF-8 is escaped");
	is_int(outcomes_find(&back.done, 7)->kind, OUTCOME_FAILED, "outcomes");
	is_str(outcomes_find(&back.done, 7)->reply.text, "try 11", "with replies");
	json_decref(object);
	json_decref(other);
	message_state_release(&state);
	message_state_copy(&state, &back);
	is_str(state.last[0].reply.text, "try 2", "a copy is its own");
	message_state_release(&back);
	message_state_release(&state);
	reply_release(&attempt.reply);
}

static void test_malformed(void)
{
	static const char *const texts[] = {
		"[]", "{\"attempts\":-1}", "{\"attempts\":\"1\"}", "{\"attempts\":4294967296}", "{\"strikes\":1.5}",
		"{\"held\":true}", "{\"done\":{}}", "{\"done\":[1]}", "{\"done\":[{\"index\":-1,\"outcome\":\"failed\"}]}",
		"{\"done\":[{\"index\":0,\"outcome\":\"eaten\"}]}", "{\"done\":[{\"index\":0}]}",
		"{\"done\":[{\"index\":0,\"outcome\":\"failed\",\"reply\":{\"code\":\"x\"}}]}", "{\"last\":[{}]}",
		"{\"last\":[{\"time\":1,\"reply\":7}]}", "{\"last\":0}",
	};

	for (unsigned i = 0; i < ARRAY_SIZE(texts); i++) {
		json_t *object = json_loads(texts[i], 0, NULL);
		struct message_state state;
		const char *why = NULL;

		ok(message_state_from_json(&state, object, &why) < 0 && why && !state.done.items && !state.held,
			"refused: %s", texts[i]);
		json_decref(object);
	}
}

int main(void)
{
	test_outcomes();
	test_many_outcomes();
	test_marks();
	test_round_trip();
	test_malformed();
	return done_testing();
}
