/* storage.c - the kinds of storage there are, outcomes of recipients, what is known of a message, marks
 * SPDX-License-Identifier: MIT */
#include "common/queue/storage.h"

#include <string.h>

#include "common/base/log.h"
#include "common/base/memory.h"
#include "common/queue/disk/disk.h"
#include "common/queue/memory/memory.h"
#include "common/queue/redis/redis_queue.h"

const struct storage_driver *const storage_drivers[] = {
	&disk_driver,
	&memory_driver,
	&redis_driver,
	NULL,
};

const struct storage_driver *storage_driver_find(const char *type)
{
	for (unsigned i = 0; storage_drivers[i]; i++)
		if (strcmp(storage_drivers[i]->type, type) == 0)
			return storage_drivers[i];
	return NULL;
}

/* They stand in the order of indexes: a message may have 50,000 recipients. The place of `index`, whether it is there
 * or not. */
static size_t place_of(const struct outcomes *outcomes, size_t index)
{
	size_t low = 0, high = outcomes->count;

	if (high && outcomes->items[high - 1].index < index)
		return high;
	while (low < high) {
		size_t middle = low + (high - low) / 2;

		if (outcomes->items[middle].index < index)
			low = middle + 1;
		else
			high = middle;
	}
	return low;
}

static struct outcome *find(const struct outcomes *outcomes, size_t index)
{
	size_t place = place_of(outcomes, index);

	return place < outcomes->count && outcomes->items[place].index == index ? &outcomes->items[place] : NULL;
}

const struct outcome *outcomes_find(const struct outcomes *outcomes, size_t index)
{
	return find(outcomes, index);
}

bool outcome_is_open(const struct outcome *outcome)
{
	return !outcome || outcome->kind <= OUTCOME_WARNED;
}

static void fill(struct outcome *to, const struct outcome *from)
{
	*to = (struct outcome){ .index = from->index, .kind = from->kind, .time_ms = from->time_ms };
	to->host = xstrdup(from->host ? from->host : "");
	to->tls = from->tls ? xstrdup(from->tls) : NULL;
	reply_copy(&to->reply, &from->reply);
}

static void outcome_release(struct outcome *outcome)
{
	reply_release(&outcome->reply);
	free(outcome->host);
	free(outcome->tls);
}

static void insert(struct outcomes *outcomes, const struct outcome *outcome)
{
	size_t place = place_of(outcomes, outcome->index);

	outcomes->items = xgrow(outcomes->items, outcomes->count, sizeof(*outcomes->items));
	memmove(&outcomes->items[place + 1], &outcomes->items[place],
		(outcomes->count - place) * sizeof(*outcomes->items));
	outcomes->count++;
	fill(&outcomes->items[place], outcome);
}

static bool is_second(enum outcome_kind first, enum outcome_kind second)
{
	return second == first + 1 && (first == OUTCOME_DELAYED || first == OUTCOME_DELIVERED || first == OUTCOME_FAILED);
}

void outcomes_add(struct outcomes *outcomes, const struct outcome *outcome)
{
	struct outcome *known = find(outcomes, outcome->index);

	if (!known)
		insert(outcomes, outcome);
	else if (is_second(known->kind, outcome->kind))
		known->kind = outcome->kind;
	else if (outcome_is_open(known) && !outcome_is_open(outcome)) {
		outcome_release(known);
		fill(known, outcome);
	}
}

bool outcomes_merge(struct outcomes *into, const struct outcomes *from)
{
	bool grew = false;

	for (size_t i = 0; from && i < from->count; i++) {
		const struct outcome *known = outcomes_find(into, from->items[i].index);
		enum outcome_kind before = known ? known->kind : 0;

		outcomes_add(into, &from->items[i]);
		grew = grew || outcomes_find(into, from->items[i].index)->kind != before;
	}
	return grew;
}

void outcomes_release(struct outcomes *outcomes)
{
	for (size_t i = 0; i < outcomes->count; i++)
		outcome_release(&outcomes->items[i]);
	free(outcomes->items);
	memset(outcomes, 0, sizeof(*outcomes));
}

static void attempt_release(struct attempt *attempt)
{
	free(attempt->host);
	free(attempt->tls);
	reply_release(&attempt->reply);
	memset(attempt, 0, sizeof(*attempt));
}

void message_state_add_attempt(struct message_state *state, const struct attempt *from)
{
	struct attempt *attempt;

	if (state->last_count == ATTEMPTS_KEPT) {
		attempt_release(&state->last[0]);
		memmove(&state->last[0], &state->last[1], (ATTEMPTS_KEPT - 1) * sizeof(state->last[0]));
		state->last_count--;
	}
	attempt = &state->last[state->last_count++];
	memset(attempt, 0, sizeof(*attempt));
	attempt->time_ms = from->time_ms;
	attempt->host = xstrdup(from->host ? from->host : "");
	attempt->tls = from->tls ? xstrdup(from->tls) : NULL;
	reply_copy(&attempt->reply, &from->reply);
}

void message_state_defer(struct message_state *state, bool attempted, const struct attempt *attempt)
{
	xstrset(&state->waits, attempt && !attempted ? attempt->reply.text : NULL);
	if (!attempted)
		return;
	state->attempts++;
	message_state_survived(state);
	if (attempt)
		message_state_add_attempt(state, attempt);
}

