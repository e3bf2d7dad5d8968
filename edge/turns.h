/* turns.h - clients take turns at a thread that works for one at a time
 * SPDX-License-Identifier: MIT
 * Who wants much waits behind itself: of all clients that wait each gets one turn, then each that still waits the next. */
#ifndef SLIMTA_EDGE_TURNS_H
#define SLIMTA_EDGE_TURNS_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/queue.h>

#include "common/base/pool.h"

struct turns;

/* How many wait: of one client, and clients that do. */
#define TURNS_OF_CLIENT 16
#define TURNS_CLIENTS 256

/* It is its turn: from the loop, once. Either turns_work(), once, within this call, or there is nothing to do any more. */
typedef void turn_fn(void *arg);

/* The owner's, all zero until it waits. */
struct turn {
	TAILQ_ENTRY(turn) entry;
	struct turns_client *client;	/* NULL: it does not wait */
	turn_fn *take;
	void *arg;
};

/* Starts the thread. NULL with errno. */
struct turns *turns_new(struct event_base *, const char *name);
/* Waits for the work under way, and calls its `done`. No turn waits any more. NULL is fine. */
void turns_free(struct turns *);
/* Behind all turns of `client` that wait. False: too many do, and this one does not. */
bool turns_wait(struct turns *, struct turn *, uint64_t client, turn_fn *take, void *arg);
void turns_leave(struct turns *, struct turn *);	/* also of one that does not wait */
/* As pool_submit(). The next turn comes after `done`. */
void turns_work(struct turns *, pool_work_fn *work, pool_done_fn *done, void *arg);

#endif
