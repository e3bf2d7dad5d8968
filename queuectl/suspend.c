/* suspend.c - slimta-queuectl suspend, resume: destinations to which nothing is delivered for a while
 * SPDX-License-Identifier: MIT */
#include "queuectl/suspend.h"

#include <signal.h>
#include <stdlib.h>
#include <string.h>

#include "common/base/buffer.h"
#include "common/base/clock.h"
#include "common/base/log.h"
#include "common/base/memory.h"
#include "queuectl/output.h"

#define NAME_MAX_OCTETS 200	/* of a user, whose environment may say anything */

struct call {
	bool done;
	struct reply why;
	struct suspensions *into;
};

/* ---- what is suspended */

static void on_settings(void *arg, const struct reply *why, const struct setting *settings, size_t count)
{
	struct call *call = arg;

	if (why)
		reply_copy(&call->why, why);
	suspensions_read(call->into, settings, why ? 0 : count);
	call->done = true;
}

int read_suspensions(struct operator *operator, struct queue *queue, struct suspensions *into)
{
	struct call call = { .into = into };
	int result = 0;

	queue_settings(queue, on_settings, &call);
	operator_wait(operator, &call.done);
	if (call.why.code) {
		operator_fail(operator, EXIT_ERROR, queue_name(queue), &call.why);
		result = -1;
	}
	reply_release(&call.why);
	return result;
}

static int64_t left_ms(const struct suspension *suspension)
{
	int64_t left = suspension->until_boot_ms - clock_boot_ms();

	return left > 0 ? left : 0;
}

static json_t *suspension_json(const char *queue, const struct suspension *suspension)
{
	char since[CLOCK_ISO8601_SIZE];

	return json_pack("{s:s, s:s, s:o, s:o, s:o, s:o}", "domain", suspension->domain, "queue", queue, "by",
		json_text(suspension->by), "since",
		json_text(suspension->since_ms ? clock_iso8601(since, suspension->since_ms) : NULL), "left_ms",
		suspension->until_boot_ms == INT64_MAX ? json_null() : json_integer(left_ms(suspension)), "reason",
		json_text(suspension->reason));
}

static void print_suspension(const char *queue, const struct suspension *suspension)
{
	char since[CLOCK_ISO8601_SIZE], left[SHORT_SIZE];
	struct buffer line = { 0 };

	put_column(&line, suspension->domain, 30);
	buffer_appendf(&line, " %-16s %-24s %7s ", queue,
		suspension->since_ms ? clock_iso8601(since, suspension->since_ms) : "-",
		suspension->until_boot_ms == INT64_MAX ? "-" : short_duration(left, left_ms(suspension)));
	put_column(&line, suspension->by ? suspension->by : "-", 16);
	buffer_append_char(&line, ' ');
	put_text(&line, suspension->reason ? suspension->reason : "-");
	puts(buffer_str(&line));
	buffer_release(&line);
}

size_t print_suspensions(struct operator *operator, const char *heading)
{
	size_t printed = 0;

	for (size_t i = 0; i < operator->queue_count; i++) {
		const char *queue = queue_name(operator->queues[i]);
		struct suspensions all;

		read_suspensions(operator, operator->queues[i], &all);
		for (size_t k = 0; k < all.count; k++) {
			if (!printed++ && !operator->json)
				printf("%s%-30s %-16s %-24s %7s %-16s %s\n", heading, "SUSPENDED", "QUEUE", "SINCE", "LEFT",
					"BY", "REASON");
			if (operator->json)
				print_json(suspension_json(queue, &all.items[k]));
			else
				print_suspension(queue, &all.items[k]);
		}
		suspensions_release(&all);
	}
	return printed;
}

static void describe(struct buffer *out, const struct suspension *suspension)
{
	char since[CLOCK_ISO8601_SIZE], left[SHORT_SIZE];

	buffer_append_str(out, "destination ");
	put_text(out, suspension->domain);
	buffer_append_str(out, " is suspended");
	if (suspension->by) {
		buffer_append_str(out, " by ");
		put_text(out, suspension->by);
	}
	if (suspension->since_ms)
		buffer_appendf(out, " since %s", clock_iso8601(since, suspension->since_ms));
	if (suspension->until_boot_ms != INT64_MAX)
		buffer_appendf(out, " for another %s", short_duration(left, left_ms(suspension)));
	if (suspension->reason) {
		buffer_append_str(out, ": ");
		put_text(out, suspension->reason);
	}
}

void put_suspended(struct buffer *out, struct operator *operator, struct queue *queue, const struct peeked *peeked)
{
	const struct suspension *last = NULL;
	struct suspensions all;

	if (read_suspensions(operator, queue, &all) == 0)
		for (size_t i = 0; peeked->envelope && i < peeked->envelope->recipient_count; i++) {
			const struct suspension *suspension = outcome_is_open(outcomes_find(&peeked->state.done, i)) ?
				suspensions_find(&all, peeked->envelope->recipients[i].address) : NULL;

			if (!suspension || suspension == last)
				continue;
			buffer_append_str(out, last ? "; " : "");
			describe(out, suspension);
			last = suspension;
		}
	suspensions_release(&all);
}

/* ---- changing it */

static void on_set(void *arg, const struct reply *why)
{
	struct call *call = arg;

	if (why)
		reply_copy(&call->why, why);
	call->done = true;
}

