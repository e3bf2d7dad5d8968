/* waits.c - why a message is still there, in one line
 * SPDX-License-Identifier: MIT */
#include "queuectl/waits.h"

#include "common/base/buffer.h"
#include "queuectl/output.h"

/* A worker that had it does no more for its recipients. */
static bool is_settled(const struct peeked *peeked)
{
	for (size_t i = 0; peeked->envelope && i < peeked->envelope->recipient_count; i++)
		if (outcome_is_open(outcomes_find(&peeked->state.done, i)))
			return false;
	return peeked->envelope != NULL;
}

static void put_leased(struct buffer *out, const struct found *found)
{
	const struct peeked *peeked = &found->peeked;

	if (is_settled(peeked))
		buffer_append_str(out, "all recipients are settled; its sender is being told, or it is removed,");
	else if (peeked->phase == LEASE_IN_LINE)
		buffer_appendf(out, "it waits for %s, leased", found->turn.size ? buffer_str(&found->turn) : "its turn");
	else
		buffer_append_str(out, "it is being delivered just now");
	put_owner(out, peeked->owner, peeked->phase, peeked->leased_for_ms, peeked->in_phase_ms);
}

static void put_nobody(struct buffer *out, const struct found *found)
{
	buffer_append_str(out, queue_options(found->queue)->relay ? "no worker has taken it yet" :
		"its queue has no relay here, so that nobody takes it");
	if (found->in_line)
		buffer_appendf(out, ": those here hold %zu message%s, of which %zu wait%s for %s", found->held,
			found->held == 1 ? "" : "s", found->in_line, found->in_line == 1 ? "s" : "",
			found->turn.size ? buffer_str(&found->turn) : "their turn");
}

/* When, or why not. */
static void put_due(struct buffer *out, const struct found *found)
{
	const struct message_state *state = &found->peeked.state;
	char due[SHORT_SIZE];

	if (state->bounce) {
		buffer_append_str(out, "it is to bounce (");
		put_text(out, state->bounce);
		buffer_append_str(out, "), and ");
		put_nobody(out, found);
	} else if (state->due_in_ms > 0) {
		buffer_appendf(out, "its next attempt is due in %s", short_duration(due, state->due_in_ms));
	} else if (!found->suspended.size) {
		buffer_append_str(out, "it is due, and ");
		put_nobody(out, found);
	}
	if (found->suspended.size)
		buffer_appendf(out, "%s%s", out->size ? "; " : "", buffer_str(&found->suspended));
}

static void put_past(struct buffer *out, const struct message_state *state)
{
	if (state->strikes)
		buffer_appendf(out, "; %u worker%s died in its delivery, so it is tried alone", state->strikes,
			state->strikes == 1 ? "" : "s");
	else if (state->suspect)
		buffer_append_str(out, "; a worker died in its delivery, or beside it, so it is tried alone");
	if (state->waits) {
		buffer_append_str(out, "; it was not attempted when it was due: ");
		put_text(out, state->waits);
	}
	if (!state->last_count)
		return;
	buffer_append_str(out, "; the last attempt got ");
	put_reply(out, &state->last[state->last_count - 1].reply);
}

void put_waits(struct buffer *out, const struct found *found)
{
	const struct peeked *peeked = &found->peeked;

	if (peeked->place == PLACE_LEASED) {
		put_leased(out, found);
	} else if (peeked->place == PLACE_HELD) {
		buffer_append_str(out, "it is held: ");
		put_text(out, peeked->state.held ? peeked->state.held : "");
	} else if (is_settled(peeked)) {
		buffer_append_str(out, "all recipients are settled; its sender has yet to be told, or it has to be removed");
	} else {
		put_due(out, found);
		put_past(out, &peeked->state);
	}
}
