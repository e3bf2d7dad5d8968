/* client.c - the client's side of an SMTP connection
 * SPDX-License-Identifier: MIT
 * Commands that await a reply stand in a line; the row of a reply's command says what it means. */
#include "common/smtp/client.h"

#include <stdlib.h>

#include "common/base/memory.h"
#include "common/smtp/client_offer.h"
#include "common/smtp/client_reply.h"
#include "common/smtp/dots.h"
#include "common/smtp/session.h"

#define WINDOW 64		/* replies awaited at once: both sides' send buffers have to hold what waits */

enum verb { GREETING, EHLO, HELO, MAIL, RCPT, DATA, MESSAGE, EMPTY_MESSAGE, RSET, VERBS };

struct awaited {
	enum verb verb;
	size_t recipient;		/* of RCPT: which of the transaction's */
};

enum fate { OPEN, ACCEPTED, SETTLED };

struct smtp_client {
	const struct smtp_client_settings *settings;
	struct buffer *out;
	enum smtp_client_state state;
	struct client_reply reader;
	struct awaited awaited[WINDOW + 2];
	unsigned first, waiting;	/* of `awaited`, as a ring */
	struct client_offer offer;
	struct reply why;

	struct smtp_transaction transaction;
	bool in_transaction, data_asked, dot_sent, needs_reset;
	unsigned char *fates;		/* one a recipient of the transaction */
	size_t next, accepted;
	struct reply mail_refused;
	struct dots dots;
};

/* ---- small parts */

static void await(struct smtp_client *client, enum verb verb, size_t recipient)
{
	if (client->waiting == ARRAY_SIZE(client->awaited))
		BUG("too many replies are awaited");
	client->awaited[(client->first + client->waiting++) % ARRAY_SIZE(client->awaited)] =
		(struct awaited){ verb, recipient };
	client->state = SMTP_CLIENT_WAITING;
}

static void send_line(struct smtp_client *client, enum verb verb, const char *line)
{
	buffer_append_str(client->out, line);
	buffer_append_str(client->out, "\r\n");
	await(client, verb, 0);
}

static void settle(struct smtp_client *client, size_t at, const struct reply *reply)
{
	struct smtp_transaction *transaction = &client->transaction;

	if (client->fates[at] == SETTLED)
		return;
	client->fates[at] = SETTLED;
	transaction->settled(transaction->arg, transaction->recipients[at], reply);
}

static void settle_all(struct smtp_client *client, const struct reply *reply)
{
	for (size_t i = 0; i < client->transaction.count; i++)
		settle(client, i, reply);
}

/* What follows may not look at the transaction any more. */
static void finish(struct smtp_client *client, enum transaction_end end, const struct reply *why)
{
	struct smtp_transaction transaction = client->transaction;

	client->in_transaction = false;
	client->dot_sent = false;
	reply_release(&client->mail_refused);
	free(client->fates);
	client->fates = NULL;
	transaction.finished(transaction.arg, end, why);
}

/* The connection is of no more use. */
static void end(struct smtp_client *client, enum transaction_end end, const struct reply *why)
{
	if (client->state == SMTP_CLIENT_ENDED)
		return;
	if (client->state == SMTP_CLIENT_SENDING)
		buffer_reset(client->out);	/* nobody needs the rest of the data */
	client->state = SMTP_CLIENT_ENDED;
	if (why)
		reply_copy(&client->why, why);
	if (client->in_transaction && !reply_is_none(&client->mail_refused) && end != TRANSACTION_BROKEN_OFF)
		settle_all(client, &client->mail_refused);	/* its reply came, whatever did not */
	if (client->in_transaction)
		finish(client, client->dot_sent && end != TRANSACTION_DONE ? TRANSACTION_IN_DOUBT : end, &client->why);
}

static void be_ready(struct smtp_client *client)
{
	client->state = SMTP_CLIENT_READY;
}

/* ---- a transaction, command by command */

static void complete(struct smtp_client *client)
{
	if (client->needs_reset)
		send_line(client, RSET, "RSET");
	else
		be_ready(client);
	finish(client, TRANSACTION_DONE, NULL);
}

