/* store.c - what a memory queue holds: found by id, counted, made visible, taken away
 * SPDX-License-Identifier: MIT */
#include "common/queue/memory/store.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "common/base/clock.h"
#include "common/base/log.h"
#include "common/base/memory.h"

#define NOTIFICATIONS 4		/* times max_memory that is for them */
#define OVERHEAD 256		/* of allocations, places in heaps and in the order of ids */

static struct store_message *message_of(struct order_node *node)
{
	return node ? CONTAINER_OF(node, struct store_message, order) : NULL;
}

struct store_message *store_find(const struct store *store, const char *id)
{
	return message_of(order_find(&store->messages, id));
}

struct store_message *store_next(const struct store *store, const char *id)
{
	return message_of(order_after(&store->messages, id));
}

/* ---- what it takes */

static size_t reply_octets(const struct reply *reply)
{
	return reply->text ? strlen(reply->text) + 16 : 0;
}

static size_t state_octets(const struct message_state *state)
{
	size_t octets = sizeof(*state);

	for (size_t i = 0; i < state->done.count; i++)
		octets += sizeof(state->done.items[i]) + reply_octets(&state->done.items[i].reply) + OVERHEAD / 4;
	for (unsigned i = 0; i < state->last_count; i++)
		octets += reply_octets(&state->last[i].reply) + OVERHEAD / 4;
	return octets + (state->waits ? strlen(state->waits) + 16 : 0);
}

static uint64_t message_octets(uint64_t form_size)
{
	return sizeof(struct store_message) + sizeof(struct form) + OVERHEAD + form_size;
}

void store_count(struct store *store, struct store_message *message)
{
	store->used_bytes -= message->counted;
	message->counted = (size_t)message_octets(message->form->size) + (message->state ? state_octets(message->state) : 0);
	store->used_bytes += message->counted;
}

/* Where all that is there fails, it leaves by way of its notifications, which are larger than what is small. */
static bool has_room(const struct store *store, uint64_t octets, bool derived)
{
	uint64_t max = derived ? NOTIFICATIONS * store->max_memory_bytes : store->max_memory_bytes;

	return store->used_bytes <= max && octets <= max - store->used_bytes;
}

static int refuse_full(struct reply *why)
{
	reply_set(why, 452, "4.3.1", "Insufficient system storage");
	return -1;
}

int store_reserve(struct store *store, uint64_t octets, bool derived, struct reply *why)
{
	if (!has_room(store, octets, derived))
		return refuse_full(why);
	store->used_bytes += octets;
	return 0;
}

void store_unreserve(struct store *store, uint64_t octets)
{
	store->used_bytes -= octets;
}

int store_accepts(const struct store *store, uint64_t size, struct reply *why)
{
	uint64_t max = store->storage->max_messages;

	if ((max && store->messages.count >= max) || !has_room(store, message_octets(size), false))
		return refuse_full(why);
	return 0;
}

/* ---- in its place */

void store_leave_place(struct store *store, struct store_message *message)
{
	if (message->heap)
		heap_remove(message->heap, &message->node);
	message->heap = NULL;
	message->aside = 0;
	store->counts[message->place]--;
}

void store_enter_place(struct store *store, struct store_message *message, enum message_place place)
{
	message->place = place;
	store->counts[place]++;
}

struct message_state *store_state(struct store_message *message)
{
	if (!message->state)
		message->state = xcalloc(1, sizeof(*message->state));
	return message->state;
}

void store_settle(struct store *store, struct store_message *message)
{
	bool tried = message->state != NULL;

	store_leave_place(store, message);
	store_count(store, message);
	if (message->state && message->state->held) {
		store_enter_place(store, message, PLACE_HELD);
	} else {
		store_enter_place(store, message, tried ? PLACE_DEFERRED : PLACE_NEW);
		message->heap = message->due_boot_ms > clock_boot_ms() ? &store->later :
			tried ? &store->retry : &store->fresh;
		heap_insert(message->heap, &message->node, message->due_boot_ms);
	}
	store_wake(store);
	if (store->changed)
		store->changed(store->arg, message);
}

