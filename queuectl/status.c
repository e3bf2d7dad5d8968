/* status.c - slimta-queuectl status: the queues by state, and the processes as their master knows them
 * SPDX-License-Identifier: MIT */
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "common/base/buffer.h"
#include "common/base/memory.h"
#include "queuectl/destinations.h"
#include "queuectl/output.h"
#include "queuectl/suspend.h"

#define TIMEOUT_S 10

struct counting {
	struct operator *operator;
	const struct queue *queue;
	bool done;
};

static void print_counts(const char *queue, const struct queue_counts *counts)
{
	char octets[SHORT_SIZE], age[SHORT_SIZE];

	printf("%-20s %8" PRIu64 " %8" PRIu64 " %8" PRIu64 " %8" PRIu64 " %7s %7s\n", queue, counts->fresh,
		counts->deferred, counts->leased, counts->held, short_octets(octets, counts->octets),
		counts->oldest_age_ms < 0 ? "-" : short_duration(age, counts->oldest_age_ms));
}

static json_t *counts_json(const char *queue, const struct queue_counts *counts)
{
	json_t *oldest = counts->oldest_age_ms < 0 ? json_null() : json_integer((json_int_t)counts->oldest_age_ms);

	return json_pack("{s:s, s:I, s:I, s:I, s:I, s:I, s:o}", "queue", queue, "new", (json_int_t)counts->fresh,
		"deferred", (json_int_t)counts->deferred, "leased", (json_int_t)counts->leased, "held",
		(json_int_t)counts->held, "octets", (json_int_t)counts->octets, "oldest_age_ms", oldest);
}

static void on_counted(void *arg, const struct reply *why, const struct queue_counts *counts)
{
	struct counting *counting = arg;

	counting->done = true;
	if (why)
		operator_fail_queue(counting->operator, counting->queue, why);
	if (why && !(counts->fresh + counts->deferred + counts->leased + counts->held))
		return;
	if (counting->operator->json)
		print_json(counts_json(queue_name(counting->queue), counts));
	else
		print_counts(queue_name(counting->queue), counts);
}

static void show_queues(struct operator *operator)
{
	if (!operator->json)
		printf("%-20s %8s %8s %8s %8s %7s %7s\n", "QUEUE", "NEW", "DEFERRED", "LEASED", "HELD", "SIZE", "OLDEST");
	for (size_t i = 0; i < operator->queue_count; i++) {
		struct counting counting = { .operator = operator, .queue = operator->queues[i] };

		queue_info(operator->queues[i], on_counted, &counting);
		operator_wait(operator, &counting.done);
	}
}

/* --- processes --- */

static void put_member(struct buffer *line, json_t *object, const char *name, int width)
{
	const json_t *value = json_object_get(object, name);
	struct buffer text = { 0 };

	if (json_is_string(value))
		put_text(&text, json_string_value(value));
	else if (json_is_integer(value))
		buffer_appendf(&text, "%lld", (long long)json_integer_value(value));
	else
		buffer_append_char(&text, '-');
	buffer_appendf(line, "%s%-*s", line->size ? " " : "", width, buffer_str(&text));
	buffer_release(&text);
}

/* The one that serves by its number alone. */
static void put_generation(struct buffer *line, json_t *object)
{
	const char *phase = json_string_value(json_object_get(object, "generation_phase"));
	struct buffer text = { 0 };

	buffer_appendf(&text, "%lld", (long long)json_integer_value(json_object_get(object, "generation")));
	if (phase && strcmp(phase, "serving") != 0) {
		buffer_append_char(&text, ' ');
		put_text(&text, phase);
	}
	buffer_appendf(line, " %-12s", buffer_str(&text));
	buffer_release(&text);
}

static void print_process(json_t *object)
{
	struct buffer line = { 0 };

	put_member(&line, object, "process", 10);
	put_member(&line, object, "pid", 8);
	put_member(&line, object, "state", 9);
	put_member(&line, object, "restarts", 8);
	put_member(&line, object, "since", 24);
	put_generation(&line, object);
	put_member(&line, object, "queue", 0);
	puts(buffer_str(&line));
	buffer_release(&line);
}

static void print_counters(json_t *counters)
{
	const char *name;
	json_t *value;

	putchar('\n');
	json_object_foreach(counters, name, value)
		printf("%-36s %lld\n", name, (long long)json_integer_value(value));
}

static void print_master(json_t *lines)
{
	json_t *line, *counters = NULL;
	size_t i;

	printf("\n%-10s %-8s %-9s %-8s %-24s %-12s %s\n", "PROCESS", "PID", "STATE", "RESTARTS", "SINCE", "GENERATION",
		"QUEUE");
	json_array_foreach(lines, i, line) {
		if (json_object_get(line, "counters"))
			counters = json_object_get(line, "counters");
		else
			print_process(line);
	}
	if (counters)
		print_counters(counters);
}

static void print_unknown(const char *why)
{
	struct buffer line = { 0 };

	put_text(&line, why);
	printf("\nno processes are known: %s\n", buffer_str(&line));
	buffer_release(&line);
}

static void show_processes(struct operator *operator)
{
	char *why = NULL;
	json_t *lines = master_ask(operator->process.runtime_dir, "status", TIMEOUT_S, &why), *line;
	size_t i;

	if (!lines && operator->json) {
		print_json(json_pack("{s:s, s:s, s:o}", "process", "master", "state", "unknown", "why", json_text(why)));
	} else if (!lines) {
		print_unknown(why);
	} else if (operator->json) {
		json_array_foreach(lines, i, line)
			print_json(json_incref(line));
	} else {
		print_master(lines);
	}
	json_decref(lines);
	free(why);
}

void show_status(struct operator *operator, const struct arguments *arguments)
{
	show_queues(operator);
	print_suspensions(operator, "\n");
	if (arguments->top)
		print_destinations(operator, arguments, arguments->top);
	if (!arguments->queue)
		show_processes(operator);
}
