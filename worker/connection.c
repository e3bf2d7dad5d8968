/* connection.c - one SMTP connection to a next hop
 * SPDX-License-Identifier: MIT
 * What the client tells within a call is kept until that call is over; step() then acts on it. */
#include "worker/connection.h"

#include <arpa/inet.h>
#include <errno.h>
#include <event2/event.h>
#include <stdlib.h>
#include <string.h>

#include "common/base/clock.h"
#include "common/base/log.h"
#include "common/base/memory.h"
#include "common/net/connector.h"
#include "common/net/stream.h"

#define UNSENT_MAX 131072	/* mail data that waits for the connection */
#define UNSENT_DOT_MAX 16384	/* mail data that goes out with its dot */

struct connection {
	const struct connection_settings *settings;
	const struct connection_owner *owner;
	void *arg;
	struct resolver_query *query;
	struct connector *connector;
	struct host_address addresses[HOST_ADDRESSES];
	size_t count, next;		/* of addresses; those before `next` were tried */
	char *host;
	struct stream stream;
	bool streaming;			/* until `closed` */
	struct smtp_client *client;
	struct event *timer, *wake;
	int last;			/* the client's state that the timer was set for; -1: to be set anew */
	bool was_ready;
	unsigned deliveries;
	int64_t since_ms, ready_since_ms;
	struct reply failure;		/* the one to tell, of the addresses that failed */

	struct outgoing *outgoing;
	size_t *recipients;		/* of its transaction */
	bool asks;			/* whether it may send the final dot */
	bool finished;			/* the transaction is, and how: */
	enum transaction_end end;
	struct reply why;
};

static void try_next(struct connection *connection);
static void step(struct connection *connection);

/* ---- the final dot */

static void take_question_back(struct connection *connection)
{
	if (connection->asks)
		outgoing_commit(connection->outgoing, NULL, NULL);
	connection->asks = false;
}

static void end_data(struct connection *connection, enum relay_go go)
{
	if (go == RELAY_GO)
		smtp_client_data_end(connection->client);
	else
		smtp_client_break_off(connection->client, NULL);
}

static void on_resumed(void *arg, enum relay_go go)
{
	struct connection *connection = arg;

	connection->asks = false;
	end_data(connection, go);
	step(connection);
}

static void ask_to_end_data(struct connection *connection)
{
	enum relay_go go = outgoing_commit(connection->outgoing, on_resumed, connection);

	if (go == RELAY_WAIT)
		connection->asks = true;
	else
		end_data(connection, go);
}

/* ---- the end of a transaction */

static void on_settled(void *arg, size_t recipient, const struct reply *reply)
{
	struct connection *connection = arg;

	outgoing_settle(connection->outgoing, recipient, RELAY_RESULT(reply, connection->host));
}

static void on_finished(void *arg, enum transaction_end end, const struct reply *why)
{
	struct connection *connection = arg;

	connection->finished = true;
	connection->end = end;
	if (why)
		reply_copy(&connection->why, why);
}

static void end_transaction(struct connection *connection)
{
	struct outgoing *outgoing = connection->outgoing;
	struct reply why = { 0 };

	if (!outgoing)
		BUG("a transaction ended without a message");
	reply_move(&why, &connection->why);
	take_question_back(connection);
	connection->finished = false;
	connection->outgoing = NULL;
	if (connection->end == TRANSACTION_LOST && outgoing->count) {
		mail_source_rewind(outgoing->source);	/* no read under way calls back here */
		connection->owner->returned(connection->arg, connection, outgoing, &why);
	} else {
		if (connection->end == TRANSACTION_IN_DOUBT)
			outgoing_log_in_doubt(outgoing, connection->settings->relay, connection->host, why.text);
		if (connection->end == TRANSACTION_BROKEN_OFF)
			reply_release(&why);
		outgoing_finish(outgoing, RELAY_RESULT(&why, connection->host));
	}
	reply_release(&why);
}

/* ---- what is next */

static void arm(struct connection *connection, int64_t ms)
{
	struct timeval timeout = { ms / 1000, ms % 1000 * 1000 };

	event_add(connection->timer, &timeout);
}

