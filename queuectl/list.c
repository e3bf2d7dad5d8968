/* list.c - slimta-queuectl list: a line a message
 * SPDX-License-Identifier: MIT */
#include <stdlib.h>
#include <string.h>

#include "common/base/buffer.h"
#include "queuectl/list.h"
#include "queuectl/output.h"
#include "queuectl/suspend.h"

static const struct suspension **suspended_of(const struct operator *operator, const struct queue *queue,
	const struct list_entry *entry)
{
	for (size_t i = 0; i < operator->queue_count; i++)
		if (operator->queues[i] == queue)
			return suspended_for(&operator->suspended[i], entry->recipients, entry->recipient_count, entry->done);
	return NULL;
}

static json_t *suspended_json(const struct suspension *const suspended[])
{
	json_t *list = json_array();

	for (size_t i = 0; suspended && suspended[i]; i++)
		json_array_append_new(list, json_text(suspended[i]->domain));
	return list;
}

static json_t *entry_json(const char *queue, const struct list_entry *entry, const struct suspension *const suspended[])
{
	json_t *recipients = json_array();
	const char *sender = entry->recipient_count ? entry->sender : NULL;
	json_t *object = json_pack("{s:s, s:s, s:s, s:o, s:I, s:I, s:i, s:I, s:o, s:o}", "queue", queue, "id", entry->id,
		"state", place_name(entry->place), "sender", json_text(sender), "size", (json_int_t)entry->size, "age_ms",
		(json_int_t)entry->age_ms, "attempts", (int)entry->attempts, "due_in_ms", (json_int_t)entry->due_in_ms,
		"owner", json_text(entry->owner), "held", json_text(entry->held));

	for (size_t i = 0; i < entry->recipient_count; i++)
		json_array_append_new(recipients, json_text(entry->recipients[i].address));
	json_object_set_new(object, "recipients", recipients);
	json_object_set_new(object, "origin", *entry->origin ? json_string(entry->origin) : json_null());
	json_object_set_new(object, "suspended", suspended_json(suspended));
	json_object_set_new(object, "waits", json_text(entry->waits));
	add_phase(object, entry->phase, entry->leased_for_ms, entry->in_phase_ms);
	json_object_set_new(object, "last", entry->last ? reply_to_json(entry->last) : json_null());
	return object;
}

/* Of a damaged one neither is known. */
static void put_addresses(struct buffer *out, const struct list_entry *entry)
{
	if (!entry->recipient_count) {
		buffer_append_str(out, "- -");
		return;
	}
	put_address(out, entry->sender);
	buffer_append_char(out, ' ');
	put_address(out, entry->recipients[0].address);
	if (entry->recipient_count > 1)
		buffer_appendf(out, " +%zu", entry->recipient_count - 1);
}

/* "suspended: example.net +2" */
static void put_suspended_names(struct buffer *out, const struct suspension *const suspended[])
{
	size_t count = 1;

	buffer_append_str(out, "suspended: ");
	put_text(out, suspended[0]->domain);
	while (suspended[count])
		count++;
	if (count > 1)
		buffer_appendf(out, " +%zu", count - 1);
}

/* Why it is still there: a worker has it, it is held, its destination is suspended or has too much to do, or this
 * is what the last attempt got. */
static void put_why(struct buffer *out, const struct list_entry *entry, const struct suspension *const suspended[])
{
	bool answered = entry->last && !reply_is_none(entry->last);

	if (entry->place == PLACE_LEASED && entry->owner) {
		buffer_append_str(out, " (leased");
		put_owner(out, entry->owner, entry->phase, entry->leased_for_ms, entry->in_phase_ms);
		buffer_append_char(out, ')');
	} else if (entry->place == PLACE_HELD && entry->held) {
		buffer_append_str(out, " (held: ");
		put_text(out, entry->held);
		buffer_append_char(out, ')');
	} else if (suspended || entry->waits || answered) {
		buffer_append_str(out, " (");
		if (suspended)
			put_suspended_names(out, suspended);
		if (suspended && (entry->waits || answered))
			buffer_append_str(out, "; ");
		if (entry->waits)
			put_text(out, entry->waits);
		if (entry->waits && answered)
			buffer_append_str(out, "; ");
		if (answered)
			put_reply(out, entry->last);
		buffer_append_char(out, ')');
	}
}

void print_list_header(struct operator *operator)
{
	look_for_suspensions(operator);
	if (!operator->json)
		printf("%-26s %-8s %5s %7s %7s %5s %s\n", "ID", "STATE", "TRIES", "DUE", "AGE", "SIZE",
			"QUEUE SENDER RECIPIENTS");
}

static void print_entry(const char *queue, const struct list_entry *entry, const struct suspension *const suspended[])
{
	char due[SHORT_SIZE], age[SHORT_SIZE], size[SHORT_SIZE];
	bool waits = entry->place == PLACE_NEW || entry->place == PLACE_DEFERRED;
	struct buffer line = { 0 };

	buffer_appendf(&line, "%-26s %-8s %5u %7s %7s %5s %s ", entry->id, place_name(entry->place), entry->attempts,
		waits ? short_duration(due, entry->due_in_ms) : "-", short_duration(age, entry->age_ms),
		short_octets(size, entry->size), queue);
	put_addresses(&line, entry);
	put_why(&line, entry, suspended);
	puts(buffer_str(&line));
	buffer_release(&line);
}

void print_list_entry(const struct operator *operator, const struct queue *queue, const struct list_entry *entry)
{
	const struct suspension **suspended = suspended_of(operator, queue, entry);

	if (operator->json)
		print_json(entry_json(queue_name(queue), entry, suspended));
	else
		print_entry(queue_name(queue), entry, suspended);
	free((void *)suspended);
}

static void print_each(struct walk *walk, struct queue *queue, const struct list_entry *entry)
{
	print_list_entry(walk->operator, queue, entry);
}

void list_messages(struct operator *operator, const struct arguments *arguments)
{
	struct walk walk = {
		.operator = operator, .arguments = arguments, .limit = arguments->limit, .each = print_each
	};

	print_list_header(operator);
	if (arguments->sort)
		list_sorted(operator, arguments);
	else
		walk_messages(&walk);
}
