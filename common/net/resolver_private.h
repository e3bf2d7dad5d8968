/* resolver_private.h - what the kinds of query share
 * SPDX-License-Identifier: MIT
 * For the files of the resolver alone. */
#ifndef SLIMTA_NET_RESOLVER_PRIVATE_H
#define SLIMTA_NET_RESOLVER_PRIVATE_H

#include <sys/queue.h>

#include "common/net/dns_answer.h"
#include "common/net/resolver.h"

enum outcome { PENDING, FOUND, NONE, FAILED };

/* A question for one type. */
struct part {
	struct resolver_query *query;
	enum dns_type type;
	enum outcome outcome;
	bool secure;		/* DNSSEC proves its answer */
	int id;
};

struct query_kind {
	/* Reads an answer without an error. */
	enum outcome (*take)(struct resolver_query *, enum dns_type, const unsigned char *packet, size_t size);
	/* All parts are there, or it is too late: runs the callback. The query is gone from its resolver. */
	void (*tell)(struct resolver_query *);
};

struct resolver_query {
	TAILQ_ENTRY(resolver_query) link;
	const struct query_kind *kind;
	struct resolver *resolver;
	char *name;
	struct event *timer;		/* the deadline; activated when all is known */
	struct part parts[2];
	size_t part_count;
	void *arg;

	bool known;			/* without asking, or even where nobody answers */
	struct host_address addresses[HOST_ADDRESSES];
	size_t count;
	resolver_addresses_fn *done;

	struct mx_records mx;
	enum mx_result mx_result;
	resolver_mx_fn *mx_done;
};

/* Asks for these types, at most as many as there are parts; a query without parts tells at once, but from the loop. */
void resolver_ask(struct resolver *, struct resolver_query *, const enum dns_type *types, size_t count);
const struct hosts *resolver_hosts(const struct resolver *);
struct event_base *resolver_base(const struct resolver *);

#endif
