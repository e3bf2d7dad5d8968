/* main.c - slimta-master: its options
 * SPDX-License-Identifier: MIT */
#include <getopt.h>
#include <stdio.h>

#include "config.h"
#include "master/arguments.h"

static const char help[] =
	"usage: slimta-master [OPTION]...\n"
	"Starts and watches slimta-edge and slimta-worker as slimta.conf says.\n"
	"\n"
	"  -c, --config FILE   read FILE; else ~/.slimta/slimta.conf, else /etc/slimta/slimta.conf\n"
	"      --check         check the configuration, print all that is wrong with it, and exit\n"
	"      --list-options  print every option of slimta.conf, a line each: section, key, type,\n"
	"                      default and meaning, with tabs between\n"
	"      --daemon        leave the terminal, whatever process.master.daemon says\n"
	"      --no-daemon     stay in the foreground, whatever it says\n"
	"      --allow-root    let edges, workers and their commands run as root\n"
	"      --version       print the version\n"
	"  -h, --help          print this\n"
	"\n"
	"SIGTERM and SIGINT stop it: what is in flight is given process.master.drain_timeout;\n"
	"a second one ends all at once. SIGHUP takes a changed configuration, if it is right, without\n"
	"an interruption. SIGUSR1 reopens logs.\n"
	"See slimta-master(8) and slimta.conf(5).\n";

enum {
	OPTION_CHECK = 256,
	OPTION_LIST,
	OPTION_DAEMON,
	OPTION_NO_DAEMON,
	OPTION_ALLOW_ROOT,
	OPTION_VERSION,
};

static const struct option options[] = {
	{ "config", required_argument, NULL, 'c' },
	{ "check", no_argument, NULL, OPTION_CHECK },
	{ "list-options", no_argument, NULL, OPTION_LIST },
	{ "daemon", no_argument, NULL, OPTION_DAEMON },
	{ "no-daemon", no_argument, NULL, OPTION_NO_DAEMON },
	{ "allow-root", no_argument, NULL, OPTION_ALLOW_ROOT },
	{ "version", no_argument, NULL, OPTION_VERSION },
	{ "help", no_argument, NULL, 'h' },
	{ 0 }
};

static int print(const char *text)
{
	fputs(text, stdout);
	return fflush(stdout) == 0 ? 0 : 1;
}

int main(int argc, char **argv)
{
	struct master_arguments arguments = { .daemon = -1 };
	int (*run)(const struct master_arguments *) = master_run;
	int option;

	while ((option = getopt_long(argc, argv, "c:h", options, NULL)) != -1) {
		switch (option) {
		case 'c':
			arguments.config_path = optarg;
			break;
		case OPTION_CHECK:
			run = check_main;
			break;
		case OPTION_LIST:
			return list_options_main();
		case OPTION_DAEMON:
		case OPTION_NO_DAEMON:
			arguments.daemon = option == OPTION_DAEMON;
			break;
		case OPTION_ALLOW_ROOT:
			arguments.allow_root = true;
			break;
		case OPTION_VERSION:
			return print("slimta-master " VERSION "\n");
		case 'h':
			return print(help);
		default:
			fputs("Try: slimta-master --help\n", stderr);
			return 2;
		}
	}
	if (optind < argc) {
		fprintf(stderr, "slimta-master: takes no arguments: %s\nTry: slimta-master --help\n",
			argv[optind]);
		return 2;
	}
	return run(&arguments);
}
