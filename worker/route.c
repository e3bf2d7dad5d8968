/* route.c - where the mail of a domain goes
 * SPDX-License-Identifier: MIT
 * The hosts are looked up here too, though connections do it again, from the cache: only so it is known which of them is
 * this one, and that a domain has no host at all. */
#include "worker/route.h"

#include <event2/event.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>

#include "common/base/memory.h"
#include "common/net/idn.h"

#define GRACE_MS 2000		/* for the other hosts, once one is known: then they count as not found now */

enum state { PENDING, USABLE, ABSENT, FAILED };

struct candidate {
	struct route_query *owner;
	char *name;
	unsigned preference;
	struct resolver_query *query;
	enum state state;
	unsigned addresses;
	bool is_myself;
};

struct route_query {
	const struct routes *routes;
	char *domain;			/* whose hosts these are */
	struct resolver_query *mx;
	struct candidate candidates[ROUTE_HOSTS];
	size_t count, pending;
	struct event *timer;
	struct route route;
	struct reply why;
	route_found_fn *done;
	void *arg;
};

void route_release(struct route *route)
{
	for (size_t i = 0; i < route->count; i++)
		free(route->hosts[i].name);
	free(route->hosts);
	reply_release(&route->missing);
	*route = (struct route){ 0 };
}

/* ---- domains */

static char *literal(const struct host_address *address)
{
	char text[HOST_ADDRESS_TEXT_SIZE];

	host_address_text(address, text);
	return xasprintf(address->any.sa_family == AF_INET ? "[%s]" : "[IPv6:%s]", text);
}

char *route_domain(const char *domain)
{
	struct host_address address;

	if (host_address_parse(&address, domain))
		return *domain == '[' ? literal(&address) : NULL;
	return idn_to_ascii(domain);
}

/* ---- the end */

static void release(struct route_query *query)
{
	resolver_cancel(query->mx);
	for (size_t i = 0; i < query->count; i++) {
		resolver_cancel(query->candidates[i].query);
		free(query->candidates[i].name);
	}
	if (query->timer)
		event_free(query->timer);
	route_release(&query->route);
	reply_release(&query->why);
	free(query->domain);
	free(query);
}

static void tell(struct route_query *query)
{
	query->done(query->arg, reply_is_none(&query->why) ? NULL : &query->why, &query->route);
	release(query);
}

void route_cancel(struct route_query *query)
{
	if (query)
		release(query);
}

/* ---- which of them are left */

static void add_host(struct route *route, const char *name, unsigned port, unsigned addresses)
{
	route->hosts = xrealloc(route->hosts, route->count + 1, sizeof(*route->hosts));
	route->hosts[route->count++] = (struct route_host){ xstrdup(name), port, addresses };
}

/* Of the best host that is this one: it takes only what better ones do not. */
static unsigned own_preference(const struct route_query *query, bool *found)
{
	unsigned best = UINT_MAX;

	*found = false;
	for (size_t i = 0; i < query->count; i++) {
		if (!query->candidates[i].is_myself)
			continue;
		*found = true;
		if (query->candidates[i].preference < best)
			best = query->candidates[i].preference;
	}
	return best;
}

static void choose(struct route_query *query)
{
	bool is_own, any = false;
	unsigned own = own_preference(query, &is_own);

	for (size_t i = 0; i < query->count; i++) {
		const struct candidate *candidate = &query->candidates[i];

		if (is_own && candidate->preference >= own)
			continue;
		any = true;
		if (candidate->state == USABLE)
			add_host(&query->route, candidate->name, query->routes->port, candidate->addresses);
		else if (candidate->state == FAILED && reply_is_none(&query->route.missing))
			reply_set(&query->route.missing, 451, "4.4.3", "DNS lookup failed: %s", candidate->name);
	}
	if (query->route.count)
		return;
	if (!any)
		reply_set(&query->why, 554, "5.4.6", "Mail for %s loops back to this host", query->domain);
	else if (!reply_is_none(&query->route.missing))
		reply_copy(&query->why, &query->route.missing);
	else
		reply_set(&query->why, 550, "5.1.2", "No usable DNS records found: %s", query->domain);
}

static void on_timer(evutil_socket_t fd, short what, void *arg)
{
	struct route_query *query = arg;

	(void)fd;
	(void)what;
	for (size_t i = 0; i < query->count; i++) {
		struct candidate *candidate = &query->candidates[i];

		if (candidate->state != PENDING)
			continue;
		candidate->state = FAILED;
		resolver_cancel(candidate->query);
		candidate->query = NULL;
	}
	if (query->count)
		choose(query);
	tell(query);
}

static void wait_for(struct route_query *query, int64_t ms)
{
	if (query->timer)
		return;
	query->timer = event_new(query->routes->base, -1, 0, on_timer, query);
	if (!query->timer)
		BUG("no event for a route");
	event_add(query->timer, &(struct timeval){ ms / 1000, ms % 1000 * 1000 });
}

/* ---- look-ups */

static void on_addresses(void *arg, const struct reply *why, const struct host_address *addresses, size_t count)
{
	struct candidate *candidate = arg;
	struct route_query *query = candidate->owner;

	candidate->query = NULL;
	candidate->addresses = (unsigned)count;
	candidate->state = !why ? USABLE : reply_is_transient(why) ? FAILED : ABSENT;
	for (size_t i = 0; i < count; i++)
		if (myself_is_address(query->routes->myself, &addresses[i], query->routes->port))
			candidate->is_myself = true;
	if (--query->pending) {
		if (candidate->state == USABLE)
			wait_for(query, GRACE_MS);
		return;
	}
	choose(query);
	tell(query);
}

static void add_candidate(struct route_query *query, const char *name, unsigned preference)
{
	struct candidate *candidate = &query->candidates[query->count++];

	*candidate = (struct candidate){ .owner = query, .name = xstrdup(name), .preference = preference };
	candidate->is_myself = myself_is_name(query->routes->myself, name);
	query->pending++;
	candidate->query = resolver_addresses(query->routes->resolver, name, on_addresses, candidate);
}

static void on_mx(void *arg, const struct reply *why, const struct mx_records *records, bool secure)
{
	struct route_query *query = arg;

	query->mx = NULL;
	if (why) {
		reply_copy(&query->why, why);
		tell(query);
		return;
	}
	query->route.by_mx = records->count > 0;
	query->route.secure = secure;
	for (size_t i = 0; i < records->count && i < ROUTE_HOSTS; i++)
		add_candidate(query, records->items[i].name, records->items[i].preference);
	if (!records->count)
		add_candidate(query, query->domain, 0);
}

static void find_hosts(struct route_query *query)
{
	struct host_address address;

	if (host_address_parse(&address, query->domain))
		add_candidate(query, query->domain, 0);
	else
		query->mx = resolver_mx(query->routes->resolver, query->domain, on_mx, query);
}

struct route_query *route_find(const struct routes *routes, const char *domain, route_found_fn *done, void *arg)
{
	const struct forced *forced = forced_find(routes->forced, domain);
	struct route_query *query = xcalloc(1, sizeof(*query));

	*query = (struct route_query){ .routes = routes, .done = done, .arg = arg,
		.domain = xstrdup(forced && forced->is_domain ? forced->host : domain) };
	if (!forced || forced->is_domain) {
		find_hosts(query);
		return query;
	}
	add_host(&query->route, forced->host, forced->port ? forced->port : routes->port, 0);
	wait_for(query, 0);
	return query;
}