static void arm_for_state(struct connection *connection)
{
	enum smtp_client_state state = smtp_client_state(connection->client);

	connection->last = (int)state;
	if (state == SMTP_CLIENT_ENDED)
		event_del(connection->timer);
	else if (state == SMTP_CLIENT_READY)
		arm(connection, connection->settings->idle_timeout_ms);
	else
		arm(connection, smtp_client_timeout_ms(connection->client));
}

/* The dot is not to wait here behind data that the peer does not take: what the peer says before is no reply to it,
 * and without it nothing is in doubt. */
static bool is_about_sent(const struct stream *stream)
{
	return !stream->blocked && stream->out.size <= UNSENT_DOT_MAX;
}

static void feed(struct connection *connection)
{
	enum mail_source_result result = MAIL_SOURCE_DATA;
	struct reply why = { 0 };
	const char *data;
	size_t size;

	while (connection->stream.out.size < UNSENT_MAX && result == MAIL_SOURCE_DATA) {
		result = mail_source_next(connection->outgoing->source, &data, &size);
		if (result == MAIL_SOURCE_DATA)
			smtp_client_data(connection->client, data, size);
	}
	if (result == MAIL_SOURCE_END) {
		if (is_about_sent(&connection->stream))
			ask_to_end_data(connection);
	} else if (result == MAIL_SOURCE_FAILED) {
		log_error("relay", "could not read a message", LOG_TEXT("id", connection->outgoing->envelope->id),
			LOG_TEXT("error", strerror(errno)));
		reply_set(&why, 451, "4.3.0", "Message could not be read");
		smtp_client_break_off(connection->client, &why);
		reply_release(&why);
	}
	stream_touch(&connection->stream);
}

/* A peer that takes nothing is not waited for: others wait for its place. Behind QUIT it is, for a moment: it may count
 * a connection that it has not closed, and refuse the next. */
static void end_stream(struct connection *connection)
{
	if (connection->stream.blocked)
		stream_abort(&connection->stream, 0);
	else
		stream_finish(&connection->stream, reply_is_none(smtp_client_why(connection->client)));
}

static void step(struct connection *connection)
{
	if (connection->outgoing && !connection->finished && !connection->asks &&
			smtp_client_state(connection->client) == SMTP_CLIENT_SENDING)
		feed(connection);
	if (connection->finished)
		end_transaction(connection);
	if (smtp_client_state(connection->client) == SMTP_CLIENT_ENDED)
		end_stream(connection);
	stream_touch(&connection->stream);
	if ((int)smtp_client_state(connection->client) == connection->last)
		return;
	arm_for_state(connection);
	if (smtp_client_state(connection->client) != SMTP_CLIENT_READY)
		return;
	connection->was_ready = true;
	connection->ready_since_ms = clock_boot_ms();
	connection->owner->ready(connection->arg, connection);
}

static void on_timer(evutil_socket_t fd, short what, void *arg)
{
	struct connection *connection = arg;

	(void)fd;
	(void)what;
	/* While the peer takes nothing, the stream's own time-out of a write runs. */
	if (connection->stream.blocked)
		arm_for_state(connection);
	else if (smtp_client_state(connection->client) == SMTP_CLIENT_READY)
		smtp_client_quit(connection->client);
	else if (connection->asks)
		smtp_client_break_off(connection->client, NULL);
	else
		smtp_client_timed_out(connection->client);
	step(connection);
}

static void on_arrived(void *arg)
{
	step(arg);
}

/* ---- the stream */

static size_t on_input(void *arg, const char *data, size_t size)
{
	struct connection *connection = arg;
	size_t taken = smtp_client_input(connection->client, data, size);

	/* A line that comes octet by octet has the time of one. */
	if (taken)
		connection->last = -1;
	step(connection);
	return taken;
}

static void on_ended(void *arg)
{
	struct connection *connection = arg;

	smtp_client_lost(connection->client, "closed by the next hop");
	step(connection);
}

/* The timer here knows what is waited for. */
static void on_silence(void *arg)
{
	(void)arg;
}

static void on_drained(void *arg)
{
	struct connection *connection = arg;

	if (smtp_client_state(connection->client) == SMTP_CLIENT_SENDING || smtp_client_dot_sent(connection->client))
		connection->last = -1;
	step(connection);
}

