/* memory.c - the driver of type memory: a store in the queue's worker, a client of it elsewhere
 * SPDX-License-Identifier: MIT */
#include "common/queue/memory/memory.h"

#include <event2/event.h>
#include <stdlib.h>

#include "common/base/clock.h"
#include "common/base/memory.h"

#define OPENING_MS 3000
#define AGAIN_MS 50
#define ANSWER_MORE 134217728	/* what an answer may have beyond a message that fits into max_memory */

static const struct option rows[] = {
	{ "max_memory", SIZE_FIELD(memory, max_memory_bytes), "64M", 65536, 1LL << 40,
		"what its messages take in memory; none is accepted beyond (452 4.3.1)" },
	{ 0 }
};

/* Nobody else holds its messages. */
static void memory_check(const struct storage *storage, const struct config_node *section, struct config_errors *errors)
{
	if (!config_get(section, "relay"))
		config_error_at(errors, section, "expected a relay: a queue in memory lives in the worker that empties it");
	else if (!process_instances(storage->context.process, section->key))
		config_error_at(errors, section, "expected instances of its worker, in which a queue in memory lives");
}

static struct memory *memory_of(struct storage *storage)
{
	return (struct memory *)storage;
}

/* The store of the queue's worker; NULL: we are its client. */
static struct store *store_of(struct storage *storage)
{
	return memory_of(storage)->serves ? &memory_of(storage)->store : NULL;
}

static struct memory_client *client_of(struct storage *storage)
{
	return &memory_of(storage)->client;
}

/* ---- begin and end */

static void say_opened(struct memory *memory, const struct reply *why)
{
	storage_done_fn *opened = memory->opened;

	memory->opened = NULL;
	if (opened)
		opened(memory->opened_arg, why);
}

/* The one before us may not know yet that its own predecessor is gone, and will not wait any more. */
static bool may_try_again(const struct memory *memory)
{
	return memory->storage.context.supervised && clock_boot_ms() - memory->begun_boot_ms < OPENING_MS;
}

static void try_open(evutil_socket_t fd, short what, void *arg)
{
	struct memory *memory = arg;
	struct reply why = { 0 };

	(void)fd;
	(void)what;
	memory->listens = server_open(&memory->server, &memory->storage.context, &memory->store, &memory->tasks, &why) == 0;
	if (memory->listens)
		say_opened(memory, NULL);
	else if (may_try_again(memory))
		event_add(memory->opening, &(struct timeval){ .tv_usec = AGAIN_MS * 1000 });
	else
		say_opened(memory, &why);
	reply_release(&why);
}

static void open_as_worker(struct memory *memory, storage_done_fn *done, void *arg)
{
	store_open(&memory->store, &memory->storage, &memory->tasks, memory->max_memory_bytes);
	memory->serves = true;
	memory->opened = done;
	memory->opened_arg = arg;
	memory->begun_boot_ms = clock_boot_ms();
	memory->opening = event_new(memory->storage.context.base, -1, 0, try_open, memory);
	if (!memory->opening)
		BUG("no event");
	event_active(memory->opening, EV_TIMEOUT, 0);
}

static void close_worker(struct memory *memory)
{
	struct reply why = { 0 };

	reply_set(&why, 451, "4.3.0", "it was closed before it was open");
	say_opened(memory, &why);
	reply_release(&why);
	event_free(memory->opening);
	tasks_close(&memory->tasks);
	succession_end(&memory->succession);
	if (memory->listens)
		server_close(&memory->server);
	/* Somebody was there to take them. */
	store_log_lost(&memory->store, memory->succession.expected ? LOG_LEVEL_ERROR : LOG_LEVEL_WARN);
	store_close(&memory->store);
}

static void memory_open(struct storage *storage, storage_done_fn *done, void *arg)
{
	struct memory *memory = memory_of(storage);

	tasks_open(&memory->tasks, storage->context.base, storage->context.disk);
	memory->is_open = true;
	if (storage->context.role == STORAGE_FOR_WORKER) {
		open_as_worker(memory, done, arg);
		return;
	}
	memory->client.persistent = storage->context.role == STORAGE_FOR_EDGE;
	memory->client.answer_max = memory->max_memory_bytes + ANSWER_MORE;
	client_open(&memory->client, &storage->context, done, arg);
}

static void claimed_nothing(struct memory *memory);

