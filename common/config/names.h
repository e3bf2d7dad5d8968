/* names.h - what a process is called where slimta.conf says nothing
 * SPDX-License-Identifier: MIT */
#ifndef SLIMTA_CONFIG_NAMES_H
#define SLIMTA_CONFIG_NAMES_H

struct process_options;

/* Fills hostname, fqdn and runtime_dir where they are not given. */
void names_complete(struct process_options *);

/* The system's names as far as they were asked for ("": not), and those that the process which passed us its
 * configuration had found: all processes of a generation have the same, and only the first waits for them. */
void names_known(const char **hostname, const char **fqdn);
void names_inherit(const char *hostname, const char *fqdn);

#endif
