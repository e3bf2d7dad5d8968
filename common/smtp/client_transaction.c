/* client_transaction.c - the client's side of SMTP: MAIL, RCPT, and what becomes of each recipient
 * SPDX-License-Identifier: MIT */
#include <stdlib.h>

#include "common/base/memory.h"
#include "common/smtp/client_private.h"

/* ---- results */

void client_settle(struct smtp_client *client, size_t at, const struct reply *reply)
{
	struct smtp_transaction *transaction = &client->transaction;

	if (client->fates[at] == FATE_SETTLED)
		return;
	client->fates[at] = FATE_SETTLED;
	transaction->settled(transaction->arg, transaction->recipients[at], reply);
}

void client_settle_all(struct smtp_client *client, const struct reply *reply)
{
	for (size_t i = 0; i < client->transaction.count; i++)
		client_settle(client, i, reply);
}

void client_settle_accepted(struct smtp_client *client, const struct reply *reply)
{
	for (size_t i = 0; i < client->transaction.count; i++)
		if (client->fates[i] == FATE_ACCEPTED)
			client_settle(client, i, reply);
}

void client_finish(struct smtp_client *client, enum transaction_end end, const struct reply *why)
{
	struct smtp_transaction transaction = client->transaction;

	client->in_transaction = false;
	client->in_data = client->dot_sent = false;
	reply_release(&client->mail_refused);
	free(client->fates);
	client->fates = NULL;
	transaction.finished(transaction.arg, end, why);
}

void client_complete(struct smtp_client *client)
{
	if (client->needs_reset)
		client_send(client, VERB_RSET, "RSET");
	else
		client->state = SMTP_CLIENT_READY;
	client_finish(client, TRANSACTION_DONE, NULL);
}

void client_on_rset(struct smtp_client *client, const struct awaited *awaited, const struct reply *reply)
{
	(void)awaited;
	if (reply_is_success(reply))
		client->state = SMTP_CLIENT_READY;
	else
		client_end(client, TRANSACTION_LOST, reply);
}

/* ---- commands */

static void send_recipient(struct smtp_client *client)
{
	const struct smtp_transaction *transaction = &client->transaction;
	size_t at = client->next++;

	if (client->fates[at] == FATE_SETTLED)
		return;
	buffer_appendf(client->out, "RCPT TO:<%s>\r\n",
		transaction->envelope->recipients[transaction->recipients[at]].address);
	client_await(client, (struct awaited){ VERB_RCPT, at });
}

/* Sends what may be sent now: all of it if the server takes commands in advance, else one. */
static void go_on(struct smtp_client *client)
{
	unsigned window = client->offer.extensions & OFFER_PIPELINING ? CLIENT_WINDOW : 1;

	while (client->waiting < window && !client->data_asked && reply_is_none(&client->mail_refused)) {
		if (client->next < client->transaction.count) {
			send_recipient(client);
		} else if (client->waiting || client->accepted) {
			client->data_asked = true;
			client_send(client, VERB_DATA, "DATA");
		} else {
			break;
		}
	}
	if (client->waiting)
		return;
	/* Nobody was accepted, or not even the sender. */
	client->needs_reset = reply_is_none(&client->mail_refused);
	client_settle_all(client, &client->mail_refused);
	client_complete(client);
}

void client_on_mail(struct smtp_client *client, const struct awaited *awaited, const struct reply *reply)
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
	client_settle(client, at, &later);
	reply_release(&later);
}

void client_on_rcpt(struct smtp_client *client, const struct awaited *awaited, const struct reply *reply)
{
	if (reply_is_none(&client->mail_refused) && reply_is_success(reply)) {
		client->fates[awaited->recipient] = FATE_ACCEPTED;
		client->accepted++;
	} else if (reply_is_none(&client->mail_refused) && reply->code == 552 && reply->subject == 5 && reply->detail == 3) {
		settle_too_many(client, awaited->recipient, reply);
	} else if (reply_is_none(&client->mail_refused)) {
		client_settle(client, awaited->recipient, reply);
	}
	go_on(client);
}

/* ---- beginning and breaking off */

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
		client_settle(client, i, &why);
		reply_release(&why);
		left--;
	}
	return left;
}

int smtp_client_begin(struct smtp_client *client, const struct smtp_transaction *transaction, struct reply *why,
	bool *another_may)
{
	*another_may = false;
	if (client->state != SMTP_CLIENT_READY)
		BUG("a transaction begins in state %d", client->state);
	if (client_offer_check(&client->offer, transaction, why, another_may) < 0)
		return -1;
	client->transaction = *transaction;
	client->fates = xcalloc(transaction->count + 1, 1);
	client->next = client->accepted = client->answered = 0;
	client->data_asked = client->needs_reset = false;
	if (!check_recipients(client)) {
		free(client->fates);
		client->fates = NULL;
		return -1;
	}
	client->in_transaction = true;
	client_offer_append_mail(&client->offer, transaction, client->out);
	client_send(client, VERB_MAIL, "");
	if (client->offer.extensions & OFFER_PIPELINING)
		go_on(client);
	return 0;
}

void smtp_client_break_off(struct smtp_client *client, const struct reply *why)
{
	if (!client->in_transaction || client->dot_sent)
		return;
	/* Behind DATA a command could be taken for mail data. */
	if (!client->data_asked)
		buffer_append_str(client->out, "RSET\r\nQUIT\r\n");
	client_end(client, why ? TRANSACTION_BROKEN : TRANSACTION_BROKEN_OFF, why);
}
