/* unit-queuectl-arguments.c - what a command line says: ages, filters, orders
 * SPDX-License-Identifier: MIT */
#include <string.h>

#include "common/base/memory.h"
#include "queuectl/arguments.h"
#include "t/lib/tap.h"

#define HOUR_MS INT64_C(3600000)

static void test_ages(void)
{
	static const struct { const char *text; int64_t ms; } rows[] = {
		{ "1", 1000 }, { "90", 90000 }, { "90s", 90000 }, { "15m", 900000 }, { "1h30m", 5400000 },
		{ "1h30m5s", 5405000 }, { "3d", 72 * HOUR_MS }, { "1d12h", 36 * HOUR_MS }, { "100m", 6000000 },
		{ "36500d", 36500 * 24 * HOUR_MS },
		{ "", -1 }, { "0", -1 }, { "0s", -1 }, { "36501d", -1 }, { "h", -1 }, { "1x", -1 }, { "1m1h", -1 },
		{ "1h1h", -1 }, { "1h30", -1 }, { "-1h", -1 }, { " 1h", -1 }, { "1.5h", -1 }, { "1 h", -1 },
		{ "99999999999999999999d", -1 }, { "4294967295d4294967295h4294967295m", -1 },
	};

	for (size_t i = 0; i < ARRAY_SIZE(rows); i++)
		is_int(parse_age(rows[i].text), rows[i].ms, rows[i].text);
}

/* The words of one line; the result of arguments_parse(). */
static int parse(const char *line, char **copy, char *argv[16], struct arguments *arguments)
{
	size_t count = 0;
	char *rest;

	*copy = xstrdup(line);
	for (char *word = strtok_r(*copy, " ", &rest); word && count < 15; word = strtok_r(NULL, " ", &rest))
		argv[count++] = word;
	argv[count] = NULL;
	memset(arguments, 0, sizeof(*arguments));
	return arguments_parse(argv, arguments);
}

static void test_filters(void)
{
	struct arguments arguments;
	char *copy, *argv[16];

	is_int(parse("--state held list --sender <> --recipient=<b@*> --state new 00000000000000000000000000 "
		"--attempts 2-5 --json", &copy, argv, &arguments), 0, "options may stand anywhere");
	is_str(arguments.command->name, "list", "the command");
	is_int(arguments.id_count, 1, "an id");
	is_str(arguments.ids[0], "00000000000000000000000000", "that one");
	is_str(arguments.filter.sender, "", "the null sender");
	is_str(arguments.filter.recipient, "b@*", "without its brackets");
	is_int(arguments.filter.places, PLACE_BIT(PLACE_HELD) | PLACE_BIT(PLACE_NEW), "states add up");
	is_int(arguments.filter.attempts_least, 2, "attempts from");
	is_int(arguments.filter.attempts_below, 6, "to");
	ok(arguments.filtered && arguments.json && !arguments.all, "what was given");
	free(copy);
	is_int(parse("list --limit 7 --sort -due", &copy, argv, &arguments), 0, "an order");
	ok(!arguments.filtered, "a limit is no filter");
	ok(arguments.sort == SORT_DUE && arguments.reverse && arguments.limit == 7, "the other way");
	free(copy);
	is_int(parse("remove --older 2h --younger 1h --yes", &copy, argv, &arguments), 2, "ages that exclude each other");
	free(copy);
	is_int(parse("list --older 1h --younger 1h", &copy, argv, &arguments), 0, "that age");
	free(copy);
	is_int(parse("remove --older 2h --help", &copy, argv, &arguments), 0, "help is given wherever it is asked for");
	ok(arguments.help && arguments.command, "and nothing else");
	free(copy);
	is_int(parse("--version list", &copy, argv, &arguments), 0, "so is the version");
	ok(arguments.version && !arguments.help, "alone");
	free(copy);
	is_int(parse("remove --yes --sender=", &copy, argv, &arguments), 2, "the null sender is not left out");
	free(copy);
	is_int(parse("retry --attempts 3- --yes", &copy, argv, &arguments), 0, "an open range");
	is_int(arguments.filter.attempts_least, 3, "from");
	is_int(arguments.filter.attempts_below, 0, "without an end");
	free(copy);
}

int main(void)
{
	test_ages();
	test_filters();
	return done_testing();
}
