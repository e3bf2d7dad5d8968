/* client.c - the client's side of an SMTP connection: the line of commands, and the replies to them
 * SPDX-License-Identifier: MIT */
#include "common/smtp/client.h"

#include <stdlib.h>

#include "common/base/memory.h"
#include "common/smtp/client_private.h"
#include "common/smtp/sasl_client.h"

static const struct {
	const char *name;		/* as we call it in replies of our own */
	bool go_ahead;			/* 3yz is a reply to it */
	client_reply_fn *run;
} verbs[VERBS] = {
	[VERB_GREETING] = { "the connection", false, client_on_greeting },
	[VERB_EHLO] = { "EHLO", false, client_on_ehlo },
	[VERB_HELO] = { "HELO", false, client_on_helo },
	[VERB_STARTTLS] = { "STARTTLS", false, client_on_starttls },
	[VERB_AUTH] = { "AUTH", true, client_on_auth },
	[VERB_MAIL] = { "MAIL", false, client_on_mail },
	[VERB_RCPT] = { "RCPT", false, client_on_rcpt },
	[VERB_DATA] = { "DATA", true, client_on_data },
	[VERB_CHUNK] = { "BDAT", false, client_on_chunk },
	[VERB_MESSAGE] = { "the message", false, client_on_message },
	[VERB_EMPTY_MESSAGE] = { "an empty message", false, client_on_empty_message },
	[VERB_RSET] = { "RSET", false, client_on_rset },
};

/* ---- the line */

void client_await(struct smtp_client *client, struct awaited awaited)
{
	if (client->waiting == ARRAY_SIZE(client->awaited))
		BUG("too many replies are awaited");
	client->awaited[(client->first + client->waiting++) % ARRAY_SIZE(client->awaited)] = awaited;
	client->state = SMTP_CLIENT_WAITING;
}

void client_send(struct smtp_client *client, enum client_verb verb, const char *line)
{
	buffer_append_str(client->out, line);
	buffer_append_str(client->out, "\r\n");
	client_await(client, (struct awaited){ verb });
}

/* The first of the line as it is for this reply; it stays there if more will come. */
static struct awaited take_awaited(struct smtp_client *client)
{
	struct awaited *first = &client->awaited[client->first], awaited = *first;

	if (awaited.more) {
		first->more--;
		return awaited;
	}
	client->first = (client->first + 1) % ARRAY_SIZE(client->awaited);
	client->waiting--;
	client->sent -= client->sent > 0;
	return awaited;
}

/* ---- the end */

void client_end(struct smtp_client *client, enum transaction_end end, const struct reply *why)
{
	if (client->state == SMTP_CLIENT_ENDED)
		return;
	if (client->in_data && !client->dot_sent)
		buffer_reset(client->out);	/* nobody needs the rest of the data */
	client->state = SMTP_CLIENT_ENDED;
	if (why)
		reply_copy(&client->why, why);
	if (client->in_transaction && !reply_is_none(&client->mail_refused) && end != TRANSACTION_BROKEN_OFF)
		client_settle_all(client, &client->mail_refused);	/* its reply came, whatever did not */
	if (client->in_transaction && client->dot_sent && end != TRANSACTION_DONE) {
		client_settle_rest(client);
		end = TRANSACTION_IN_DOUBT;
	}
	if (client->in_transaction)
		client_finish(client, end, &client->why);
}

void client_end_with(struct smtp_client *client, enum transaction_end end, unsigned code, const char *status,
	const char *format, ...)
{
	struct reply why = { 0 };
	va_list args;
	char *text;

	va_start(args, format);
	text = xvasprintf(format, args);
	va_end(args);
	reply_set(&why, code, status, "%s", text);
	free(text);
	client_end(client, end, &why);
	reply_release(&why);
}

void client_broken(struct smtp_client *client, enum client_verb verb)
{
	client_end_with(client, TRANSACTION_BROKEN, 451, "4.5.0", "Invalid reply to %s", verbs[verb].name);
}

void smtp_client_lost(struct smtp_client *client, const char *text)
{
	client_end_with(client, TRANSACTION_LOST, 451, "4.4.2", "Connection lost: %s", text);
}

void smtp_client_timed_out(struct smtp_client *client)
{
	client_end_with(client, TRANSACTION_BROKEN, 421, "4.4.2", "Connection timed out");
}

void smtp_client_quit(struct smtp_client *client)
{
	if (client->in_transaction)
		BUG("QUIT within a transaction");
	if (client->state == SMTP_CLIENT_ENDED)
		return;
	if (client->was_ready)
		buffer_append_str(client->out, "QUIT\r\n");
	client_end(client, TRANSACTION_DONE, NULL);
}

