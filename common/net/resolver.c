/* resolver.c - names to addresses, on the loop
 * SPDX-License-Identifier: MIT
 * libunbound gives up when it likes, so every query has a deadline of its own here. It may also answer within the call
 * that asks, and calls back with the packet of a failed answer: such a packet is not looked at. */
#include "common/net/resolver.h"

#include <errno.h>
#include <event2/event.h>
#include <stdlib.h>
#include <string.h>
#include <sys/queue.h>
#include <unbound.h>
#include <unbound-event.h>
#include <unistd.h>

#include "common/base/buffer.h"
#include "common/base/file.h"
#include "common/base/log.h"
#include "common/base/memory.h"
#include "common/net/dns_answer.h"

#define HOSTS_PATH "/etc/hosts"
#define HOSTS_MAX 4194304
#define RESOLV_CONF_PATH "/etc/resolv.conf"
#define ROOT_KEY_PATH "/usr/share/dns/root.key"
#define CLASS_IN 1
#define BOGUS 1			/* what libunbound calls an answer whose signatures are wrong */

enum outcome { PENDING, FOUND, NONE, FAILED };

/* The question for one of the two types. */
struct part {
	struct resolver_query *query;
	enum dns_type type;
	enum outcome outcome;
	int id;
};

struct resolver_query {
	TAILQ_ENTRY(resolver_query) link;
	struct resolver *resolver;
	char *name;
	bool known;			/* without asking */
	struct event *timer;		/* the deadline; activated when all is known */
	struct part parts[2];
	struct host_address addresses[HOST_ADDRESSES];
	size_t count;
	resolver_addresses_fn *done;
	void *arg;
};

struct resolver {
	struct event_base *base;
	struct ub_ctx *unbound;
	struct hosts *hosts;
	struct timeval timeout;
	TAILQ_HEAD(, resolver_query) queries;
};

/* ---- setting up */

static int set_options(struct ub_ctx *unbound)
{
	static const char *const options[][2] = {
		{ "do-not-query-localhost:", "no" }, { "unblock-lan-zones:", "yes" },
		{ "outgoing-range:", "256" }, { "outgoing-num-tcp:", "20" }, { "num-queries-per-thread:", "2048" },
		{ "msg-cache-size:", "4m" }, { "rrset-cache-size:", "8m" }, { "edns-buffer-size:", "1232" },
	};
	int code = 0;

	for (size_t i = 0; i < ARRAY_SIZE(options) && !code; i++)
		code = ub_ctx_set_option(unbound, options[i][0], options[i][1]);
	return code;
}

/* Without a list of servers, and without /etc/resolv.conf, libunbound asks those of the root and down from there. */
static int set_servers(struct ub_ctx *unbound, const struct strings *servers)
{
	int code = 0;

	for (size_t i = 0; i < servers->count && !code; i++)
		code = ub_ctx_set_fwd(unbound, servers->items[i]);
	if (!servers->count && ub_ctx_resolvconf(unbound, RESOLV_CONF_PATH))
		log_warn("resolver", "could not read the list of servers", LOG_TEXT("path", RESOLV_CONF_PATH));
	return code;
}

static int set_dnssec(struct ub_ctx *unbound, enum process_dnssec dnssec)
{
	int code = dnssec == PROCESS_DNSSEC_OFF ? 0 : ub_ctx_add_ta_file(unbound, ROOT_KEY_PATH);

	if (!code && dnssec == PROCESS_DNSSEC_PERMISSIVE)
		code = ub_ctx_set_option(unbound, "val-permissive-mode:", "yes");
	return code;
}

static struct hosts *read_hosts(void)
{
	struct buffer text = { 0 };
	struct hosts *hosts;

	if (file_read(HOSTS_PATH, &text, HOSTS_MAX) < 0)
		log_warn("resolver", "could not read names of hosts", LOG_TEXT("path", HOSTS_PATH),
			LOG_TEXT("error", strerror(errno)));
	hosts = hosts_new(buffer_str(&text), text.size);
	buffer_release(&text);
	return hosts;
}

struct resolver *resolver_new(struct event_base *base, const struct process_resolver *options)
{
	struct resolver *resolver = xcalloc(1, sizeof(*resolver));
	int code;

	resolver->base = base;
	resolver->timeout = (struct timeval){ options->timeout_ms / 1000, options->timeout_ms % 1000 * 1000 };
	TAILQ_INIT(&resolver->queries);
	resolver->hosts = read_hosts();
	if (options->dnssec != PROCESS_DNSSEC_OFF && access(ROOT_KEY_PATH, R_OK) < 0) {
		log_error("resolver", "could not read the key of the root, which the package dns-root-data has",
			LOG_TEXT("path", ROOT_KEY_PATH), LOG_TEXT("error", strerror(errno)));
		resolver_free(resolver);
		return NULL;
	}
	resolver->unbound = ub_ctx_create_event(base);
	if (!resolver->unbound)
		BUG("no context for look-ups");
	ub_ctx_debugout(resolver->unbound, NULL);
	code = set_options(resolver->unbound);
	if (!code)
		code = set_servers(resolver->unbound, &options->servers);
	if (!code)
		code = set_dnssec(resolver->unbound, (enum process_dnssec)options->dnssec);
	if (!code)
		return resolver;
	log_error("resolver", "could not be set up", LOG_TEXT("error", ub_strerror(code)));
	resolver_free(resolver);
	return NULL;
}

