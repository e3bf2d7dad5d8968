/* steer.c - slimta-queuectl retry, hold, release, remove, bounce: what is asked of messages by marks
 * SPDX-License-Identifier: MIT
 * A mark never races a worker: where somebody has the message it is obeyed as that ends. */
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "common/base/buffer.h"
#include "common/base/memory.h"
#include "queuectl/interrupt.h"
#include "queuectl/list.h"
#include "queuectl/output.h"
#include "queuectl/record.h"

#define ALL_PLACES (PLACE_BIT(PLACE_NEW) | PLACE_BIT(PLACE_DEFERRED) | PLACE_BIT(PLACE_LEASED) | PLACE_BIT(PLACE_HELD))

static const struct action {
	const char *name;
	enum mark mark;
	unsigned places;		/* where no ids and no states are given: whom it changes anything for */
	const char *result;		/* in JSON */
	const char *event;		/* in the log, and in front of the count */
	const char *event_later;	/* in the log, while it is being delivered */
	const char *later;
} actions[] = {
	{ "retry", MARK_RETRY, PLACE_BIT(PLACE_NEW) | PLACE_BIT(PLACE_DEFERRED), "due", "made due",
		"marked to be made due", "it is due again when this attempt ends" },
	{ "hold", MARK_HOLD, ALL_PLACES & ~PLACE_BIT(PLACE_HELD), "held", "held",
		"marked to be held", "it is held when this attempt ends, unless that delivers it" },
	{ "release", MARK_RELEASE, PLACE_BIT(PLACE_HELD), "released", "released",
		"marked to be released", "it is released when this attempt ends" },
	{ "remove", MARK_DISCARD, ALL_PLACES, "removed", "removed",
		"marked to be removed", "it is removed when this attempt ends, unless that delivers it" },
	{ "bounce", MARK_BOUNCE, ALL_PLACES, "bouncing", "let bounce",
		"marked to bounce", "it bounces when this attempt ends, unless that delivers it" },
};

struct target {
	struct steering *steering;
	struct queue *queue;
	char id[ID_SIZE];
	struct reply why;		/* of the mark */
	bool leased, held;		/* before; it is held, or will be when its lease ends */
	bool there, waits;		/* afterwards; the mark waits for the end of a lease */
	bool forced;			/* it was to be taken from its owner */
	struct reply untaken;		/* why that was refused */
	enum message_place place;
	char *owner;			/* of its last lease that was seen */
};

struct steering {
	struct walk walk;
	const struct action *action;
	char *reason;
	struct target targets[2 * WALK_BATCH];
	size_t target_count, left;
	bool answered;
	size_t total, done, later, absent, failed;
};

/* ---- one message: the mark, then a look at what it made */

static void look(struct target *target);

static void finish(struct target *target)
{
	target->steering->answered = --target->steering->left == 0;
}

static void on_taken(void *arg, const struct reply *why)
{
	struct target *target = arg;

	if (why)
		reply_copy(&target->untaken, why);
	look(target);
}

static void on_peeked(void *arg, const struct reply *why, struct peeked *peeked)
{
	struct target *target = arg;

	/* A damaged one is there, one that cannot be asked about has its mark. */
	target->there = why ? why->code != 550 : true;
	if (peeked) {
		target->place = peeked->place;
		target->waits = peeked->place == PLACE_LEASED && peeked->asked.count;
		if (peeked->owner)
			xstrset(&target->owner, peeked->owner);
	}
	if (!target->waits || target->forced || !target->steering->walk.arguments->force) {
		finish(target);
		return;
	}
	target->forced = true;
	queue_take(target->queue, target->id, on_taken, target);
}

static void look(struct target *target)
{
	target->waits = false;
	queue_peek(target->queue, target->id, false, on_peeked, target);
}

static void on_marked(void *arg, const struct reply *why)
{
	struct target *target = arg;

	if (why) {
		reply_copy(&target->why, why);
		finish(target);
		return;
	}
	look(target);
}

