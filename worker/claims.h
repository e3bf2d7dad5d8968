/* claims.h - the worker's job: claim what is due as long as there is room, and see each message to its end
 * SPDX-License-Identifier: MIT
 * A message that is suspect is handled alone: no more is claimed, and it waits until the others are done. */
#ifndef SLIMTA_WORKER_CLAIMS_H
#define SLIMTA_WORKER_CLAIMS_H

#include "worker/delivery.h"

struct claims;

typedef void claims_ended_fn(void *arg);

/* Begins at once; the queue and the relay are open. The context is copied. */
struct claims *claims_new(const struct delivery_context *);
/* Claims no more, gives back what has not begun, gives the rest `bound_ms` where it can be broken off; `ended` runs
 * once when nothing is under way. */
void claims_drain(struct claims *, int64_t bound_ms, claims_ended_fn *, void *arg);
/* The process ends: nothing more is asked of queues and relay. NULL is fine. */
void claims_stop(struct claims *);
void claims_free(struct claims *);		/* after that; queues and relay are closed; NULL is fine */
size_t claims_under_way(const struct claims *);
bool claims_past_the_dot(const struct claims *);	/* one of them is, and waits for its answer */

#endif