static void send_recipient(struct smtp_client *client)
{
	const struct smtp_transaction *transaction = &client->transaction;
	size_t at = client->next++;

	if (client->fates[at] == SETTLED)
		return;
	buffer_appendf(client->out, "RCPT TO:<%s>\r\n",
		transaction->envelope->recipients[transaction->recipients[at]].address);
	await(client, RCPT, at);
}

/* Sends what may be sent now: all of it if the server takes commands in advance, else one. */
static void go_on(struct smtp_client *client)
{
	unsigned window = client->offer.extensions & EXTENSION_PIPELINING ? WINDOW : 1;

	while (client->waiting < window && !client->data_asked && reply_is_none(&client->mail_refused)) {
		if (client->next < client->transaction.count) {
			send_recipient(client);
		} else if (client->waiting || client->accepted) {
			client->data_asked = true;
			send_line(client, DATA, "DATA");
		} else {
			break;
		}
	}
	if (client->waiting)
		return;
	/* Nobody was accepted, or not even the sender. */
	client->needs_reset = reply_is_none(&client->mail_refused);
	settle_all(client, &client->mail_refused);
	complete(client);
}

static void broken(struct smtp_client *client, enum verb verb);

static void on_greeting(struct smtp_client *client, const struct awaited *awaited, const struct reply *reply)
{
	(void)awaited;
	if (!reply_is_success(reply)) {
		end(client, TRANSACTION_LOST, reply);
		return;
	}
	buffer_appendf(client->out, "EHLO %s\r\n", client->settings->ehlo_as);
	await(client, EHLO, 0);
}

static void on_ehlo(struct smtp_client *client, const struct awaited *awaited, const struct reply *reply)
{
	(void)awaited;
	if (reply_is_success(reply)) {
		client_offer_read(&client->offer, buffer_str(&client->reader.text));
		be_ready(client);
	} else if (reply_is_permanent(reply)) {
		buffer_appendf(client->out, "HELO %s\r\n", client->settings->ehlo_as);
		await(client, HELO, 0);
	} else {
		end(client, TRANSACTION_LOST, reply);
	}
}

static void on_helo(struct smtp_client *client, const struct awaited *awaited, const struct reply *reply)
{
	(void)awaited;
	if (reply_is_success(reply))
		be_ready(client);
	else
		end(client, TRANSACTION_LOST, reply);
}

static void on_mail(struct smtp_client *client, const struct awaited *awaited, const struct reply *reply)
{
	(void)awaited;
	if (!reply_is_success(reply))
		reply_copy(&client->mail_refused, reply);
	go_on(client);
}

/* "Too many recipients" of servers older than RFC 5321, by whose 4.5.3.1.10 these go again. */
static void settle_too_many(struct smtp_client *client, size_t at, const struct reply *reply)
{
	struct reply later = { 0 };

	reply_set(&later, 452, "4.5.3", "%s", reply->text);
	settle(client, at, &later);
	reply_release(&later);
}

static void on_rcpt(struct smtp_client *client, const struct awaited *awaited, const struct reply *reply)
{
	if (reply_is_none(&client->mail_refused) && reply_is_success(reply)) {
		client->fates[awaited->recipient] = ACCEPTED;
		client->accepted++;
	} else if (reply_is_none(&client->mail_refused) && reply->code == 552 && reply->subject == 5 && reply->detail == 3) {
		settle_too_many(client, awaited->recipient, reply);
	} else if (reply_is_none(&client->mail_refused)) {
		settle(client, awaited->recipient, reply);
	}
	go_on(client);
}

static void on_data(struct smtp_client *client, const struct awaited *awaited, const struct reply *reply)
{
	bool wanted = client->accepted && reply_is_none(&client->mail_refused);

	if (reply_is_success(reply)) {
		broken(client, awaited->verb);
		return;
	}
	if (reply->code < 400 && wanted) {
		dots_init(&client->dots, client->out);
		client->state = SMTP_CLIENT_SENDING;
		return;
	}
	client->needs_reset = reply_is_none(&client->mail_refused);
	if (reply->code < 400) {
		/* It asked for a message that nobody is there for. */
		client->needs_reset = true;
		settle_all(client, &client->mail_refused);
		send_line(client, EMPTY_MESSAGE, ".");
		return;
	}
	settle_all(client, reply_is_none(&client->mail_refused) ? reply : &client->mail_refused);
	complete(client);
}