static void ask(struct target *target)
{
	const struct steering *steering = target->steering;
	bool keeps = steering->action->mark == MARK_HOLD && !steering->walk.arguments->reason && target->held;
	const char *id = target->id;

	if (steering->action->mark == MARK_DISCARD)
		queue_discard(target->queue, &id, 1, on_marked, target);
	else
		queue_mark(target->queue, id, steering->action->mark, keeps ? NULL : steering->reason, on_marked, target);
}

static void on_seen(void *arg, const struct reply *why, struct peeked *peeked)
{
	struct target *target = arg;

	(void)why;		/* the mark will have the same answer */
	for (size_t i = 0; peeked && i < peeked->asked.count; i++) {
		if (text_has_prefix(peeked->asked.items[i], mark_name(MARK_HOLD)))
			target->held = true;
		else if (text_has_prefix(peeked->asked.items[i], mark_name(MARK_RELEASE)))
			target->held = false;
	}
	ask(target);
}

/* What was said before of one that is held stays where nothing is said now. */
static void begin(struct target *target)
{
	const struct steering *steering = target->steering;

	if (steering->action->mark == MARK_HOLD && !steering->walk.arguments->reason && target->leased)
		queue_peek(target->queue, target->id, false, on_seen, target);
	else
		ask(target);
}

/* ---- what came of it */

static void log_action(const struct target *target, const char *event)
{
	const struct log_field fields[] = {
		LOG_TEXT("id", target->id), LOG_TEXT("queue", queue_name(target->queue)),
		LOG_TEXT("reason", target->steering->walk.arguments->reason),
		LOG_TEXT("taken_from", target->forced && !target->untaken.code ? target->owner : NULL), { 0 },
	};

	record(target->steering->walk.operator, event, fields);
}

static void print_result(const struct operator *operator, const char *id, const char *queue, const char *result,
	const struct reply *why)
{
	if (operator->json)
		print_json(json_pack("{s:s, s:s?, s:s, s:o}", "id", id, "queue", queue, "result", result, "reply",
			why && why->code ? reply_to_json(why) : json_null()));
}

static void say_later(const struct target *target)
{
	struct steering *steering = target->steering;

	steering->later++;
	log_action(target, steering->action->event_later);
	if (steering->walk.arguments->id_count || target->untaken.code)
		operator_say(steering->walk.operator, EXIT_BUSY, "%s: being delivered just now%s%s; %s%s%s", target->id,
			target->owner ? " by " : "", target->owner ? target->owner : "",
			target->untaken.code ? target->untaken.text : "", target->untaken.code ? "; " : "",
			steering->action->later);
	else
		operator_worsen(steering->walk.operator, EXIT_BUSY);
}

/* One that was named. Of those that a filter let through some may go by themselves meanwhile. */
static const char *say_absent(const struct target *target)
{
	target->steering->absent++;
	if (target->steering->walk.arguments->id_count)
		operator_say(target->steering->walk.operator, EXIT_NOT_FOUND, "%s: not there any more", target->id);
	return "absent";
}

static const char *say_failed(const struct target *target)
{
	target->steering->failed++;
	operator_fail(target->steering->walk.operator, EXIT_ERROR, target->id, &target->why);
	return "error";
}

/* One that somebody holds since a filter that leaves such out let it through is none of ours any more. */
static const char *say_held(const struct target *target)
{
	struct steering *steering = target->steering;

	if (!steering->walk.arguments->id_count && !(steering->walk.arguments->filter.places & PLACE_BIT(PLACE_HELD))) {
		steering->absent++;
	} else {
		steering->failed++;
		operator_say(steering->walk.operator, EXIT_ERROR, "%s: held, so that it is not tried; release it", target->id);
	}
	return "held";
}

