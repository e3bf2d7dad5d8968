/* work.h - the lease side of a redis queue: what its files share
 * SPDX-License-Identifier: MIT
 * claim.c takes leases, lease.c keeps them, get.c reads under them, renew.c and settle.c tell redis what came of them,
 * sweep.c sees to what nobody does, bell.c waits, release.c ends it all. */
#ifndef SLIMTA_QUEUE_REDIS_WORK_H
#define SLIMTA_QUEUE_REDIS_WORK_H

#include <event2/event.h>
#include <sys/queue.h>

#include "common/queue/now.h"
#include "common/queue/redis/redis_queue.h"

/* ---- work.c: requests that are asked again until redis has answered */

/* The first member of a request. One whose outcome is not known is asked again: its script does nothing a second time. */
struct redis_op {
	TAILQ_ENTRY(redis_op) next;
	struct redis_queue *queue;
	struct redis_lease *lease;		/* NULL: none */
	int64_t until_boot_ms;
	bool waits;				/* to be sent again */
	void (*send)(struct redis_op *);
	void (*end)(struct redis_op *, const struct reply *why);	/* frees it; `why` is borrowed */
};
TAILQ_HEAD(redis_ops, redis_op);

struct redis_work {
	char tag[ID_SIZE];			/* of this opening */
	char owner[NOW_OWNER_SIZE];		/* "host/slimta-worker[812]" */
	bool stopped;
	LIST_HEAD(, redis_lease) leases;	/* that the storage's user has */
	struct redis_ops ops;
	struct event *again;			/* for ops that wait */
	bool failing;				/* and that was said */
	struct redis_claim *claim;		/* the one that waits; NULL */
	struct redis_claiming *claiming;	/* its script is under way; NULL */
	struct event *claim_again;
	LIST_HEAD(, redis_claim_id) claim_ids;	/* under way */
	uint64_t claims;			/* asked for, for their names */
	bool fresh_next;			/* the next one's turn: new, else deferred */
	struct redis_bell *wake;		/* NULL: nobody has waited yet */
	struct redis_sweep *sweep;		/* NULL: likewise */
	unsigned *recalls;			/* groups that redis has to be told of */
	size_t recall_count;
	uint64_t recalled;			/* calls, for those who were putting aside meanwhile */
	bool recalling;
};

void redis_op_begin(struct redis_op *, struct redis_queue *, struct redis_lease *);	/* sends it */
void redis_op_end(struct redis_op *, const struct reply *why);
/* Asked again, unless redis said that it never will, or its time is over. */
void redis_op_failed(struct redis_op *, const struct reply *why);

/* ---- lease.c */

struct redis_lease {
	struct lease lease;
	LIST_ENTRY(redis_lease) next;
	struct redis_record record;		/* its state with all that was told under the lease, recorded or not */
	int64_t seen_ms, seen_boot_ms;		/* redis' clock and ours, when the record was read */
	bool dirty;				/* more is settled than redis knows */
	bool damaged;				/* held for that, whatever else happens to it */
	bool reread;				/* by redis_lease_reread() */
	void *octets;				/* of its content, until get(); NULL */
};

/* Of what claim.lua gives of a message. NULL: there is nothing. Where nobody knows what an owner before did it is said. */
struct redis_lease *redis_lease_read(const struct redis_queue *, const struct redisReply *message, int64_t now_ms);
void redis_lease_free(struct redis_lease *);
/* Of an answer "changed" or "lost": what redis knows by now; what was told under the lease is kept. False: it says nothing. */
bool redis_lease_reread(struct redis_lease *, const struct redisReply *answer);
int64_t redis_lease_now_ms(const struct redis_lease *);		/* by redis' clock */
int64_t redis_lease_left_ms(const struct lease *);
bool redis_lease_is_new(const struct redis_lease *);		/* nothing is known but its envelope */

/* ---- renew.c */

typedef void redis_obeyed_fn(void *arg, struct redis_lease **, const struct reply *why);
/* Records a state in which the marks of its record were obeyed, the lease going on. The record is read anew where redis knew
 * more: then its marks are there again. Calls back with the lease; `why`: redis did not take it. */
void redis_record_obeyed(struct redis_queue *, struct redis_lease *, redis_obeyed_fn *, void *arg);
/* Merges `done` into what another knows; 450 4.2.0 in the end. */
void redis_record_late(struct redis_queue *, const char *id, const struct redisReply *lost, const struct outcomes *,
	storage_done_fn *, void *arg);

/* ---- settle.c */

/* What was asked beside a lease that ended, before the message is handed out: the lease, or NULL with `why`: 450 4.2.0 it is
 * not due any more (unless `anyway`), 550 5.1.1 it is gone, 554 5.6.0 it is damaged and held. */
void redis_obey_first(struct redis_queue *, struct redis_lease *, bool anyway, redis_obeyed_fn *, void *arg);

/* ---- claim.c */
void redis_claim_up(struct redis_queue *);
void redis_claim_unheard(struct redis_queue *);	/* asks, if a claim waits and no token would be heard */
void redis_claim_close(struct redis_queue *);

/* ---- aside.c */
void redis_recall_up(struct redis_queue *);

/* ---- bell.c: a token in a list, waited for by a connection of its own */
struct redis_bell;
/* `rung`: there was a token, or there may have been one. */
struct redis_bell *redis_bell_new(struct redis_queue *, const char *list, void (*rung)(void *arg), void *arg);
void redis_bell_free(struct redis_bell *);
void redis_bell_wait(struct redis_bell *);		/* for one; if it waits already nothing changes */
bool redis_bell_waits(const struct redis_bell *);	/* false: it has no connection just now */

/* ---- sweep.c */
void redis_sweep_begin(struct redis_queue *, int64_t lease_ms);	/* idempotent */
void redis_sweep_now(struct redis_queue *);		/* if it has begun */
void redis_sweep_close(struct redis_queue *);

/* ---- release.c */
void redis_release_stop(struct redis_queue *, struct redis_lease *const leases[], size_t count);
void redis_release_close(struct redis_queue *);		/* blocks, a bounded time */

#endif
