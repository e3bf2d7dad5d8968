/* child_private.h - what child.c and child_open.c share
 * SPDX-License-Identifier: MIT */
#ifndef SLIMTA_NET_CHILD_PRIVATE_H
#define SLIMTA_NET_CHILD_PRIVATE_H

#include "common/net/child.h"
#include "common/net/control.h"

struct event;

struct child_private {
	struct control *control;	/* NULL when alone, or when the master is gone */
	struct identity identity;
	bool spawner;
	bool draining, finished;
	int64_t drained_ms;		/* clock_boot_ms() by which draining is to be done */
	bool extended;			/* by child_extend: not to be shortened */
	int exit_code;
	struct event *term, *interrupt, *hangup, *reopen, *bound;
};

const char *child_section(const char *program);		/* "edge" or "worker", under `process` */
void child_on_message(void *arg, enum control_type, json_t *body, int fd);
void child_on_closed(void *arg);

#endif
