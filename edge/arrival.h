/* arrival.h - what comes between accept(2) and the first word of a session
 * SPDX-License-Identifier: MIT
 * The one place of its order: who is it (the PROXY header, where proxy_protocol is set), is there room for it (limits), then
 * the driver's `accepted`, which begins TLS where that comes at once, and greets. Where nothing of this is to be waited for,
 * it all happens within arrival_new. */
#ifndef SLIMTA_EDGE_ARRIVAL_H
#define SLIMTA_EDGE_ARRIVAL_H

#include <sys/queue.h>
#include <sys/socket.h>

#include "common/net/network.h"

struct edge;
struct arrival;

/* Those of an edge. */
struct arrivals {
	/* its options */
	bool proxy_protocol;
	struct strings proxy_from;
	/* made of them */
	struct networks proxies;		/* empty: any */
	TAILQ_HEAD(, arrival) waiting;		/* for a PROXY header */
	struct tally *refused;			/* NULL until it is needed */
};
extern const struct option arrival_rows[];

void arrivals_init(struct arrivals *);		/* after the options, which are right */
/* Warnings: whoever reaches a listener can pass for any client, or nobody can, or nobody gets in. `section` is the edge's. */
void arrivals_check(const struct arrivals *, const struct config_node *section, struct config_errors *);
void arrivals_release(struct arrivals *);
/* Refuses those who wait, as their edge refuses. */
void arrivals_drain(struct edge *);
/* Without a word. */
void arrivals_close(struct edge *);

/* A connection that edge->connections counts already. The fd, which does not block, is taken. */
void arrival_new(struct edge *, int fd, const struct sockaddr_storage *from);

#endif
