/* connection.c - one SMTP connection to a next hop, as its owner sees it
 * SPDX-License-Identifier: MIT */
#include <errno.h>
#include <event2/event.h>
#include <stdlib.h>
#include <string.h>

#include "common/base/clock.h"
#include "common/base/log.h"
#include "common/base/memory.h"
#include "worker/connection_private.h"

static void on_wake(evutil_socket_t fd, short what, void *arg)
{
	struct connection *connection = arg;

	(void)fd;
	(void)what;
	if (connection->streaming)
		connection_step(connection);
	else
		connection_try_next(connection);
}

struct connection *connection_open(const struct connection_settings *settings, const struct connection_owner *owner,
	void *arg)
{
	struct connection *connection = xcalloc(1, sizeof(*connection));

	*connection = (struct connection){ .settings = settings, .owner = owner, .arg = arg,
		.host = xstrdup(settings->host), .since_ms = clock_boot_ms(), .last = -1 };
	connection->timer = event_new(settings->base, -1, 0, connection_on_timer, connection);
	connection->wake = event_new(settings->base, -1, 0, on_wake, connection);
	if (!connection->timer || !connection->wake)
		BUG("no event for a connection");
	connection_look_up(connection);
	return connection;
}

/* Where there is no time to do it well. */
static void say_goodbye(struct connection *connection)
{
	struct stream *stream = &connection->stream;

	if (tls_is_shaking_hands(stream))
		return;
	smtp_client_quit(connection->client);
	if (stream->out.size && stream->io->write(stream, stream->out.data, stream->out.size) < 0)
		log_debug("relay", "could not say goodbye", LOG_TEXT("host", connection->host),
			LOG_TEXT("error", strerror(errno)));
}

void connection_free(struct connection *connection)
{
	connection_stop_trying(connection);
	if (connection->streaming && !connection->outgoing)
		say_goodbye(connection);
	if (connection->outgoing) {
		connection_take_question_back(connection);
		if (smtp_client_dot_sent(connection->client))
			outgoing_log_in_doubt(connection->outgoing, connection->settings->relay, connection->host,
				"the worker ended while the outcome was awaited");
		outgoing_free(connection->outgoing);
	}
	if (connection->streaming)
		stream_release(&connection->stream);
	smtp_client_free(connection->client);
	event_free(connection->timer);
	event_free(connection->wake);
	reply_release(&connection->failure);
	reply_release(&connection->why);
	reply_release(&connection->tls_why);
	free(connection->host);
	free(connection->recipients);
	free(connection);
}

bool connection_is_ready(const struct connection *connection)
{
	return connection->streaming && !connection->outgoing &&
		smtp_client_state(connection->client) == SMTP_CLIENT_READY;
}

bool connection_was_ready(const struct connection *connection)
{
	return connection->was_ready;
}

unsigned connection_deliveries(const struct connection *connection)
{
	return connection->deliveries;
}

int64_t connection_age_ms(const struct connection *connection)
{
	return clock_boot_ms() - connection->since_ms;
}

int64_t connection_idle_ms(const struct connection *connection)
{
	return clock_boot_ms() - connection->ready_since_ms;
}

const char *connection_host(const struct connection *connection)
{
	return connection->host;
}

const char *connection_tls(const struct connection *connection)
{
	return connection->streaming ? tls_version(&connection->stream) : NULL;
}

unsigned connection_tried(const struct connection *connection)
{
	return (unsigned)connection->next;
}

void connection_quit(struct connection *connection)
{
	if (connection->outgoing)
		return;
	connection_stop_trying(connection);
	if (connection->streaming)
		smtp_client_quit(connection->client);
	event_active(connection->wake, EV_TIMEOUT, 0);
}

void connection_break_off(struct connection *connection)
{
	if (!connection->outgoing || smtp_client_dot_sent(connection->client))
		return;
	if (connection->rest) {
		connection->rest = false;
		connection->finished = true;
		connection->end = TRANSACTION_BROKEN_OFF;
	} else {
		smtp_client_break_off(connection->client, NULL);
	}
	event_active(connection->wake, EV_TIMEOUT, 0);
}
