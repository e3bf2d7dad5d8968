/* connection_address.c - from the name of a next hop to a stream: looked up, then address by address
 * SPDX-License-Identifier: MIT */
#include <arpa/inet.h>
#include <stdlib.h>
#include <string.h>

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
	connection->connector = connector_start(connection->settings->base, &address->any, host_address_size(address),
		connection->settings->connect_timeout_ms, on_connected, connection);
}

void connection_try_next(struct connection *connection)
{
	if (connection->client && !connection->was_ready)
		note_failure(connection, smtp_client_why(connection->client));
	if (!connection->was_ready && connection->next < connection->count) {
		smtp_client_free(connection->client);
		connection->client = NULL;
		connect_to(connection, &connection->addresses[connection->next++]);
		return;
	}
	if (connection->was_ready)
		reply_release(&connection->failure);
	connection->owner->closed(connection->arg, connection, &connection->failure);
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
		memcpy(connection->addresses, addresses, count * sizeof(*addresses));
		connection->count = count;
	}
	connection_try_next(connection);
}

void connection_look_up(struct connection *connection)
{
	const struct connection_settings *settings = connection->settings;

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
