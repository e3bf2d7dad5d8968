/* arguments.c - the command line: options may stand anywhere, the first word is the command, then come ids
 * SPDX-License-Identifier: MIT */
#include "queuectl/arguments.h"

#include <limits.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "common/base/buffer.h"
#include "common/base/hash.h"
#include "common/base/memory.h"
#include "common/queue/suspension.h"
#include "queuectl/operator.h"

#define LIMIT_MAX 1000000000
#define AGE_MAX_DAYS 36500
#define REASON_MAX 500
#define TOP_MAX 1000
#define TOP_DEFAULT 10

static const struct command commands[] = {
	{ "list", list_messages, TAKES_QUEUE | TAKES_FILTER | TAKES_SORT, .max_ids = SIZE_MAX },
	{ "show", show_message, TAKES_QUEUE | TAKES_MESSAGE, .min_ids = 1, .max_ids = 1 },
	{ "retry", steer_messages, TAKES_QUEUE | TAKES_FILTER | TAKES_ACTION, .max_ids = SIZE_MAX, .changes = true },
	{ "hold", steer_messages, TAKES_QUEUE | TAKES_FILTER | TAKES_ACTION | TAKES_REASON, .max_ids = SIZE_MAX,
		.changes = true },
	{ "release", steer_messages, TAKES_QUEUE | TAKES_FILTER | TAKES_ACTION, .max_ids = SIZE_MAX, .changes = true },
	{ "remove", steer_messages, TAKES_QUEUE | TAKES_FILTER | TAKES_ACTION, .max_ids = SIZE_MAX, .changes = true },
	{ "bounce", steer_messages, TAKES_QUEUE | TAKES_FILTER | TAKES_ACTION | TAKES_REASON, .max_ids = SIZE_MAX,
		.changes = true },
	{ "suspend", suspend_destinations, TAKES_QUEUE | TAKES_REASON | TAKES_TIME | TAKES_DOMAINS, .max_ids = SIZE_MAX,
		.changes = true },
	{ "resume", resume_destinations, TAKES_QUEUE | TAKES_DOMAINS, .min_ids = 1, .max_ids = SIZE_MAX, .changes = true },
	{ "status", show_status, TAKES_QUEUE | TAKES_TOP, .without_queues = true },
	{ "reload", reload_master, 0, .without_queues = true, .of_master = true },
};

static int misused(const char *what, const char *text)
{
	struct buffer shown = { 0 };

	if (text)
		quoted(&shown, text, strlen(text));
	fprintf(stderr, "slimta-queuectl: %s%s%s\nTry: slimta-queuectl --help\n", what, text ? ": " : "",
		text ? buffer_str(&shown) : "");
	buffer_release(&shown);
	return EXIT_USAGE;
}

static const struct command *command_of(const char *name)
{
	for (size_t i = 0; i < ARRAY_SIZE(commands); i++) {
		if (strcmp(commands[i].name, name) == 0)
			return &commands[i];
	}
	return NULL;
}

/* ---- values; false: it is none */

int64_t parse_age(const char *text)
{
	static const struct { char letter; unsigned seconds; } units[] = {
		{ 'd', 86400 }, { 'h', 3600 }, { 'm', 60 }, { 's', 1 }
	};
	uint64_t number, seconds = 0;
	size_t unit = 0;

	while (*text) {
		size_t digits = strspn(text, "0123456789");
		bool bare = !text[digits];

		if (!parse_u64(text, digits, UINT_MAX, &number))
			return -1;
		while (!bare && unit < ARRAY_SIZE(units) && units[unit].letter != text[digits])
			unit++;
		if (bare ? seconds != 0 : unit == ARRAY_SIZE(units))
			return -1;
		seconds += number * (bare ? 1 : units[unit++].seconds);
		text += digits + !bare;
	}
	return seconds && seconds <= AGE_MAX_DAYS * UINT64_C(86400) ? (int64_t)seconds * 1000 : -1;
}

static bool take_age(int64_t *ms, const char *value)
{
	*ms = parse_age(value);
	return *ms > 0;
}

static bool take_older(struct arguments *arguments, const char *value)
{
	return take_age(&arguments->filter.older_ms, value);
}

static bool take_younger(struct arguments *arguments, const char *value)
{
	return take_age(&arguments->filter.younger_ms, value);
}

