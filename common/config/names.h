/* names.h - what a process is called where slimta.conf says nothing
 * SPDX-License-Identifier: MIT */
#ifndef SLIMTA_CONFIG_NAMES_H
#define SLIMTA_CONFIG_NAMES_H

struct process_options;

/* Fills hostname, fqdn and runtime_dir where they are not given. */
void names_complete(struct process_options *);

#endif
