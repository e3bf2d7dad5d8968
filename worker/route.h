/* route.h - where the mail of a domain goes (RFC 5321 5.1)
 * SPDX-License-Identifier: MIT */
#ifndef SLIMTA_WORKER_ROUTE_H
#define SLIMTA_WORKER_ROUTE_H

#include "common/net/resolver.h"
#include "worker/forced.h"
#include "worker/myself.h"

struct event_base;

#define ROUTE_HOSTS 20		/* of one domain: the best ones */

struct route_host {
	char *name;		/* or an address */
	unsigned port;
	unsigned addresses;	/* that it has; 0: not known */
};

struct route {
	struct route_host *hosts;	/* in the order to try them */
	size_t count;
	/* Of hosts that could not be looked up now, and are left out; none: there are no such. With others it is what is to
	 * be said if all of these refuse for good. */
	struct reply missing;
	bool by_mx;			/* MX records said so ... */
	bool secure;			/* ... of which DNSSEC proves that they are the domain's */
};
void route_release(struct route *);

/* The form of a domain that is equal for equal ones: A-labels in lower case, or an address literal; owned. NULL: none. */
char *route_domain(const char *domain);

/* Lent to each query. */
struct routes {
	struct event_base *base;
	struct resolver *resolver;
	const struct forced_table *forced;
	struct myself *myself;
	unsigned port;
};

struct route_query;
/* `why` NULL: at least one host; *route may be taken over, and made all-zero. 550 5.1.2: there is no such domain, or no
 * host of it has an address; 556 5.1.10: it takes no mail; 554 5.4.6: we are its best host; 451 4.4.3: nobody could say. The
 * query is gone. */
typedef void route_found_fn(void *arg, const struct reply *why, struct route *);
/* Calls back once, from the loop, never inside this call. `domain` as route_domain() gives it. */
struct route_query *route_find(const struct routes *, const char *domain, route_found_fn *, void *arg);
void route_cancel(struct route_query *);	/* its callback does not run; NULL is fine */

#endif