static void on_closed(void *arg, int error)
{
	struct connection *connection = arg;

	if (error == ETIMEDOUT)
		smtp_client_timed_out(connection->client);
	else
		smtp_client_lost(connection->client, strerror(error));
	event_del(connection->timer);
	if (connection->finished)
		end_transaction(connection);
	connection->streaming = false;
	stream_release(&connection->stream);
	/* The next address, or the end, in a turn of its own: this struct may go then. */
	event_active(connection->wake, EV_TIMEOUT, 0);
}

static const struct stream_handler handler = { on_input, on_ended, on_silence, on_closed, on_drained };

/* ---- address by address */

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
		try_next(connection);
		return;
	}
	connection->streaming = true;
	stream_open(&connection->stream, connection->settings->base, fd, connection->settings->client.data_timeout_ms,
		&handler, connection);
	connection->stream.hear_out = true;
	connection->client = smtp_client_new(&connection->settings->client, &connection->stream.out);
	connection->last = -1;
	arm_for_state(connection);
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

static void try_next(struct connection *connection)
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
	try_next(connection);
}

static void on_wake(evutil_socket_t fd, short what, void *arg)
{
	struct connection *connection = arg;

	(void)fd;
	(void)what;
	if (connection->streaming)
		step(connection);
	else
		try_next(connection);
}

/* ---- for the owner */

struct connection *connection_open(const struct connection_settings *settings, const struct connection_owner *owner,
	void *arg)
{
	struct connection *connection = xcalloc(1, sizeof(*connection));

	*connection = (struct connection){ .settings = settings, .owner = owner, .arg = arg,
		.host = xstrdup(settings->host), .since_ms = clock_boot_ms(), .last = -1 };
	connection->timer = event_new(settings->base, -1, 0, on_timer, connection);
	connection->wake = event_new(settings->base, -1, 0, on_wake, connection);
	if (!connection->timer || !connection->wake)
		BUG("no event for a connection");
	connection->query = resolver_addresses(settings->resolver, settings->host, on_found, connection);
	return connection;
}

/* Where there is no time to do it well. */
static void say_goodbye(struct connection *connection)
{
	struct buffer *out = &connection->stream.out;

	smtp_client_quit(connection->client);
	if (out->size && send(connection->stream.fd, out->data, out->size, MSG_NOSIGNAL | MSG_DONTWAIT) < 0)
		log_debug("relay", "could not say goodbye", LOG_TEXT("host", connection->host),
			LOG_TEXT("error", strerror(errno)));
}

void connection_free(struct connection *connection)
{
	resolver_cancel(connection->query);
	connector_cancel(connection->connector);
	if (connection->streaming && !connection->outgoing)
		say_goodbye(connection);
	if (connection->outgoing) {
		take_question_back(connection);
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

void connection_send(struct connection *connection, struct outgoing *outgoing)
{
	struct smtp_transaction transaction = { .envelope = outgoing->envelope, .count = outgoing->count,
		.size = outgoing->size, .eight_bit = outgoing->eight_bit, .utf8_header = outgoing->utf8_header,
		.settled = on_settled, .finished = on_finished, .arg = connection };
	struct reply why = { 0 };

	connection->outgoing = outgoing;
	connection->deliveries++;
	free(connection->recipients);
	connection->recipients = xcalloc(outgoing->count, sizeof(*connection->recipients));
	memcpy(connection->recipients, outgoing->open, outgoing->count * sizeof(*outgoing->open));
	transaction.recipients = connection->recipients;
	mail_source_rewind(outgoing->source);
	mail_source_notify(outgoing->source, on_arrived, connection);
	if (smtp_client_begin(connection->client, &transaction, &why) < 0) {
		connection->outgoing = NULL;
		outgoing_finish(outgoing, RELAY_RESULT(&why, connection->host));
		reply_release(&why);
		return;
	}
	arm_for_state(connection);
	stream_touch(&connection->stream);
}

void connection_quit(struct connection *connection)
{
	if (connection->outgoing)
		return;
	resolver_cancel(connection->query);
	connection->query = NULL;
	connector_cancel(connection->connector);
	connection->connector = NULL;
	connection->count = 0;
	if (connection->streaming)
		smtp_client_quit(connection->client);
	event_active(connection->wake, EV_TIMEOUT, 0);
}

void connection_break_off(struct connection *connection)
{
	if (!connection->outgoing || smtp_client_dot_sent(connection->client))
		return;
	smtp_client_break_off(connection->client, NULL);
	event_active(connection->wake, EV_TIMEOUT, 0);
}
