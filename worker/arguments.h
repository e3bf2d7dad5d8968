/* arguments.h - what the command line of slimta-worker says
 * SPDX-License-Identifier: MIT
 * Apart from the rest, since getopt.h and options.h both have a `struct option`. */
#ifndef SLIMTA_WORKER_ARGUMENTS_H
#define SLIMTA_WORKER_ARGUMENTS_H

#include <stdbool.h>

struct worker_arguments {
	const char *config_path;	/* NULL: where config_read looks */
	const char *queue;		/* alone: whose messages */
	bool under_master;
	bool allow_root;
};

/* The exit codes of the program. */
int worker_run(const struct worker_arguments *);	/* claims and relays until told to stop */
int spawner_run(const struct worker_arguments *);	/* --spawner */
int check_main(const struct worker_arguments *);	/* --check */
int list_options_main(void);				/* --list-options */

#endif
