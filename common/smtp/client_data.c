/* client_data.c - the client's side of SMTP: the mail data, and the replies to it
 * SPDX-License-Identifier: MIT */
#include "common/base/memory.h"
#include "common/smtp/client_private.h"

#define CHUNK_MIN 32768		/* octets of all chunks but the last */

/* ---- DATA */

/* It asked for a message that nobody is there for. In LMTP (RFC 2033 4.2) no reply would come. */
static void send_nothing(struct smtp_client *client)
{
	if (!reply_is_none(&client->mail_refused))
		client_settle_all(client, &client->mail_refused);
	if (client->settings->lmtp) {
		client_end_with(client, TRANSACTION_DONE, 451, "4.5.0", "354 without a recipient");
		return;
	}
	client->needs_reset = true;
	client_send(client, VERB_EMPTY_MESSAGE, ".");
}

void client_on_data(struct smtp_client *client, const struct awaited *awaited, const struct reply *reply)
{
	bool wanted = client->accepted && reply_is_none(&client->mail_refused);

	if (reply_is_success(reply)) {
		client_broken(client, awaited->verb);
		return;
	}
	if (reply->code < 400 && wanted) {
		dots_init(&client->dots, client->out);
		client->in_data = true;
		client->state = SMTP_CLIENT_SENDING;
		return;
	}
	if (reply->code < 400) {
		send_nothing(client);
		return;
	}
	client->needs_reset = reply_is_none(&client->mail_refused);
	if (client->needs_reset)
		client_settle_accepted(client, reply);
	else
		client_settle_all(client, &client->mail_refused);
	client_complete(client);
}

/* ---- BDAT (RFC 3030): the same octets, but for the dots */

/* Without PIPELINING a chunk waits for the reply to the one before it. */
static bool takes_chunk(const struct smtp_client *client)
{
	return client->waiting < (client->offer.extensions & OFFER_PIPELINING ? CLIENT_WINDOW : 1);
}

static void set_state_in_chunks(struct smtp_client *client)
{
	client->state = takes_chunk(client) ? SMTP_CLIENT_SENDING : SMTP_CLIENT_WAITING;
}

void client_begin_chunks(struct smtp_client *client)
{
	newline_init(&client->newline, false, true);
	buffer_reset(&client->chunk);
	client->data_asked = client->in_data = client->in_chunks = true;
	set_state_in_chunks(client);
}

static void append_to_chunk(void *arg, const char *data, size_t size)
{
	buffer_append(arg, data, size);
}

static void put_chunk(struct smtp_client *client, const char *last)
{
	buffer_appendf(client->out, "BDAT %zu%s\r\n", client->chunk.size, last);
	buffer_append(client->out, client->chunk.data, client->chunk.size);
	buffer_reset(&client->chunk);
}

/* Something always stays for the last chunk: it goes out in smtp_client_data_end() alone. */
static void add_to_chunk(struct smtp_client *client, const char *data, size_t size)
{
	if (client->chunk.size >= CHUNK_MIN && takes_chunk(client)) {
		put_chunk(client, "");
		client_await(client, (struct awaited){ VERB_CHUNK });
	}
	newline_feed(&client->newline, data, size, append_to_chunk, &client->chunk);
	set_state_in_chunks(client);
}

static void put_last_chunk(struct smtp_client *client)
{
	struct buffer *chunk = &client->chunk;

	newline_finish(&client->newline, append_to_chunk, chunk);
	if (chunk->size && chunk->data[chunk->size - 1] != '\n')
		buffer_append_str(chunk, "\r\n");
	put_chunk(client, " LAST");
}

void client_on_chunk(struct smtp_client *client, const struct awaited *awaited, const struct reply *reply)
{
	(void)awaited;
	/* One was refused before: what is behind it is read only to be thrown away. */
	if (!client->in_transaction)
		return;
	if (reply_is_success(reply)) {
		if (!client->dot_sent)
			set_state_in_chunks(client);
		return;
	}
	client_settle_accepted(client, reply);
	/* How many replies LMTP has now for the last chunk is told nowhere. */
	if (client->dot_sent && client->settings->lmtp) {
		client_end(client, TRANSACTION_DONE, reply);
		return;
	}
	client->needs_reset = true;
	client_complete(client);
}

/* ---- both */

void smtp_client_data(struct smtp_client *client, const char *data, size_t size)
{
	if (!client->in_data || client->dot_sent)
		return;
	if (client->in_chunks)
		add_to_chunk(client, data, size);
	else
		dots_write(&client->dots, data, size);
}

bool smtp_client_may_end_data(const struct smtp_client *client)
{
	return !client->in_chunks || !client->waiting;
}

void smtp_client_data_end(struct smtp_client *client)
{
	if (!client->in_data || client->dot_sent)
		return;
	if (client->in_chunks)
		put_last_chunk(client);
	else
		dots_end(&client->dots);
	client->dot_sent = true;
	client_await(client, (struct awaited){ VERB_MESSAGE, .more = client->settings->lmtp ? client->accepted - 1 : 0 });
}

/* ---- the outcome */

/* LMTP: those that were accepted have their replies in the order of their RCPT (RFC 2033 4.2). */
void client_settle_next(struct smtp_client *client, const struct reply *reply)
{
	while (client->fates[client->answered] != FATE_ACCEPTED)
		client->answered++;
	client_settle(client, client->answered++, reply);
}

void client_on_message(struct smtp_client *client, const struct awaited *awaited, const struct reply *reply)
{
	if (!client->in_transaction)
		return;		/* a chunk was refused */
	if (client->settings->lmtp)
		client_settle_next(client, reply);
	else
		client_settle_accepted(client, reply);
	if (awaited->more)
		return;
	client->dot_sent = false;
	client_complete(client);
}

void client_on_empty_message(struct smtp_client *client, const struct awaited *awaited, const struct reply *reply)
{
	(void)awaited;
	(void)reply;
	client_complete(client);
}
