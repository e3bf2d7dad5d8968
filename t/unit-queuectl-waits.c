/* unit-queuectl-waits.c - why a message is still there, in one line, for every state it can be in
 * SPDX-License-Identifier: MIT */
#include "common/base/buffer.h"
#include "common/base/memory.h"
#include "queuectl/waits.h"
#include "t/lib/tap.h"

#define ANN "destination example.com is suspended by ann"

static const struct row {
	enum message_place place;
	struct message_state state;
	const char *owner, *suspended, *reply;
	bool settled;
	const char *expected;
	enum lease_phase phase;		/* else it has begun, where it has an owner */
	const char *turn;
} rows[] = {
	{ PLACE_DEFERRED, { .due_in_ms = 90000 }, .expected = "its next attempt is due in 1m30s" },
	{ PLACE_DEFERRED, { .due_in_ms = 90000 }, .reply = "Greylisted\x1b",
		.expected = "its next attempt is due in 1m30s; the last attempt got 450 4.7.1 Greylisted " },
	{ PLACE_DEFERRED, { .due_in_ms = 1000, .strikes = 1, .suspect = true },
		.expected = "its next attempt is due in 1s; 1 worker died in its delivery, so it is tried alone" },
	{ PLACE_DEFERRED, { .due_in_ms = 1000, .strikes = 2 },
		.expected = "its next attempt is due in 1s; 2 workers died in its delivery, so it is tried alone" },
	{ PLACE_DEFERRED, { .due_in_ms = 1000, .suspect = true },
		.expected = "its next attempt is due in 1s; a worker died in its delivery, or beside it, so it is tried alone" },
	{ PLACE_DEFERRED, { .due_in_ms = 0 }, .suspended = ANN, .expected = ANN },
	{ PLACE_DEFERRED, { .due_in_ms = 1000 }, .suspended = ANN, .expected = "its next attempt is due in 1s; " ANN },
	{ PLACE_DEFERRED, { .due_in_ms = 5000, .waits = (char *)"Too many messages wait for mx.example.net\n" },
		.expected = "its next attempt is due in 5s; it was not attempted when it was due: Too many messages wait for "
			"mx.example.net\\n" },
	{ PLACE_DEFERRED, { .due_in_ms = 1000 }, .settled = true,
		.expected = "all recipients are settled; its sender has yet to be told, or it has to be removed" },
	{ PLACE_HELD, { .held = (char *)"operator ann: \x1b[2J", .due_in_ms = 1000 },
		.expected = "it is held: operator ann: \\x1B[2J" },
	{ PLACE_LEASED, { .due_in_ms = 0 }, .expected = "it is being delivered just now" },
	{ PLACE_LEASED, { .due_in_ms = 0 }, .owner = "mx1/slimta-worker[8]",
		.expected = "it is being delivered just now by mx1/slimta-worker[8] for 14s, in delivery for 12s" },
	{ PLACE_LEASED, { .due_in_ms = 0 }, .owner = "mx1/slimta-worker[8]", .phase = LEASE_IN_LINE,
		.expected = "it waits for its turn, leased by mx1/slimta-worker[8] for 14s, in line for 12s" },
	{ PLACE_LEASED, { .due_in_ms = 0 }, .owner = "mx1/slimta-worker[8]", .phase = LEASE_IN_LINE, .turn = "a seat",
		.expected = "it waits for a seat, leased by mx1/slimta-worker[8] for 14s, in line for 12s" },
	{ PLACE_LEASED, { .due_in_ms = 0 }, .settled = true, .owner = "mx1/slimta-worker[8]",
		.expected = "all recipients are settled; its sender is being told, or it is removed, by mx1/slimta-worker[8] "
			"for 14s, in delivery for 12s" },
};

static void test_row(const struct row *row)
{
	struct found found = { .peeked = { .place = row->place, .state = row->state, .owner = (char *)row->owner,
		.phase = row->phase ? row->phase : row->owner ? LEASE_BEGUN : LEASE_PHASE_UNKNOWN,
		.leased_for_ms = 14000, .in_phase_ms = 12000 } };
	struct outcomes done = { 0 };
	struct attempt *last = &found.peeked.state.last[0];
	struct buffer out = { 0 };

	found.peeked.envelope = envelope_new();
	envelope_add_recipient(found.peeked.envelope, "x@example.com");
	if (row->settled)
		outcomes_add(&done, &(struct outcome){ 0, OUTCOME_FAILED });
	found.peeked.state.done = done;
	if (row->turn)
		buffer_append_str(&found.turn, row->turn);
	if (row->suspended)
		buffer_append_str(&found.suspended, row->suspended);
	if (row->reply) {
		reply_set(&last->reply, 450, "4.7.1", "%s", row->reply);
		found.peeked.state.last_count = 1;
	}
	put_waits(&out, &found);
	is_str(buffer_str(&out), row->expected, row->expected);
	reply_release(&last->reply);
	outcomes_release(&found.peeked.state.done);
	envelope_free(found.peeked.envelope);
	buffer_release(&found.suspended);
	buffer_release(&found.turn);
	buffer_release(&out);
}

int main(void)
{
	for (size_t i = 0; i < ARRAY_SIZE(rows); i++)
		test_row(&rows[i]);
	return done_testing();
}
