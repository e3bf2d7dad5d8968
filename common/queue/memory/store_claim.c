/* store_claim.c - writing to a memory queue, claiming from it, and what ends a lease
 * SPDX-License-Identifier: MIT */
#include <event2/event.h>
#include <stdlib.h>
#include <string.h>

#include "common/base/clock.h"
#include "common/base/log.h"
#include "common/base/memory.h"
#include "common/queue/memory/store.h"

/* ---- write */

struct write_task {
	struct task task;
	struct store *store;
	struct envelope *const *items;
	struct forms forms;
	uint64_t reserved;
	int64_t delay_ms;
	struct reply why;
	storage_done_fn *done;
	void *arg;
};

static void write_work(struct task *task)
{
	struct write_task *write = (struct write_task *)task;

	for (size_t i = 0; i < write->forms.count; i++) {
		write->forms.items[i] = form_encode(write->items[i], &write->why);
		if (!write->forms.items[i])
			return;
	}
}

static void write_done(struct task *task)
{
	struct write_task *write = (struct write_task *)task;

	store_unreserve(write->store, write->reserved);
	if (reply_is_none(&write->why))
		store_publish(write->store, &write->forms, write->delay_ms, &write->why);
	write->done(write->arg, reply_is_none(&write->why) ? NULL : &write->why);
	forms_release(&write->forms);
	reply_release(&write->why);
	free(write);
}

void store_write(struct store *store, struct envelope *const items[], size_t count, int64_t delay_ms,
	storage_done_fn *done, void *arg)
{
	struct write_task *write = xcalloc(1, sizeof(*write));
	uint64_t octets = 0;

	for (size_t i = 0; i < count; i++)
		octets += content_size(&items[i]->content);
	*write = (struct write_task){ .store = store, .items = items, .reserved = octets, .delay_ms = delay_ms,
		.done = done, .arg = arg };
	write->task.work = write_work;
	write->task.done = write_done;
	write->forms.items = xcalloc(count, sizeof(struct form *));
	write->forms.count = count;
	if (store_reserve(store, octets, count && id_is_derived(items[0]->id), &write->why) == 0) {
		tasks_run(store->tasks, &write->task);
		return;
	}
	write->reserved = 0;
	tasks_soon(store->tasks, &write->task);
}

/* ---- claim */

struct store_claim {
	size_t max;
	uint64_t max_bytes;
	int64_t asked_boot_ms;
	storage_claimed_fn *done;
	void *arg;
};

static void wake_at(struct store *store, int64_t boot_ms)
{
	int64_t wait_ms = boot_ms - clock_boot_ms();

	if (wait_ms < 0)
		wait_ms = 0;
	event_add(store->wake, &(struct timeval){ .tv_sec = wait_ms / 1000, .tv_usec = wait_ms % 1000 * 1000 });
}

static struct store_message *waiting_in(const struct heap *heap)
{
	struct heap_node *node = heap_first(heap);

	return node ? CONTAINER_OF(node, struct store_message, node) : NULL;
}

static void make_due(struct store *store, struct store_message *message)
{
	heap_remove(&store->later, &message->node);
	message->aside = 0;
	message->heap = message->state ? &store->retry : &store->fresh;
	heap_insert(message->heap, &message->node, message->due_boot_ms);
}

/* Those whose time has come. */
static void gather_due(struct store *store)
{
	struct store_message *message;
	int64_t now_ms = clock_boot_ms();

	while ((message = waiting_in(&store->later)) && message->node.key <= now_ms)
		make_due(store, message);
}

static void put_under_lease(struct store *store, struct store_message *message, int64_t asked_boot_ms)
{
	store_leave_place(store, message);
	store_enter_place(store, message, PLACE_LEASED);
	message->lease.claimed_boot_ms = asked_boot_ms;
	message->lease.lease_ms = INT64_MAX;
	message->lease.epoch = ++store->epoch;
	message->lease.suspect = message->state && message->state->suspect;
}

/* Deferred ones and new ones in turn, from one claim to the next, as far as there are of each. */
static struct store_message *next_due(const struct store *store)
{
	bool retry = store->retry.count && (!store->fresh_next || !store->fresh.count);

	return waiting_in(retry ? &store->retry : &store->fresh);
}

