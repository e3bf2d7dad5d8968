/* destinations.c - the next hops of one relay, by their names
 * SPDX-License-Identifier: MIT */
#include "worker/destinations.h"

#include <errno.h>
#include <event2/event.h>
#include <stdlib.h>
#include <string.h>

#include "common/base/hash.h"
#include "common/base/log.h"
#include "common/base/text.h"
#include "common/smtp/sasl_client.h"
#include "worker/destination.h"
#include "worker/smtp_options.h"

#define RESTING_MAX 1000		/* what is remembered of more is dropped, the oldest first */

struct entry {
	UT_hash_handle hh;
	TAILQ_ENTRY(entry) link;	/* of those that rest */
	struct destinations *all;
	struct destination *destination;
	bool rests;
	char *key;
};

struct destinations {
	struct destination_settings settings;
	struct host_address sources[2];
	struct tls_context *tls, *strict_tls;
	struct sasl_credentials credentials;
	struct entry *table;
	TAILQ_HEAD(, entry) resting;	/* the oldest first */
	unsigned resting_count;
	struct event *bound;
	bool draining;
};

/* ---- one of them */

static void wake_up(struct entry *entry)
{
	if (!entry->rests)
		return;
	entry->rests = false;
	TAILQ_REMOVE(&entry->all->resting, entry, link);
	entry->all->resting_count--;
}

static void remove_entry(struct entry *entry)
{
	wake_up(entry);
	HASH_DEL(entry->all->table, entry);
	destination_free(entry->destination);
	free(entry->key);
	free(entry);
}

static void on_over(void *arg, struct destination *destination)
{
	(void)destination;
	remove_entry(arg);
}

static void on_rests(void *arg, struct destination *destination)
{
	struct entry *entry = arg;
	struct destinations *all = entry->all;

	(void)destination;
	if (entry->rests)
		return;
	entry->rests = true;
	TAILQ_INSERT_TAIL(&all->resting, entry, link);
	if (++all->resting_count > RESTING_MAX)
		remove_entry(TAILQ_FIRST(&all->resting));
}

static const struct destination_owner owner = { on_rests, on_over };

static char *key_of(const char *host, unsigned port, bool requiretls)
{
	char *key = xasprintf("%u %d %s", port, requiretls, host);

	if (host[0] != '/')
		text_lower(key);
	return key;
}

static struct entry *entry_of(struct destinations *all, const char *host, unsigned port, bool requiretls)
{
	char *key = key_of(host, port, requiretls);
	struct entry *entry;

	HASH_FIND_STR(all->table, key, entry);
	if (entry) {
		free(key);
		return entry;
	}
	entry = xcalloc(1, sizeof(*entry));
	entry->all = all;
	entry->key = key;
	entry->destination = destination_new(&all->settings, host, port, requiretls, &owner, entry);
	HASH_ADD_KEYPTR(hh, all->table, key, strlen(key), entry);
	return entry;
}

/* ---- for the relay */

void destinations_send(struct destinations *all, const char *host, unsigned port, struct outgoing *outgoing)
{
	/* It is for servers between us and a store (RFC 8689 section 1), not for the store itself. */
	bool requiretls = envelope_needs_requiretls(outgoing->envelope) && !all->settings.connection.client.lmtp;
	struct entry *entry = entry_of(all, host, port, requiretls);

	wake_up(entry);
	destination_send(entry->destination, outgoing);
	if (all->draining)
		destination_drain(entry->destination);
}

static void on_bound(evutil_socket_t fd, short what, void *arg)
{
	struct destinations *all = arg;

	(void)fd;
	(void)what;
	for (struct entry *entry = all->table; entry; entry = entry->hh.next)
		destination_break_off(entry->destination);
}

void destinations_drain(struct destinations *all, int64_t bound_ms)
{
	struct timeval bound = { bound_ms / 1000, bound_ms % 1000 * 1000 };

	all->draining = true;
	event_add(all->bound, &bound);
	for (struct entry *entry = all->table; entry; entry = entry->hh.next)
		destination_drain(entry->destination);
}