static void on_message(struct smtp_client *client, const struct awaited *awaited, const struct reply *reply)
{
	(void)awaited;
	client->dot_sent = false;
	settle_all(client, reply);
	complete(client);
}

static void on_empty_message(struct smtp_client *client, const struct awaited *awaited, const struct reply *reply)
{
	(void)awaited;
	(void)reply;
	complete(client);
}

static void on_rset(struct smtp_client *client, const struct awaited *awaited, const struct reply *reply)
{
	(void)awaited;
	if (reply_is_success(reply))
		be_ready(client);
	else
		end(client, TRANSACTION_LOST, reply);
}

static const struct {
	const char *name;		/* as we call it in replies of our own */
	bool go_ahead;			/* 3yz is a reply to it */
	void (*run)(struct smtp_client *, const struct awaited *, const struct reply *);
} verbs[VERBS] = {
	[GREETING] = { "the connection", false, on_greeting },
	[EHLO] = { "EHLO", false, on_ehlo },
	[HELO] = { "HELO", false, on_helo },
	[MAIL] = { "MAIL", false, on_mail },
	[RCPT] = { "RCPT", false, on_rcpt },
	[DATA] = { "DATA", true, on_data },
	[MESSAGE] = { "the message", false, on_message },
	[EMPTY_MESSAGE] = { "an empty message", false, on_empty_message },
	[RSET] = { "RSET", false, on_rset },
};

static void broken(struct smtp_client *client, enum verb verb)
{
	struct reply why = { 0 };

	reply_set(&why, 451, "4.5.0", "Invalid reply to %s", verbs[verb].name);
	end(client, TRANSACTION_BROKEN, &why);
	reply_release(&why);
}

/* ---- replies */

/* Between two messages, or before a command was sent: it says nothing about any of them, whatever its code. */
static void run_unexpected(struct smtp_client *client, const struct reply *reply)
{
	struct reply why = { 0 };

	reply_set(&why, 451, "4.5.0", "Unexpected reply: %u %s", reply->code, reply->text);
	end(client, TRANSACTION_BROKEN, &why);
	reply_release(&why);
}

/* A reply that nothing of ours asked for: the server does not wait for the end of the data, or ends the connection. */
static void run_unasked(struct smtp_client *client, const struct reply *reply)
{
	if (reply->code == 421) {
		end(client, TRANSACTION_LOST, reply);
	} else if (client->state != SMTP_CLIENT_SENDING) {
		run_unexpected(client, reply);
	} else if (reply->code < 400) {
		broken(client, MESSAGE);
	} else {
		settle_all(client, reply);
		end(client, TRANSACTION_DONE, reply);
	}
}

/* `early`: it came along with the one before it, so that what it seems to answer cannot have been sent. */
static void run_reply(struct smtp_client *client, const struct reply *reply, bool early)
{
	struct awaited awaited;

	if (!client->waiting) {
		run_unasked(client, reply);
		return;
	}
	if (early && reply->code != 421) {
		run_unexpected(client, reply);
		return;
	}
	awaited = client->awaited[client->first];
	client->first = (client->first + 1) % ARRAY_SIZE(client->awaited);
	client->waiting--;
	if (reply->code == 421) {
		client->dot_sent = false;	/* it was answered */
		end(client, TRANSACTION_LOST, reply);
	} else if (reply->code / 100 == 3 && !verbs[awaited.verb].go_ahead) {
		broken(client, awaited.verb);
	} else {
		verbs[awaited.verb].run(client, &awaited, reply);
	}
}

size_t smtp_client_input(struct smtp_client *client, const char *data, size_t size)
{
	size_t total = 0, taken;
	unsigned sent = client->waiting;
	struct reply reply = { 0 };

	while (client->state != SMTP_CLIENT_ENDED) {
		enum client_reply_result result = client_reply_next(&client->reader, data + total, size - total, &taken);

		total += taken;
		if (result == CLIENT_REPLY_MORE)
			return total;
		if (result == CLIENT_REPLY_BROKEN) {
			broken(client, client->waiting ? client->awaited[client->first].verb : MESSAGE);
			break;
		}
		client_reply_get(&client->reader, &reply);
		run_reply(client, &reply, !sent);
		sent -= sent > 0;
		client_reply_reset(&client->reader);
		reply_release(&reply);
	}
	return size;
}

