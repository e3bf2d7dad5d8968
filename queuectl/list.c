/* list.c - slimta-queuectl list: a line a message
 * SPDX-License-Identifier: MIT */
#include <string.h>

#include "common/base/buffer.h"
#include "queuectl/operator.h"
#include "queuectl/output.h"

#define BATCH 100	/* what is in memory at a time */

struct listing {
	struct operator *operator;
	struct queue *queue;
	bool done;
	size_t printed, limit;
	char cursor[LIST_CURSOR_SIZE];
};

static json_t *entry_json(const char *queue, const struct list_entry *entry)
{
	json_t *recipients = json_array();
	json_t *object = json_pack("{s:s, s:s, s:s, s:o, s:I, s:I, s:i, s:I, s:o, s:o}", "queue", queue, "id", entry->id,
		"state", place_name(entry->place), "sender", json_text(entry->sender), "size", (json_int_t)entry->size,
		"age_ms", (json_int_t)entry->age_ms, "attempts", (int)entry->attempts, "due_in_ms",
		(json_int_t)entry->due_in_ms, "owner", json_text(entry->owner), "held", json_text(entry->held));

	for (size_t i = 0; i < entry->recipient_count; i++)
		json_array_append_new(recipients, json_text(entry->recipients[i].address));
	json_object_set_new(object, "recipients", recipients);
	json_object_set_new(object, "origin", *entry->origin ? json_string(entry->origin) : json_null());
	add_phase(object, entry->phase, entry->leased_for_ms, entry->in_phase_ms);
	json_object_set_new(object, "last", entry->last ? reply_to_json(entry->last) : json_null());
	return object;
}

static void put_recipients(struct buffer *out, const struct list_entry *entry)
{
	if (entry->recipient_count)
		put_address(out, entry->recipients[0].address);
	if (entry->recipient_count > 1)
		buffer_appendf(out, " +%zu", entry->recipient_count - 1);
}

/* Why no worker takes it: one has it, or it is held. */
static void put_why(struct buffer *out, const struct list_entry *entry)
{
	if (entry->place == PLACE_LEASED && entry->owner) {
		buffer_append_str(out, " (leased");
		put_owner(out, entry->owner, entry->phase, entry->leased_for_ms, entry->in_phase_ms);
		buffer_append_char(out, ')');
	} else if (entry->place == PLACE_HELD && entry->held) {
		buffer_append_str(out, " (held: ");
		put_text(out, entry->held);
		buffer_append_char(out, ')');
	}
}

static void print_header(void)
{
	printf("%-26s %-8s %5s %7s %7s %5s %s\n", "ID", "STATE", "TRIES", "DUE", "AGE", "SIZE",
		"QUEUE SENDER RECIPIENTS");
}

static void print_entry(const char *queue, const struct list_entry *entry)
{
	char due[SHORT_SIZE], age[SHORT_SIZE], size[SHORT_SIZE];
	bool waits = entry->place == PLACE_NEW || entry->place == PLACE_DEFERRED;
	struct buffer line = { 0 };

	buffer_appendf(&line, "%-26s %-8s %5u %7s %7s %5s %s ", entry->id, place_name(entry->place), entry->attempts,
		waits ? short_duration(due, entry->due_in_ms) : "-", short_duration(age, entry->age_ms),
		short_octets(size, entry->size), queue);
	put_address(&line, entry->sender);
	buffer_append_char(&line, ' ');
	put_recipients(&line, entry);
	put_why(&line, entry);
	puts(buffer_str(&line));
	buffer_release(&line);
}

static void on_listed(void *arg, const struct reply *why, const struct list_entry *entries, size_t count,
	const char *cursor)
{
	struct listing *listing = arg;
	const char *name = queue_name(listing->queue);

	listing->done = true;
	listing->cursor[0] = '\0';
	if (why) {
		operator_fail(listing->operator, EXIT_ERROR, name, why);
		return;
	}
	for (size_t i = 0; i < count && (!listing->limit || listing->printed < listing->limit); i++) {
		if (listing->operator->json)
			print_json(entry_json(name, &entries[i]));
		else
			print_entry(name, &entries[i]);
		listing->printed++;
	}
	snprintf(listing->cursor, sizeof(listing->cursor), "%s", cursor);
}

/* All of a queue, or its message `id`, a batch at a time. */
static void list_queue(struct listing *listing, const char *id)
{
	const struct list_filter filter = { .id = id };

	listing->cursor[0] = '\0';
	do {
		size_t left = listing->limit ? listing->limit - listing->printed : BATCH;
		char cursor[LIST_CURSOR_SIZE];

		if (!left)
			return;
		listing->done = false;
		snprintf(cursor, sizeof(cursor), "%s", listing->cursor);
		queue_list(listing->queue, &filter, cursor, left < BATCH ? left : BATCH, on_listed, listing);
		operator_wait(listing->operator, &listing->done);
	} while (*listing->cursor);
}

static void list_everywhere(struct listing *listing, const char *id)
{
	size_t before = listing->printed;

	for (size_t i = 0; i < listing->operator->queue_count; i++) {
		listing->queue = listing->operator->queues[i];
		list_queue(listing, id);
	}
	if (id && listing->printed == before && (!listing->limit || listing->printed < listing->limit))
		operator_say(listing->operator, EXIT_NOT_FOUND, "%s: not in %s", id,
			listing->operator->queue_count == 1 ? "the queue" : "any queue");
}

void list_messages(struct operator *operator, const struct arguments *arguments)
{
	struct listing listing = { .operator = operator, .limit = arguments->limit };

	if (!operator->json)
		print_header();
	for (size_t i = 0; i < arguments->id_count; i++)
		list_everywhere(&listing, arguments->ids[i]);
	if (!arguments->id_count)
		list_everywhere(&listing, NULL);
}
