/* queue_options.c - what the section of a queue says
 * SPDX-License-Identifier: MIT */
#include <limits.h>
#include <string.h>

#include "common/base/memory.h"
#include "common/message/address.h"
#include "common/queue/retry.h"
#include "common/queue/submit.h"

#define EDGE_SIZE_DEFAULT 10485760	/* of an edge's max_size */
#define BOUNCE_SIZE_MAX 67108864	/* a notification is made in memory */
#define LONGEST_MS 315360000000		/* ten years */

/* As far as it will be asked; without a maximum as far as any schedule is. */
static unsigned checked_attempts(const struct config_node *retry, const struct queue_retry *options)
{
	if (!config_get(retry, "maximum") || options->maximum > RETRY_CHECKED_MAX)
		return RETRY_CHECKED_MAX;
	return options->maximum;
}

static void check_retry(const struct config_node *node, void *field, struct config_errors *errors)
{
	const struct queue_retry *retry = field;
	const struct config_node *delay = config_get(node, "delay");

	if (delay && retry->delay)
		expression_free(retry_schedule(delay, retry->delay, checked_attempts(node, retry), errors));
}

static void check_double_bounce(const struct config_node *node, void *field, struct config_errors *errors)
{
	char *path = xasprintf("<%s>", *(char **)field), *address = NULL;
	const char *why = "";

	if (address_parse_path(path, strlen(path), ADDRESS_FORWARD_PATH, true, &address, &why) != (long)strlen(path))
		config_error_at_value(errors, node, "expected an address such as postmaster@example.org");
	free(address);
	free(path);
}

static const struct option retry_rows[] = {
	{ "delay", TEXT_FIELD(queue_retry, delay), "300", 0, 0,
		"seconds until the next attempt: arithmetic over x, the attempts made" },
	{ "maximum", UINT_FIELD(queue_retry, maximum), NULL, 0, 1000000000,
		"attempts after the first before the message fails; none: never tried again" },
	{ "maximum_age", TIME_FIELD(queue_retry, maximum_age_ms), NULL, 1, LONGEST_MS,
		"time after which the message fails, whatever the attempts", .any_of_zero = true },
	{ "notify_delay", TIME_FIELD(queue_retry, notify_delay_ms), NULL, 1, LONGEST_MS,
		"time after which the sender is told, once, that it is delayed", .any_of_zero = true },
	{ 0 }
};

const struct option queue_rows[] = {
	{ "relay", RELAY_FIELD(queue_options, relay), NULL, 0, 0, "the relay that delivers what is queued" },
	{ "policies", NODE_FIELD(queue_options, policies), NULL, 0, 0, "what is done to messages on their way in" },
	{ "max_messages", UINT_FIELD(queue_options, max_messages), "0", 0, 4294967295,
		"messages beyond which none is accepted (452 4.3.1); 0: any number" },
	{ "min_free", SIZE_FIELD(queue_options, min_free_bytes), NULL, 0, 0,
		"room to be left in the storage (452 4.3.1); twice the largest max_size of its edges" },
	{ "retry", SECTION_FIELD(queue_options, retry), NULL, 0, 0, "when it is tried again", .rows = retry_rows,
		.check = check_retry },
	{ "bounce_queue", QUEUE_FIELD(queue_options, bounce_queue), NULL, 0, 0,
		"the queue that takes the notifications of this one; none: this queue" },
	{ "double_bounce", TEXT_FIELD(queue_options, double_bounce), NULL, 0, 0,
		"address that is told of a message without a sender that failed", .check = check_double_bounce },
	{ "bounce_size_limit", SIZE_FIELD(queue_options, bounce_size_limit), "50K", 0, BOUNCE_SIZE_MAX,
		"size beyond which only the header of a message that failed comes back" },
	{ "max_strikes", UINT_FIELD(queue_options, max_strikes), "3", 0, 1000,
		"deaths of workers in a message's own delivery before it is held; 0: any number" },
	{ 0 }
};

static uint64_t largest_message(const struct config *config, const char *queue)
{
	const struct config_node *edges = config_get(config_root(config), "edge");
	struct config_errors said_elsewhere = { 0 };
	uint64_t largest = 0;

	for (size_t i = 0; edges && edges->kind == CONFIG_MAP && i < edges->count; i++) {
		const struct config_node *name = config_get(edges->items[i], "queue");
		const struct config_node *max_size = config_get(edges->items[i], "max_size");
		uint64_t size = 0;

		if (!name || !name->text || strcmp(name->text, queue) != 0)
			continue;
		if (!max_size || option_read_size(max_size, &size, &said_elsewhere) < 0 || !size)
			size = EDGE_SIZE_DEFAULT;
		if (size > largest)
			largest = size;
	}
	config_errors_release(&said_elsewhere);
	return largest ? largest : EDGE_SIZE_DEFAULT;
}

/* What follows from several keys, or from other sections. */
static void complete(struct queue *queue, const struct config *config, const struct config_node *section)
{
	struct queue_options *options = &queue->options;
	struct expression_error said_by_check;

	if (!config_get(section, "min_free"))
		options->min_free_bytes = 2 * largest_message(config, queue->name);
	if (!config_get(config_get(section, "retry"), "maximum") && options->retry.maximum_age_ms)
		options->retry.maximum = UINT_MAX;
	if (options->retry.delay)
		queue->schedule = expression_parse(options->retry.delay, &said_by_check);
	queue->storage->max_messages = options->max_messages;
	queue->storage->min_free_bytes = options->min_free_bytes;
	queue->storage->max_strikes = options->max_strikes;
}

int queue_options_load(struct queue *queue, const struct config *config, const struct config_node *section,
	struct config_errors *errors)
{
	static const char *const read_elsewhere[] = { "type", NULL };
	const struct option_set sets[] = {
		{ queue_rows, &queue->options },
		{ queue->storage->driver->options, queue->storage },
	};
	char *kind = xasprintf("queue.%s", queue->storage->driver->type);
	int result = options_load(kind, section, sets, ARRAY_SIZE(sets), read_elsewhere, errors);

	free(kind);
	complete(queue, config, section);
	return result;
}

static int64_t time_of(const struct config_node *retry, const char *key)
{
	const struct config_node *node = config_get(retry, key);
	struct config_errors said_elsewhere = { 0 };
	int64_t ms = 0;

	if (node && option_read_time(node, &ms, &said_elsewhere) < 0)
		ms = 0;
	config_errors_release(&said_elsewhere);
	return ms;
}

void queue_warn(const struct config *config, const char *name, struct config_errors *errors)
{
	const struct config_node *section = config_section(config, "queue", name);
	const struct config_node *retry = config_get(section, "retry");
	int64_t age_ms = time_of(retry, "maximum_age"), notify_ms = time_of(retry, "notify_delay");

	if (age_ms && notify_ms >= age_ms)
		config_warning_at(errors, config_get(retry, "notify_delay"),
			"expected a time below `maximum_age`: after that a message has failed, so nobody is told of a delay");
	if (!config_get(section, "relay") || config_get(retry, "maximum") || age_ms)
		return;
	config_warning_at(errors, retry ? retry : section,
		"expected `maximum`%s: without it a message that cannot be delivered at once is never tried again",
		retry ? "" : " under `retry`");
}