/* A suspect one is the only one of its claim. */
static size_t take_due(struct store *store, const struct store_claim *claim, struct lease *leases[])
{
	struct store_message *message;
	uint64_t octets = 0;
	size_t count = 0;

	while (count < claim->max && (message = next_due(store))) {
		bool suspect = message->state && message->state->suspect;

		octets += message->form->size;
		if (count && (suspect || (claim->max_bytes && octets > claim->max_bytes)))
			break;
		store->fresh_next = message->heap == &store->retry;
		put_under_lease(store, message, claim->asked_boot_ms);
		leases[count++] = &message->lease;
		if (suspect)
			break;
	}
	return count;
}

static void finish_claim(struct store *store, struct lease *const leases[], size_t count)
{
	struct store_claim *claim = store->claim;

	store->claim = NULL;
	claim->done(claim->arg, leases, count);
	free(claim);
}

static void on_wake(evutil_socket_t fd, short what, void *arg)
{
	struct store *store = arg;
	struct store_claim *claim = store->claim;
	struct store_message *later;
	struct lease **leases;
	size_t ready, count;

	(void)fd;
	(void)what;
	if (!claim)
		return;
	gather_due(store);
	ready = store->stopped ? 0 : store->fresh.count + store->retry.count;
	leases = xcalloc((ready < claim->max ? ready : claim->max) + 1, sizeof(struct lease *));
	count = ready ? take_due(store, claim, leases) : 0;
	if (count || store->stopped)
		finish_claim(store, leases, count);
	else if ((later = waiting_in(&store->later)))
		wake_at(store, later->node.key);
	free((void *)leases);
}

void store_wake(struct store *store)
{
	if (store->claim)
		event_active(store->wake, EV_TIMEOUT, 0);
}

void store_claim(struct store *store, size_t max, uint64_t max_bytes, storage_claimed_fn *done, void *arg)
{
	if (store->claim)
		BUG("a second claim of one storage");
	store->claim = xcalloc(1, sizeof(*store->claim));
	*store->claim = (struct store_claim){ .max = max ? max : 1, .max_bytes = max_bytes,
		.asked_boot_ms = clock_boot_ms(), .done = done, .arg = arg };
	store_wake(store);
}

void store_stop(struct store *store)
{
	store->stopped = true;
	store_wake(store);
}

void store_claim_init(struct store *store)
{
	store->wake = event_new(store->storage->context.base, -1, 0, on_wake, store);
	if (!store->wake)
		BUG("no event");
}

void store_claim_end(struct store *store)
{
	if (store->claim)
		finish_claim(store, NULL, 0);
	event_free(store->wake);
}

struct claim_id_task {
	struct task task;
	struct store *store;
	char id[ID_SIZE];
	int64_t asked_boot_ms;
	storage_claimed_fn *done;
	storage_done_fn *refused;
	void *arg;
};

static void claim_id_done(struct task *task)
{
	struct claim_id_task *op = (struct claim_id_task *)task;
	struct store_message *message = store_find(op->store, op->id);
	struct reply why = { 0 };

	if (!message)
		reply_set(&why, 550, "5.1.1", "No such message");
	else if (message->place == PLACE_LEASED)
		reply_set(&why, 450, "4.2.0", "Message is under a lease");
	if (message && reply_is_none(&why)) {
		put_under_lease(op->store, message, op->asked_boot_ms);
		op->done(op->arg, (struct lease *const[]){ &message->lease }, 1);
	} else {
		op->refused(op->arg, &why);
		reply_release(&why);
	}
	free(op);
}

void store_claim_id(struct store *store, const char *id, storage_claimed_fn *done, storage_done_fn *refused, void *arg)
{
	struct claim_id_task *op = xcalloc(1, sizeof(*op));

	*op = (struct claim_id_task){ .store = store, .asked_boot_ms = clock_boot_ms(), .done = done, .refused = refused,
		.arg = arg };
	op->task.done = claim_id_done;
	if (id_is_valid(id))
		memcpy(op->id, id, ID_SIZE);
	tasks_soon(store->tasks, &op->task);
}

/* ---- under a lease */

static struct store_message *leased(struct lease *lease)
{
	return (struct store_message *)lease;
}

struct get_task {
	struct task task;
	struct store *store;
	struct store_message *message;
	struct form *form;
	struct envelope *envelope;
	struct reply why;
	storage_message_fn *done;
	void *arg;
};

static void get_work(struct task *task)
{
	struct get_task *get = (struct get_task *)task;

	get->envelope = form_decode(get->form, true, &get->why);
}