/* ---- answers */

static void take_addresses(struct part *part, const unsigned char *packet, size_t size)
{
	struct resolver_query *query = part->query;
	struct dns_record records[HOST_ADDRESSES];
	size_t room = HOST_ADDRESSES - query->count;
	long count = dns_answer_records(packet, size, part->type, records, room);

	part->outcome = count < 0 ? FAILED : count ? FOUND : NONE;
	for (long i = 0; i < count && (size_t)i < room; i++) {
		struct host_address *address = &query->addresses[query->count++];

		if (part->type == DNS_A)
			host_address_v4(address, records[i].data);
		else
			host_address_v6(address, records[i].data);
	}
}

static void on_answer(void *arg, int code, void *packet, int size, int secure, char *why, int limited)
{
	struct part *part = arg;
	struct resolver_query *query = part->query;
	int rcode = code ? code : size > 0 ? dns_answer_rcode(packet, (size_t)size) : -1;

	(void)why;
	(void)limited;
	if (secure == BOGUS)
		part->outcome = FAILED;
	else if (rcode == DNS_NXDOMAIN)
		part->outcome = NONE;
	else if (rcode != DNS_NOERROR)
		part->outcome = FAILED;
	else
		take_addresses(part, packet, (size_t)size);
	if (query->parts[0].outcome != PENDING && query->parts[1].outcome != PENDING)
		event_active(query->timer, EV_TIMEOUT, 0);
}

static void release_query(struct resolver_query *query)
{
	TAILQ_REMOVE(&query->resolver->queries, query, link);
	for (size_t i = 0; i < ARRAY_SIZE(query->parts); i++)
		if (query->parts[i].outcome == PENDING)
			ub_cancel(query->resolver->unbound, query->parts[i].id);
	event_free(query->timer);
	free(query->name);
	free(query);
}

/* A family that nobody answered for does not matter where the other one was found. */
static void tell(struct resolver_query *query)
{
	const struct part *parts = query->parts;
	struct reply why = { 0 };

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

/* IPv6 first: the parts may have been answered in any order. */
static int by_family(const void *a, const void *b)
{
	sa_family_t left = ((const struct host_address *)a)->any.sa_family;
	sa_family_t right = ((const struct host_address *)b)->any.sa_family;

	return (left == AF_INET) - (right == AF_INET);
}

static void on_timer(evutil_socket_t fd, short what, void *arg)
{
	struct resolver_query *query = arg, told;

	(void)fd;
	(void)what;
	told = *query;
	told.name = xstrdup(query->name);
	if (!query->known)
		qsort(told.addresses, told.count, sizeof(told.addresses[0]), by_family);
	release_query(query);
	tell(&told);
	free(told.name);
}

/* ---- questions */

static void ask(struct part *part)
{
	struct resolver_query *query = part->query;
	int id = 0, code = ub_resolve_event(query->resolver->unbound, query->name, part->type, CLASS_IN, part, on_answer,
		&id);

	part->id = id;
	if (!code)
		return;
	part->outcome = code == UB_SYNTAX ? NONE : FAILED;
	log_warn("resolver", "could not ask", LOG_TEXT("name", query->name), LOG_TEXT("error", ub_strerror(code)));
}

static bool is_known(struct resolver_query *query)
{
	if (host_address_parse(&query->addresses[0], query->name))
		query->count = 1;
	else
		query->count = hosts_find(query->resolver->hosts, query->name, query->addresses);
	return query->count > 0;
}

struct resolver_query *resolver_addresses(struct resolver *resolver, const char *name, resolver_addresses_fn *done,
	void *arg)
{
	static const enum dns_type types[] = { DNS_AAAA, DNS_A };
	struct resolver_query *query = xcalloc(1, sizeof(*query));

	*query = (struct resolver_query){ .resolver = resolver, .name = xstrdup(name), .done = done, .arg = arg };
	query->timer = event_new(resolver->base, -1, 0, on_timer, query);
	if (!query->timer)
		BUG("no event for a query");
	TAILQ_INSERT_TAIL(&resolver->queries, query, link);
	event_add(query->timer, &resolver->timeout);
	query->known = is_known(query);
	for (size_t i = 0; i < ARRAY_SIZE(types); i++) {
		query->parts[i] = (struct part){ .query = query, .type = types[i], .outcome = query->known ? NONE : PENDING };
		if (!query->known)
			ask(&query->parts[i]);
	}
	if (query->parts[0].outcome != PENDING && query->parts[1].outcome != PENDING)
		event_active(query->timer, EV_TIMEOUT, 0);
	return query;
}

void resolver_cancel(struct resolver_query *query)
{
	if (query)
		release_query(query);
}

void resolver_free(struct resolver *resolver)
{
	struct resolver_query *query;

	if (!resolver)
		return;
	while ((query = TAILQ_FIRST(&resolver->queries)))
		release_query(query);
	if (resolver->unbound)
		ub_ctx_delete(resolver->unbound);
	hosts_free(resolver->hosts);
	free(resolver);
}
