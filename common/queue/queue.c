/* queue.c - a queue of slimta.conf, and the calls passed on to its storage
 * SPDX-License-Identifier: MIT */
#include "common/queue/queue.h"

#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "common/base/clock.h"
#include "common/base/log.h"
#include "common/base/memory.h"
#include "common/queue/retry.h"
#include "common/queue/submit.h"

#define FULL_AGAIN_MS 60000		/* until it is said again of a queue that is full still */

/* The structure check has named a type that is unknown or missing; who comes without it is told here. */
static const struct storage_driver *find_driver(const struct config_node *section, struct config_errors *errors)
{
	const struct config_node *type = config_get(section, "type");
	const struct storage_driver *driver = type && type->text ? storage_driver_find(type->text) : NULL;

	if (!driver && !errors->error_count)
		config_error_at(errors, type ? type : section, "expected a type of queue that is built into this slimta");
	return driver;
}

struct queue *queue_load(const struct config *config, const char *name, const struct storage_context *context,
	struct config_errors *errors)
{
	const struct config_node *section = config_section(config, "queue", name);
	const struct storage_driver *driver;
	struct queue *queue;
	int result;

	if (!section) {
		config_error_at(errors, config_root(config), "expected a queue named \"%s\"", name);
		return NULL;
	}
	driver = find_driver(section, errors);
	if (!driver)
		return NULL;
	queue = xcalloc(1, sizeof(*queue));
	queue->name = xstrdup(name);
	queue->storage = xcalloc(1, driver->size);
	queue->storage->driver = driver;
	queue->storage->context = *context;
	queue->storage->context.queue = queue->name;
	result = queue_options_load(queue, config, section, errors);
	queue->policies = policy_chain_load(queue->options.policies, context->process, errors);
	if (result == 0 && queue->policies)
		return queue;
	queue_free(queue);
	return NULL;
}

/* However it is written, once it is there. */
static bool is_same_place(const char *one, const char *two)
{
	struct stat first, second;

	return strcmp(one, two) == 0 || (stat(one, &first) == 0 && stat(two, &second) == 0 &&
		first.st_dev == second.st_dev && first.st_ino == second.st_ino);
}

/* Where both have a path that is required, they keep messages there. */
static void check_path_shared(const struct config_node *mine, const struct config_node *theirs, const char *other,
	struct config_errors *errors)
{
	struct config_errors unused = { 0 };	/* who loads them says them */
	char *one = NULL, *two = NULL;

	if (mine && theirs && mine->text && theirs->text) {
		one = option_expand_path(mine, mine->text, &unused);
		two = option_expand_path(theirs, theirs->text, &unused);
	}
	if (one && two && is_same_place(one, two))
		config_error_at_value(errors, mine, "the queue \"%s\" keeps its messages there: each needs a "
			"directory of its own", other);
	free(one);
	free(two);
	config_errors_release(&unused);
}

/* Two queues in one place would deliver each other's messages. */
static void check_places(const struct config *config, const char *name, const struct option *rows,
	struct config_errors *errors)
{
	const struct config_node *queues = config_get(config_root(config), "queue"), *other;
	const struct config_node *section = config_section(config, "queue", name);

	for (size_t i = 0; i < queues->count && (other = queues->items[i]) != section; i++) {
		for (const struct option *row = rows; row->name; row++) {
			if (row->type == OPTION_PATH && row->required)
				check_path_shared(config_get(section, row->name), config_get(other, row->name),
					other->key, errors);
		}
	}
}

int queue_check(const struct config *config, const char *name, const struct process_options *process,
	struct config_errors *errors)
{
	const struct storage_context context = { .process = process, .queue = name, .role = STORAGE_FOR_OPERATOR };
	struct queue *queue = queue_load(config, name, &context, errors);
	size_t before = errors->error_count;

