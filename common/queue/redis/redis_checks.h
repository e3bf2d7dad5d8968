/* redis_checks.h - what a server said of itself, and what that means for a queue
 * SPDX-License-Identifier: MIT */
#ifndef SLIMTA_QUEUE_REDIS_REDIS_CHECKS_H
#define SLIMTA_QUEUE_REDIS_REDIS_CHECKS_H

#include "common/queue/redis/redis_queue.h"

struct redis_found {
	unsigned major;			/* of its version; 0: not known */
	bool replica, cluster, loading;
	int aof;			/* whether it has an append-only file; -1: not known */
	char *policy, *appendfsync;	/* maxmemory-policy; NULL: not known */
	uint64_t bulk_max, query_max;	/* redis' own defaults where they are not known */
	uint64_t messages;
	struct reply refused;		/* our keys cannot be looked at */
};

/* Releases what is there; nothing is known. */
void redis_found_reset(struct redis_found *);
/* Each takes the answer to one question, which may be an error: then nothing is known by it. */
typedef void redis_found_fn(struct redis_found *, const struct redisReply *);
redis_found_fn redis_found_hello, redis_found_info, redis_found_appendfsync, redis_found_bulk, redis_found_query,
	redis_found_count;
/* None: it can be used; 5yz: not before somebody changes it; 451: not now. */
void redis_found_judge(const struct redis_found *, const struct redis_queue *, struct reply *why);
/* What may be lost, and what to set; appends nothing where nothing may. */
void redis_found_warnings(const struct redis_found *, struct buffer *out);

#endif
