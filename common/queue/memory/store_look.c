/* store_look.c - what a memory queue holds, shown: peek, list, info
 * SPDX-License-Identifier: MIT
 * Envelopes are read from their stored form in a thread, from copies of what is known here. */
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "common/base/clock.h"
#include "common/base/memory.h"
#include "common/queue/memory/store.h"
#include "common/queue/memory/wire.h"
#include "common/queue/now.h"

#define LIST_OCTETS 1048576	/* of envelopes that one batch reads */

static char *owner_of(const struct store *store)
{
	const char *host = store->storage->context.process->hostname;

	return xasprintf("%s/slimta-worker[%d]", host ? host : "localhost", (int)getpid());
}

static void look(const struct store *store, const struct store_message *message, struct store_look *seen)
{
	struct peeked *known = &seen->known;

	*seen = (struct store_look){ .form = form_hold(message->form) };
	known->place = message->place;
	known->leased_for_ms = -1;
	if (message->state)
		message_state_copy(&known->state, message->state);
	known->state.due_in_ms = message->due_boot_ms - clock_boot_ms();
	for (size_t i = 0; i < message->mark_count; i++)
		mark_show(&known->asked, message->marks[i].mark, message->marks[i].reason);
	if (message->place != PLACE_LEASED)
		return;
	known->owner = owner_of(store);
	known->leased_for_ms = clock_boot_ms() - message->lease.claimed_boot_ms;
}

void store_look_phase(const struct store *store, struct store_look *seen, size_t count)
{
	const struct storage_context *context = &store->storage->context;
	struct now_view *view = NULL;

	for (size_t i = 0; i < count; i++) {
		struct peeked *known = &seen[i].known;
		const struct now_seen *now;

		if (known->place != PLACE_LEASED)
			continue;
		if (!view)
			view = now_look(context->process->runtime_dir, context->queue);
		now = now_find(view, seen[i].form->id);
		known->phase = now ? now->held.phase : LEASE_PHASE_UNKNOWN;
		known->in_phase_ms = now ? now_in_phase(&now->held, known->leased_for_ms) : 0;
	}
	now_view_free(view);
}

int store_look(const struct store *store, const char *id, struct store_look *seen, struct reply *why)
{
	const struct store_message *message = store_find(store, id);

	if (message) {
		look(store, message, seen);
		return 0;
	}
	reply_set(why, 550, "5.1.1", "No such message");
	return -1;
}

void store_look_release(struct store_look *seen)
{
	form_release(seen->form);
	wire_known_release(&seen->known);
	seen->form = NULL;
}

static void log_one(const struct store *store, const struct store_message *message)
{
	struct reply why = { 0 };
	struct envelope *envelope = form_decode_head(message->form, &why);

	log_warn("queue", "lost", LOG_TEXT("id", message->lease.id), LOG_TEXT("queue", store->storage->context.queue),
		LOG_TEXT("sender", envelope ? envelope->sender : NULL),
		LOG_INT("recipients", envelope ? envelope->recipient_count : 0));
	envelope_free(envelope);
	reply_release(&why);
}

void store_log_lost(const struct store *store, enum log_level level)
{
	if (!store->messages.count)
		return;
	log_at(level, "queue", "ended with messages in memory, which are lost",
		LOG_TEXT("queue", store->storage->context.queue), LOG_INT("messages", store->messages.count));
	for (const struct store_message *message = store_next(store, ""); message;
			message = store_next(store, message->lease.id))
		log_one(store, message);
}

/* ---- peek */

struct peek_task {
	struct task task;
	const struct store *store;
	struct store_look seen;
	bool content;
	struct reply why;
	storage_peeked_fn *done;
	void *arg;
};

static void peek_work(struct task *task)
{
	struct peek_task *peek = (struct peek_task *)task;

	store_look_phase(peek->store, &peek->seen, 1);
	peek->seen.known.envelope = form_decode(peek->seen.form, peek->content, &peek->why);
}

static void peek_done(struct task *task)
{
	struct peek_task *peek = (struct peek_task *)task;

	peek->done(peek->arg, reply_is_none(&peek->why) ? NULL : &peek->why, peek->seen.form ? &peek->seen.known : NULL);
	store_look_release(&peek->seen);
	reply_release(&peek->why);
	free(peek);
}

void store_peek(struct store *store, const char *id, bool content, storage_peeked_fn *done, void *arg)
{
	struct peek_task *peek = xcalloc(1, sizeof(*peek));

	*peek = (struct peek_task){ .store = store, .content = content, .done = done, .arg = arg };
	peek->task.work = peek_work;
	peek->task.done = peek_done;
	if (store_look(store, id, &peek->seen, &peek->why) == 0)
		tasks_run(store->tasks, &peek->task);
	else
		tasks_soon(store->tasks, &peek->task);
}

