/* claims.h - the worker's job: claim what is due as long as there is room, and see each message to its end
 * SPDX-License-Identifier: MIT */
#ifndef SLIMTA_WORKER_CLAIMS_H
#define SLIMTA_WORKER_CLAIMS_H

#include "worker/delivery.h"

struct claims;

typedef void claims_ended_fn(void *arg);

/* Begins at once; the queue and the relay are open. The context is copied. */
struct claims *claims_new(const struct delivery_context *);
/* Claims no more, gives back what has not begun; `ended` runs once when nothing is under way. */
void claims_drain(struct claims *, claims_ended_fn *, void *arg);
void claims_free(struct claims *);		/* the process ends, queue and relay are closed; NULL is fine */
size_t claims_under_way(const struct claims *);

#endif