static bool take_for(struct arguments *arguments, const char *value)
{
	return take_age(&arguments->for_ms, value);
}

static bool take_text(const char **into, const char *value, size_t max)
{
	*into = value;
	return strlen(value) <= max && utf8_is_valid(value, strlen(value));
}

/* As it is printed, "<ann@example.org>", or without the brackets. Nothing at all may be a variable of a script that was not
 * set: the null sender is "<>". */
static bool take_address(const char **into, const char *value)
{
	size_t size = strlen(value);

	if (!size)
		return false;
	if (value[0] == '<' && value[size - 1] == '>') {
		((char *)value)[size - 1] = '\0';	/* of argv, which is ours */
		value++;
	}
	return take_text(into, value, LIST_PATTERN_MAX);
}

static bool take_sender(struct arguments *arguments, const char *value)
{
	return take_address(&arguments->filter.sender, value);
}

static bool take_recipient(struct arguments *arguments, const char *value)
{
	return take_address(&arguments->filter.recipient, value);
}

static bool take_domain(struct arguments *arguments, const char *value)
{
	return *value && !strchr(value, '@') && take_text(&arguments->filter.domain, value, LIST_PATTERN_MAX);
}

static bool take_reply(struct arguments *arguments, const char *value)
{
	return *value && take_text(&arguments->filter.reply, value, LIST_PATTERN_MAX);
}

static bool take_state(struct arguments *arguments, const char *value)
{
	while (true) {
		size_t size = strcspn(value, ",");
		char *name = xstrndup(value, size);
		enum message_place place;
		bool known = place_find(name, &place);

		free(name);
		if (!known)
			return false;
		arguments->filter.places |= PLACE_BIT(place);
		if (!value[size])
			return true;
		value += size + 1;
	}
}

/* "3", "3-" or "3-5". */
static bool take_attempts(struct arguments *arguments, const char *value)
{
	size_t digits = strspn(value, "0123456789");
	const char *rest = value + digits;
	uint64_t least, most;

	if (!parse_u64(value, digits, UINT_MAX - 1, &least))
		return false;
	most = least;
	if (strcmp(rest, "-") == 0)
		most = UINT_MAX;	/* one more is 0: any number */
	else if (*rest && (*rest != '-' || !parse_u64(rest + 1, strlen(rest + 1), UINT_MAX - 1, &most) || most < least))
		return false;
	arguments->filter.attempts_least = (unsigned)least;
	arguments->filter.attempts_below = (unsigned)most + 1;
	return true;
}

static bool take_limit(struct arguments *arguments, const char *value)
{
	uint64_t limit;

	if (!parse_u64(value, strlen(value), LIMIT_MAX, &limit))
		return false;
	arguments->limit = (size_t)limit;
	return limit > 0;
}

static bool take_top(struct arguments *arguments, const char *value)
{
	uint64_t top;

	if (!parse_u64(value, strlen(value), TOP_MAX, &top))
		return false;
	arguments->top = (size_t)top;
	return true;
}

static bool take_sort(struct arguments *arguments, const char *value)
{
	static const char *const keys[] = {
		[SORT_AGE] = "age", [SORT_DUE] = "due", [SORT_SIZE] = "size", [SORT_ATTEMPTS] = "attempts"
	};

	arguments->reverse = *value == '-';
	for (size_t i = SORT_AGE; i < ARRAY_SIZE(keys); i++)
		if (strcmp(keys[i], value + arguments->reverse) == 0)
			arguments->sort = (enum sort_key)i;
	return arguments->sort != SORT_NONE;
}

/* The sender of a bounce reads it. */
static bool take_reason(struct arguments *arguments, const char *value)
{
	for (const char *at = value; *at; at++)
		if ((unsigned char)*at < 0x20 || *at == 0x7f)
			return false;
	return *value && take_text(&arguments->reason, value, REASON_MAX);
}

static bool take_config(struct arguments *arguments, const char *value)
{
	arguments->config_path = value;
	return true;
}

static bool take_queue(struct arguments *arguments, const char *value)
{
	arguments->queue = value;
	return true;
}

/* ---- options */

