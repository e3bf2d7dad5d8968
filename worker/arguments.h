/* arguments.h - what slimta-worker can be told to do
 * SPDX-License-Identifier: MIT */
#ifndef SLIMTA_WORKER_ARGUMENTS_H
#define SLIMTA_WORKER_ARGUMENTS_H

#include "common/net/arguments.h"

/* The exit codes of the program. */
int worker_run(const struct child_arguments *);		/* claims and relays until told to stop */
int spawner_run(const struct child_arguments *);	/* --spawner */
int check_main(const struct child_arguments *);		/* --check */
int list_options_main(void);				/* --list-options */

#endif
