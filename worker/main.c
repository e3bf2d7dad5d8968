/* main.c - slimta-worker: its command line
 * SPDX-License-Identifier: MIT */
#include <getopt.h>
#include <stdio.h>

#include "config.h"
#include "worker/arguments.h"

static const char help[] =
	"usage: slimta-worker [-c FILE] --queue NAME [--allow-root]\n"
	"       slimta-worker [-c FILE] --check [--allow-root]\n"
	"       slimta-worker --list-options\n"
	"Claims the messages of one queue and relays them.\n"
	"\n"
	"  -c, --config FILE   read FILE; else ~/.slimta/slimta.conf, else /etc/slimta/slimta.conf\n"
	"      --queue NAME    the queue, as slimta.conf names it\n"
	"      --check         check the configuration with the options of all relays, and exit\n"
	"      --list-options  print every option of relays, a line each: section, key, type,\n"
	"                      default and meaning, with tabs between\n"
	"      --allow-root    let it, and the commands of relays, run as root\n"
	"      --child         started by slimta-master: takes what it needs from descriptors\n"
	"      --spawner       with --child: runs the commands of relays\n"
	"      --version       print the version\n"
	"  -h, --help          print this\n"
	"\n"
	"SIGTERM and SIGINT stop it: what is in flight is given process.worker.drain_timeout;\n"
	"a second one ends all at once. SIGUSR1 reopens the log.\n"
	"See slimta-worker(8) and slimta.conf(5).\n";

enum { LONG_QUEUE = 256, LONG_CHECK, LONG_LIST, LONG_CHILD, LONG_SPAWNER, LONG_ALLOW_ROOT, LONG_VERSION };

static const struct option options[] = {
	{ "config", required_argument, NULL, 'c' },
	{ "queue", required_argument, NULL, LONG_QUEUE },
	{ "check", no_argument, NULL, LONG_CHECK },
	{ "list-options", no_argument, NULL, LONG_LIST },
	{ "child", no_argument, NULL, LONG_CHILD },
	{ "spawner", no_argument, NULL, LONG_SPAWNER },
	{ "allow-root", no_argument, NULL, LONG_ALLOW_ROOT },
	{ "version", no_argument, NULL, LONG_VERSION },
	{ "help", no_argument, NULL, 'h' },
	{ 0 },
};

static int refuse(const char *why)
{
	fprintf(stderr, "slimta-worker: %s\nTry: slimta-worker --help\n", why);
	return 2;
}

static int print(const char *text)
{
	fputs(text, stdout);
	return fflush(stdout) == 0 ? 0 : 1;
}

static int run(const struct child_arguments *arguments, int what)
{
	if (what == LONG_CHECK)
		return check_main(arguments);
	if (what == LONG_LIST)
		return list_options_main();
	if (what == LONG_SPAWNER && !arguments->under_master)
		return refuse("--spawner is for slimta-master, and for a worker that is alone");
	if (what == LONG_SPAWNER)
		return spawner_run(arguments);
	if (!arguments->queue && !arguments->under_master)
		return refuse("--queue is missing");
	return worker_run(arguments);
}

int main(int argc, char **argv)
{
	struct child_arguments arguments = { 0 };
	int what = 0, option;

	while ((option = getopt_long(argc, argv, "c:h", options, NULL)) != -1) {
		switch (option) {
		case 'c':
			arguments.config_path = optarg;
			break;
		case LONG_QUEUE:
			arguments.queue = optarg;
			break;
		case LONG_CHILD:
			arguments.under_master = true;
			break;
		case LONG_ALLOW_ROOT:
			arguments.allow_root = true;
			break;
		case LONG_CHECK:
		case LONG_LIST:
		case LONG_SPAWNER:
			what = option;
			break;
		case LONG_VERSION:
			return print("slimta-worker " VERSION "\n");
		case 'h':
			return print(help);
		default:
			fputs("Try: slimta-worker --help\n", stderr);
			return 2;
		}
	}
	if (optind < argc)
		return refuse("takes no arguments");
	return run(&arguments, what);
}
