/* resolver_host.c - an address to the name of its host
 * SPDX-License-Identifier: MIT
 * Whoever has the address writes its PTR record, and may write any name there (RFC 1912 2.1): it is believed when who has
 * the name says so too. One question at a time, each a query of the resolver. */
#include <event2/event.h>
#include <stdlib.h>
#include <string.h>

#include "common/base/buffer.h"
#include "common/base/memory.h"
#include "common/message/address.h"
#include "common/net/resolver_private.h"

struct resolver_host {
	struct resolver *resolver;
	struct host_address address;
	struct event *timer;		/* the end of all the time; activated where the name is known */
	struct resolver_query *query;	/* under way; NULL = none */
	char *names[RESOLVER_HOST_NAMES];
	size_t count, tried;
	resolver_host_fn *done;
	void *arg;
};

static void free_host(struct resolver_host *host)
{
	for (size_t i = 0; i < host->count; i++)
		free(host->names[i]);
	event_free(host->timer);
	free(host);
}

static void finish(struct resolver_host *host, const char *name)
{
	host->done(host->arg, name);
	free_host(host);
}

/* An address would lead back to itself. */
static bool is_name(const char *text)
{
	struct host_address address;

	return !strchr(text, '?') && address_is_ehlo_name(text, strlen(text)) && !host_address_parse(&address, text);
}

/* ---- name to addresses */

static bool is_same(const struct host_address *a, const struct host_address *b)
{
	if (a->any.sa_family != b->any.sa_family)
		return false;
	return a->any.sa_family == AF_INET ? a->v4.sin_addr.s_addr == b->v4.sin_addr.s_addr :
		IN6_ARE_ADDR_EQUAL(&a->v6.sin6_addr, &b->v6.sin6_addr);
}

static void try_next(struct resolver_host *host);

static enum outcome take_addresses(struct resolver_query *query, enum dns_type type, const unsigned char *packet, size_t size)
{
	const struct resolver_host *host = query->arg;
	struct dns_record records[RESOLVER_HOST_ADDRESSES];
	long count = dns_answer_records(packet, size, type, records, RESOLVER_HOST_ADDRESSES);

	for (long i = 0; i < count && i < RESOLVER_HOST_ADDRESSES; i++) {
		struct host_address address;

		if (type == DNS_A)
			host_address_v4(&address, records[i].data);
		else
			host_address_v6(&address, records[i].data);
		query->known = query->known || is_same(&address, &host->address);
	}
	return count < 0 ? FAILED : FOUND;
}

static void tell_addresses(struct resolver_query *query)
{
	struct resolver_host *host = query->arg;

	host->query = NULL;
	if (query->known)
		finish(host, query->name);
	else
		try_next(host);
}

static bool is_of_hosts(const struct resolver_host *host, const char *name, bool *confirmed)
{
	struct host_address found[HOST_ADDRESSES];
	size_t count = hosts_find(resolver_hosts(host->resolver), name, found);

	for (size_t i = 0; i < count; i++)
		*confirmed = *confirmed || is_same(&found[i], &host->address);
	return count > 0;
}

/* ---- address to names */

static enum outcome take_names(struct resolver_query *query, enum dns_type type, const unsigned char *packet, size_t size)
{
	struct resolver_host *host = query->arg;
	struct dns_record records[RESOLVER_HOST_NAMES];
	long count = dns_answer_records(packet, size, type, records, RESOLVER_HOST_NAMES);
	char name[DNS_NAME_SIZE];

	for (long i = 0; i < count && i < RESOLVER_HOST_NAMES; i++)
		if (dns_answer_name(packet, size, &records[i], 0, name) && is_name(name))
			host->names[host->count++] = xstrdup(name);
	return count < 0 ? FAILED : FOUND;
}

static void tell_names(struct resolver_query *query)
{
	struct resolver_host *host = query->arg;

	host->query = NULL;
	try_next(host);
}

static const struct query_kind names_kind = { take_names, tell_names };
static const struct query_kind addresses_kind = { take_addresses, tell_addresses };

static void ask(struct resolver_host *host, const char *name, enum dns_type type, const struct query_kind *kind)
{
	struct resolver_query *query = xcalloc(1, sizeof(*query));

	*query = (struct resolver_query){ .kind = kind, .name = xstrdup(name), .arg = host };
	host->query = query;
	resolver_ask(host->resolver, query, &type, 1);
}

static void try_next(struct resolver_host *host)
{
	bool v4 = host->address.any.sa_family == AF_INET;

	while (host->tried < host->count) {
		const char *name = host->names[host->tried++];
		bool confirmed = false;

		if (!is_of_hosts(host, name, &confirmed)) {
			ask(host, name, v4 ? DNS_A : DNS_AAAA, &addresses_kind);
			return;
		}
		if (confirmed) {
			finish(host, name);
			return;
		}
	}
	finish(host, NULL);
}

/* ---- beginning and end */

static void append_reverse(struct buffer *out, const struct host_address *address)
{
	const unsigned char *v4 = (const unsigned char *)&address->v4.sin_addr;

	if (address->any.sa_family == AF_INET) {
		buffer_appendf(out, "%u.%u.%u.%u.in-addr.arpa", v4[3], v4[2], v4[1], v4[0]);
		return;
	}
	for (size_t i = 16; i-- > 0;) {
		unsigned octet = address->v6.sin6_addr.s6_addr[i];

		buffer_appendf(out, "%x.%x.", octet & 15, octet >> 4);
	}
	buffer_append_str(out, "ip6.arpa");
}

/* What is known so far is the name, or it is too late. */
static void on_timer(evutil_socket_t fd, short what, void *arg)
{
	struct resolver_host *host = arg;
	const char *known = hosts_name(resolver_hosts(host->resolver), &host->address);

	(void)fd;
	(void)what;
	resolver_cancel(host->query);
	finish(host, known && is_name(known) ? known : NULL);
}

struct resolver_host *resolver_host(struct resolver *resolver, const struct host_address *address, int64_t timeout_ms,
	resolver_host_fn *done, void *arg)
{
	struct resolver_host *host = xcalloc(1, sizeof(*host));
	struct timeval timeout = { timeout_ms / 1000, timeout_ms % 1000 * 1000 };
	struct buffer reverse = { 0 };

	*host = (struct resolver_host){ .resolver = resolver, .address = *address, .done = done, .arg = arg };
	host->timer = evtimer_new(resolver_base(resolver), on_timer, host);
	if (!host->timer)
		BUG("no timer event");
	event_add(host->timer, &timeout);
	if (hosts_name(resolver_hosts(resolver), address)) {
		event_active(host->timer, EV_TIMEOUT, 0);
		return host;
	}
	append_reverse(&reverse, address);
	ask(host, buffer_str(&reverse), DNS_PTR, &names_kind);
	buffer_release(&reverse);
	return host;
}

void resolver_host_cancel(struct resolver_host *host)
{
	if (!host)
		return;
	resolver_cancel(host->query);
	free_host(host);
}
