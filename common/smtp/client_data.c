/* client_data.c - the client's side of SMTP: the mail data, and the replies to it
 * SPDX-License-Identifier: MIT */
#include "common/base/memory.h"
#include "common/smtp/client_private.h"

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
