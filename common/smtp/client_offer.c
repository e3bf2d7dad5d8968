/* client_offer.c - what a server offered, and what it can be given therefore
 * SPDX-License-Identifier: MIT */
#include "common/smtp/client_offer.h"

#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "common/base/memory.h"
#include "common/base/text.h"
#include "common/message/address.h"
#include "common/smtp/client.h"

#define LIMIT_MAX 999999	/* RFC 9422 3.1: six digits */

static const struct {
	const char *keyword;
	enum client_extension extension;
} extensions[] = {
	{ "SIZE", OFFER_SIZE },
	{ "8BITMIME", OFFER_8BITMIME },
	{ "PIPELINING", OFFER_PIPELINING },
	{ "SMTPUTF8", OFFER_SMTPUTF8 },
	{ "STARTTLS", OFFER_STARTTLS },
	{ "DSN", OFFER_DSN },
	{ "LIMITS", OFFER_LIMITS },
	{ "REQUIRETLS", OFFER_REQUIRETLS },
	{ "AUTH", OFFER_AUTH },
	{ "CHUNKING", OFFER_CHUNKING },
};

static unsigned find_extension(const char *keyword, size_t size)
{
	for (size_t i = 0; i < ARRAY_SIZE(extensions); i++)
		if (strncasecmp(extensions[i].keyword, keyword, size) == 0 && !extensions[i].keyword[size])
			return extensions[i].extension;
	return 0;
}

/* "NAME=NUMBER" (RFC 9422 3). What is none, or 0, is no limit. */
static void read_limit(struct client_limits *limits, const char *word, size_t size)
{
	static const struct {
		const char *name;
		size_t offset;
	} rows[] = {
		{ "MAILMAX=", offsetof(struct client_limits, mails) },
		{ "RCPTMAX=", offsetof(struct client_limits, recipients) },
		{ "RCPTDOMAINMAX=", offsetof(struct client_limits, domains) },
	};

	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		size_t name = strlen(rows[i].name);

		if (size > name && strncasecmp(rows[i].name, word, name) == 0)
			parse_u64(word + name, size - name, LIMIT_MAX, (uint64_t *)((char *)limits + rows[i].offset));
	}
}

static void read_limits(struct client_limits *limits, const char *text, size_t size)
{
	for (size_t at = 0, word; at < size; at += word + 1) {
		for (word = 0; at + word < size && text[at + word] != ' ';)
			word++;
		read_limit(limits, text + at, word);
	}
}

/* Older servers have "AUTH=", some both: all mechanisms count. */
static void read_mechanisms(struct client_offer *offer, const char *text, size_t size)
{
	char *before = offer->auth;

	offer->auth = xasprintf("%s%s%.*s", before ? before : "", before ? " " : "", (int)size, text);
	free(before);
}

/* A line of the reply to EHLO behind its first. */
static void read_extension(struct client_offer *offer, const char *line, size_t size)
{
	size_t name = 0;
	unsigned extension;

	while (name < size && line[name] != ' ' && line[name] != '=')
		name++;
	extension = find_extension(line, name);
	offer->extensions |= extension;
	if (extension == OFFER_SIZE && name < size)
		parse_u64(line + name + 1, size - name - 1, UINT64_MAX, &offer->max_size_bytes);
	if (extension == OFFER_AUTH && name < size)
		read_mechanisms(offer, line + name + 1, size - name - 1);
	if (extension == OFFER_LIMITS)
		read_limits(&offer->limits, line + name, size - name);
}

void client_offer_read(struct client_offer *offer, const char *text)
{
	const char *line = strchr(text, '\n');

	while (line) {
		const char *next = strchr(++line, '\n');

		read_extension(offer, line, next ? (size_t)(next - line) : strlen(line));
		line = next;
	}
}

void client_offer_release(struct client_offer *offer)
{
	free(offer->auth);
	*offer = (struct client_offer){ 0 };
}

bool client_offer_has_requiretls(const struct client_offer *offer)
{
	return !offer->lmtp && offer->tls && offer->extensions & OFFER_REQUIRETLS;
}

/* What is missing there may be offered by another server. */
static void check_extensions(const struct client_offer *offer, const struct smtp_transaction *transaction,
	struct reply *why)
{
	const struct envelope *envelope = transaction->envelope;

	if (envelope_needs_requiretls(envelope) && !client_offer_has_requiretls(offer) && !offer->lmtp)
		reply_set(why, 550, "5.7.30", "REQUIRETLS is needed, which the next hop does not offer");
	else if (!address_is_ascii(envelope->sender) && !(offer->extensions & OFFER_SMTPUTF8))
		reply_set(why, 553, "5.6.7", "Sender address needs SMTPUTF8, which the next hop does not offer");
	else if (transaction->utf8_header && envelope->smtputf8 && !(offer->extensions & OFFER_SMTPUTF8))
		reply_set(why, 554, "5.6.9", "Header needs SMTPUTF8, which the next hop does not offer");
	else if (transaction->eight_bit && !(offer->extensions & OFFER_8BITMIME))
		reply_set(why, 554, "5.6.3", "Conversion not allowed: the next hop does not offer 8BITMIME");
	else if (offer->max_size_bytes && transaction->size > offer->max_size_bytes)
		reply_set(why, 552, "5.3.4", "Message is larger than the next hop takes");
}

int client_offer_check(const struct client_offer *offer, const struct smtp_transaction *transaction, struct reply *why,
	bool *another_may)
{
	const struct envelope *envelope = transaction->envelope;

	*another_may = false;
	/* Only addresses get into a queue; what was put there otherwise could be another command. */
	if (!address_is_mailbox(envelope->sender, ADDRESS_REVERSE_PATH, true)) {
		reply_set(why, 553, "5.1.7", "Sender address cannot be sent");
	} else if (envelope->body == BODY_BINARYMIME) {
		reply_set(why, 554, "5.6.3", "Conversion not allowed: binary content is not sent on");
	} else {
		check_extensions(offer, transaction, why);
		*another_may = !reply_is_none(why);
	}
	return reply_is_none(why) ? 0 : -1;
}

int client_offer_check_recipient(const struct client_offer *offer, const char *address, struct reply *why,
	bool *another_may)
{
	*another_may = false;
	if (!address_is_mailbox(address, ADDRESS_FORWARD_PATH, true)) {
		reply_set(why, 553, "5.1.3", "Recipient address cannot be sent");
	} else if (!address_is_ascii(address) && !(offer->extensions & OFFER_SMTPUTF8)) {
		reply_set(why, 553, "5.6.7", "Recipient address needs SMTPUTF8, which the next hop does not offer");
		*another_may = true;
	}
	return reply_is_none(why) ? 0 : -1;
}