static struct tls_context *new_context(const struct relay *relay, const struct tls_settings *settings)
{
	struct tls_error error = { 0 };
	struct tls_context *context = tls_client_context_new(settings, &error);

	if (!context)
		log_error("relay", "could not begin to use TLS", LOG_TEXT("relay", relay->name), LOG_TEXT("key", error.key),
			LOG_TEXT("error", error.text));
	free(error.text);
	return context;
}

/* Who asks for REQUIRETLS asks for a certificate that is verified (RFC 8689 4.2.1). */
static int set_tls(struct destinations *all, const struct relay *relay, const struct smtp_options *options)
{
	struct connection_settings *settings = &all->settings.connection;
	struct tls_settings strict = options->tls;

	if (!options->tls.given)
		return 0;
	strict.cert_reqs = TLS_CERT_REQUIRED;
	strict.check_hostname = true;
	all->tls = new_context(relay, &options->tls);
	all->strict_tls = new_context(relay, &strict);
	if (!all->tls || !all->strict_tls)
		return -1;
	settings->tls = all->tls;
	/* Not in clear: TLS that fails is not made up for by leaving it out where there is something to hide. */
	settings->tls_required = options->require_tls || (options->credentials.given && !options->auth_without_tls);
	settings->tls_immediately = options->tls_immediately;
	all->settings.strict_tls = all->strict_tls;
	return 0;
}

static void set_sources(struct destinations *all, const struct smtp_options *options)
{
	struct connection_settings *settings = &all->settings.connection;

	settings->sources = all->sources;
	settings->source_count += smtp_options_source(options, AF_INET, &all->sources[settings->source_count]);
	settings->source_count += smtp_options_source(options, AF_INET6, &all->sources[settings->source_count]);
}

static void set_client(struct destinations *all, const struct smtp_options *options)
{
	struct smtp_client_settings *client = &all->settings.connection.client;

	*client = (struct smtp_client_settings){ .ehlo_as = options->ehlo_as,
		.command_timeout_ms = options->command_timeout_ms, .data_timeout_ms = options->data_timeout_ms,
		.lmtp = options->lmtp, .auth_without_tls = options->auth_without_tls };
	if (!options->credentials.given)
		return;
	all->credentials = (struct sasl_credentials){ options->credentials.username, options->credentials.password,
		sasl_memory_new() };
	client->credentials = &all->credentials;
}

static int set_slots(struct destinations *all, const struct relay *relay)
{
	const char *runtime_dir = relay->context.process->runtime_dir;

	all->settings.slots = slots_table_open(runtime_dir);
	if (!all->settings.slots)
		log_error("relay", "could not open the table of destinations", LOG_TEXT("runtime_dir", runtime_dir),
			LOG_TEXT("error", strerror(errno)));
	return all->settings.slots ? 0 : -1;
}

struct destinations *destinations_new(const struct relay *relay, const struct smtp_options *options,
	struct resolver *resolver)
{
	struct destinations *all = xcalloc(1, sizeof(*all));

	TAILQ_INIT(&all->resting);
	all->settings.concurrent_connections = options->concurrent_connections;
	all->settings.connection = (struct connection_settings){ .base = relay->context.base, .resolver = resolver,
		.relay = relay->name, .connect_timeout_ms = options->connect_timeout_ms,
		.idle_timeout_ms = options->idle_timeout_ms, .ipv4_only = options->ipv4_only };
	set_client(all, options);
	set_sources(all, options);
	all->bound = event_new(relay->context.base, -1, 0, on_bound, all);
	if (!all->bound)
		BUG("no event for destinations");
	if (set_tls(all, relay, options) == 0 && set_slots(all, relay) == 0)
		return all;
	destinations_free(all);
	return NULL;
}

void destinations_free(struct destinations *all)
{
	struct entry *entry, *next;

	if (!all)
		return;
	HASH_ITER(hh, all->table, entry, next)
		remove_entry(entry);
	slots_table_close(all->settings.slots);
	tls_context_free(all->tls);
	tls_context_free(all->strict_tls);
	sasl_memory_free(all->credentials.memory);
	event_free(all->bound);
	free(all);
}