/* ---- list */

struct list_task {
	struct task task;
	const struct store *store;
	struct store_look *seen;
	struct envelope **envelopes;
	size_t count;
	const struct list_filter *filter;
	char cursor[LIST_CURSOR_SIZE];
	storage_list_fn *done;
	void *arg;
};

static void list_work(struct task *task)
{
	struct list_task *list = (struct list_task *)task;

	store_look_phase(list->store, list->seen, list->count);
	for (size_t i = 0; i < list->count; i++) {
		struct reply why = { 0 };

		list->envelopes[i] = form_decode_head(list->seen[i].form, &why);
		reply_release(&why);
	}
}

static void describe(struct list_entry *entry, const struct store_look *seen, const struct envelope *envelope)
{
	const struct peeked *known = &seen->known;

	list_entry_describe(entry, seen->form->id, envelope, &known->state);
	entry->size = form_content_size(seen->form);
	entry->due_in_ms = known->state.due_in_ms;
	entry->place = known->place;
	entry->owner = known->owner;
	entry->phase = known->phase;
	entry->leased_for_ms = known->leased_for_ms;
	entry->in_phase_ms = known->in_phase_ms;
}

static void list_done(struct task *task)
{
	struct list_task *list = (struct list_task *)task;
	struct list_entry *entries = xcalloc(list->count + 1, sizeof(*entries));
	size_t count = 0;

	for (size_t i = 0; i < list->count; i++) {
		entries[count] = (struct list_entry){ 0 };
		describe(&entries[count], &list->seen[i], list->envelopes[i]);
		count += list_filter_matches(list->filter, &entries[count]);
	}
	list->done(list->arg, NULL, entries, count, list->cursor);
	for (size_t i = 0; i < list->count; i++) {
		envelope_free(list->envelopes[i]);
		store_look_release(&list->seen[i]);
	}
	free(entries);
	free((void *)list->envelopes);
	free(list->seen);
	free(list);
}

static void gather(const struct store *store, struct list_task *list, const char *after, size_t max)
{
	const struct store_message *message = store_next(store, after);
	size_t octets = 0;

	for (; message && list->count < max && octets < LIST_OCTETS; message = store_next(store, list->cursor)) {
		look(store, message, &list->seen[list->count++]);
		octets += message->form->octets_at;
		memcpy(list->cursor, message->lease.id, ID_SIZE);
	}
	if (!message)
		list->cursor[0] = '\0';
}

void store_list(struct store *store, const struct list_filter *filter, const char *cursor, size_t max,
	storage_list_fn *done, void *arg)
{
	struct list_task *list = xcalloc(1, sizeof(*list));
	const struct store_message *only;

	max = filter && filter->id ? 1 : max && max < STORE_LIST_MAX ? max : STORE_LIST_MAX;
	*list = (struct list_task){ .store = store, .filter = filter, .done = done, .arg = arg };
	list->task.work = list_work;
	list->task.done = list_done;
	list->seen = xcalloc(max, sizeof(*list->seen));
	list->envelopes = xcalloc(max, sizeof(struct envelope *));
	if (!filter || !filter->id)
		gather(store, list, cursor && id_is_valid(cursor) ? cursor : "", max);
	else if ((only = store_find(store, filter->id)))
		look(store, only, &list->seen[list->count++]);
	tasks_run(store->tasks, &list->task);
}

/* Behind the first that is no notification all are younger. */
static int64_t oldest_age_ms(const struct store *store)
{
	const struct store_message *first = store_next(store, "");
	int64_t age_ms = -1, now_ms = clock_wall_ms();

	for (struct order_node *node = first ? (struct order_node *)&first->order : NULL; node; node = node->next[0]) {
		const struct store_message *message = CONTAINER_OF(node, struct store_message, order);

		if (now_ms - message->form->accepted_ms > age_ms)
			age_ms = now_ms - message->form->accepted_ms;
		if (!id_is_derived(message->lease.id))
			break;
	}
	return first && age_ms < 0 ? 0 : age_ms;
}

void store_info(const struct store *store, struct queue_counts *counts)
{

	*counts = (struct queue_counts){ .fresh = store->counts[PLACE_NEW], .deferred = store->counts[PLACE_DEFERRED],
		.leased = store->counts[PLACE_LEASED], .held = store->counts[PLACE_HELD], .octets = store->octets,
		.oldest_age_ms = oldest_age_ms(store) };
}