static void memory_stop(struct storage *storage)
{
	struct memory *memory = memory_of(storage);

	memory->stopped = true;
	if (memory->serves)
		store_stop(&memory->store);
	else
		claimed_nothing(memory);
}

static void memory_close(struct storage *storage)
{
	struct memory *memory = memory_of(storage);

	if (!memory->is_open)
		return;
	memory->is_open = false;
	if (memory->serves) {
		close_worker(memory);
		return;
	}
	memory_stop(storage);
	tasks_close(&memory->tasks);
	client_close(&memory->client);
}

static void memory_drain(struct storage *storage, bool successor, storage_done_fn *done, void *arg)
{
	struct memory *memory = memory_of(storage);

	if (memory->listens)
		succession_begin(&memory->succession, &memory->store, &memory->server, successor, done, arg);
	else
		tasks_answer(&memory->tasks, done, arg, NULL);
}

/* ---- messages in, and out again */

static void memory_write(struct storage *storage, struct envelope *const items[], size_t count, int64_t delay_ms,
	storage_done_fn *done, void *arg)
{
	struct memory *memory = memory_of(storage);

	if (memory->serves)
		store_write(&memory->store, items, count, delay_ms, done, arg);
	else
		client_write(&memory->client, &memory->tasks, items, count, delay_ms, memory->max_memory_bytes, done, arg);
}

static void memory_discard(struct storage *storage, const char *const ids[], size_t count, storage_done_fn *done,
	void *arg)
{
	struct reply why = { 0 };

	if (!store_of(storage)) {
		client_discard(client_of(storage), ids, count, done, arg);
		return;
	}
	for (size_t i = 0; i < count && reply_is_none(&why); i++)
		store_discard(store_of(storage), ids[i], &why);
	tasks_answer(&memory_of(storage)->tasks, done, arg, &why);
	reply_release(&why);
}

/* ---- leases: the worker's alone */

struct nothing_task {
	struct task task;
	storage_claimed_fn *done;
	void *arg;
};

static void nothing_done(struct task *task)
{
	struct nothing_task *nothing = (struct nothing_task *)task;

	nothing->done(nothing->arg, NULL, 0);
	free(nothing);
}

static void claimed_nothing(struct memory *memory)
{
	struct nothing_task *nothing;

	if (!memory->waits)
		return;
	memory->waits = false;
	nothing = xcalloc(1, sizeof(*nothing));
	*nothing = (struct nothing_task){ .task.done = nothing_done, .done = memory->claimed, .arg = memory->claimed_arg };
	tasks_soon(&memory->tasks, &nothing->task);
}

static void memory_claim(struct storage *storage, size_t max, uint64_t max_bytes, int64_t lease_ms,
	storage_claimed_fn *done, void *arg)
{
	struct memory *memory = memory_of(storage);

	(void)lease_ms;		/* it lasts as long as we live */
	if (memory->serves) {
		store_claim(&memory->store, max, max_bytes, done, arg);
		return;
	}
	memory->waits = true;
	memory->claimed = done;
	memory->claimed_arg = arg;
	if (memory->stopped)
		claimed_nothing(memory);
}

static void memory_claim_id(struct storage *storage, const char *id, int64_t lease_ms, storage_claimed_fn *done,
	storage_done_fn *refused, void *arg)
{
	struct reply why = { 0 };

	(void)lease_ms;
	if (store_of(storage)) {
		store_claim_id(store_of(storage), id, done, refused, arg);
		return;
	}
	reply_set(&why, 502, "5.3.3", "Only the worker of a memory queue has its messages");
	tasks_answer(&memory_of(storage)->tasks, refused, arg, &why);
	reply_release(&why);
}

static void memory_get(struct storage *storage, struct lease *lease, storage_message_fn *done, void *arg)
{
	store_get(store_of(storage), lease, done, arg);
}

static void memory_renew(struct storage *storage, struct lease *lease, const struct outcomes *done_so_far,
	storage_done_fn *done, void *arg)
{
	store_renew(store_of(storage), lease, done_so_far, done, arg);
}

static void memory_defer(struct storage *storage, struct lease **lease, int64_t delay_ms, bool attempted,
	const struct outcomes *done_so_far, const struct attempt *attempt, storage_done_fn *done, void *arg)
{
	store_defer(store_of(storage), lease, delay_ms, attempted, done_so_far, attempt, done, arg);
}