	if (!queue)
		return -1;
	if (queue->storage->driver->check)
		queue->storage->driver->check(queue->storage, config_section(config, "queue", name), errors);
	check_places(config, name, queue->storage->driver->options, errors);
	queue_warn(config, name, errors);
	queue_free(queue);
	return errors->error_count == before ? 0 : -1;
}

void queue_list_options(struct buffer *out)
{
	options_list("queue", queue_rows, out);
	for (unsigned i = 0; storage_drivers[i]; i++) {
		char *kind = xasprintf("queue.%s", storage_drivers[i]->type);

		options_list(kind, storage_drivers[i]->options, out);
		free(kind);
	}
}

void queue_open(struct queue *queue, storage_done_fn *done, void *arg)
{
	queue->is_open = true;
	queue->storage->driver->open(queue->storage, done, arg);
}

void queue_free(struct queue *queue)
{
	if (!queue)
		return;
	if (queue->is_open)
		queue->storage->driver->close(queue->storage);
	queue_submit_end(queue);
	policy_chain_free(queue->policies);
	options_release(queue->storage->driver->options, queue->storage);
	expression_free(queue->schedule);
	options_release(queue_rows, &queue->options);
	free(queue->storage);
	free(queue->name);
	free(queue);
}

const char *queue_name(const struct queue *queue)
{
	return queue->name;
}

const struct queue_options *queue_options(const struct queue *queue)
{
	return &queue->options;
}

int64_t queue_retry_delay_ms(const struct queue *queue, unsigned attempts)
{
	return retry_delay_ms(queue->schedule, attempts);
}

/* That no mail is taken is for somebody to mend: each client's refusal is a line for who looks for that client alone. */
static void note_room(struct queue *queue, bool full)
{
	int64_t now_ms = clock_boot_ms();

	if (full == queue->is_full && (!full || now_ms - queue->full_boot_ms < FULL_AGAIN_MS))
		return;
	queue->is_full = full;
	queue->full_boot_ms = now_ms;
	if (full)
		log_error("queue", "takes no messages", LOG_TEXT("queue", queue->name),
			LOG_TEXT("because", "its storage is full, by min_free, max_messages or max_memory"),
			LOG_INT("min_free", queue->storage->min_free_bytes),
			LOG_INT("max_messages", queue->storage->max_messages));
	else
		log_info("queue", "takes messages again", LOG_TEXT("queue", queue->name));
}

int queue_accepts(struct queue *queue, uint64_t size, struct reply *why)
{
	const struct storage_driver *driver = queue->storage->driver;
	struct reply none = { 0 };

	if (driver->accepts(queue->storage, size, why) == 0) {
		note_room(queue, false);
		return 0;
	}
	/* Large ones may be too large where there is room. */
	if (why->code == 452 && driver->accepts(queue->storage, 0, &none) < 0)
		note_room(queue, true);
	reply_release(&none);
	return -1;
}

const char *queue_spool_dir(struct queue *queue)
{
	return queue->storage->driver->spool_dir ? queue->storage->driver->spool_dir(queue->storage) : NULL;
}

void queue_claim(struct queue *queue, size_t max, uint64_t max_bytes, int64_t lease_ms, storage_claimed_fn *done,
	void *arg)
{
	queue->storage->driver->claim(queue->storage, max, max_bytes, lease_ms, done, arg);
}

void queue_claim_id(struct queue *queue, const char *id, int64_t lease_ms, storage_claimed_fn *done,
	storage_done_fn *refused, void *arg)
{
	queue->storage->driver->claim_id(queue->storage, id, lease_ms, done, refused, arg);
}

void queue_get(struct queue *queue, struct lease *lease, storage_message_fn *done, void *arg)
{
	queue->storage->driver->get(queue->storage, lease, done, arg);
}

void queue_peek(struct queue *queue, const char *id, bool content, storage_peeked_fn *done, void *arg)
{
	queue->storage->driver->peek(queue->storage, id, content, done, arg);
}

