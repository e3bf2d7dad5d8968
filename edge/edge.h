/* edge.h - the edges of slimta.conf, and what a kind of edge is
 * SPDX-License-Identifier: MIT
 * A new kind is one file that exports a const struct edge_driver, and a row in edge.c. */
#ifndef SLIMTA_EDGE_EDGE_H
#define SLIMTA_EDGE_EDGE_H

#include "common/net/child.h"
#include "common/net/network.h"
#include "common/queue/queue.h"
#include "edge/arrival.h"
#include "edge/authentication.h"
#include "edge/limits.h"
#include "edge/open_relay.h"
#include "edge/peer.h"

struct edge;
struct rules;
struct server;

struct edge_driver {
	const char *type;		/* value of edge.NAME.type */
	size_t size;			/* of its own struct, which begins with struct edge */
	const struct option *options;	/* beside edge_rows; fills its own struct; ends with {0} */

	/* Finishes what rows cannot say (templates). 0, or -1 with errors. */
	int (*load)(struct edge *, const struct config_node *section,
		const struct process_options *, struct config_errors *);
	void (*unload)(struct edge *);			/* frees what load made */
	void (*open)(struct edge *);			/* queue and pools are there */
	/* A connection, non-blocking, that was let in (see arrival.h); the fd is the driver's. */
	void (*accepted)(struct edge *, int fd, const struct peer *);
	/* A connection that is not served: says so, never waits. `why`: a limit that it would pass; NULL: there is no room
	 * for it. The fd stays the caller's. */
	void (*refuse)(struct edge *, int fd, const char *why);
	/* Ends idle connections at once, others after their transaction; `now`: those too. */
	void (*drain)(struct edge *, bool now);
	/* Optional: clients have less time (EDGE_BUSY_TIMEOUT_MS), or as much as before again. */
	void (*busy)(struct edge *, bool on);
	/* Ends all connections without a word; the queue may still call back. */
	void (*close)(struct edge *);
};

struct edge_options {
	char *queue;
	const struct config_node *listener, *listeners;		/* read by listeners_load */
	char *hostname;						/* templates are resolved by load */
};
extern const struct option edge_rows[];

struct edge {
	const struct edge_driver *driver;
	const char *name;			/* borrowed from the configuration */
	struct server *server;
	struct child *child;
	struct queue *queue;
	struct edge_options options;
	struct arrivals arrivals;
	struct edge_limits limits;
	struct authentication authentication;
	/* trust */
	struct trust_options trust;
	struct networks trusted;		/* made of it */
	struct rules *rules;			/* made by the driver's load; NULL = there are none */
	size_t connections;
};

/* All edges, as far as the configuration is right; errors are appended. The caller's array. */
void edges_load(const struct config *, const struct process_options *, struct edge ***edges,
	size_t *count, struct config_errors *);
void edge_free(struct edge *);
/* Of what is no error, but likely no intention. */
void edges_warn(const struct config *, struct edge *const *, size_t count, struct config_errors *);
void edges_check(const struct config *, const struct process_options *, struct config_errors *);
void edges_list_options(struct buffer *out);

/* By drivers: a connection came to its end. */
void edge_connection_closed(struct edge *);

#endif
