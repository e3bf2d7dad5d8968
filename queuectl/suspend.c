/* suspend.c - slimta-queuectl suspend, resume: destinations to which nothing is delivered for a while
 * SPDX-License-Identifier: MIT */
#include "queuectl/suspend.h"

#include <signal.h>
#include <stdlib.h>
#include <string.h>

#include "common/base/buffer.h"
#include "common/base/clock.h"
#include "common/base/memory.h"
#include "queuectl/interrupt.h"
#include "queuectl/output.h"
#include "queuectl/record.h"

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

	*into = (struct suspensions){ 0 };
	if (!operator_may_ask(operator, queue))
		return -1;
	queue_settings(queue, on_settings, &call);
	operator_wait(operator, &call.done);
	if (call.why.code) {
		operator_fail_queue(operator, queue, &call.why);
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

int look_for_suspensions(struct operator *operator)
{
	int result = 0;

	forget_suspensions(operator);
	operator->suspended = xcalloc(operator->queue_count + 1, sizeof(*operator->suspended));
	for (size_t i = 0; i < operator->queue_count; i++)
		result |= read_suspensions(operator, operator->queues[i], &operator->suspended[i]);
	return result;
}

void forget_suspensions(struct operator *operator)
{
	for (size_t i = 0; operator->suspended && i < operator->queue_count; i++)
		suspensions_release(&operator->suspended[i]);
	free(operator->suspended);
	operator->suspended = NULL;
}

const struct suspension **suspended_for(const struct suspensions *all, const struct recipient *recipients, size_t count,
	const struct outcomes *done)
{
	const struct suspension **found = NULL;
	bool *seen = all->count ? xcalloc(all->count, sizeof(*seen)) : NULL;
	size_t known = 0;

	for (size_t i = 0; all->count && i < count; i++) {
		const struct suspension *suspension = outcome_is_open(done ? outcomes_find(done, i) : NULL) ?
			suspensions_find(all, recipients[i].address) : NULL;

		if (!suspension || seen[suspension - all->items])
			continue;
		seen[suspension - all->items] = true;
		found = xrealloc((void *)found, known + 2, sizeof(*found));
		found[known++] = suspension;
		found[known] = NULL;
	}
	free(seen);
	return found;
}

void put_suspended(struct buffer *out, struct operator *operator, struct queue *queue, const struct peeked *peeked)
{
	const struct suspension **found = NULL;
	struct suspensions all;

	if (read_suspensions(operator, queue, &all) == 0 && peeked->envelope)
		found = suspended_for(&all, peeked->envelope->recipients, peeked->envelope->recipient_count,
			&peeked->state.done);
	for (size_t i = 0; found && found[i]; i++) {
		buffer_append_str(out, i ? "; " : "");
		describe(out, found[i]);
	}
	free((void *)found);
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
		operator_fail_queue(operator, queue, &call.why);
	reply_release(&call.why);
	free(key);
	return good;
}

static void log_change(struct operator *operator, const char *event, const char *domain, const char *queue,
	const struct arguments *arguments)
{
	struct log_field fields[] = {
		LOG_TEXT("domain", domain), LOG_TEXT("queue", queue), LOG_TEXT("reason", arguments->reason),
		LOG_INT("for_ms", arguments->for_ms), { 0 },
	};

	if (!arguments->for_ms)
		fields[3].key = NULL;
	record(operator, event, fields);
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

	for (size_t i = 0; i < operator->queue_count && !operator->unrecorded; i++) {
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
	const struct suspension *above = NULL;

	if (*domain == '.' || *domain == '[')
		return;
	for (const char *at = strchr(domain, '.'); at && !above; at = strchr(at + 1, '.'))
		above = suspensions_get(all, at);
	if (above && left_ms(above))
		operator_say(operator, EXIT_DONE, "%s: all of %s is suspended too in queue %s", domain, above->domain, queue);
}

/* False: it is not suspended there. */
static bool resume_in(struct operator *operator, const struct arguments *arguments, const char *domain, struct queue *queue)
{
	struct suspensions all;
	bool known = read_suspensions(operator, queue, &all) == 0, there = suspensions_get(&all, domain) != NULL;

	if (there && set(operator, queue, domain, NULL, 0)) {
		log_change(operator, "resumed a destination", domain, queue_name(queue), arguments);
		print_change(operator, "resumed", domain, queue_name(queue), 0);
	}
	say_rest(operator, &all, domain, queue_name(queue));
	suspensions_release(&all);
	return there || !known;
}

static void resume(struct operator *operator, const struct arguments *arguments, const char *domain)
{
	bool there = false;

	for (size_t i = 0; i < operator->queue_count && !operator->unrecorded; i++)
		there |= resume_in(operator, arguments, domain, operator->queues[i]);
	if (!there)
		operator_say(operator, EXIT_NOT_FOUND, "%s: not suspended%s", domain,
			operator->partly ? " in any queue that could be opened" : "");
}

static void each_domain(struct operator *operator, const struct arguments *arguments,
	void (*change)(struct operator *, const struct arguments *, const char *domain))
{
	if (arguments->id_count)
		signal(SIGPIPE, SIG_IGN);	/* all of them, also where nobody reads what is printed */
	interrupt_defer();
	for (size_t i = 0; i < arguments->id_count && !interrupt_came() && !operator->unrecorded; i++) {
		char *domain = suspension_domain(arguments->ids[i]);

		if (!domain)
			BUG("a domain that was not checked");
		change(operator, arguments, domain);
		free(domain);
	}
	if (interrupt_came())
		operator_say(operator, EXIT_ERROR, "interrupted: all further domains are as they were");
	interrupt_obey();
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