static void memory_put_aside(struct storage *storage, struct lease **lease, int64_t delay_ms, unsigned group,
	const struct outcomes *done_so_far, storage_done_fn *done, void *arg)
{
	store_put_aside(store_of(storage), lease, delay_ms, group, done_so_far, done, arg);
}

static void memory_recall(struct storage *storage, unsigned group)
{
	if (store_of(storage))
		store_recall(store_of(storage), group);
}

static void memory_remove(struct storage *storage, struct lease **lease, storage_done_fn *done, void *arg)
{
	store_remove(store_of(storage), lease, done, arg);
}

/* ---- to be seen, and steered */

static void memory_peek(struct storage *storage, const char *id, bool content, storage_peeked_fn *done, void *arg)
{
	if (store_of(storage))
		store_peek(store_of(storage), id, content, done, arg);
	else
		client_peek(client_of(storage), id, content, done, arg);
}

static void memory_list(struct storage *storage, const struct list_filter *filter, const char *cursor, size_t max,
	storage_list_fn *done, void *arg)
{
	if (store_of(storage))
		store_list(store_of(storage), filter, cursor, max, done, arg);
	else
		client_list(client_of(storage), filter, cursor, max, done, arg);
}

struct show_task {
	struct task task;
	struct store *store;
	storage_info_fn *info;
	storage_settings_fn *settings;
	void *arg;
};

static void show_done(struct task *task)
{
	struct show_task *show = (struct show_task *)task;
	struct queue_counts counts;

	if (show->info) {
		store_info(show->store, &counts);
		show->info(show->arg, NULL, &counts);
	} else {
		store_settings(show->store, show->settings, show->arg);
	}
	free(show);
}

static void show_soon(struct storage *storage, storage_info_fn *info, storage_settings_fn *settings, void *arg)
{
	struct show_task *show = xcalloc(1, sizeof(*show));

	*show = (struct show_task){ .task.done = show_done, .store = store_of(storage), .info = info,
		.settings = settings, .arg = arg };
	tasks_soon(&memory_of(storage)->tasks, &show->task);
}

static void memory_info(struct storage *storage, storage_info_fn *done, void *arg)
{
	if (store_of(storage))
		show_soon(storage, done, NULL, arg);
	else
		client_info(client_of(storage), done, arg);
}

static void memory_settings(struct storage *storage, storage_settings_fn *done, void *arg)
{
	if (store_of(storage))
		show_soon(storage, NULL, done, arg);
	else
		client_settings(client_of(storage), done, arg);
}

static void memory_mark(struct storage *storage, const char *id, enum mark mark, const char *reason,
	storage_done_fn *done, void *arg)
{
	struct reply why = { 0 };

	if (!store_of(storage)) {
		client_mark(client_of(storage), id, mark, reason, done, arg);
		return;
	}
	store_mark(store_of(storage), id, mark, reason, &why);
	tasks_answer(&memory_of(storage)->tasks, done, arg, &why);
	reply_release(&why);
}

static void memory_set(struct storage *storage, const char *key, const char *value, int64_t expiry_ms,
	storage_done_fn *done, void *arg)
{
	struct reply why = { 0 };

	if (!store_of(storage)) {
		client_set(client_of(storage), key, value, expiry_ms, done, arg);
		return;
	}
	store_set(store_of(storage), key, value, expiry_ms, &why);
	tasks_answer(&memory_of(storage)->tasks, done, arg, &why);
	reply_release(&why);
}

static int memory_accepts(struct storage *storage, uint64_t size, struct reply *why)
{
	if (store_of(storage))
		return store_accepts(store_of(storage), size, why);
	return client_accepts(client_of(storage), storage->max_messages, size, why);
}

const struct storage_driver memory_driver = {
	.type = "memory",
	.size = sizeof(struct memory),
	.options = rows,
	.check = memory_check,
	.open = memory_open,
	.close = memory_close,
	.write = memory_write,
	.discard = memory_discard,
	.claim = memory_claim,
	.claim_id = memory_claim_id,
	.get = memory_get,
	.peek = memory_peek,
	.renew = memory_renew,
	.defer = memory_defer,
	.put_aside = memory_put_aside,
	.recall = memory_recall,
	.remove = memory_remove,
	.stop = memory_stop,
	.drain = memory_drain,
	.list = memory_list,
	.info = memory_info,
	.mark = memory_mark,
	.untaken = "a message in memory cannot be taken from the worker that has it, and all are lost if that is ended",
	.set = memory_set,
	.settings = memory_settings,
	.accepts = memory_accepts,
};