static const char *result_of(const struct target *target)
{
	const struct action *action = target->steering->action;
	bool removes = action->mark == MARK_DISCARD;

	/* Whatever else was asked of one that is gone afterwards, a worker was quick to obey; held ones stay. */
	if (target->why.code == 550 || (!target->why.code && !target->there && action->mark == MARK_HOLD))
		return say_absent(target);
	if (target->why.code)
		return say_failed(target);
	if (target->waits || (removes && target->there)) {
		say_later(target);
		return "marked";
	}
	if (action->mark == MARK_RETRY && target->place == PLACE_HELD)
		return say_held(target);
	target->steering->done++;
	log_action(target, action->event);
	return action->result;
}

static void report(struct target *target)
{
	const char *result = result_of(target);

	print_result(target->steering->walk.operator, target->id, queue_name(target->queue), result, &target->why);
	reply_release(&target->why);
	reply_release(&target->untaken);
	free(target->owner);
}

static bool is_over(const struct walk *walk)
{
	return interrupt_came() || walk->operator->unrecorded;
}

/* All together, so that a storage can record them together. Who interrupts waits for the end of it. */
static void act(struct steering *steering)
{
	const struct operator *operator = steering->walk.operator;

	if (is_over(&steering->walk))
		return;
	steering->left = steering->target_count;
	steering->answered = !steering->left;
	for (size_t i = 0; i < steering->target_count; i++)
		begin(&steering->targets[i]);
	operator_wait(steering->walk.operator, &steering->answered);
	for (size_t i = 0; i < steering->target_count; i++)
		report(&steering->targets[i]);
	steering->target_count = 0;
	if (!operator->json && steering->total > WALK_BATCH && isatty(STDERR_FILENO))
		fprintf(stderr, "\r%zu of %zu", steering->walk.count, steering->total);
}

/* ---- which messages */

static void collect(struct walk *walk, struct queue *queue, const struct list_entry *entry)
{
	struct steering *steering = (struct steering *)walk;
	struct target *target = &steering->targets[steering->target_count++];

	*target = (struct target){ .steering = steering, .queue = queue, .leased = entry->place == PLACE_LEASED,
		.held = entry->place == PLACE_HELD };
	memcpy(target->id, entry->id, ID_SIZE);
}

static void act_on_batch(struct walk *walk)
{
	struct steering *steering = (struct steering *)walk;

	if (steering->target_count >= WALK_BATCH)
		act(steering);
}

static void say_not_found(struct walk *walk, const char *id, bool failed)
{
	struct steering *steering = (struct steering *)walk;

	act(steering);		/* those before it are said first */
	steering->absent += !failed;
	steering->failed += failed;
	print_result(walk->operator, id, NULL, failed ? "error" : "absent", NULL);
}

static void count_each(struct walk *walk, struct queue *queue, const struct list_entry *entry)
{
	(void)walk;
	(void)queue;
	(void)entry;
}

static void print_each(struct walk *walk, struct queue *queue, const struct list_entry *entry)
{
	print_list_entry(walk->operator, queue, entry);
}

/* "1,234 messages". */
static void put_messages(struct buffer *out, size_t count)
{
	char grouped[SHORT_SIZE];

	buffer_appendf(out, "%s message%s", grouped_number(grouped, count), count == 1 ? "" : "s");
}

static void show_what_would(const struct steering *steering)
{
	struct walk walk = steering->walk;
	struct buffer text = { 0 };

	walk.each = print_each;
	walk.flush = NULL;
	walk.absent = NULL;
	print_list_header(walk.operator);
	walk_messages(&walk);
	put_messages(&text, walk.count);
	if (!walk.operator->json)
		printf("would %s %s\n", steering->action->name, buffer_str(&text));
	buffer_release(&text);
}

static bool is_wanted(const struct steering *steering)
{
	struct buffer text = { 0 };
	char answer[16] = "";

	put_messages(&text, steering->total);
	fflush(stdout);
	fprintf(stderr, "%s %s? [y/N] ", steering->action->name, buffer_str(&text));
	buffer_release(&text);
	if (!fgets(answer, sizeof(answer), stdin))
		fputc('\n', stderr);
	return *answer == 'y' || *answer == 'Y';
}

