/* main.c - slimta-queuectl: the operator's hand on queues
 * SPDX-License-Identifier: MIT */
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "common/base/id.h"
#include "common/base/memory.h"
#include "config.h"
#include "queuectl/operator.h"

#define MAX_LIMIT 1000000000

static const char usage[] =
	"usage: slimta-queuectl [OPTION]... COMMAND\n"
	"Looks at the queues of slimta.conf, and changes them.\n"
	"\n"
	"  list [--limit N] [ID...]   messages, a line each\n"
	"  show [--message] ID        all that is known of one; or its octets\n"
	"  remove ID...               takes messages away for good\n"
	"  status                     queues by state, and processes\n"
	"  reload                     the master reads slimta.conf again, and says what is wrong with it\n"
	"\n"
	"  -c, --config FILE  read FILE; else ~/.slimta/slimta.conf, else /etc/slimta/slimta.conf\n"
	"  -q, --queue QUEUE  this queue alone\n"
	"      --json         print JSON objects\n"
	"      --version      print the version\n"
	"  -h, --help         print this\n"
	"\n"
	"See slimta-queuectl(8) and slimta.conf(5).\n";

static const struct command {
	const char *name;
	void (*run)(struct operator *, const struct arguments *);
	size_t min_ids, max_ids;
	bool changes, without_queues, of_master;
} commands[] = {
	{ "list", list_messages, 0, SIZE_MAX, false, false, false },
	{ "show", show_message, 1, 1, false, false, false },
	{ "remove", remove_messages, 1, SIZE_MAX, true, false, false },
	{ "status", show_status, 0, 0, false, true, false },
	{ "reload", reload_master, 0, 0, false, true, true },
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

static bool is_either(const char *text, const char *one, const char *other)
{
	return strcmp(text, one) == 0 || strcmp(text, other) == 0;
}

static int misused_option(const char *option, const char *value)
{
	if (strcmp(option, "--limit") == 0)
		return misused("--limit needs a number above 0", value);
	if (!value && (is_either(option, "-c", "--config") || is_either(option, "-q", "--queue")))
		return misused("needs a value", option);
	return misused("not understood", option);
}

/* 0, or the exit status: what of the command line does not go with the command. */
static int check_command(const struct command *command, const struct arguments *arguments)
{
	if (!command)
		return misused("needs a command: list, show, remove, status or reload", NULL);
	if (arguments->id_count < command->min_ids)
		return misused("needs the id of a message", command->name);
	if (arguments->id_count > command->max_ids)
		return misused(command->max_ids ? "takes one id" : "takes no ids", command->name);
	if (arguments->message && command->run != show_message)
		return misused("--message goes with show, not with", command->name);
	if (arguments->message && arguments->json)
		return misused("--message and --json exclude each other", NULL);
	if (arguments->queue && command->of_master)
		return misused("--queue does not go with", command->name);
	if (arguments->limit && command->run != list_messages)
		return misused("--limit goes with list, not with", command->name);
	return 0;
}

/* How many of argv were understood as options: 0 = none. */
static int take_option(char **argv, struct arguments *arguments)
{
	uint64_t limit;

	if (strcmp(argv[0], "--json") == 0) {
		arguments->json = true;
		return 1;
	}
	if (strcmp(argv[0], "--message") == 0) {
		arguments->message = true;
		return 1;
	}
	if (!argv[1])
		return 0;
	if (is_either(argv[0], "-c", "--config")) {
		arguments->config_path = argv[1];
		return 2;
	}
	if (is_either(argv[0], "-q", "--queue")) {
		arguments->queue = argv[1];
		return 2;
	}
	if (strcmp(argv[0], "--limit") == 0 && parse_u64(argv[1], strlen(argv[1]), MAX_LIMIT, &limit) && limit) {
		arguments->limit = (size_t)limit;
		return 2;
	}
	return 0;
}

/* 0, or the exit status. Options may stand anywhere; words are the command and ids, moved to argv's start. */
static int parse(char **argv, struct arguments *arguments, const struct command **command)
{
	arguments->ids = argv;
	for (int i = 0; argv[i];) {
		int taken = take_option(argv + i, arguments);

		if (!taken && argv[i][0] == '-')
			return misused_option(argv[i], argv[i + 1]);
		if (!taken && !*command) {
			*command = command_of(argv[i]);
			if (!*command)
				return misused("no such command", argv[i]);
			taken = 1;
		} else if (!taken) {
			if (!id_is_valid(argv[i]))
				return misused("not the id of a message", argv[i]);
			arguments->ids[arguments->id_count++] = argv[i];
			taken = 1;
		}
		i += taken;
	}
	return check_command(*command, arguments);
}

int main(int argc, char **argv)
{
	const struct command *command = NULL;
	struct arguments arguments = { 0 };
	struct operator operator;
	int code;

	if (argc == 2 && strcmp(argv[1], "--version") == 0) {
		puts("slimta-queuectl " VERSION);
		return EXIT_DONE;
	}
	if (argc == 2 && is_either(argv[1], "-h", "--help")) {
		fputs(usage, stdout);
		return EXIT_DONE;
	}
	code = parse(argv + (argc > 0), &arguments, &command);
	if (code)
		return code;
	if (!command)
		BUG("arguments without a command were taken");
	arguments.changes = command->changes;
	arguments.without_queues = command->without_queues;
	arguments.of_master = command->of_master;
	if (operator_open(&operator, &arguments) == 0)
		command->run(&operator, &arguments);
	if ((fflush(stdout) != 0 || ferror(stdout)))
		operator_say(&operator, EXIT_ERROR, "cannot write: %s", strerror(errno));
	code = (int)operator.code;
	operator_close(&operator);
	return code;
}
