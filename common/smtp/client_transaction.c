/* client_transaction.c - the client's side of SMTP: MAIL, RCPT, and what becomes of each recipient
 * SPDX-License-Identifier: MIT */
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "common/base/memory.h"
#include "common/smtp/client_parameters.h"
#include "common/smtp/client_private.h"

/* ---- results */

void client_settle(struct smtp_client *client, size_t at, const struct reply *reply)
{
	struct smtp_transaction *transaction = &client->transaction;

	if (client->fates[at] == FATE_SETTLED)
		return;
	client->fates[at] = FATE_SETTLED;
	client->open--;
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

void client_forget_recipients(struct smtp_client *client)
{
	free(client->fates);
	client->fates = NULL;
	free(client->domains);
	client->domains = NULL;
	client->domain_count = 0;
}

/* Some were not sent, or refused for their number alone. */
static const struct reply *rest_of(struct smtp_client *client)
{
	if (reply_is_none(&client->rest))
		reply_set(&client->rest, 452, "4.5.3", "The next hop takes fewer recipients at once");
	return &client->rest;
}

void client_settle_rest(struct smtp_client *client)
{
	for (size_t i = 0; i < client->transaction.count; i++)
		if (client->fates[i] != FATE_ACCEPTED)
			client_settle(client, i, rest_of(client));
}

void client_finish(struct smtp_client *client, enum transaction_end end, const struct reply *why)
{
	struct smtp_transaction transaction = client->transaction;

	if (end == TRANSACTION_DONE && client->open) {
		end = TRANSACTION_REST;
		why = rest_of(client);
	}
	client->in_transaction = false;
	client->in_data = client->in_chunks = client->dot_sent = false;
	buffer_release(&client->chunk);
	reply_release(&client->mail_refused);
	client_forget_recipients(client);
	transaction.finished(transaction.arg, end, why);
}

void client_complete(struct smtp_client *client)
{
	bool last = client->offer.limits.mails && client->mails >= client->offer.limits.mails;

	if (client->needs_reset && !last)
		client_send(client, VERB_RSET, "RSET");
	else
		client->state = SMTP_CLIENT_READY;
	client_finish(client, TRANSACTION_DONE, NULL);
	if (last)
		smtp_client_quit(client);
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

static const struct recipient *recipient_at(const struct smtp_client *client, size_t at)
{
	return &client->transaction.envelope->recipients[client->transaction.recipients[at]];
}

static const char *domain_at(const struct smtp_client *client, size_t at)
{
	const char *sign = strrchr(recipient_at(client, at)->address, '@');

	return sign ? sign + 1 : "";
}

/* RCPTDOMAINMAX: one of a domain too many goes in another transaction. */
static bool takes_domain(struct smtp_client *client, size_t at)
{
	const char *domain = domain_at(client, at);

	if (!client->offer.limits.domains)
		return true;
	for (size_t i = 0; i < client->domain_count; i++)
		if (strcasecmp(domain_at(client, client->domains[i]), domain) == 0)
			return true;
	if (client->domain_count >= client->offer.limits.domains)
		return false;
	client->domains = xgrow(client->domains, client->domain_count, sizeof(*client->domains));
	client->domains[client->domain_count++] = at;
	return true;
}

static void send_recipient(struct smtp_client *client)
{
	uint64_t most = client->offer.limits.recipients;
	size_t at = client->next++;

	if (client->fates[at] != FATE_OPEN || client->full || (most && client->named >= most) || !takes_domain(client, at))
		return;
	client->named++;
	client_append_recipient(&client->offer, recipient_at(client, at), client->utf8, client->out);
	buffer_append_str(client->out, "\r\n");
	client_await(client, (struct awaited){ VERB_RCPT, at });
}

/* Sends what may be sent now: all of it if the server takes commands in advance, else one. */
static void go_on(struct smtp_client *client)
{
	unsigned window = client->offer.extensions & OFFER_PIPELINING ? CLIENT_WINDOW : 1;

	while (client->waiting < window && !client->data_asked && reply_is_none(&client->mail_refused)) {
		if (client->next < client->transaction.count) {
			send_recipient(client);
		} else if (client->offer.extensions & OFFER_CHUNKING) {
			if (!client->waiting && client->accepted)
				client_begin_chunks(client);
			break;
		} else if (client->waiting || client->accepted) {
			client->data_asked = true;
			client_send(client, VERB_DATA, "DATA");
		} else {
			break;
		}
	}
	if (client->waiting || client->in_data)
		return;
	/* Nobody was accepted, or not even the sender. */
	client->needs_reset = reply_is_none(&client->mail_refused);
	if (!client->needs_reset)
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

/* RFC 5321 4.5.3.1.10; older servers have 552 for it, others no enhanced status. */
static bool is_too_many(const struct reply *reply)
{
	bool says_so = reply->subject == 5 && reply->detail == 3;

	return reply->code == 452 ? says_so || (!reply->subject && !reply->detail) : reply->code == 552 && says_so;
}

/* It goes at once where others were accepted, so that each transaction brings us on; else later. */
static void on_too_many(struct smtp_client *client, size_t at, const struct reply *reply)
{
	reply_set(&client->rest, 452, "4.5.3", "%s", reply->text);
	if (client->accepted)
		client->full = true;
	else
		client_settle(client, at, &client->rest);
}

void client_on_rcpt(struct smtp_client *client, const struct awaited *awaited, const struct reply *reply)
{
	if (reply_is_none(&client->mail_refused) && reply_is_success(reply)) {
		client->fates[awaited->recipient] = FATE_ACCEPTED;
		client->accepted++;
	} else if (reply_is_none(&client->mail_refused) && is_too_many(reply)) {
		on_too_many(client, awaited->recipient, reply);
	} else if (reply_is_none(&client->mail_refused)) {
		client_settle(client, awaited->recipient, reply);
	}
	go_on(client);
}

/* ---- beginning and breaking off */

/* Settles those whose address cannot be sent; how many are left for this transaction. `why`: of those that another
 * server may take, while this one does not. */
static size_t check_recipients(struct smtp_client *client, struct reply *why)
{
	size_t left = client->transaction.count;

	for (size_t i = 0; i < client->transaction.count; i++) {
		struct reply here = { 0 };
		bool another_may;

		if (client_offer_check_recipient(&client->offer, recipient_at(client, i)->address, &here, &another_may) == 0)
			continue;
		if (another_may) {
			client->fates[i] = FATE_ELSEWHERE;
			reply_copy(why, &here);
		} else {
			client_settle(client, i, &here);
		}
		reply_release(&here);
		left--;
	}
	return left;
}

static void open_transaction(struct smtp_client *client, const struct smtp_transaction *transaction)
{
	client->transaction = *transaction;
	client->fates = xcalloc(transaction->count + 1, 1);
	client->open = transaction->count;
	client->next = client->named = client->accepted = client->answered = 0;
	client->data_asked = client->needs_reset = client->full = false;
	client->utf8 = client_needs_utf8(&client->offer, transaction);
	reply_release(&client->rest);
}

int smtp_client_begin(struct smtp_client *client, const struct smtp_transaction *transaction, struct reply *why,
	bool *another_may)
{
	*another_may = false;
	if (client->state != SMTP_CLIENT_READY)
		BUG("a transaction begins in state %d", client->state);
	if (client_offer_check(&client->offer, transaction, why, another_may) < 0)
		return -1;
	open_transaction(client, transaction);
	if (!check_recipients(client, why)) {
		*another_may = client->open;
		client_forget_recipients(client);
		return -1;
	}
	reply_release(why);
	client->in_transaction = true;
	client->mails++;
	client_append_mail(&client->offer, transaction, client->utf8, client->out);
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