/* How many there are, and whether the operator means all of them. */
static bool confirm(struct steering *steering)
{
	struct walk walk = steering->walk;

	walk.each = count_each;
	walk.flush = NULL;
	walk_messages(&walk);
	steering->total = steering->walk.limit = walk.count;
	if (!steering->total || steering->walk.arguments->yes || is_wanted(steering))
		return true;
	operator_say(steering->walk.operator, EXIT_DECLINED, "nothing was changed");
	return false;
}

static void print_counts(const struct steering *steering)
{
	char done[SHORT_SIZE], other[SHORT_SIZE];
	struct buffer line = { 0 };
	bool by_ids = steering->walk.arguments->id_count;
	bool all_read = !by_ids && !steering->walk.failed && !is_over(&steering->walk);
	/* Also those that were counted, and gone or changed before they were reached. */
	size_t known = steering->done + steering->later + steering->failed;
	size_t absent = all_read && steering->total > known ? steering->total - known : steering->absent;

	buffer_appendf(&line, "%s %s of ", steering->action->event, grouped_number(done, steering->done));
	put_messages(&line, steering->total);
	if (steering->later)
		buffer_appendf(&line, ", %s when %s delivery ends", grouped_number(other, steering->later),
			steering->later == 1 ? "its" : "their");
	if (absent)
		buffer_appendf(&line, ", %s %s", grouped_number(other, absent), by_ids ? "not there" :
			"gone or changed meanwhile");
	if (steering->failed)
		buffer_appendf(&line, ", %s failed", grouped_number(other, steering->failed));
	puts(buffer_str(&line));
	buffer_release(&line);
}

static void steer(struct steering *steering)
{
	bool by_ids = steering->walk.arguments->id_count != 0;

	steering->total = steering->walk.arguments->id_count;
	if (!by_ids && !confirm(steering))
		return;
	interrupt_defer();
	if (by_ids || steering->total)
		walk_messages(&steering->walk);
	act(steering);
	if (!steering->walk.operator->json && steering->total > WALK_BATCH && isatty(STDERR_FILENO))
		fputc('\n', stderr);
	if (!steering->walk.operator->json)
		print_counts(steering);
	if (interrupt_came())
		operator_say(steering->walk.operator, EXIT_ERROR, "interrupted: all others are as they were");
	interrupt_obey();
}

/* Who holds a message is known to whoever looks at it. The sender of one that bounces is told no names. */
static char *reason_of(const struct operator *operator, const struct action *action, const char *given)
{
	const struct buffer *user = operator->sudo_user.size ? &operator->sudo_user : &operator->user;

	if (action->mark == MARK_HOLD)
		return xasprintf("operator %s%s%s", buffer_str(user), given ? ": " : "", given ? given : "");
	return action->mark == MARK_BOUNCE && given ? xstrdup(given) : NULL;
}

void steer_messages(struct operator *operator, const struct arguments *given)
{
	struct steering *steering = xcalloc(1, sizeof(*steering));
	const struct action *action = actions;
	struct arguments arguments = *given;

	while (strcmp(action->name, given->command->name) != 0)
		action++;
	if (!arguments.id_count && !arguments.filter.places) {
		arguments.filter.places = action->places;
		arguments.filtered = true;
	}
	steering->action = action;
	steering->reason = reason_of(operator, action, given->reason);
	steering->walk = (struct walk){ .operator = operator, .arguments = &arguments, .limit = arguments.limit,
		.each = collect, .flush = act_on_batch, .absent = say_not_found, .ends = is_over };
	if (arguments.dry_run) {
		show_what_would(steering);
	} else {
		signal(SIGPIPE, SIG_IGN);	/* what is changed is logged, also where nobody reads what is printed */
		steer(steering);
	}
	free(steering->reason);
	free(steering);
}
