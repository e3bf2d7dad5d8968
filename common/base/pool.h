/* pool.h - threads for work that would block the loop
 * SPDX-License-Identifier: MIT */
#ifndef SLIMTA_BASE_POOL_H
#define SLIMTA_BASE_POOL_H

#include <stddef.h>

struct event_base;
struct pool;

typedef void pool_work_fn(void *arg);	/* in a thread: may block, may not touch the loop's objects */
typedef void pool_done_fn(void *arg);	/* on the loop, once, after the work returned */

/* Started after privileges were dropped. All signals are blocked in the threads. NULL with errno. */
struct pool *pool_new(struct event_base *base, const char *name, unsigned threads);
/* Runs what waits, then `done` of all of it, here, then ends the threads; what `done` submits runs too. Not
 * from a callback of this pool. NULL is fine. */
void pool_free(struct pool *);
/* Never fails and never calls back before it returned. Order between jobs is not kept. */
void pool_submit(struct pool *, pool_work_fn *work, pool_done_fn *done, void *arg);
size_t pool_pending(const struct pool *);	/* submitted, `done` not run yet */

#endif
