/* client_auth.c - the client's side of SMTP: credentials, as the server has them to be given
 * SPDX-License-Identifier: MIT
 * RFC 4954. Nothing here that was calculated from a password gets into a reply or a log. */
#include "common/base/memory.h"
#include "common/smtp/client_private.h"
#include "common/smtp/sasl_client.h"

static void finish(struct smtp_client *client)
{
	sasl_client_free(client->sasl);
	client->sasl = NULL;
}

static void refuse(struct smtp_client *client, const char *what)
{
	client_give_up(client, 454, "4.7.0", what, NULL);
}

void client_authenticate(struct smtp_client *client)
{
	const struct sasl_credentials *credentials = client->settings->credentials;
	const char *mechanism;
	struct buffer line = { 0 };

	if (client->tls != SMTP_TLS_STARTED && !client->settings->auth_without_tls) {
		client_give_up(client, 451, "4.7.11", "Credentials are not sent without TLS", NULL);
		return;
	}
	mechanism = client->offer.auth ? sasl_client_choose(client->offer.auth) : NULL;
	if (!mechanism) {
		refuse(client, client->offer.auth ? "The next hop offers no mechanism of AUTH that is known"
						  : "The next hop does not offer AUTH");
		return;
	}
	client->sasl = sasl_client_new(mechanism, credentials);
	client->cancelled = false;
	buffer_appendf(&line, "AUTH %s ", mechanism);
	if (!sasl_client_first(client->sasl, &line))
		line.data[--line.size] = '\0';
	client_send(client, VERB_AUTH, buffer_str(&line));
	explicit_bzero(line.data, line.size);
	buffer_release(&line);
}

/* As sasl_client_next() has it; no mechanism takes more challenges than it needs. */
static void respond(struct smtp_client *client, int result)
{
	if (result > 0) {
		client->state = SMTP_CLIENT_WORKING;
		return;
	}
	client->cancelled = result < 0;
	client_send(client, VERB_AUTH, client->cancelled ? "*" : "");
}

void smtp_client_work(struct smtp_client *client)
{
	if (client->state == SMTP_CLIENT_WORKING)
		respond(client, sasl_client_work(client->sasl, client->out));
}

/* What was wrong is said of this side, where it was. */
static void on_end(struct smtp_client *client, const struct reply *reply)
{
	struct buffer text = { 0 };

	if (client->cancelled) {
		buffer_appendf(&text, "AUTH was broken off: %s", sasl_client_problem(client->sasl));
		refuse(client, buffer_str(&text));
		buffer_release(&text);
	} else if (!reply_is_success(reply)) {
		client_give_up(client, 454, reply_is_permanent(reply) ? "4.7.8" : "4.7.0", "AUTH was refused", reply);
	} else if (!sasl_client_is_satisfied(client->sasl)) {
		refuse(client, "The next hop ended AUTH without having proved that it knows the password");
	} else {
		client_be_ready(client);
	}
	finish(client);
}

void client_on_auth(struct smtp_client *client, const struct awaited *awaited, const struct reply *reply)
{
	bool is_final = reply->code == 235 || reply->code >= 400;

	if (reply->code == 334 && !client->cancelled)
		respond(client, sasl_client_next(client->sasl, buffer_str(&client->reader.text), client->out));
	else if (is_final)
		on_end(client, reply);
	else
		client_broken(client, awaited->verb);
}
