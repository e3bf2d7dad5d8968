/* arguments.h - what the command line of slimta-master says
 * SPDX-License-Identifier: MIT
 * Apart from the rest, since getopt.h and options.h both have a `struct option`. */
#ifndef SLIMTA_MASTER_ARGUMENTS_H
#define SLIMTA_MASTER_ARGUMENTS_H

#include <stdbool.h>

struct master_arguments {
	const char *config_path;	/* NULL: where config_read looks */
	bool allow_root;
	int daemon;			/* 1, 0, or -1: as configured */
};

/* The exit codes of the program. */
int master_run(const struct master_arguments *);	/* reads, checks, starts, supervises until told to stop */
int check_main(const struct master_arguments *);	/* --check */
int list_options_main(void);				/* --list-options */

#endif
