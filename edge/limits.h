/* limits.h - the limits of an edge, counted over all edges of the machine
 * SPDX-License-Identifier: MIT
 * A client is an address, of IPv6 a /64; a unix socket's are none, and no limit on clients is theirs, nor are those of
 * trusted_clients limited as such. Those whose address is not known ("unknown") count as one. */
#ifndef SLIMTA_EDGE_LIMITS_H
#define SLIMTA_EDGE_LIMITS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/config/options.h"

struct edge;
struct peer;
struct reply;
struct event;
struct tally;

struct edge_limits {
	/* its options, 0 = none */
	unsigned max_connections, max_connections_per_ip, max_messages_per_minute;
	/* edge_limits_open's */
	uint64_t key;			/* of connections */
	size_t uncounted;		/* connections for which there was no place in shared memory */
	struct event *watch;
	struct tally *refused, *slowed, *slowed_users, *busied;
	bool busy;			/* over EDGE_BUSY_PERCENT of max_connections */
};
extern const struct option edge_limits_rows[];

#define EDGE_BUSY_PERCENT 90
#define EDGE_BUSY_TIMEOUT_MS 20000	/* for commands and for mail data then */

/* The edge has its child and name. */
void edge_limits_open(struct edge *);
void edge_limits_close(struct edge *);

/* A connection was accepted: of whom is not to be known yet. NULL, or the reason to refuse it (static); otherwise
 * edge_limits_closed is to come. */
const char *edge_limits_accept(struct edge *);
void edge_limits_closed(struct edge *);
/* The same with its client: a reason, and nothing is counted; or NULL, and peer->held is for edge_limits_disconnect. */
const char *edge_limits_connect(struct edge *, struct peer *);
void edge_limits_disconnect(struct edge *, const struct peer *);

/* A message is about to begin, of this user (NULL: of nobody who has authenticated). False, with 450 4.7.1: there were too
 * many in the last minute. */
bool edge_limits_message(struct edge *, const struct peer *, const char *user, struct reply *why);

/* Failures to authenticate, at any edge: how many there were of this client without a break of ten minutes; the first one
 * counts one more. Those of trusted_clients are told apart by nobody: each is the first, and forgotten. */
unsigned edge_limits_auth_failed(struct edge *, const struct peer *);
unsigned edge_limits_auth_failures(const struct edge *, const struct peer *);

/* Who a client is, where only that matters: all that come by unix sockets are one. */
uint64_t edge_limits_client(const struct edge *, const struct peer *);

#endif
