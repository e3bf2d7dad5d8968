/* suspended.h - which destinations are suspended, as a worker knows it: never older than two seconds
 * SPDX-License-Identifier: MIT
 * The storage is asked when mail comes and what is known is older, and every two seconds while anything is suspended. A
 * worker that has nothing to do, and knows of none, does not ask. When one ends, what was put aside for it is recalled. */
#ifndef SLIMTA_WORKER_SUSPENDED_H
#define SLIMTA_WORKER_SUSPENDED_H

#include "common/queue/queue.h"
#include "common/queue/suspension.h"

struct event_base;
struct suspended;

/* Knows nothing until it is asked to look: the settings of a queue may come over to us with its first messages. */
struct suspended *suspended_new(struct event_base *, struct queue *);
/* Of a NULL one nothing is suspended. */
bool suspended_is_fresh(const struct suspended *);
/* Asks; `done` runs once, from the loop, when what is known is fresh, or the storage could not say: then what was known
 * before holds. One look at a time. */
void suspended_look(struct suspended *, void (*done)(void *arg), void *arg);
const struct suspension *suspended_find(const struct suspended *, const char *address);	/* until the next look */
/* The process ends: the queue is asked nothing more; `done` runs no more. NULL is fine. */
void suspended_stop(struct suspended *);
void suspended_free(struct suspended *);	/* after that, and the queue is closed; NULL is fine */

#endif
