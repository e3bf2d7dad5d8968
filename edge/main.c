/* main.c - slimta-edge: accepts mail and commits it to a queue
 * SPDX-License-Identifier: MIT */
#include <stdlib.h>
#include <string.h>

#include "common/base/buffer.h"
#include "common/base/memory.h"
#include "common/net/child.h"
#include "config.h"
#include "edge/edge.h"
#include "edge/server.h"

static const char usage[] =
	"usage: slimta-edge [-c FILE] [--allow-root]\n"
	"       slimta-edge [-c FILE] --check | --list-options\n"
	"\n"
	"  -c, --config FILE  instead of ~/.slimta/slimta.conf or /etc/slimta/slimta.conf\n"
	"  --check            reports what is wrong in the edges of the configuration\n"
	"  --list-options     prints every key of an edge with its type, default and meaning\n"
	"  --allow-root       may run as root\n"
	"  --child            started by slimta-master: takes what it needs from descriptors\n"
	"  --version          prints the version\n"
	"  -h, --help         prints this\n";

enum action { RUN, CHECK, LIST_OPTIONS, SHOW_VERSION, SHOW_USAGE };

static int check(const struct child_arguments *arguments)
{
	struct config_errors errors = { 0 }, told_already = { 0 };
	struct process_options process = { 0 };
	struct config *config = child_check_config(arguments, &errors);
	int code;

	/* All errors in one go: those of edges are looked for whatever is wrong there. */
	if (config) {
		process_load(config, "edge", &process, &told_already);
		edges_check(config, &process, &errors);
	}
	code = child_check_print(arguments, &errors);
	config_errors_release(&errors);
	config_errors_release(&told_already);
	process_release(&process);
	config_free(config);
	return code;
}

static int list_options(void)
{
	struct buffer text = { 0 };

	edges_list_options(&text);
	fputs(buffer_str(&text), stdout);
	buffer_release(&text);
	return 0;
}

static int run(const struct child_arguments *arguments)
{
	struct child *child = child_open("slimta-edge", arguments);
	struct server *server = child && child_begin(child) == 0 ? server_new(child) : NULL;
	int code = 1;

	if (server) {
		server_start(server);
		code = child_run(child);
		if (server_failed(server))
			code = 1;
	}
	server_free(server);
	child_free(child);
	return code;
}

/* Not by getopt_long: its struct option is not ours. */
static const struct {
	const char *name;
	enum action action;
} actions[] = {
	{ "--check", CHECK },
	{ "--list-options", LIST_OPTIONS },
	{ "--version", SHOW_VERSION },
	{ "--help", SHOW_USAGE },
	{ "-h", SHOW_USAGE },
};

/* How many of argv were understood: 0 = none. */
static int take_argument(char **argv, struct child_arguments *arguments, enum action *action)
{
	for (size_t i = 0; i < ARRAY_SIZE(actions); i++) {
		if (strcmp(argv[0], actions[i].name) == 0) {
			*action = actions[i].action;
			return 1;
		}
	}
	if (strcmp(argv[0], "--child") == 0) {
		arguments->under_master = true;
		return 1;
	}
	if (strcmp(argv[0], "--allow-root") == 0) {
		arguments->allow_root = true;
		return 1;
	}
	if ((strcmp(argv[0], "-c") == 0 || strcmp(argv[0], "--config") == 0) && argv[1]) {
		arguments->config_path = argv[1];
		return 2;
	}
	return 0;
}

static int misused(const char *argument, bool is_last)
{
	struct buffer shown = { 0 };
	bool lacks_file = is_last && (strcmp(argument, "-c") == 0 || strcmp(argument, "--config") == 0);

	quoted(&shown, argument, strlen(argument));
	fprintf(stderr, "slimta-edge: %s: %s\nTry: slimta-edge --help\n",
		lacks_file ? "needs a file" : "not understood", buffer_str(&shown));
	buffer_release(&shown);
	return 2;
}

int main(int argc, char **argv)
{
	struct child_arguments arguments = { 0 };
	enum action action = RUN;

	for (int i = 1; i < argc;) {
		int taken = take_argument(argv + i, &arguments, &action);

		if (!taken)
			return misused(argv[i], !argv[i + 1]);
		i += taken;
	}
	switch (action) {
	case CHECK:
		return check(&arguments);
	case LIST_OPTIONS:
		return list_options();
	case SHOW_VERSION:
		puts("slimta-edge " VERSION);
		return 0;
	case SHOW_USAGE:
		fputs(usage, stdout);
		return 0;
	case RUN:
		break;
	}
	return run(&arguments);
}