static const struct option_row {
	const char *name, *letter;
	unsigned group;
	bool (*take)(struct arguments *, const char *value);
	const char *needs;		/* the value */
	size_t flag;			/* of struct arguments, where there is no value */
} options[] = {
	{ "--config", "-c", TAKES_ANYWHERE, take_config, "a value", 0 },
	{ "--queue", "-q", TAKES_QUEUE, take_queue, "a value", 0 },
	{ "--json", NULL, TAKES_ANYWHERE, NULL, NULL, offsetof(struct arguments, json) },
	{ "--help", "-h", TAKES_ANYWHERE, NULL, NULL, offsetof(struct arguments, help) },
	{ "--version", NULL, TAKES_ANYWHERE, NULL, NULL, offsetof(struct arguments, version) },
	{ "--message", NULL, TAKES_MESSAGE, NULL, NULL, offsetof(struct arguments, message) },
	{ "--sender", NULL, TAKES_FILTER, take_sender, "an address, a pattern of one, or <>", 0 },
	{ "--recipient", NULL, TAKES_FILTER, take_recipient, "an address, or a pattern of one", 0 },
	{ "--domain", NULL, TAKES_FILTER, take_domain, "a domain, or a pattern of one", 0 },
	{ "--older", NULL, TAKES_FILTER, take_older, "an age such as 90s, 15m, 1h30m or 3d", 0 },
	{ "--younger", NULL, TAKES_FILTER, take_younger, "an age such as 90s, 15m, 1h30m or 3d", 0 },
	{ "--state", NULL, TAKES_FILTER, take_state, "new, deferred, leased or held, or several: new,deferred", 0 },
	{ "--attempts", NULL, TAKES_FILTER, take_attempts, "a number, or a range such as 3- or 3-5", 0 },
	{ "--reply", NULL, TAKES_FILTER, take_reply, "a reply, or a pattern of one such as 450*", 0 },
	{ "--limit", NULL, TAKES_FILTER, take_limit, "a number above 0", 0 },
	{ "--sort", NULL, TAKES_SORT, take_sort, "age, due, size or attempts, or one of them behind a -", 0 },
	{ "--top", NULL, TAKES_TOP, take_top, "a number from 0 to 1000", 0 },
	{ "--all", NULL, TAKES_ACTION, NULL, NULL, offsetof(struct arguments, all) },
	{ "--dry-run", NULL, TAKES_ACTION, NULL, NULL, offsetof(struct arguments, dry_run) },
	{ "--yes", NULL, TAKES_ACTION, NULL, NULL, offsetof(struct arguments, yes) },
	{ "--force", NULL, TAKES_ACTION, NULL, NULL, offsetof(struct arguments, force) },
	{ "--reason", NULL, TAKES_REASON, take_reason, "a line of text", 0 },
	{ "--for", NULL, TAKES_TIME, take_for, "a time such as 90s, 15m, 1h30m or 3d", 0 },
};

static const struct option_row *option_of(const char *text)
{
	size_t size = strcspn(text, "=");

	for (size_t i = 0; i < ARRAY_SIZE(options); i++) {
		if (options[i].letter && strcmp(options[i].letter, text) == 0)
			return &options[i];
		if (strlen(options[i].name) == size && memcmp(options[i].name, text, size) == 0)
			return &options[i];
	}
	return NULL;
}

static int misused_value(const struct option_row *option, const char *text, const char *value)
{
	char *what = xasprintf("%s needs %s", option->name, option->needs);
	int code = value ? misused(what, value) : misused(strcmp(option->needs, "a value") ? what : "needs a value", text);

	free(what);
	return code;
}

/* The first one given that the command does not take; NULL: none. */
static const struct option_row *misplaced(const struct command *command, const bool given[])
{
	for (size_t i = 0; i < ARRAY_SIZE(options); i++)
		if (given[i] && (command->takes & options[i].group) != options[i].group)
			return &options[i];
	return NULL;
}

/* How many of argv were taken; 0: it was said what is wrong. */
static int take_option(char **argv, bool given[], struct arguments *arguments)
{
	const struct option_row *option = option_of(argv[0]);
	const char *equals = strchr(argv[0], '='), *value = equals ? equals + 1 : NULL;
	int taken = 1;

	if (!option || (value && !option->take)) {
		misused("not understood", argv[0]);
		return 0;
	}
	if (option->take && !value) {
		value = argv[1];
		taken = 2;
	}
	if (option->take && (!value || !option->take(arguments, value))) {
		misused_value(option, argv[0], value);
		return 0;
	}
	if (!option->take)
		*(bool *)((char *)arguments + option->flag) = true;
	given[option - options] = true;
	if (option->group == TAKES_FILTER && option->take != take_limit)
		arguments->filtered = true;
	return taken;
}

