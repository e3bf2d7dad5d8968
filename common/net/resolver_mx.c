/* resolver_mx.c - domains to the hosts that take their mail
 * SPDX-License-Identifier: MIT */
#include "common/base/memory.h"
#include "common/net/resolver_private.h"

static enum outcome take(struct resolver_query *query, enum dns_type type, const unsigned char *packet, size_t size)
{
	(void)type;
	query->mx_result = mx_records_read(&query->mx, packet, size);
	return query->mx_result == MX_MALFORMED ? FAILED : FOUND;
}

/* What /etc/hosts knows is a domain without records where the DNS does not know it. */
static enum mx_result result_of(const struct resolver_query *query)
{
	if (!query->part_count || (query->known && query->parts[0].outcome == NONE))
		return MX_NONE;
	return query->mx_result;
}

static void tell(struct resolver_query *query)
{
	struct reply why = { 0 };

	if (query->part_count && query->parts[0].outcome == NONE && !query->known)
		reply_set(&why, 550, "5.1.2", "No usable DNS records found: %s", query->name);
	else if (query->part_count && (query->parts[0].outcome == FAILED || query->parts[0].outcome == PENDING))
		reply_set(&why, 451, "4.4.3", "DNS lookup failed: %s", query->name);
	else if (result_of(query) == MX_NULL)
		reply_set(&why, 556, "5.1.10", "The domain takes no mail: %s", query->name);
	else if (result_of(query) == MX_UNUSABLE)
		reply_set(&why, 550, "5.1.2", "No usable DNS records found: %s", query->name);
	query->mx_done(query->arg, reply_is_none(&why) ? NULL : &why, &query->mx, query->parts[0].secure);
	reply_release(&why);
}

struct resolver_query *resolver_mx(struct resolver *resolver, const char *domain, resolver_mx_fn *done, void *arg)
{
	static const enum dns_type types[] = { DNS_MX };
	static const struct query_kind kind = { take, tell };
	struct resolver_query *query = xcalloc(1, sizeof(*query));
	bool is_localhost;

	*query = (struct resolver_query){ .kind = &kind, .name = xstrdup(domain), .mx_done = done, .arg = arg };
	query->known = hosts_find(resolver_hosts(resolver), domain, query->addresses) > 0;
	is_localhost = strcmp(domain, "localhost") == 0 || text_has_suffix(domain, ".localhost");
	resolver_ask(resolver, query, types, !is_localhost);
	return query;
}