static void get_done(struct task *task)
{
	struct get_task *get = (struct get_task *)task;
	struct store_message *message = get->message;
	struct message_state state = { 0 };

	if (message->state)
		message_state_copy(&state, message->state);
	state.due_in_ms = message->due_boot_ms - clock_boot_ms();
	if (get->envelope) {
		get->done(get->arg, NULL, &get->envelope, &state);
	} else {
		/* Memory does not forget: who comes here has a machine that does. */
		log_error("queue", "damaged message held", LOG_TEXT("id", message->lease.id), LOG_TEXT("why", get->why.text));
		xstrset(&store_state(message)->held, "damaged");
		get->done(get->arg, &get->why, NULL, NULL);
	}
	message_state_release(&state);
	envelope_free(get->envelope);
	form_release(get->form);
	reply_release(&get->why);
	free(get);
}

void store_get(struct store *store, struct lease *lease, storage_message_fn *done, void *arg)
{
	struct get_task *get = xcalloc(1, sizeof(*get));

	*get = (struct get_task){ .store = store, .message = leased(lease), .done = done, .arg = arg };
	get->task.work = get_work;
	get->task.done = get_done;
	get->form = form_hold(get->message->form);
	tasks_run(store->tasks, &get->task);
}

static void merge(struct store_message *message, const struct outcomes *done_so_far)
{
	if (done_so_far && done_so_far->count)
		outcomes_merge(&store_state(message)->done, done_so_far);
}

void store_renew(struct store *store, struct lease *lease, const struct outcomes *done_so_far, storage_done_fn *done,
	void *arg)
{
	merge(leased(lease), done_so_far);
	store_count(store, leased(lease));
	tasks_answer(store->tasks, done, arg, NULL);
}

/* False: it is to be discarded. */
static bool obey_marks(struct store *store, struct store_message *message, bool with_result)
{
	bool stays = true;

	for (size_t i = 0; i < message->mark_count && stays; i++)
		if (!(with_result && mark_is_of_death(message->marks[i].mark)))
			stays = store_obey(store, message, &message->marks[i]);
	store_marks_release(message->marks, message->mark_count);
	message->marks = NULL;
	message->mark_count = 0;
	return stays;
}

/* False: it was to be discarded. */
static bool give_back(struct store *store, struct store_message *message, bool survived)
{
	if (obey_marks(store, message, survived)) {
		store_settle(store, message);
		return true;
	}
	log_info("queue", "discarded", LOG_TEXT("id", message->lease.id), LOG_TEXT("queue", store->storage->context.queue));
	store_finish(store, message);
	return false;
}

void store_defer(struct store *store, struct lease **lease, int64_t delay_ms, bool attempted,
	const struct outcomes *done_so_far, const struct attempt *attempt, storage_done_fn *done, void *arg)
{
	struct store_message *message = leased(*lease);
	struct message_state *state = store_state(message);

	*lease = NULL;
	merge(message, done_so_far);
	message->due_boot_ms = clock_boot_ms() + (delay_ms > 0 ? delay_ms : 0);
	message_state_defer(state, attempted, attempt);
	give_back(store, message, attempted);
	tasks_answer(store->tasks, done, arg, NULL);
}

/* Behind what store_settle() decided: a mark outweighs it. */
void store_put_aside(struct store *store, struct lease **lease, int64_t delay_ms, unsigned group,
	const struct outcomes *done_so_far, storage_done_fn *done, void *arg)
{
	struct store_message *message = leased(*lease);
	bool marked = message->mark_count > 0;

	*lease = NULL;
	merge(message, done_so_far);
	if (give_back(store, message, false) && !marked && message->heap) {
		heap_remove(message->heap, &message->node);
		message->heap = &store->later;
		message->aside = (uint16_t)group;
		heap_insert(message->heap, &message->node, clock_boot_ms() + (delay_ms > 0 ? delay_ms : 0));
	}
	tasks_answer(store->tasks, done, arg, NULL);
}

void store_recall(struct store *store, unsigned group)
{
	struct store_message **called = xcalloc(store->later.count + 1, sizeof(struct store_message *));
	size_t count = 0;

	for (size_t i = 0; i < store->later.count; i++) {
		struct store_message *message = CONTAINER_OF(store->later.nodes[i], struct store_message, node);

		if (message->aside && (message->aside == group || message->aside == ASIDE_SEVERAL))
			called[count++] = message;
	}
	for (size_t i = 0; i < count; i++)
		make_due(store, called[i]);
	free((void *)called);
	if (count)
		store_wake(store);
}

void store_remove(struct store *store, struct lease **lease, storage_done_fn *done, void *arg)
{
	struct store_message *message = leased(*lease);

	*lease = NULL;
	store_finish(store, message);
	tasks_answer(store->tasks, done, arg, NULL);
}