void smtp_client_lost(struct smtp_client *client, const char *text)
{
	struct reply why = { 0 };

	reply_set(&why, 451, "4.4.2", "Connection lost: %s", text);
	end(client, TRANSACTION_LOST, &why);
	reply_release(&why);
}

void smtp_client_timed_out(struct smtp_client *client)
{
	struct reply why = { 0 };

	reply_set(&why, 421, "4.4.2", "Connection timed out");
	end(client, TRANSACTION_BROKEN, &why);
	reply_release(&why);
}

/* ---- beginning */

/* Settles those whose address cannot be sent; how many are left. */
static size_t check_recipients(struct smtp_client *client)
{
	const struct smtp_transaction *transaction = &client->transaction;
	struct reply why = { 0 };
	size_t left = transaction->count;

	for (size_t i = 0; i < transaction->count; i++) {
		const char *address = transaction->envelope->recipients[transaction->recipients[i]].address;

		if (client_offer_check_recipient(&client->offer, address, &why) == 0)
			continue;
		settle(client, i, &why);
		reply_release(&why);
		left--;
	}
	return left;
}

int smtp_client_begin(struct smtp_client *client, const struct smtp_transaction *transaction, struct reply *why)
{
	if (client->state != SMTP_CLIENT_READY)
		BUG("a transaction begins in state %d", client->state);
	if (client_offer_check(&client->offer, transaction, why) < 0)
		return -1;
	client->transaction = *transaction;
	client->fates = xcalloc(transaction->count + 1, 1);
	client->next = client->accepted = 0;
	client->data_asked = client->needs_reset = false;
	if (!check_recipients(client)) {
		free(client->fates);
		client->fates = NULL;
		return -1;
	}
	client->in_transaction = true;
	client_offer_append_mail(&client->offer, transaction, client->out);
	send_line(client, MAIL, "");
	if (client->offer.extensions & EXTENSION_PIPELINING)
		go_on(client);
	return 0;
}

/* ---- mail data */

void smtp_client_data(struct smtp_client *client, const char *data, size_t size)
{
	if (client->state == SMTP_CLIENT_SENDING)
		dots_write(&client->dots, data, size);
}

void smtp_client_data_end(struct smtp_client *client)
{
	if (client->state != SMTP_CLIENT_SENDING)
		return;
	dots_end(&client->dots);
	client->dot_sent = true;
	await(client, MESSAGE, 0);
}

void smtp_client_break_off(struct smtp_client *client, const struct reply *why)
{
	if (!client->in_transaction || client->dot_sent)
		return;
	/* Behind DATA a command could be taken for mail data. */
	if (!client->data_asked)
		buffer_append_str(client->out, "RSET\r\nQUIT\r\n");
	end(client, why ? TRANSACTION_BROKEN : TRANSACTION_BROKEN_OFF, why);
}

void smtp_client_quit(struct smtp_client *client)
{
	if (client->in_transaction)
		BUG("QUIT within a transaction");
	if (client->state == SMTP_CLIENT_ENDED)
		return;
	if (!client->waiting || client->awaited[client->first].verb == RSET)
		buffer_append_str(client->out, "QUIT\r\n");
	end(client, TRANSACTION_DONE, NULL);
}

/* ---- the rest */

struct smtp_client *smtp_client_new(const struct smtp_client_settings *settings, struct buffer *out)
{
	struct smtp_client *client = xcalloc(1, sizeof(*client));

	client->settings = settings;
	client->out = out;
	await(client, GREETING, 0);
	return client;
}

void smtp_client_free(struct smtp_client *client)
{
	if (!client)
		return;
	client_reply_reset(&client->reader);
	reply_release(&client->why);
	reply_release(&client->mail_refused);
	free(client->fates);
	free(client);
}

enum smtp_client_state smtp_client_state(const struct smtp_client *client)
{
	return client->state;
}

int64_t smtp_client_timeout_ms(const struct smtp_client *client)
{
	return client->state == SMTP_CLIENT_SENDING || client->dot_sent ? client->settings->data_timeout_ms
									 : client->settings->command_timeout_ms;
}

bool smtp_client_dot_sent(const struct smtp_client *client)
{
	return client->dot_sent;
}

const struct reply *smtp_client_why(const struct smtp_client *client)
{
	return &client->why;
}
