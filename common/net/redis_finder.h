/* redis_finder.h - asks sentinels in turn where the master is
 * SPDX-License-Identifier: MIT */
#ifndef SLIMTA_NET_REDIS_FINDER_H
#define SLIMTA_NET_REDIS_FINDER_H

#include "common/net/redis.h"

struct redis_finder;

/* `host`, borrowed, and `port`, as a sentinel says; or `why` none of them did: what the last one asked said. */
typedef void redis_found_fn(void *arg, const char *host, unsigned port, const struct reply *why);

/* `tls` NULL: in clear. What is given stays the caller's and lives as long. */
struct redis_finder *redis_finder_new(struct event_base *, struct resolver *, const struct redis_settings *, redis_found_fn *,
	void *arg);
void redis_finder_free(struct redis_finder *);		/* from `found` too; NULL is fine */
/* Begins with another one than last time, who may have told what is no more true. Calls back once, from the loop, never
 * inside this call. Not while one search is under way. */
void redis_finder_start(struct redis_finder *, const struct tls_context *tls);

#endif
