/* open_relay.c - whether an edge passes on mail of anybody to anybody
 * SPDX-License-Identifier: MIT */
#include "edge/open_relay.h"

#include <arpa/inet.h>
#include <stdlib.h>
#include <string.h>

#include "common/base/buffer.h"
#include "common/base/memory.h"
#include "common/net/hosts.h"
#include "common/net/listener.h"
#include "common/net/network.h"
#include "edge/edge.h"
#include "edge/rules.h"

const struct option trust_rows[] = {
	{ "trusted_clients", TEXTS_FIELD(trust_options, trusted_clients), NULL, 0, 0,
		"networks whose clients need not authenticate", .check = networks_check },
	{ "open_relay", BOOL_FIELD(trust_options, open_relay), "false", 0, 0,
		"it is meant to relay for anybody: no warning" },
	{ 0 }
};

/* ---- what the section says besides rules */

static bool is_on(const struct config_node *section, const char *key)
{
	const struct config_node *node = config_get(section, key);
	struct config_errors said = { 0 };	/* by its reader */
	bool on = false;

	if (node)
		option_read_bool(node, &on, &said);
	config_errors_release(&said);
	return on;
}

static bool has_text(const struct config_node *map, const char *key, const char *text)
{
	const struct config_node *node = config_get(map, key);

	return node && node->kind == CONFIG_SCALAR && strcmp(node->text, text) == 0;
}

/* Of authorities that the operator has named: from a public one everybody gets a certificate. */
static bool wants_certificates(const struct config_node *section)
{
	const struct config_node *tls = config_get(section, "tls");

	if (!config_get(tls, "ca_certs") || !(is_on(section, "tls_immediately") || is_on(section, "require_tls")))
		return false;
	return has_text(tls, "cert_reqs", "required") || has_text(tls, "cert_reqs", "CERT_REQUIRED");
}

static bool is_loopback(const struct host_address *address)
{
	static const unsigned char mapped[13] = { [10] = 0xff, [11] = 0xff, [12] = 127 };

	if (address->any.sa_family == AF_INET)
		return ntohl(address->v4.sin_addr.s_addr) >> 24 == 127;
	return IN6_IS_ADDR_LOOPBACK(&address->v6.sin6_addr)
		|| memcmp(&address->v6.sin6_addr, mapped, sizeof(mapped)) == 0;
}

/* A name but localhost may be any address: who means loopback can say so. */
static bool is_local(const struct listener_options *listener)
{
	struct host_address found[HOST_ADDRESSES];
	struct hosts *none;
	size_t count;

	if (listener->type == LISTENER_UNIX)
		return true;
	if (host_address_parse(&found[0], listener->interface))
		return is_loopback(&found[0]);
	none = hosts_new("", 0);
	count = hosts_find(none, listener->interface, found);
	hosts_free(none);
	return count > 0;
}

char *listener_beyond(const struct config_node *section, bool any)
{
	struct config_errors said = { 0 };
	struct listener_options *items;
	char *beyond = NULL;
	size_t count;

	if (listeners_load(section, listener_default_port(section), &items, &count, &said) == 0) {
		for (size_t i = 0; i < count && !beyond; i++) {
			if (any || !is_local(&items[i]))
				beyond = listener_describe(&items[i]);
		}
	}
	listeners_free(items, count);
	config_errors_release(&said);
	return beyond;
}

/* "mx" or "static", if the queue has a relay of such a type; a host without workers may not know. */
static const char *relay_type(const struct config_node *section, const char *queue)
{
	const struct config_node *root = section, *relay, *type;

	while (root->parent)
		root = root->parent;
	relay = config_get(config_get(config_get(root, "queue"), queue), "relay");
	if (!relay || relay->kind != CONFIG_SCALAR)
		return NULL;
	type = config_get(config_get(config_get(root, "relay"), relay->text), "type");
	if (!type || type->kind != CONFIG_SCALAR)
		return NULL;
	return strcmp(type->text, "mx") == 0 || strcmp(type->text, "static") == 0 ? type->text : NULL;
}

/* ---- the check */

/* Whoever reaches the listener may write any client into a PROXY header, so also one of trusted_clients. */
static bool may_pass_for_any(const struct edge *edge, const struct config_node *section)
{
	const struct networks *proxies = &edge->arrivals.proxies;
	bool told = edge->arrivals.proxy_protocol && (!proxies->count || networks_have_strangers(proxies));
	char *listener = told ? listener_beyond(section, false) : NULL;
	bool beyond = listener;

	free(listener);
	return beyond;
}

/* Without AUTH; a sender rule is for all. */
static bool trusts_strangers(const struct edge *edge, const struct config_node *section)
{
	if (!edge->trusted.count || rules_have_senders(edge->rules))
		return false;
	return networks_have_strangers(&edge->trusted) || may_pass_for_any(edge, section);
}

static bool takes_anything(const struct edge *edge, const struct config_node *section)
{
	if (edge->rules && rules_limit_recipients(edge->rules))
		return false;
	if (edge->rules && rules_want_user(edge->rules) && !trusts_strangers(edge, section))
		return false;
	return !wants_certificates(section);
}

/* What may have been taken for a lock. */
static const char *remark(const struct edge *edge)
{
	if (edge->rules && rules_want_user(edge->rules) && !networks_have_strangers(&edge->trusted))
		return ": without proxy_from whoever comes can pass for one of trusted_clients";
	if (edge->rules && rules_want_user(edge->rules))
		return ": trusted_clients are so many that strangers are among them";
	if (edge->rules && rules_have_senders(edge->rules))
		return ": sender rules do not help, as anybody can write any sender"
		       ", and where there is one nobody needs to authenticate";
	if (edge->rules && rules_have_credentials(edge->rules))
		return ": the recipient rule is for everybody, and the null sender needs no authentication beside one";
	if (edge->trust.trusted_clients.count)
		return ": without rules.lookup_credentials trusted_clients keep nobody out";
	return "";
}

static void warn_of_open_relay(const struct edge *edge, const struct config_node *section, struct config_errors *errors)
{
	const char *queue = edge->options.queue, *type = relay_type(section, queue);
	bool open = type && !edge->trust.open_relay && takes_anything(edge, section);
	char *listener = open ? listener_beyond(section, edge->arrivals.proxy_protocol) : NULL;

	if (listener)
		config_warning_at(errors, section, "edge \"%s\" is an open relay: it takes mail of anybody to anybody "
			"on %s, into queue \"%s\", which relays by %s%s; expected a recipient rule, "
			"rules.lookup_credentials, a listener on loopback, or open_relay: true if it is meant",
			edge->name, listener, queue, type, remark(edge));
	free(listener);
}

/* They need not authenticate, and are not limited by address: where nobody is, the list says nothing. */
static void warn_of_trust(const struct edge *edge, const struct config_node *trusted, struct config_errors *errors)
{
	bool limited = edge->limits.max_connections_per_ip || edge->limits.max_messages_per_minute;

	if (!trusted || !edge->trusted.count || limited)
		return;
	if (!edge->rules || !rules_have_credentials(edge->rules))
		config_warning_at(errors, trusted,
			"means nothing without rules.lookup_credentials: nobody needs to authenticate");
	else if (rules_have_senders(edge->rules))
		config_warning_at(errors, trusted, "means nothing beside a sender rule, which is for all");
}

void open_relay_check(const struct edge *edge, const struct config_node *section, struct config_errors *errors)
{
	size_t before = errors->count;

	warn_of_open_relay(edge, section, errors);
	if (errors->count == before)
		warn_of_trust(edge, config_get(section, "trusted_clients"), errors);
}
