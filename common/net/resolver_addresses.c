/* resolver_addresses.c - names to addresses
 * SPDX-License-Identifier: MIT */
#include <stdlib.h>

#include "common/base/memory.h"
#include "common/net/resolver_private.h"

static enum outcome take(struct resolver_query *query, enum dns_type type, const unsigned char *packet, size_t size)
{
	struct dns_record records[HOST_ADDRESSES];
	size_t room = HOST_ADDRESSES - query->count;
	long count = dns_answer_records(packet, size, type, records, room);

	for (long i = 0; i < count && (size_t)i < room; i++) {
		struct host_address *address = &query->addresses[query->count++];

		if (type == DNS_A)
			host_address_v4(address, records[i].data);
		else
			host_address_v6(address, records[i].data);
	}
	return count < 0 ? FAILED : count ? FOUND : NONE;
}

/* IPv6 first: the parts may have been answered in any order. */
static int by_family(const void *a, const void *b)
{
	sa_family_t left = ((const struct host_address *)a)->any.sa_family;
	sa_family_t right = ((const struct host_address *)b)->any.sa_family;

	return (left == AF_INET) - (right == AF_INET);
}

/* A family that nobody answered for does not matter where the other one was found. */
static void tell(struct resolver_query *query)
{
	const struct part *parts = query->parts;
	struct reply why = { 0 };

	if (!query->known)
		qsort(query->addresses, query->count, sizeof(query->addresses[0]), by_family);
	if (query->count)
		query->done(query->arg, NULL, query->addresses, query->count);
	else if (parts[0].outcome == NONE && parts[1].outcome == NONE)
		reply_set(&why, 550, "5.1.2", "No usable DNS records found: %s", query->name);
	else
		reply_set(&why, 451, "4.4.3", "DNS lookup failed: %s", query->name);
	if (!reply_is_none(&why))
		query->done(query->arg, &why, NULL, 0);
	reply_release(&why);
}

static bool is_known(struct resolver_query *query, const struct hosts *hosts)
{
	if (host_address_parse(&query->addresses[0], query->name))
		query->count = 1;
	else
		query->count = hosts_find(hosts, query->name, query->addresses);
	return query->count > 0;
}

struct resolver_query *resolver_addresses(struct resolver *resolver, const char *name, resolver_addresses_fn *done,
	void *arg)
{
	static const enum dns_type types[] = { DNS_AAAA, DNS_A };
	static const struct query_kind kind = { take, tell };
	struct resolver_query *query = xcalloc(1, sizeof(*query));

	*query = (struct resolver_query){ .kind = &kind, .name = xstrdup(name), .done = done, .arg = arg };
	query->known = is_known(query, resolver_hosts(resolver));
	resolver_ask(resolver, query, types, query->known ? 0 : 2);
	return query;
}
