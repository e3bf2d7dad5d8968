/* deaths.h - what a queue's dead workers of this machine held: marked, named in the log, and their files taken away
 * SPDX-License-Identifier: MIT
 * A message whose delivery had begun gets a strike where it was the only one, else it is suspect. One that is past the
 * dot is in doubt. */
#ifndef SLIMTA_WORKER_DEATHS_H
#define SLIMTA_WORKER_DEATHS_H

#include "common/queue/queue.h"

struct event_base;
struct deaths;

struct deaths_context {
	struct event_base *base;
	struct queue *queue;
	const char *runtime_dir, *relay;	/* names; lent */
};

/* Looks for files now. `seen` runs once, from the loop: all is marked, or the storage cannot do it now; then that is
 * tried again until it can, or deaths_free. */
struct deaths *deaths_new(const struct deaths_context *, void (*seen)(void *arg), void *arg);
/* Before the queue is freed: what is not marked by then is left to whoever comes next. NULL is fine. */
void deaths_stop(struct deaths *);
void deaths_free(struct deaths *);	/* after the queue is; NULL is fine */

#endif
