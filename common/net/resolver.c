/* resolver.c - questions to the DNS, on the loop
 * SPDX-License-Identifier: MIT
 * libunbound gives up when it likes, so every query has a deadline of its own here. It may also answer within the call
 * that asks, and calls back with the packet of a failed answer: such a packet is not looked at. */
#include "common/net/resolver_private.h"

#include <errno.h>
#include <event2/event.h>
#include <stdlib.h>
#include <string.h>
#include <unbound.h>
#include <unbound-event.h>
#include <unistd.h>

#include "common/base/buffer.h"
#include "common/base/file.h"
#include "common/base/log.h"
#include "common/base/memory.h"

#define HOSTS_PATH "/etc/hosts"
#define HOSTS_MAX 4194304
#define RESOLV_CONF_PATH "/etc/resolv.conf"
#define ROOT_KEY_PATH "/usr/share/dns/root.key"
#define CLASS_IN 1

/* What libunbound says of an answer: its signatures are wrong, or right from a trusted key on. */
#define BOGUS 1
#define SECURE 2

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

static void tell_if_known(struct resolver_query *query)
{
	for (size_t i = 0; i < query->part_count; i++)
		if (query->parts[i].outcome == PENDING)
			return;
	event_active(query->timer, EV_TIMEOUT, 0);
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
		part->outcome = query->kind->take(query, part->type, packet, (size_t)size);
	part->secure = secure == SECURE;
	tell_if_known(query);
}

static void release_query(struct resolver_query *query)
{
	free(query->name);
	mx_records_release(&query->mx);
	free(query);
}

static void leave(struct resolver_query *query)
{
	TAILQ_REMOVE(&query->resolver->queries, query, link);
	for (size_t i = 0; i < query->part_count; i++)
		if (query->parts[i].outcome == PENDING)
			ub_cancel(query->resolver->unbound, query->parts[i].id);
	event_free(query->timer);
}

static void on_timer(evutil_socket_t fd, short what, void *arg)
{
	struct resolver_query *query = arg;

	(void)fd;
	(void)what;
	leave(query);
	query->kind->tell(query);
	release_query(query);
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

void resolver_ask(struct resolver *resolver, struct resolver_query *query, const enum dns_type *types, size_t count)
{
	query->resolver = resolver;
	query->timer = event_new(resolver->base, -1, 0, on_timer, query);
	if (!query->timer)
		BUG("no event for a query");
	TAILQ_INSERT_TAIL(&resolver->queries, query, link);
	event_add(query->timer, &resolver->timeout);
	/* An answer may come within the call that asks, and is not all of it then. */
	for (query->part_count = 0; query->part_count < count; query->part_count++)
		query->parts[query->part_count] = (struct part){ .query = query, .type = types[query->part_count] };
	for (size_t i = 0; i < count; i++)
		ask(&query->parts[i]);
	tell_if_known(query);
}

const struct hosts *resolver_hosts(const struct resolver *resolver)
{
	return resolver->hosts;
}

struct event_base *resolver_base(const struct resolver *resolver)
{
	return resolver->base;
}

int resolver_add_anchor(struct resolver *resolver, const char *path)
{
	return ub_ctx_add_ta_file(resolver->unbound, path) ? -1 : 0;
}

void resolver_cancel(struct resolver_query *query)
{
	if (!query)
		return;
	leave(query);
	release_query(query);
}

void resolver_free(struct resolver *resolver)
{
	struct resolver_query *query;

	if (!resolver)
		return;
	while ((query = TAILQ_FIRST(&resolver->queries)))
		resolver_cancel(query);
	if (resolver->unbound)
		ub_ctx_delete(resolver->unbound);
	hosts_free(resolver->hosts);
	free(resolver);
}
