/* connection_mail.c - a transaction on a connection: its recipients, its data, its end
 * SPDX-License-Identifier: MIT */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "common/base/log.h"
#include "common/base/memory.h"
#include "worker/connection_private.h"

#define UNSENT_MAX 131072	/* mail data that waits for the connection */
#define UNSENT_DOT_MAX 16384	/* mail data that goes out with its dot */

/* ---- the final dot */

void connection_take_question_back(struct connection *connection)
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
	connection_step(connection);
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

static struct relay_result result_of(const struct connection *connection, const struct reply *reply)
{
	return (struct relay_result){ .reply = reply, .host = connection->host, .tls = connection_tls(connection),
		.dsn_passed_on = reply_is_success(reply) && smtp_client_passes_dsn(connection->client) };
}

static void on_settled(void *arg, size_t recipient, const struct reply *reply)
{
	struct connection *connection = arg;
	struct relay_result result = result_of(connection, reply);

	outgoing_settle(connection->outgoing, recipient, &result);
}

static void on_finished(void *arg, enum transaction_end end, const struct reply *why)
{
	struct connection *connection = arg;

	connection->finished = true;
	connection->end = end;
	if (why)
		reply_copy(&connection->why, why);
}

static void give_back(struct connection *connection, const struct reply *why)
{
	struct outgoing *outgoing = connection->outgoing;

	connection->outgoing = NULL;
	mail_source_rewind(outgoing->source);	/* no read under way calls back here */
	connection->owner->returned(connection->arg, connection, outgoing, why);
}

void connection_end_transaction(struct connection *connection)
{
	struct outgoing *outgoing = connection->outgoing;
	struct relay_result result;
	struct reply why = { 0 };

	if (!outgoing)
		BUG("a transaction ended without a message");
	reply_move(&why, &connection->why);
	connection_take_question_back(connection);
	connection->finished = false;
	if (connection->end == TRANSACTION_REST && outgoing->count) {
		outgoing->again = false;	/* it got on */
		connection->rest = true;
	} else if (connection->end == TRANSACTION_LOST && outgoing->count) {
		give_back(connection, &why);
	} else {
		connection->outgoing = NULL;
		if (connection->end == TRANSACTION_IN_DOUBT)
			outgoing_log_in_doubt(outgoing, connection->settings->relay, connection->host, why.text);
		if (connection->end == TRANSACTION_BROKEN_OFF)
			reply_release(&why);
		result = result_of(connection, &why);
		outgoing_finish(outgoing, &result);
	}
	reply_release(&why);
}

/* ---- its data */

/* The dot is not to wait here behind data that the peer does not take: what the peer says before is no reply to it,
 * and without it nothing is in doubt. */
static bool is_about_sent(const struct stream *stream)
{
	return !stream->blocked && stream->out.size <= UNSENT_DOT_MAX;
}

void connection_feed(struct connection *connection)
{
	enum mail_source_result result = MAIL_SOURCE_DATA;
	struct reply why = { 0 };
	const char *data;
	size_t size;

	while (connection->stream.out.size < UNSENT_MAX && result == MAIL_SOURCE_DATA &&
			smtp_client_state(connection->client) == SMTP_CLIENT_SENDING) {
		result = mail_source_next(connection->outgoing->source, &data, &size);
		if (result == MAIL_SOURCE_DATA)
			smtp_client_data(connection->client, data, size);
	}
	if (result == MAIL_SOURCE_END) {
		if (is_about_sent(&connection->stream) && smtp_client_may_end_data(connection->client))
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

/* ---- its beginning */

static void on_arrived(void *arg)
{
	connection_step(arg);
}

/* Sends what is open of the message; where that cannot go this way, it is off our hands. */
static void begin(struct connection *connection)
{
	struct outgoing *outgoing = connection->outgoing;
	struct smtp_transaction transaction = { .envelope = outgoing->envelope, .count = outgoing->count,
		.size = outgoing->size, .eight_bit = outgoing->eight_bit, .utf8_header = outgoing->utf8_header,
		.settled = on_settled, .finished = on_finished, .arg = connection };
	struct relay_result result;
	struct reply why = { 0 };
	bool another_may = false;

	connection->deliveries++;
	free(connection->recipients);
	connection->recipients = xcalloc(outgoing->count, sizeof(*connection->recipients));
	memcpy(connection->recipients, outgoing->open, outgoing->count * sizeof(*outgoing->open));
	transaction.recipients = connection->recipients;
	mail_source_rewind(outgoing->source);
	mail_source_notify(outgoing->source, on_arrived, connection);
	if (smtp_client_begin(connection->client, &transaction, &why, &another_may) < 0) {
		connection->outgoing = NULL;
		mail_source_rewind(outgoing->source);
		result = result_of(connection, &why);
		if (another_may)
			outgoing_refuse(outgoing, &result);
		else
			outgoing_finish(outgoing, &result);
		reply_release(&why);
		return;
	}
	connection_arm(connection);
	stream_touch(&connection->stream);
}

void connection_send(struct connection *connection, struct outgoing *outgoing)
{
	connection->outgoing = outgoing;
	begin(connection);
}

void connection_take_up_rest(struct connection *connection)
{
	enum smtp_client_state state = smtp_client_state(connection->client);

	if (!connection->rest || (state != SMTP_CLIENT_READY && state != SMTP_CLIENT_ENDED))
		return;
	connection->rest = false;
	if (state == SMTP_CLIENT_READY)
		begin(connection);
	else
		give_back(connection, smtp_client_why(connection->client));
}