static struct store_message *add(struct store *store, struct form *form)
{
	struct store_message *message = xcalloc(1, sizeof(*message));

	memcpy(message->lease.id, form->id, ID_SIZE);
	message->order.id = message->lease.id;
	message->form = form_hold(form);
	order_add(&store->messages, &message->order);
	store_enter_place(store, message, PLACE_NEW);
	store->octets += form_content_size(form);
	return message;
}

static void drop(struct store *store, struct store_message *message)
{
	store_leave_place(store, message);
	order_remove(&store->messages, &message->order);
	store->octets -= form_content_size(message->form);
	store->used_bytes -= message->counted;
	form_release(message->form);
	if (message->state)
		message_state_release(message->state);
	free(message->state);
	store_marks_release(message->marks, message->mark_count);
	free(message);
}

void store_forget(struct store *store, struct store_message *message)
{
	drop(store, message);
}

void store_finish(struct store *store, struct store_message *message)
{
	char id[ID_SIZE];

	memcpy(id, message->lease.id, ID_SIZE);
	recent_add(&store->recent, id, clock_boot_ms());
	drop(store, message);
	if (store->finished)
		store->finished(store->arg, id);
}

void store_know(struct store *store, const char *id)
{
	if (!store_find(store, id))
		recent_add(&store->recent, id, clock_boot_ms());
}

/* ---- written */

static bool is_same(const struct form *one, const struct form *two)
{
	/* A derived id stands for its content: what differs is when it was made. */
	return id_is_derived(one->id) || (one->size == two->size && memcmp(one->data, two->data, one->size) == 0);
}

/* Those that are new to us; -1: an id is taken by another message. */
static int check_new(struct store *store, const struct forms *forms, uint64_t *octets)
{
	*octets = 0;
	for (size_t i = 0; i < forms->count; i++) {
		struct store_message *there = store_find(store, forms->items[i]->id);

		if (there && !is_same(there->form, forms->items[i]))
			return -1;
		if (!there)
			*octets += message_octets(forms->items[i]->size);
	}
	return 0;
}

static void publish(struct store *store, struct form *form, int64_t delay_ms)
{
	struct store_message *message;

	if (store_find(store, form->id) || recent_has(&store->recent, form->id, clock_boot_ms()))
		return;
	message = add(store, form);
	message->due_boot_ms = clock_boot_ms() + (delay_ms > 0 ? delay_ms : 0);
	if (delay_ms > 0)
		store_state(message);
	store_settle(store, message);
}

int store_publish(struct store *store, const struct forms *forms, int64_t delay_ms, struct reply *why)
{
	uint64_t octets;

	if (check_new(store, forms, &octets) < 0) {
		reply_set(why, 451, "4.3.0", "Another message has this id");
		return -1;
	}
	if (!has_room(store, octets, forms->count && id_is_derived(forms->items[0]->id)))
		return refuse_full(why);
	for (size_t i = 0; i < forms->count; i++)
		publish(store, forms->items[i], delay_ms);
	return 0;
}

void store_take_over(struct store *store, struct form *form, struct peeked *known)
{
	struct store_message *message;

	if (store_find(store, form->id))
		return;
	recent_forget(&store->recent, form->id);
	message = add(store, form);
	message->due_boot_ms = clock_boot_ms() + known->state.due_in_ms;
	if (known->place != PLACE_NEW) {
		message->state = xmemdup(&known->state, sizeof(known->state));
		known->state = (struct message_state){ 0 };
	}
	store_settle(store, message);
}

/* ---- begin and end */

void store_open(struct store *store, struct storage *storage, struct tasks *tasks, uint64_t max_memory_bytes)
{
	*store = (struct store){ .storage = storage, .tasks = tasks, .max_memory_bytes = max_memory_bytes };
	recent_init(&store->recent);
	store_claim_init(store);
}

/* Leases that are still out end here. */
void store_close(struct store *store)
{
	struct store_message *message;

	store->changed = NULL;
	while ((message = store_next(store, "")))
		drop(store, message);
	store_claim_end(store);
	heap_release(&store->later);
	heap_release(&store->fresh);
	heap_release(&store->retry);
	recent_release(&store->recent);
	store_settings_release(store);
}