void queue_renew(struct queue *queue, struct lease *lease, const struct outcomes *done_so_far, storage_done_fn *done,
	void *arg)
{
	queue->storage->driver->renew(queue->storage, lease, done_so_far, done, arg);
}

void queue_defer(struct queue *queue, struct lease **lease, int64_t delay_ms, bool attempted,
	const struct outcomes *done_so_far, const struct attempt *attempt, storage_done_fn *done, void *arg)
{
	queue->storage->driver->defer(queue->storage, lease, delay_ms, attempted, done_so_far, attempt, done, arg);
}

void queue_put_aside(struct queue *queue, struct lease **lease, int64_t delay_ms, unsigned group,
	const struct outcomes *done_so_far, storage_done_fn *done, void *arg)
{
	queue->storage->driver->put_aside(queue->storage, lease, delay_ms, group, done_so_far, done, arg);
}

void queue_recall(struct queue *queue, unsigned group)
{
	queue->storage->driver->recall(queue->storage, group);
}

void queue_remove(struct queue *queue, struct lease **lease, storage_done_fn *done, void *arg)
{
	queue->storage->driver->remove(queue->storage, lease, done, arg);
}

void queue_discard(struct queue *queue, const char *const ids[], size_t count, storage_done_fn *done, void *arg)
{
	queue->storage->driver->discard(queue->storage, ids, count, done, arg);
}

void queue_stop(struct queue *queue)
{
	queue->storage->driver->stop(queue->storage);
}

bool queue_drain(struct queue *queue, bool successor, storage_done_fn *done, void *arg)
{
	if (queue->storage->driver->drain)
		queue->storage->driver->drain(queue->storage, successor, done, arg);
	return queue->storage->driver->drain != NULL;
}

void queue_list(struct queue *queue, const struct list_filter *filter, const char *cursor, size_t max,
	storage_list_fn *done, void *arg)
{
	queue->storage->driver->list(queue->storage, filter, cursor, max, done, arg);
}

void queue_info(struct queue *queue, storage_info_fn *done, void *arg)
{
	queue->storage->driver->info(queue->storage, done, arg);
}

void queue_mark(struct queue *queue, const char *id, enum mark mark, const char *reason, storage_done_fn *done,
	void *arg)
{
	if (queue->storage->driver->mark)
		queue->storage->driver->mark(queue->storage, id, mark, reason, done, arg);
	else
		queue_answer_later(queue, 502, "5.3.3", "This storage has no marks", done, arg);
}

void queue_take(struct queue *queue, const char *id, storage_done_fn *done, void *arg)
{
	const struct storage_driver *driver = queue->storage->driver;

	if (driver->take)
		driver->take(queue->storage, id, done, arg);
	else
		queue_answer_later(queue, 502, "5.3.3", driver->untaken ? driver->untaken : "This storage takes no leases away",
			done, arg);
}

void queue_set(struct queue *queue, const char *key, const char *value, int64_t expiry_ms, storage_done_fn *done,
	void *arg)
{
	if (queue->storage->driver->set)
		queue->storage->driver->set(queue->storage, key, value, expiry_ms, done, arg);
	else
		queue_answer_later(queue, 502, "5.3.3", "This storage has no settings", done, arg);
}

struct no_settings {
	storage_settings_fn *done;
	void *arg;
};

static void on_no_settings(void *arg, const struct reply *why)
{
	struct no_settings *none = arg;

	none->done(none->arg, why, NULL, 0);
	free(none);
}

void queue_settings(struct queue *queue, storage_settings_fn *done, void *arg)
{
	struct no_settings *none;

	if (queue->storage->driver->settings) {
		queue->storage->driver->settings(queue->storage, done, arg);
		return;
	}
	none = xcalloc(1, sizeof(*none));
	*none = (struct no_settings){ done, arg };
	queue_answer_later(queue, 502, "5.3.3", "This storage has no settings", on_no_settings, none);
}