void message_state_copy(struct message_state *to, const struct message_state *from)
{
	memset(to, 0, sizeof(*to));
	to->attempts = from->attempts;
	to->due_in_ms = from->due_in_ms;
	to->suspect = from->suspect;
	to->strikes = from->strikes;
	to->held = from->held ? xstrdup(from->held) : NULL;
	to->bounce = from->bounce ? xstrdup(from->bounce) : NULL;
	to->waits = from->waits ? xstrdup(from->waits) : NULL;
	outcomes_merge(&to->done, &from->done);
	for (unsigned i = 0; i < from->last_count; i++)
		message_state_add_attempt(to, &from->last[i]);
}

void message_state_release(struct message_state *state)
{
	outcomes_release(&state->done);
	for (unsigned i = 0; i < state->last_count; i++)
		attempt_release(&state->last[i]);
	free(state->held);
	free(state->bounce);
	free(state->waits);
	memset(state, 0, sizeof(*state));
}

static const char *const mark_names[] = {
	[MARK_HOLD] = "hold", [MARK_RELEASE] = "release", [MARK_DISCARD] = "discard", [MARK_RETRY] = "retry",
	[MARK_BOUNCE] = "bounce", [MARK_SUSPECT] = "suspect", [MARK_STRIKE] = "strike",
};

const char *mark_name(enum mark mark)
{
	return mark_names[mark];
}

bool mark_find(const char *name, enum mark *mark)
{
	size_t index = name_index(name, mark_names, ARRAY_SIZE(mark_names));

	if (index == ARRAY_SIZE(mark_names))
		return false;
	*mark = (enum mark)index;
	return true;
}

bool mark_is_of_death(enum mark mark)
{
	return mark == MARK_STRIKE || mark == MARK_SUSPECT;
}

bool storage_is_unknown(const struct reply *why)
{
	return why->code == 451 && why->subject == 4 && why->detail == 2;
}

int64_t finished_kept_ms(const char *id)
{
	return id_is_derived(id) ? FINISHED_DERIVED_KEPT_MS : FINISHED_KEPT_MS;
}

void mark_show(struct strings *shown, enum mark mark, const char *reason)
{
	char *text = xasprintf("%s%s%s", mark_name(mark), reason ? ": " : "", reason ? reason : "");

	strings_add(shown, text);
	free(text);
}

static bool strike(struct message_state *state, unsigned max_strikes)
{
	char *reason;

	state->suspect = true;
	state->strikes++;
	if (!max_strikes || state->strikes < max_strikes || state->held)
		return false;
	reason = xasprintf("%u workers died in its delivery", state->strikes);
	xstrset(&state->held, reason);
	free(reason);
	return false;
}

bool message_state_mark(struct message_state *state, enum mark mark, const char *reason, unsigned max_strikes)
{
	switch (mark) {
	case MARK_HOLD:
		if (reason || !state->held)
			xstrset(&state->held, reason ? reason : "operator");
		return false;
	case MARK_RELEASE:
		message_state_survived(state);
		xstrset(&state->held, NULL);
		return true;
	case MARK_RETRY:
		return true;
	case MARK_BOUNCE:
		xstrset(&state->bounce, reason ? reason : "operator");
		xstrset(&state->held, NULL);
		return true;
	case MARK_SUSPECT:
		state->suspect = true;
		return false;
	case MARK_STRIKE:
		return strike(state, max_strikes);
	case MARK_DISCARD:
		break;
	}
	return false;
}

void message_state_survived(struct message_state *state)
{
	state->suspect = false;
	state->strikes = 0;
}

bool storage_obey(const struct storage *storage, const char *id, struct message_state *state, enum mark mark,
	const char *reason, int64_t *due_ms, int64_t now_ms)
{
	bool was_held = state->held;

	/* An operator's program says itself what it does, and for whom. */
	if (storage->context.role != STORAGE_FOR_OPERATOR || mark_is_of_death(mark))
		log_info("queue", "marked", LOG_TEXT("id", id), LOG_TEXT("queue", storage->context.queue),
			LOG_TEXT("mark", mark_name(mark)), LOG_TEXT("reason", reason));
	if (mark == MARK_DISCARD)
		return false;
	if (message_state_mark(state, mark, reason, storage->max_strikes) && *due_ms > now_ms)
		*due_ms = now_ms;
	if (mark == MARK_STRIKE && !was_held && state->held)
		log_error("queue", "message held", LOG_TEXT("id", id), LOG_TEXT("queue", storage->context.queue),
			LOG_TEXT("because", state->held));
	return true;
}

static bool is_key(const char *key)
{
	size_t size = strlen(key);

	if (!size || size > SETTING_KEY_MAX || !utf8_is_valid(key, size))
		return false;
	for (; *key; key++)
		if ((unsigned char)*key < ' ' || *key == 127)
			return false;
	return true;
}

int setting_check(const char *key, const char *value, struct reply *why)
{
	if (!is_key(key))
		reply_set(why, 501, "5.5.4", "A setting's key is text of 1 to %d octets without control characters",
			SETTING_KEY_MAX);
	else if (value && (strlen(value) > SETTING_VALUE_MAX || !utf8_is_valid(value, strlen(value))))
		reply_set(why, 501, "5.5.4", "A setting's value is text of up to %d octets", SETTING_VALUE_MAX);
	else
		return 0;
	return -1;
}
