/* received.c - add_received_header: the trace field of RFC 5321 4.4
 * SPDX-License-Identifier: MIT
 *     from EHLO (HOST [IP]) by RECEIVER (slimta VERSION) with PROTOCOL (TLS CIPHER) id ID for <RECIPIENT>; DATE
 * A recipient is named only when there is no other to whom that would tell it. */
#include <ctype.h>
#include <stdlib.h>
#include <string.h>

#include "common/base/buffer.h"
#include "common/base/clock.h"
#include "common/base/memory.h"
#include "common/base/text.h"
#include "common/message/address.h"
#include "common/message/header.h"
#include "common/policy/drivers.h"
#include "config.h"

#define WORD_MAX 255
#define FOLD "\r\n\t"

static const struct option rows[] = { { 0 } };

/* A word that came from a peer: whatever could end the word, open a comment or pass for another part of the
 * field becomes "?". UTF-8 stays in a message that may have it (RFC 6531 3.7.3). */
static void append_word(struct buffer *out, const char *text, bool utf8)
{
	size_t size = text ? utf8_cut(text, strnlen(text, WORD_MAX)) : 0;

	if (!size)
		buffer_append_str(out, "unknown");
	for (size_t at = 0; at < size;) {
		uint32_t character = 0;
		size_t length = utf8_next(text + at, size - at, &character);
		bool plain = length == 1 && (isalnum((int)character) || strchr(".:-_/", (int)character));

		if (plain || (utf8 && length > 1 && character >= 0xa0))
			buffer_append(out, text + at, length);
		else
			buffer_append_char(out, '?');
		at += length ? length : 1;
	}
}

/* What EHLO said: a literal keeps its brackets. */
static void append_name(struct buffer *out, const char *name, bool utf8)
{
	bool valid = name && address_is_ehlo_name(name, strlen(name));

	if (valid && strlen(name) <= WORD_MAX)
		buffer_append_str(out, name);
	else
		append_word(out, name, utf8);
}

/* A literal is of an address (RFC 5321 4.1.3): a client on a unix socket has a comment alone. */
static void append_client(struct buffer *out, const struct client *client, bool utf8)
{
	const char *ip = client->ip;

	if (ip && strcmp(ip, "unix") == 0) {
		buffer_append_str(out, "(unix socket)");
		return;
	}
	buffer_append_char(out, '(');
	append_word(out, client->host, utf8);
	buffer_append_str(out, ip && strchr(ip, ':') ? " [IPv6:" : " [");
	append_word(out, ip, false);
	buffer_append_str(out, "])");
}

/* Version and cipher, two words of our own making where the envelope is. */
static void append_tls(struct buffer *out, const char *tls)
{
	const char *space = strchr(tls, ' ');
	char *version = xstrndup(tls, space ? (size_t)(space - tls) : strlen(tls));

	buffer_append_str(out, " (");
	append_word(out, version, false);
	if (space) {
		buffer_append_char(out, ' ');
		append_word(out, space + 1, false);
	}
	buffer_append_char(out, ')');
	free(version);
}

static void append_stamp(struct buffer *out, const struct envelope *envelope, const struct process_options *process)
{
	const struct client *client = &envelope->client;
	bool utf8 = envelope->smtputf8;
	char date[CLOCK_RFC5322_SIZE];

	buffer_append_str(out, "from ");
	append_name(out, client->name, utf8);
	buffer_append_char(out, ' ');
	append_client(out, client, utf8);
	buffer_append_str(out, FOLD "by ");
	append_name(out, envelope->receiver ? envelope->receiver : process->fqdn, utf8);
	buffer_append_str(out, " (slimta " VERSION ")");
	if (client->protocol) {
		buffer_append_str(out, " with ");
		append_word(out, client->protocol, false);
		if (client->tls)
			append_tls(out, client->tls);
	}
	buffer_appendf(out, " id %s", envelope->id);
	/* An address that is none, from an edge that takes anything, could pass for another part of the field. */
	if (envelope->recipient_count == 1 &&
			address_is_mailbox(envelope->recipients[0].address, ADDRESS_FORWARD_PATH, utf8))
		buffer_appendf(out, FOLD "for <%s>", envelope->recipients[0].address);
	buffer_appendf(out, "; %s", clock_rfc5322(date, envelope->timestamp_ms));
}

static int apply(struct policy *policy, struct envelope **in, struct envelopes *out, struct reply *why)
{
	struct buffer stamp = { 0 };

	(void)out;
	(void)why;
	append_stamp(&stamp, *in, policy->process);
	header_prepend(&(*in)->content, "Received", stamp.data);
	buffer_release(&stamp);
	return 0;
}

const struct policy_driver policy_received = {
	.type = "add_received_header",
	.size = sizeof(struct policy),
	.options = rows,
	.apply = apply,
};
