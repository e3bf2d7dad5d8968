/* connection_address.c - from the name of a next hop to a stream: looked up, then address by address
 * SPDX-License-Identifier: MIT */
#include <arpa/inet.h>
#include <event2/event.h>
#include <stdlib.h>
#include <string.h>
#include <sys/un.h>

#include "common/base/log.h"
#include "common/base/memory.h"
#include "worker/connection_private.h"

/* What is only temporary at one address counts more than what is for good at another. */
static void note_failure(struct connection *connection, const struct reply *why)
{
	struct buffer text = { 0 };

	if (reply_is_none(why))
		return;
	if (why->code < 400)
		BUG("a failure with the code %u", why->code);
	reply_append(why, &text);
	log_info("relay", "could not use a next hop", LOG_TEXT("relay", connection->settings->relay),
		LOG_TEXT("host", connection->host), LOG_INT("port", connection->settings->port),
		LOG_TEXT("reply", buffer_str(&text)));
	buffer_release(&text);
	if (!reply_is_transient(&connection->failure))
		reply_copy(&connection->failure, why);
}

static void on_connected(void *arg, int fd, int error)
{
	struct connection *connection = arg;
	struct reply why = { 0 };

	connection->connector = NULL;
	if (fd < 0) {
		reply_set(&why, 451, "4.3.0", "Connection failed: %s", strerror(error));
		note_failure(connection, &why);
		reply_release(&why);
		connection_try_next(connection);
		return;
	}
	connection_open_stream(connection, fd);
}

static const struct sockaddr *source_for(const struct connection *connection, int family)
{
	const struct connection_settings *settings = connection->settings;

	for (size_t i = 0; i < settings->source_count; i++)
		if (settings->sources[i].any.sa_family == family)
			return &settings->sources[i].any;
	return NULL;
}

static void start(struct connection *connection, const struct sockaddr *address, socklen_t size)
{
	connection->connector = connector_start(connection->settings->base, address, size,
		source_for(connection, address->sa_family), connection->settings->connect_timeout_ms, on_connected, connection);
}

static void connect_to(struct connection *connection, struct host_address *address)
{
	char text[HOST_ADDRESS_TEXT_SIZE];
	in_port_t port = htons((uint16_t)connection->settings->port);

	if (address->any.sa_family == AF_INET)
		address->v4.sin_port = port;
	else
		address->v6.sin6_port = port;
	free(connection->host);
	connection->host = xasprintf("%s[%s]", connection->settings->host, host_address_text(address, text));
	start(connection, &address->any, host_address_size(address));
}

/* One that is too long is cut: there is nothing there. */
static void connect_to_path(struct connection *connection)
{
	struct sockaddr_un address = { .sun_family = AF_UNIX };
	const char *path = connection->settings->host;

	memcpy(address.sun_path, path, strnlen(path, sizeof(address.sun_path) - 1));
	start(connection, (const struct sockaddr *)&address, sizeof(address));
}

/* Of the stream that is closed. */
static void note_closed(struct connection *connection, bool goes_on_in_clear)
{
	const struct connection_settings *settings = connection->settings;
	const struct reply *why = &connection->tls_why;

	if (goes_on_in_clear)
		log_warn("relay", "went on in clear, as TLS failed", LOG_TEXT("relay", settings->relay),
			LOG_TEXT("host", connection->host), LOG_INT("port", settings->port), LOG_TEXT("reason", why->text));
	else
		note_failure(connection, reply_is_none(why) ? smtp_client_why(connection->client) : why);
	smtp_client_free(connection->client);
	connection->client = NULL;
}

void connection_try_next(struct connection *connection)
{
	bool once_more = connection_goes_on_in_clear(connection);

	if (connection->client && !connection->was_ready)
		note_closed(connection, once_more);
	if (!connection->was_ready && (once_more || connection->next < connection->count)) {
		connection->next += !once_more;
		connection_choose_tls(connection, once_more);
		if (connection->settings->host[0] == '/')
			connect_to_path(connection);
		else
			connect_to(connection, &connection->addresses[connection->next - 1]);
		return;
	}
	if (connection->was_ready)
		reply_release(&connection->failure);
	connection->owner->closed(connection->arg, connection, &connection->failure);
}

static void take_addresses(struct connection *connection, const struct host_address *addresses, size_t count)
{
	struct reply why = { 0 };

	for (size_t i = 0; i < count && connection->count < CONNECTION_ADDRESSES; i++)
		if (addresses[i].any.sa_family == AF_INET || !connection->settings->ipv4_only)
			connection->addresses[connection->count++] = addresses[i];
	if (connection->count)
		return;
	reply_set(&why, 451, "4.4.3", "No address of IPv4: %s", connection->settings->host);
	note_failure(connection, &why);
	reply_release(&why);
}

static void on_found(void *arg, const struct reply *why, const struct host_address *addresses, size_t count)
{
	struct connection *connection = arg;
	struct reply waits = { 0 };

	connection->query = NULL;
	if (why) {
		/* Also where there is no such name: the mistake is in the configuration, not in the mail. */
		reply_set(&waits, 451, "4.4.3", "%s", why->text);
		note_failure(connection, &waits);
		reply_release(&waits);
	} else {
		take_addresses(connection, addresses, count);
	}
	connection_try_next(connection);
}

void connection_look_up(struct connection *connection)
{
	const struct connection_settings *settings = connection->settings;

	if (settings->host[0] == '/') {
		connection->count = 1;
		event_active(connection->wake, EV_TIMEOUT, 0);
		return;
	}
	connection->query = resolver_addresses(settings->resolver, settings->host, on_found, connection);
}

void connection_stop_trying(struct connection *connection)
{
	resolver_cancel(connection->query);
	connection->query = NULL;
	connector_cancel(connection->connector);
	connection->connector = NULL;
	connection->count = 0;
}