/* ---- replies */

/* Between two messages, or before a command was sent: it says nothing about any of them, whatever its code. */
static void run_unexpected(struct smtp_client *client, const struct reply *reply)
{
	client_end_with(client, TRANSACTION_BROKEN, 451, "4.5.0", "Unexpected reply: %u %s", reply->code, reply->text);
}

/* A reply that nothing of ours asked for: the server does not wait for the end of the data, or ends the connection. */
static void run_unasked(struct smtp_client *client, const struct reply *reply)
{
	if (reply->code == 421) {
		client_end(client, TRANSACTION_LOST, reply);
	} else if (client->state != SMTP_CLIENT_SENDING || client->in_chunks) {
		run_unexpected(client, reply);
	} else if (reply->code < 400) {
		client_broken(client, VERB_MESSAGE);
	} else {
		client_settle_accepted(client, reply);
		client_end(client, TRANSACTION_DONE, reply);
	}
}

static void run_reply(struct smtp_client *client, const struct reply *reply)
{
	struct awaited awaited;

	if (!client->waiting) {
		run_unasked(client, reply);
		return;
	}
	/* It came along with the one before it: what it seems to answer cannot have been sent. */
	if (!client->sent && reply->code != 421) {
		run_unexpected(client, reply);
		return;
	}
	awaited = take_awaited(client);
	if (reply->code == 421) {
		/* It was answered; in LMTP only for one of those whose turn is to come. */
		if (awaited.more)
			client_settle_next(client, reply);
		else
			client->dot_sent = false;
		client_end(client, TRANSACTION_LOST, reply);
	} else if (reply->code / 100 == 3 && !verbs[awaited.verb].go_ahead) {
		client_broken(client, awaited.verb);
	} else {
		verbs[awaited.verb].run(client, &awaited, reply);
	}
}

size_t smtp_client_input(struct smtp_client *client, const char *data, size_t size)
{
	size_t total = 0, taken;
	struct reply reply = { 0 };

	client->sent = client->waiting;
	while (client->state != SMTP_CLIENT_ENDED && client->state != SMTP_CLIENT_WANTS_TLS) {
		enum client_reply_result result = client_reply_next(&client->reader, data + total, size - total, &taken);

		total += taken;
		if (result == CLIENT_REPLY_MORE)
			return total;
		if (result == CLIENT_REPLY_BROKEN) {
			client_broken(client, client->waiting ? client->awaited[client->first].verb : VERB_MESSAGE);
			break;
		}
		client_reply_get(&client->reader, &reply);
		client->replies++;
		run_reply(client, &reply);
		client_reply_reset(&client->reader);
		reply_release(&reply);
	}
	if (client->state == SMTP_CLIENT_WANTS_TLS)
		client->discarded += size - total;
	return size;
}

/* ---- the rest */

struct smtp_client *smtp_client_new(const struct smtp_client_settings *settings, enum smtp_client_tls tls,
	struct buffer *out)
{
	struct smtp_client *client = xcalloc(1, sizeof(*client));

	client->settings = settings;
	client->tls = tls;
	client->out = out;
	client_await(client, (struct awaited){ VERB_GREETING });
	return client;
}

void smtp_client_free(struct smtp_client *client)
{
	if (!client)
		return;
	client_reply_reset(&client->reader);
	reply_release(&client->why);
	reply_release(&client->mail_refused);
	reply_release(&client->rest);
	client_forget_recipients(client);
	client_offer_release(&client->offer);
	buffer_release(&client->chunk);
	sasl_client_free(client->sasl);
	free(client);
}

enum smtp_client_state smtp_client_state(const struct smtp_client *client)
{
	return client->state;
}

int64_t smtp_client_timeout_ms(const struct smtp_client *client)
{
	return client->in_data ? client->settings->data_timeout_ms : client->settings->command_timeout_ms;
}

bool smtp_client_in_data(const struct smtp_client *client)
{
	return client->in_data;
}

bool smtp_client_dot_sent(const struct smtp_client *client)
{
	return client->dot_sent;
}

bool smtp_client_passes_dsn(const struct smtp_client *client)
{
	return client->offer.extensions & OFFER_DSN;
}

unsigned smtp_client_replies(const struct smtp_client *client)
{
	return client->replies;
}

size_t smtp_client_discarded(const struct smtp_client *client)
{
	return client->discarded;
}

const struct reply *smtp_client_why(const struct smtp_client *client)
{
	return &client->why;
}
