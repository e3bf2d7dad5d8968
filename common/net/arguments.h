/* arguments.h - what the command lines of slimta-edge and slimta-worker have in common
 * SPDX-License-Identifier: MIT
 * Apart from child.h, since getopt.h and common/config/options.h both have a `struct option`. */
#ifndef SLIMTA_NET_ARGUMENTS_H
#define SLIMTA_NET_ARGUMENTS_H

#include <stdbool.h>

struct child_arguments {
	const char *config_path;	/* -c; NULL: where config_read looks */
	bool under_master;		/* --child: descriptors 3, 4, 5 are there */
	bool allow_root;
	const char *queue;		/* alone, for workers */
};

#endif
