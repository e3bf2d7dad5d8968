/* memory.c - the driver of type memory: a store in the queue's worker, a client of it elsewhere
 * SPDX-License-Identifier: MIT */
#include "common/queue/memory/memory.h"

#include <stdlib.h>

#include "common/base/memory.h"

static const struct option rows[] = {
	{ "max_memory", SIZE_FIELD(memory, max_memory_bytes), "64M", 65536, 1LL << 40,
		"what its messages take in memory; none is accepted beyond (452 4.3.1)" },
	{ 0 }
};

static struct memory *memory_of(struct storage *storage)
{
	return (struct memory *)storage;
}

static struct store *store_of(struct storage *storage)
{
	return &memory_of(storage)->store;
}

static void memory_open(struct storage *storage, storage_done_fn *done, void *arg)
{
	struct memory *memory = memory_of(storage);

	tasks_open(&memory->tasks, storage->context.base, storage->context.disk);
	store_open(&memory->store, storage, &memory->tasks, memory->max_memory_bytes);
	memory->is_open = true;
	store_answer(&memory->tasks, done, arg, NULL);
}

static void memory_close(struct storage *storage)
{
	struct memory *memory = memory_of(storage);

	if (!memory->is_open)
		return;
	memory->is_open = false;
	tasks_close(&memory->tasks);
	store_close(&memory->store);
}

static void memory_write(struct storage *storage, struct envelope *const items[], size_t count, int64_t delay_ms,
	storage_done_fn *done, void *arg)
{
	store_write(store_of(storage), items, count, delay_ms, done, arg);
}

static void memory_discard(struct storage *storage, const char *const ids[], size_t count, storage_done_fn *done,
	void *arg)
{
	struct reply why = { 0 };

	for (size_t i = 0; i < count && reply_is_none(&why); i++)
		store_discard(store_of(storage), ids[i], &why);
	store_answer(&memory_of(storage)->tasks, done, arg, &why);
	reply_release(&why);
}

static void memory_claim(struct storage *storage, size_t max, uint64_t max_bytes, int64_t lease_ms,
	storage_claimed_fn *done, void *arg)
{
	(void)lease_ms;		/* it lasts as long as we live */
	store_claim(store_of(storage), max, max_bytes, done, arg);
}

static void memory_claim_id(struct storage *storage, const char *id, int64_t lease_ms, storage_claimed_fn *done,
	storage_done_fn *refused, void *arg)
{
	(void)lease_ms;
	store_claim_id(store_of(storage), id, done, refused, arg);
}

static void memory_get(struct storage *storage, struct lease *lease, storage_message_fn *done, void *arg)
{
	store_get(store_of(storage), lease, done, arg);
}

static void memory_peek(struct storage *storage, const char *id, bool content, storage_peeked_fn *done, void *arg)
{
	store_peek(store_of(storage), id, content, done, arg);
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

static void memory_remove(struct storage *storage, struct lease **lease, storage_done_fn *done, void *arg)
{
	store_remove(store_of(storage), lease, done, arg);
}

static void memory_stop(struct storage *storage)
{
	store_stop(store_of(storage));
}

static void memory_list(struct storage *storage, const struct list_filter *filter, const char *cursor, size_t max,
	storage_list_fn *done, void *arg)
{
	store_list(store_of(storage), filter, cursor, max, done, arg);
}

struct info_task {
	struct task task;
	struct store *store;
	storage_info_fn *done;
	void *arg;
};

static void info_done(struct task *task)
{
	struct info_task *info = (struct info_task *)task;
	struct queue_counts counts;

	store_info(info->store, &counts);
	info->done(info->arg, NULL, &counts);
	free(info);
}

static void memory_info(struct storage *storage, storage_info_fn *done, void *arg)
{
	struct info_task *info = xcalloc(1, sizeof(*info));

	*info = (struct info_task){ .task.done = info_done, .store = store_of(storage), .done = done, .arg = arg };
	tasks_soon(&memory_of(storage)->tasks, &info->task);
}

static void memory_mark(struct storage *storage, const char *id, enum mark mark, const char *reason,
	storage_done_fn *done, void *arg)
{
	struct reply why = { 0 };

	store_mark(store_of(storage), id, mark, reason, &why);
	store_answer(&memory_of(storage)->tasks, done, arg, &why);
	reply_release(&why);
}

static void memory_set(struct storage *storage, const char *key, const char *value, int64_t expiry_ms,
	storage_done_fn *done, void *arg)
{
	struct reply why = { 0 };

	store_set(store_of(storage), key, value, expiry_ms, &why);
	store_answer(&memory_of(storage)->tasks, done, arg, &why);
	reply_release(&why);
}

struct settings_task {
	struct task task;
	struct store *store;
	storage_settings_fn *done;
	void *arg;
};

static void settings_done(struct task *task)
{
	struct settings_task *settings = (struct settings_task *)task;

	store_settings(settings->store, settings->done, settings->arg);
	free(settings);
}

static void memory_settings(struct storage *storage, storage_settings_fn *done, void *arg)
{
	struct settings_task *settings = xcalloc(1, sizeof(*settings));

	*settings = (struct settings_task){ .task.done = settings_done, .store = store_of(storage), .done = done,
		.arg = arg };
	tasks_soon(&memory_of(storage)->tasks, &settings->task);
}

static int memory_accepts(struct storage *storage, uint64_t size, struct reply *why)
{
	return store_accepts(store_of(storage), size, why);
}

const struct storage_driver memory_driver = {
	.type = "memory",
	.size = sizeof(struct memory),
	.options = rows,
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
	.remove = memory_remove,
	.stop = memory_stop,
	.list = memory_list,
	.info = memory_info,
	.mark = memory_mark,
	.set = memory_set,
	.settings = memory_settings,
	.accepts = memory_accepts,
};
