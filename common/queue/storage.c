/* storage.c - the kinds of storage there are, outcomes of recipients, what is known of a message
 * SPDX-License-Identifier: MIT */
#include "common/queue/storage.h"

#include <string.h>

#include "common/base/memory.h"
#include "common/queue/disk/disk.h"

const struct storage_driver *const storage_drivers[] = {
	&disk_driver,
	NULL,
};

const struct storage_driver *storage_driver_find(const char *type)
{
	for (unsigned i = 0; storage_drivers[i]; i++)
		if (strcmp(storage_drivers[i]->type, type) == 0)
			return storage_drivers[i];
	return NULL;
}

static struct outcome *find(const struct outcomes *outcomes, size_t index)
{
	for (size_t i = 0; i < outcomes->count; i++)
		if (outcomes->items[i].index == index)
			return &outcomes->items[i];
	return NULL;
}

const struct outcome *outcomes_find(const struct outcomes *outcomes, size_t index)
{
	return find(outcomes, index);
}

/* What is settled stays as it was settled first; only the bounce of a failure may follow it. */
void outcomes_add(struct outcomes *outcomes, size_t index, enum outcome_kind kind, const struct reply *reply)
{
	struct outcome *known = find(outcomes, index);

	if (known) {
		if (known->kind == OUTCOME_FAILED && kind == OUTCOME_BOUNCED)
			known->kind = OUTCOME_BOUNCED;
		return;
	}
	outcomes->items = xrealloc(outcomes->items, outcomes->count + 1, sizeof(*outcomes->items));
	known = &outcomes->items[outcomes->count++];
	memset(known, 0, sizeof(*known));
	known->index = index;
	known->kind = kind;
	if (reply)
		reply_copy(&known->reply, reply);
}

void outcomes_merge(struct outcomes *into, const struct outcomes *from)
{
	for (size_t i = 0; i < from->count; i++)
		outcomes_add(into, from->items[i].index, from->items[i].kind, &from->items[i].reply);
}

void outcomes_release(struct outcomes *outcomes)
{
	for (size_t i = 0; i < outcomes->count; i++)
		reply_release(&outcomes->items[i].reply);
	free(outcomes->items);
	memset(outcomes, 0, sizeof(*outcomes));
}

static void attempt_release(struct attempt *attempt)
{
	free(attempt->host);
	reply_release(&attempt->reply);
	memset(attempt, 0, sizeof(*attempt));
}

void message_state_add_attempt(struct message_state *state, int64_t time_ms, const char *host,
	const struct reply *reply)
{
	struct attempt *attempt;

	if (state->last_count == ATTEMPTS_KEPT) {
		attempt_release(&state->last[0]);
		memmove(&state->last[0], &state->last[1], (ATTEMPTS_KEPT - 1) * sizeof(state->last[0]));
		state->last_count--;
	}
	attempt = &state->last[state->last_count++];
	memset(attempt, 0, sizeof(*attempt));
	attempt->time_ms = time_ms;
	attempt->host = xstrdup(host ? host : "");
	if (reply)
		reply_copy(&attempt->reply, reply);
}

void message_state_copy(struct message_state *to, const struct message_state *from)
{
	memset(to, 0, sizeof(*to));
	to->attempts = from->attempts;
	to->due_in_ms = from->due_in_ms;
	to->strikes = from->strikes;
	to->held = from->held ? xstrdup(from->held) : NULL;
	outcomes_merge(&to->done, &from->done);
	for (unsigned i = 0; i < from->last_count; i++)
		message_state_add_attempt(to, from->last[i].time_ms, from->last[i].host, &from->last[i].reply);
}

void message_state_release(struct message_state *state)
{
	outcomes_release(&state->done);
	for (unsigned i = 0; i < state->last_count; i++)
		attempt_release(&state->last[i]);
	free(state->held);
	memset(state, 0, sizeof(*state));
}