/* True once the storage has it; else it was said why not. */
static bool set(struct operator *operator, struct queue *queue, const char *domain, const char *value, int64_t for_ms)
{
	char *key = suspension_key(domain);
	struct call call = { 0 };
	bool good;

	queue_set(queue, key, value, for_ms, on_set, &call);
	operator_wait(operator, &call.done);
	good = reply_is_none(&call.why);
	if (!good)
		operator_fail(operator, EXIT_ERROR, queue_name(queue), &call.why);
	reply_release(&call.why);
	free(key);
	return good;
}

static void log_change(const struct operator *operator, const char *event, const char *domain, const char *queue,
	const struct arguments *arguments)
{
	struct log_field fields[] = {
		LOG_TEXT("domain", domain), LOG_TEXT("queue", queue), LOG_TEXT("user", buffer_str(&operator->user)),
		LOG_TEXT("sudo_user", operator->sudo_user.size ? buffer_str(&operator->sudo_user) : NULL),
		LOG_TEXT("reason", arguments->reason), LOG_INT("for_ms", arguments->for_ms), { 0 },
	};

	if (!arguments->for_ms)
		fields[5].key = NULL;
	if (log_wants(LOG_LEVEL_INFO, "queuectl"))
		log_write(LOG_LEVEL_INFO, "queuectl", event, fields);
}

static void print_change(const struct operator *operator, const char *result, const char *domain, const char *queue,
	int64_t for_ms)
{
	char time[SHORT_SIZE];
	struct buffer shown = { 0 };

	if (operator->json) {
		print_json(json_pack("{s:s, s:s, s:s, s:o}", "domain", domain, "queue", queue, "result", result, "for_ms",
			for_ms ? json_integer((json_int_t)for_ms) : json_null()));
		return;
	}
	put_text(&shown, domain);
	printf("%s %s in queue %s%s%s\n", result, buffer_str(&shown), queue, for_ms ? " for " : "",
		for_ms ? short_duration(time, for_ms) : "");
	buffer_release(&shown);
}

/* Who is behind sudo, if somebody is. */
static char *name_of(const struct operator *operator)
{
	const struct buffer *name = operator->sudo_user.size ? &operator->sudo_user : &operator->user;
	struct buffer shown = { 0 };
	char *text;

	put_text(&shown, buffer_str(name));
	text = xstrndup(buffer_str(&shown), shown.size > NAME_MAX_OCTETS ?
		utf8_cut(buffer_str(&shown), NAME_MAX_OCTETS) : shown.size);
	buffer_release(&shown);
	return text;
}

static void suspend(struct operator *operator, const struct arguments *arguments, const char *domain)
{
	char *by = name_of(operator), *value = suspension_value(by, clock_wall_ms(), arguments->reason);

	for (size_t i = 0; i < operator->queue_count; i++) {
		const char *queue = queue_name(operator->queues[i]);

		if (!set(operator, operator->queues[i], domain, value, arguments->for_ms ? arguments->for_ms : INT64_MAX))
			continue;
		log_change(operator, "suspended a destination", domain, queue, arguments);
		print_change(operator, "suspended", domain, queue, arguments->for_ms);
	}
	free(value);
	free(by);
}

/* Mail to it may wait all the same. */
static void say_rest(struct operator *operator, const struct suspensions *all, const char *domain, const char *queue)
{
	char *address = xasprintf("x@%s", domain);
	const struct suspension *above = *domain == '.' ? NULL : suspensions_find(all, address);

	if (above)
		operator_say(operator, EXIT_DONE, "%s: all of %s is suspended too in queue %s", domain, above->domain, queue);
	free(address);
}

static bool resume_in(struct operator *operator, const struct arguments *arguments, const char *domain, struct queue *queue)
{
	struct suspensions all;
	bool there;

	read_suspensions(operator, queue, &all);
	there = suspensions_get(&all, domain) != NULL;
	suspensions_release(&all);
	if (there && set(operator, queue, domain, NULL, 0)) {
		log_change(operator, "resumed a destination", domain, queue_name(queue), arguments);
		print_change(operator, "resumed", domain, queue_name(queue), 0);
	}
	read_suspensions(operator, queue, &all);
	say_rest(operator, &all, domain, queue_name(queue));
	suspensions_release(&all);
	return there;
}

static void resume(struct operator *operator, const struct arguments *arguments, const char *domain)
{
	bool there = false;

	for (size_t i = 0; i < operator->queue_count; i++)
		there |= resume_in(operator, arguments, domain, operator->queues[i]);
	if (!there && operator->code != EXIT_ERROR)
		operator_say(operator, EXIT_NOT_FOUND, "%s: not suspended", domain);
}

static void each_domain(struct operator *operator, const struct arguments *arguments,
	void (*change)(struct operator *, const struct arguments *, const char *domain))
{
	if (arguments->id_count)
		signal(SIGPIPE, SIG_IGN);	/* all of them, also where nobody reads what is printed */
	for (size_t i = 0; i < arguments->id_count; i++) {
		char *domain = suspension_domain(arguments->ids[i]);

		if (!domain)
			BUG("a domain that was not checked");
		change(operator, arguments, domain);
		free(domain);
	}
}

void suspend_destinations(struct operator *operator, const struct arguments *arguments)
{
	each_domain(operator, arguments, suspend);
	if (!arguments->id_count && !print_suspensions(operator, "") && !operator->json && operator->code == EXIT_DONE)
		puts("no destination is suspended");
}

void resume_destinations(struct operator *operator, const struct arguments *arguments)
{
	each_domain(operator, arguments, resume);
}
