/* client_parameters.c - MAIL and RCPT with the parameters that a server takes
 * SPDX-License-Identifier: MIT */
#include "common/smtp/client_parameters.h"

#include <stdlib.h>
#include <string.h>

#include "common/base/memory.h"
#include "common/message/address.h"
#include "common/message/xtext.h"

bool client_needs_utf8(const struct client_offer *offer, const struct smtp_transaction *transaction)
{
	const struct envelope *envelope = transaction->envelope;

	if (!(offer->extensions & OFFER_SMTPUTF8))
		return false;
	if (!address_is_ascii(envelope->sender) || (envelope->smtputf8 && transaction->utf8_header))
		return true;
	for (size_t i = 0; i < transaction->count; i++)
		if (!address_is_ascii(envelope->recipients[transaction->recipients[i]].address))
			return true;
	return false;
}

/* What is too long, or stands for what no such parameter has, was not taken by us: it is left out. */
static void append_envid(struct buffer *out, const char *envid)
{
	struct buffer value = { 0 };
	char *decoded;

	xtext_encode(&value, envid, strlen(envid));
	decoded = xtext_decode(buffer_str(&value), value.size);
	if (decoded && value.size && strlen("ENVID=") + value.size <= XTEXT_ENVID_MAX)
		buffer_appendf(out, " ENVID=%s", buffer_str(&value));
	free(decoded);
	buffer_release(&value);
}

static void append_orcpt(struct buffer *out, const char *orcpt, bool utf8)
{
	struct buffer value = { 0 };
	char *decoded;

	orcpt_encode(&value, orcpt, utf8);
	decoded = orcpt_decode(buffer_str(&value), value.size, utf8);
	if (decoded && strlen("ORCPT=") + value.size <= XTEXT_ORCPT_MAX)
		buffer_appendf(out, " ORCPT=%s", buffer_str(&value));
	free(decoded);
	buffer_release(&value);
}

static void append_notify(struct buffer *out, unsigned notify)
{
	static const struct {
		unsigned bit;
		const char *name;
	} rows[] = {
		{ NOTIFY_SUCCESS, "SUCCESS" }, { NOTIFY_FAILURE, "FAILURE" }, { NOTIFY_DELAY, "DELAY" },
	};
	const char *before = " NOTIFY=";

	if (notify & NOTIFY_NEVER) {
		buffer_append_str(out, " NOTIFY=NEVER");
		return;
	}
	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		if (!(notify & rows[i].bit))
			continue;
		buffer_append_str(out, before);
		buffer_append_str(out, rows[i].name);
		before = ",";
	}
}

void client_append_mail(const struct client_offer *offer, const struct smtp_transaction *transaction, bool utf8,
	struct buffer *out)
{
	const struct envelope *envelope = transaction->envelope;

	buffer_appendf(out, "MAIL FROM:<%s>", envelope->sender);
	if (offer->extensions & OFFER_SIZE)
		buffer_appendf(out, " SIZE=%llu", (unsigned long long)transaction->size);
	if (offer->extensions & OFFER_8BITMIME && transaction->eight_bit)
		buffer_append_str(out, " BODY=8BITMIME");
	if (utf8)
		buffer_append_str(out, " SMTPUTF8");
	if (offer->extensions & OFFER_DSN && envelope->ret)
		buffer_append_str(out, envelope->ret == 'F' ? " RET=FULL" : " RET=HDRS");
	if (offer->extensions & OFFER_DSN && envelope->envid)
		append_envid(out, envelope->envid);
	if (envelope->requiretls && client_offer_has_requiretls(offer))
		buffer_append_str(out, " REQUIRETLS");
}

void client_append_recipient(const struct client_offer *offer, const struct recipient *recipient, bool utf8,
	struct buffer *out)
{
	buffer_appendf(out, "RCPT TO:<%s>", recipient->address);
	if (!(offer->extensions & OFFER_DSN))
		return;
	append_notify(out, recipient->notify);
	if (recipient->orcpt)
		append_orcpt(out, recipient->orcpt, utf8);
}