/* ---- what goes together */

static bool can_ask(void)
{
	return isatty(STDIN_FILENO) && isatty(STDERR_FILENO);
}

static int check_selection(const struct command *command, const struct arguments *arguments)
{
	const struct list_filter *filter = &arguments->filter;

	if (filter->younger_ms && filter->older_ms > filter->younger_ms)
		return misused("no message is as old as --older and as young as --younger", NULL);
	if (arguments->id_count < command->min_ids)
		return misused(command->takes & TAKES_DOMAINS ? "needs a domain" : "needs the id of a message", command->name);
	if (command->takes & TAKES_TIME && !arguments->id_count && (arguments->for_ms || arguments->reason))
		return misused("--for and --reason need a domain with", command->name);
	if (arguments->id_count > command->max_ids)
		return misused("takes one id", command->name);
	if (!(command->takes & TAKES_ACTION))
		return 0;
	if (!arguments->id_count && !arguments->filtered && !arguments->all)
		return misused("needs ids, a filter, or --all", command->name);
	if (arguments->all && (arguments->id_count || arguments->filtered))
		return misused("--all goes with neither ids nor filters", command->name);
	if (!arguments->id_count && !arguments->yes && !arguments->dry_run && !can_ask())
		return misused("needs --yes (or --dry-run) where nobody can be asked", command->name);
	return 0;
}

static int check_command(const struct command *command, const bool given[], const struct arguments *arguments)
{
	char *what;
	int code;

	if (arguments->help || arguments->version)
		return 0;
	if (!command)
		return misused("needs a command: list, show, retry, hold, release, remove, bounce, suspend, resume, status or "
			"reload", NULL);
	if (misplaced(command, given)) {
		what = xasprintf("%s does not go with", misplaced(command, given)->name);
		code = misused(what, command->name);
		free(what);
		return code;
	}
	if (arguments->message && arguments->json)
		return misused("--message and --json exclude each other", NULL);
	return check_selection(command, arguments);
}

static bool is_word(const struct command *command, const char *word)
{
	char *domain = command->takes & TAKES_DOMAINS ? suspension_domain(word) : NULL;
	bool good = domain || (!(command->takes & TAKES_DOMAINS) && id_is_valid(word));

	free(domain);
	return good;
}

struct given_id {
	UT_hash_handle hh;
};

/* What is given twice is meant, changed and counted once. */
static void drop_repeated(struct arguments *arguments)
{
	struct given_id *all = xcalloc(arguments->id_count + 1, sizeof(*all)), *seen = NULL, *found;
	size_t kept = 0;

	for (size_t i = 0; i < arguments->id_count; i++) {
		char *id = arguments->ids[i];

		HASH_FIND(hh, seen, id, strlen(id), found);
		if (found)
			continue;
		HASH_ADD_KEYPTR(hh, seen, id, strlen(id), &all[kept]);
		arguments->ids[kept++] = id;
	}
	HASH_CLEAR(hh, seen);
	free(all);
	arguments->id_count = kept;
}

int arguments_parse(char **argv, struct arguments *arguments)
{
	bool given[ARRAY_SIZE(options)] = { 0 };
	int taken, code;

	arguments->ids = argv;
	arguments->top = TOP_DEFAULT;
	for (int i = 0; argv[i]; i += taken) {
		taken = 1;
		if (argv[i][0] == '-') {
			taken = take_option(argv + i, given, arguments);
			if (!taken)
				return EXIT_USAGE;
		} else if (!arguments->command) {
			arguments->command = command_of(argv[i]);
			if (!arguments->command)
				return misused("no such command", argv[i]);
		} else if (!arguments->command->max_ids) {
			return misused("takes no ids", arguments->command->name);
		} else if (!is_word(arguments->command, argv[i])) {
			return misused(arguments->command->takes & TAKES_DOMAINS ? "not a domain" : "not the id of a message",
				argv[i]);
		} else {
			arguments->ids[arguments->id_count++] = argv[i];
		}
	}
	code = check_command(arguments->command, given, arguments);
	if (!code)
		drop_repeated(arguments);
	return code;
}
