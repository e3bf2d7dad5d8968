/* redis_queue.c - the redis driver: messages as hashes, every change of them one script
 * SPDX-License-Identifier: MIT */
#include "common/queue/redis/redis_queue.h"

#include <stdlib.h>
#include <string.h>

#include "common/base/memory.h"

#define PREFIX_MAX 200
#define LEASE_LEAST_MS 1000

static const char *const durabilities[] = { [REDIS_CHECKED] = "checked", [REDIS_UNCHECKED] = "unchecked", NULL };

static void check_prefix(const struct config_node *node, void *field, struct config_errors *errors)
{
	const char *prefix = *(char **)field;

	if (prefix && strlen(prefix) > PREFIX_MAX)
		config_error_at_value(errors, node, "expected at most %d octets", PREFIX_MAX);
}

static const struct option rows[] = {
	REDIS_ROWS(redis_queue, settings),
	{ "prefix", TEXT_FIELD(redis_queue, prefix), REDIS_PREFIX_DEFAULT, 0, 0,
		"what its keys begin with; with a {tag} for a cluster", .check = check_prefix },
	{ "wait_replicas", UINT_FIELD(redis_queue, wait_replicas), "0", 0, 100,
		"replicas that have a message before it is accepted; 451 where there are too few" },
	{ "lease", TIME_FIELD(redis_queue, lease_ms), NULL, LEASE_LEAST_MS, 86400000,
		"how long a worker has a message without a word; longer than any silence of its relay" },
	{ "durability", CHOICE_FIELD(redis_queue, durability), "checked", 0, 0,
		"unchecked: no warning where redis may lose what it took", .choices = durabilities },
	{ 0 }
};

static void redis_check(const struct storage *storage, const struct config_node *section, struct config_errors *errors)
{
	redis_settings_check(&((struct redis_queue *)storage)->settings, section, errors);
	redis_check_place(section, errors);
}

/* ---- begin and end */

static void redis_open(struct storage *storage, storage_done_fn *done, void *arg)
{
	struct redis_queue *queue = (struct redis_queue *)storage;
	const struct storage_context *context = &storage->context;

	queue->is_open = true;
	tasks_open(&queue->tasks, context->base, context->disk);
	STAILQ_INIT(&queue->line.waiting);
	redis_scripts_open(queue);
	if (!queue->settings.socket)
		queue->resolver = resolver_new(context->base, &context->process->resolver);
	redis_work_open(queue);
	redis_checks_open(queue, done, arg);
}

static void redis_close(struct storage *storage)
{
	struct redis_queue *queue = (struct redis_queue *)storage;

	if (!queue->is_open)
		return;
	queue->is_open = false;
	redis_stop(storage);
	redis_work_close(queue);
	redis_checks_close(queue);
	redis_wait_close(queue);
	tasks_close(&queue->tasks);
	redis_wait_close(queue);
	redis_scripts_close(queue);
	resolver_free(queue->resolver);
	queue->resolver = NULL;
}

void redis_answer_none(struct redis_queue *queue, storage_done_fn *done, void *arg)
{
	struct reply why = { 0 };

	reply_set(&why, 550, "5.1.1", "No such message");
	tasks_answer(&queue->tasks, done, arg, &why);
	reply_release(&why);
}

const struct storage_driver redis_driver = {
	.type = "redis",
	.size = sizeof(struct redis_queue),
	.options = rows,
	.check = redis_check,
	.open = redis_open,
	.close = redis_close,
	.write = redis_write,
	.discard = redis_discard,
	.claim = redis_claim,
	.claim_id = redis_claim_id,
	.get = redis_get,
	.peek = redis_peek,
	.renew = redis_renew,
	.defer = redis_defer,
	.put_aside = redis_put_aside,
	.recall = redis_recall,
	.remove = redis_remove,
	.stop = redis_stop,
	.list = redis_list,
	.info = redis_info,
	.mark = redis_mark,
	.take = redis_take,
	.set = redis_set,
	.settings = redis_list_settings,
	.accepts = redis_accepts,
};
