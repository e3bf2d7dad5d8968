/* redis_wire.h - one connection to redis, from its descriptor to its end: commands in, replies out, in order
 * SPDX-License-Identifier: MIT
 * What it takes to have one, and another after it, is redis.c's. */
#ifndef SLIMTA_NET_REDIS_WIRE_H
#define SLIMTA_NET_REDIS_WIRE_H

#include "common/net/redis.h"

struct redis_wire;
struct tls_context;

/* The connection ended: `why` says so, what was under way has been called back, and the wire is gone afterwards. */
typedef void redis_broken_fn(void *arg, const struct reply *why);

/* Takes the fd, which does not block. `name`, copied, begins each text of an error ("redis at 192.0.2.1:6379"). */
struct redis_wire *redis_wire_new(struct event_base *, int fd, const char *name, int64_t timeout_ms, redis_broken_fn *,
	void *arg);
/* Before anything is sent: all of it goes by TLS to `host`, see tls_start_client(). */
void redis_wire_start_tls(struct redis_wire *, const struct tls_context *, const char *host);
/* What is under way calls back first, `broken` is not called. From any callback too; NULL is fine. */
void redis_wire_free(struct redis_wire *);
/* As redis_send(). */
void redis_wire_send(struct redis_wire *, const struct redis_part *, size_t count, int64_t timeout_ms, redis_done_fn *,
	void *arg);
/* Ends it from the loop, `broken` with this text behind the name. */
void redis_wire_break(struct redis_wire *, const char *text);

/* The largest reply; hiredis keeps one whole. */
#define REDIS_REPLY_OCTETS (UINT64_C(640) << 20)
#define REDIS_REPLY_ELEMENTS 1048576	/* with those of the arrays in it */

#endif
