/* connection_stream.c - what a next hop says and takes on a connection, and how long it may take for it
 * SPDX-License-Identifier: MIT */
#include <errno.h>
#include <event2/event.h>
#include <string.h>

#include "common/base/clock.h"
#include "worker/connection_private.h"

/* ---- what is next */

static void arm(struct connection *connection, int64_t ms)
{
	struct timeval timeout = { ms / 1000, ms % 1000 * 1000 };

	event_add(connection->timer, &timeout);
}

void connection_arm(struct connection *connection)
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

/* A peer that takes nothing is not waited for: others wait for its place. Behind QUIT it is, for a moment: it may count
 * a connection that it has not closed, and refuse the next. */
static void end_stream(struct connection *connection)
{
	if (connection->stream.blocked)
		stream_abort(&connection->stream, 0);
	else
		stream_finish(&connection->stream, reply_is_none(smtp_client_why(connection->client)));
}

/* One piece a turn of the loop, so that others have theirs. */
static void work(struct connection *connection)
{
	struct timeval next_turn = { 0, 0 };

	smtp_client_work(connection->client);
	if (smtp_client_state(connection->client) == SMTP_CLIENT_WORKING)
		event_add(connection->wake, &next_turn);
}

void connection_step(struct connection *connection)
{
	if (smtp_client_state(connection->client) == SMTP_CLIENT_WORKING)
		work(connection);
	if (smtp_client_state(connection->client) == SMTP_CLIENT_WANTS_TLS)
		connection_answer_starttls(connection);
	if (connection->outgoing && !connection->finished && !connection->asks &&
			smtp_client_state(connection->client) == SMTP_CLIENT_SENDING)
		connection_feed(connection);
	if (connection->finished)
		connection_end_transaction(connection);
	connection_take_up_rest(connection);
	if (smtp_client_state(connection->client) == SMTP_CLIENT_ENDED)
		end_stream(connection);
	stream_touch(&connection->stream);
	if ((int)smtp_client_state(connection->client) == connection->last)
		return;
	connection_arm(connection);
	if (smtp_client_state(connection->client) != SMTP_CLIENT_READY)
		return;
	if (!connection->was_ready)
		connection_remember_tls(connection);
	connection->was_ready = true;
	connection->ready_since_ms = clock_boot_ms();
	connection->owner->ready(connection->arg, connection);
}

void connection_on_timer(evutil_socket_t fd, short what, void *arg)
{
	struct connection *connection = arg;

	(void)fd;
	(void)what;
	/* A handshake has its time in all. Else, while the peer takes nothing, the stream's own time-out of a write runs. */
	if (connection->tls == TLS_BEGUN && tls_is_shaking_hands(&connection->stream))
		stream_abort(&connection->stream, ETIMEDOUT);
	else if (connection->stream.blocked)
		connection_arm(connection);
	else if (smtp_client_state(connection->client) == SMTP_CLIENT_READY)
		smtp_client_quit(connection->client);
	else if (connection->asks)
		smtp_client_break_off(connection->client, NULL);
	else
		smtp_client_timed_out(connection->client);
	connection_step(connection);
}

/* ---- the stream */

static size_t on_input(void *arg, const char *data, size_t size)
{
	struct connection *connection = arg;
	unsigned before = smtp_client_replies(connection->client);
	size_t taken;

	connection_note_tls(connection);
	taken = smtp_client_input(connection->client, data, size);

	/* One that comes octet by octet, or line by line, has the time of one. */
	if (smtp_client_replies(connection->client) != before)
		connection->last = -1;
	connection_step(connection);
	return taken;
}

static void on_ended(void *arg)
{
	struct connection *connection = arg;

	smtp_client_lost(connection->client, "closed by the next hop");
	connection_step(connection);
}

/* The timer here knows what is waited for. */
static void on_silence(void *arg)
{
	(void)arg;
}

static void on_drained(void *arg)
{
	struct connection *connection = arg;

	/* With a handshake behind it, the first command has the time of one. */
	if (smtp_client_in_data(connection->client) || connection->tls == TLS_BEGUN)
		connection->last = -1;
	connection_step(connection);
}

static void on_closed(void *arg, int error)
{
	struct connection *connection = arg;
	const char *problem = tls_problem(&connection->stream);

	connection_note_tls_failure(connection, error);
	if (error == ETIMEDOUT)
		smtp_client_timed_out(connection->client);
	else
		smtp_client_lost(connection->client, problem ? problem : strerror(error));
	event_del(connection->timer);
	if (connection->finished)
		connection_end_transaction(connection);
	connection_take_up_rest(connection);
	connection->streaming = false;
	stream_release(&connection->stream);
	/* The next address, or the end, in a turn of its own: this struct may go then. */
	event_active(connection->wake, EV_TIMEOUT, 0);
}

void connection_open_stream(struct connection *connection, int fd)
{
	static const struct stream_handler handler = { on_input, on_ended, on_silence, on_closed, on_drained };
	const struct connection_settings *settings = connection->settings;

	connection->streaming = true;
	stream_open(&connection->stream, settings->base, fd, settings->client.data_timeout_ms, &handler, connection);
	connection->stream.hear_out = true;
	connection->client = smtp_client_new(&settings->client, connection_client_tls(connection), &connection->stream.out);
	connection->last = -1;
	if (connection_client_tls(connection) == SMTP_TLS_STARTED)
		connection_start_tls(connection);
	connection_arm(connection);
}
