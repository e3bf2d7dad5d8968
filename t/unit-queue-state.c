/* unit-queue-state.c - outcomes of recipients and what is known of a message, as JSON and back
 * SPDX-License-Identifier: MIT */
#include "common/base/memory.h"
#include "common/queue/storage.h"
#include "t/lib/tap.h"

static void test_outcomes(void)
{
	struct outcomes a = { 0 }, b = { 0 };
	struct reply first = { 0 }, second = { 0 };

	reply_set(&first, 250, "2.0.0", "first");
	reply_set(&second, 550, "5.1.1", "second");
	outcomes_add(&a, 3, OUTCOME_DELIVERED, &first);
	outcomes_add(&a, 3, OUTCOME_FAILED, &second);
	is_int(a.count, 1, "settled once");
	is_int(outcomes_find(&a, 3)->kind, OUTCOME_DELIVERED, "as it was settled first");
	is_str(outcomes_find(&a, 3)->reply.text, "first", "with its reply");
	outcomes_add(&b, 1, OUTCOME_FAILED, &second);
	outcomes_add(&b, 3, OUTCOME_FAILED, &second);
	outcomes_merge(&a, &b);
	is_int(a.count, 2, "merged: it only grows");
	outcomes_add(&a, 1, OUTCOME_BOUNCED, NULL);
	outcomes_add(&a, 3, OUTCOME_BOUNCED, NULL);
	is_int(outcomes_find(&a, 1)->kind, OUTCOME_BOUNCED, "a failure may become a bounce");
	is_str(outcomes_find(&a, 1)->reply.text, "second", "its reply stays");
	is_int(outcomes_find(&a, 3)->kind, OUTCOME_DELIVERED, "what was delivered may not");
	ok(!outcomes_find(&a, 0), "the others are open");
	outcomes_release(&a);
	outcomes_release(&b);
	reply_release(&first);
	reply_release(&second);
}

static void test_round_trip(void)
{
	struct message_state state = { .attempts = 12, .strikes = 2, .held = xstrdup("operator") }, back;
	struct reply reply = { 0 };
	json_t *other = json_pack("{s:s, s:i}", "later", "kept", "attempts", 1), *object;
	const char *why;

	for (int i = 0; i < 12; i++) {
		reply_set(&reply, 450, "4.2.0", "try %d", i);
		message_state_add_attempt(&state, 1000 + i, i == 11 ? "mx\xff.example.com" : "mx.example.com", &reply);
	}
	outcomes_add(&state.done, 7, OUTCOME_FAILED, &reply);
	object = message_state_to_json(&state, other);
	is_str(json_string_value(json_object_get(object, "later")), "kept", "a member that we do not know is kept");
	is_int(message_state_from_json(&back, object, &why), 0, "and back");
	is_int(back.attempts, 12, "attempts");
	is_int(back.strikes, 2, "strikes");
	is_str(back.held, "operator", "held");
	is_int(back.last_count, ATTEMPTS_KEPT, "the last ten attempts");
	is_str(back.last[0].reply.text, "try 2", "oldest first");
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
	reply_release(&reply);
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
	test_round_trip();
	test_malformed();
	return done_testing();
}
