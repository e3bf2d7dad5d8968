/* client_hello.c - the client's side of SMTP, from the greeting until the connection takes messages
 * SPDX-License-Identifier: MIT */
#include "common/base/memory.h"
#include "common/smtp/client_private.h"

/* A mistake in what was configured here, or there, is no reason to return mail: it waits. */
void client_give_up(struct smtp_client *client, unsigned code, const char *status, const char *what,
	const struct reply *said)
{
	struct buffer text = { 0 };

	buffer_append_str(&text, what);
	if (said) {
		buffer_append_str(&text, ": ");
		reply_append(said, &text);
	}
	buffer_append_str(client->out, "QUIT\r\n");
	client_end_with(client, TRANSACTION_LOST, code, status, "%s", buffer_str(&text));
	buffer_release(&text);
}

void client_be_ready(struct smtp_client *client)
{
	client->state = SMTP_CLIENT_READY;
	client->was_ready = true;
}

static void say_hello(struct smtp_client *client)
{
	buffer_appendf(client->out, "%s %s\r\n", client->settings->lmtp ? "LHLO" : "EHLO", client->settings->ehlo_as);
	client_await(client, (struct awaited){ VERB_EHLO });
}

void client_on_greeting(struct smtp_client *client, const struct awaited *awaited, const struct reply *reply)
{
	(void)awaited;
	if (reply_is_success(reply))
		say_hello(client);
	else
		client_end(client, TRANSACTION_LOST, reply);
}

/* ---- TLS */

/* `refused`: the reply to STARTTLS, NULL: it is not offered, or it is TLS already. */
static void go_on(struct smtp_client *client, const struct reply *refused)
{
	if (client->tls == SMTP_TLS_REQUIRED)
		client_give_up(client, 451, "4.7.5", refused ? "TLS is required, but STARTTLS was refused"
						      : "TLS is required, but the next hop does not offer it", refused);
	else if (client->settings->credentials)
		client_authenticate(client);
	else
		client_be_ready(client);
}

static void on_greeted(struct smtp_client *client)
{
	bool wanted = client->tls == SMTP_TLS_OFFERED || client->tls == SMTP_TLS_REQUIRED;

	if (wanted && client->offer.extensions & OFFER_STARTTLS)
		client_send(client, VERB_STARTTLS, "STARTTLS");
	else
		go_on(client, NULL);
}

/* RFC 3207 4. After another reply that is no refusal nobody knows what the server waits for. */
void client_on_starttls(struct smtp_client *client, const struct awaited *awaited, const struct reply *reply)
{
	if (reply->code == 220)
		client->state = SMTP_CLIENT_WANTS_TLS;
	else if (reply_is_success(reply))
		client_broken(client, awaited->verb);
	else
		go_on(client, reply);
}

void smtp_client_tls_started(struct smtp_client *client)
{
	if (client->state != SMTP_CLIENT_WANTS_TLS)
		BUG("TLS began in state %d", client->state);
	client->tls = SMTP_TLS_STARTED;
	client_offer_release(&client->offer);
	say_hello(client);
}

/* ---- EHLO, LHLO, HELO */

/* 500 to 504: it does not know the verb, or its use here. What speaks no LMTP is not what was configured. */
static void on_refused(struct smtp_client *client, const struct reply *reply)
{
	if (!client->settings->lmtp) {
		buffer_appendf(client->out, "HELO %s\r\n", client->settings->ehlo_as);
		client_await(client, (struct awaited){ VERB_HELO });
	} else if (reply->code <= 504) {
		client_give_up(client, 451, "4.5.0", "The next hop does not take LHLO", reply);
	} else {
		client_end(client, TRANSACTION_LOST, reply);
	}
}

void client_on_ehlo(struct smtp_client *client, const struct awaited *awaited, const struct reply *reply)
{
	(void)awaited;
	if (reply_is_success(reply)) {
		client->offer.tls = client->tls == SMTP_TLS_STARTED;
		client->offer.lmtp = client->settings->lmtp;
		client_offer_read(&client->offer, buffer_str(&client->reader.text));
		on_greeted(client);
	} else if (reply_is_permanent(reply)) {
		on_refused(client, reply);
	} else {
		client_end(client, TRANSACTION_LOST, reply);
	}
}

void client_on_helo(struct smtp_client *client, const struct awaited *awaited, const struct reply *reply)
{
	(void)awaited;
	if (reply_is_success(reply))
		on_greeted(client);
	else
		client_end(client, TRANSACTION_LOST, reply);
}
