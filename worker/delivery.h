/* delivery.h - one message under our lease, from the claim until it is given back or gone
 * SPDX-License-Identifier: MIT
 * Fetch, relay, record, notify, end. What is delivered is recorded while the relay works on the other recipients, and
 * logged when the record is made. A failure is recorded before its bounce is written, and the message ends after that;
 * who finds a recorded one that is owed writes the bounce first, the same one. A storage that fails is asked again until
 * it does what it has to. */
#ifndef SLIMTA_WORKER_DELIVERY_H
#define SLIMTA_WORKER_DELIVERY_H

#include "common/base/counters.h"
#include "common/queue/now.h"
#include "common/queue/queue.h"
#include "worker/relay.h"
#include "worker/suspended.h"

struct delivery;

struct delivery_context {
	struct event_base *base;
	struct queue *queue;
	struct relay *relay;
	struct counters *counters;
	struct now *now;		/* where the worker keeps what it holds; NULL: nowhere */
	struct pool *disk;
	struct queue *bounce_queue;	/* takes the notifications; maybe the same as `queue` */
	const char *hostname;		/* ours, in notifications */
	struct suspended *suspended;	/* NULL: no destination is */
};

typedef void delivery_ended_fn(void *arg, struct delivery *);

/* Takes the lease. `ended` runs once, from the loop; the delivery is freed behind it. */
struct delivery *delivery_begin(const struct delivery_context *, struct lease **lease, delivery_ended_fn *, void *arg);
/* The worker drains: a storage that fails is not asked again, what the relay has not begun is given back. The relay is
 * drained by the caller. */
void delivery_drain(struct delivery *);
bool delivery_is_past_the_dot(const struct delivery *);	/* and the relay waits for the answer */
/* The process ends: nothing more is asked of queues and relay, whose answers are taken. */
void delivery_stop(struct delivery *);
/* After that, the queues are closed, the relay is not: frees it, if need be when the pool is freed; what was delivered
 * and is not recorded is logged `in doubt`; `ended` does not run. */
void delivery_abandon(struct delivery *);

#endif
