/* bounce_status.c - the second part of a notification: message/delivery-status
 * SPDX-License-Identifier: MIT
 * RFC 3464 2, RFC 6533 4.1 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/base/buffer.h"
#include "common/base/clock.h"
#include "common/base/memory.h"
#include "common/base/text.h"
#include "common/message/address.h"
#include "common/message/bounce_parts.h"
#include "common/message/xtext.h"

#define FOLD_WIDTH 78
#define LINE_WIDTH 990			/* RFC 5322 2.1.1, with room for what a fold adds */
#define DIAGNOSTICS_MAX 1048576		/* of all recipients together */
#define DIAGNOSTIC_MIN 256

static const char *const action_names[] = {
	[BOUNCE_FAILED] = "failed", [BOUNCE_DELAYED] = "delayed",
	[BOUNCE_DELIVERED] = "delivered", [BOUNCE_RELAYED] = "relayed",
};

/* ---- fields */

/* Where to fold text of more than `width`: at the last space behind `from` within it, else at the
 * next one, else anywhere. */
static size_t fold_at(const char *text, size_t size, size_t from, size_t width)
{
	size_t most = size < LINE_WIDTH ? size : LINE_WIDTH;

	for (size_t at = width; at > from; at--)
		if (text[at] == ' ')
			return at;
	for (size_t at = width; at < most; at++)
		if (text[at] == ' ')
			return at;
	return size <= LINE_WIDTH ? size : utf8_cut(text, LINE_WIDTH);
}

/* Takes a fold's space for the text's own, so that what is unfolded is what was folded. */
static void append_folded(struct buffer *out, const char *text, size_t size, size_t from,
	size_t width)
{
	while (size > width) {
		size_t at = fold_at(text, size, from, width);

		buffer_append(out, text, at);
		text += at;
		size -= at;
		if (!size)
			break;
		buffer_append_str(out, text[0] == ' ' ? "\r\n" : "\r\n ");
		from = 1;
	}
	buffer_append(out, text, size);
	buffer_append_str(out, "\r\n");
}

/* Takes `value`, which is clean, and leaves it empty. */
static void put_field(struct buffer *out, const char *name, struct buffer *value, size_t width)
{
	char prefix[40];
	int from = snprintf(prefix, sizeof(prefix), "%s: ", name);

	buffer_insert(value, 0, prefix, (size_t)from);
	append_folded(out, value->data, value->size, (size_t)from, width);
	buffer_reset(value);
}

static void put_date(struct buffer *out, const char *name, int64_t wall_ms)
{
	char date[CLOCK_RFC5322_SIZE];

	if (wall_ms > 0)
		buffer_appendf(out, "%s: %s\r\n", name, clock_rfc5322(date, wall_ms));
}

/* ---- the message */

static void put_reporting_mta(const struct bounce *b, struct buffer *out, struct buffer *value)
{
	/* A name that is not in the DNS shall not say it is (RFC 3461 6.3). */
	bool in_dns = strpbrk(b->options->hostname, ".:");

	buffer_append_str(value, in_dns ? "dns; " : "x-local-hostname; ");
	bounce_append(value, b->options->hostname, false);
	put_field(out, "Reporting-MTA", value, LINE_WIDTH);
}

static void put_received_from(const struct bounce *b, bool utf8, struct buffer *out,
	struct buffer *value)
{
	const struct client *client = &b->original->client;
	bool has_ip = client->ip && strpbrk(client->ip, ".:");

	if (!client->name && !has_ip)
		return;
	buffer_append_str(value, "dns; ");
	if (client->name)
		bounce_append(value, client->name, utf8);
	if (has_ip) {
		buffer_append_str(value, client->name ? " (" : "[");
		bounce_append(value, client->ip, utf8);
		buffer_append_char(value, client->name ? ')' : ']');
	}
	put_field(out, "Received-From-MTA", value, LINE_WIDTH);
}

static void put_message(const struct bounce *b, bool utf8, struct buffer *out, struct buffer *value)
{
	if (b->original->envid) {
		bounce_append(value, b->original->envid, utf8);
		put_field(out, "Original-Envelope-Id", value, LINE_WIDTH);
	}
	put_reporting_mta(b, out, value);
	put_received_from(b, utf8, out, value);
	put_date(out, "Arrival-Date", b->original->timestamp_ms);
}

/* ---- one recipient */

static void append_address(struct buffer *out, const char *address, bool as_utf8_type, bool utf8)
{
	if (as_utf8_type && !utf8)
		utf8_address_encode(out, address, false);
	else
		bounce_append(out, address, utf8);
}

static void put_addresses(const struct recipient *recipient, bool utf8, struct buffer *out,
	struct buffer *value)
{
	const char *original = recipient->orcpt ? orcpt_address(recipient->orcpt) : NULL;
	bool ascii = address_is_ascii(recipient->address);

	if (original) {
		char *type = xstrndup(recipient->orcpt, (size_t)(original - recipient->orcpt));

		bounce_append(value, type, false);
		free(type);
		append_address(value, original, orcpt_is_utf8(recipient->orcpt), utf8);
		put_field(out, "Original-Recipient", value, LINE_WIDTH);
	}
	buffer_append_str(value, ascii ? "rfc822; " : "utf-8; ");
	append_address(value, recipient->address, !ascii, utf8);
	put_field(out, "Final-Recipient", value, LINE_WIDTH);
}

/* The class says what was done; a failure may have been a transient one for too long. */
static void put_status(const struct bounce_result *result, struct buffer *out)
{
	const struct reply *reply = result->reply;
	bool success = result->action == BOUNCE_DELIVERED || result->action == BOUNCE_RELAYED;

	if (success && reply_is_success(reply))
		buffer_appendf(out, "Status: 2.%u.%u\r\n", reply->subject, reply->detail);
	else if (!success && reply_is_transient(reply))
		buffer_appendf(out, "Status: 4.%u.%u\r\n", reply->subject, reply->detail);
	else if (result->action == BOUNCE_FAILED && reply_is_permanent(reply))
		buffer_appendf(out, "Status: 5.%u.%u\r\n", reply->subject, reply->detail);
	else
		buffer_appendf(out, "Status: %s\r\n",
			success ? "2.0.0" : result->action == BOUNCE_DELAYED ? "4.0.0" : "5.0.0");
}

/* Runs of white space are one space: no line of a folded field may be empty. */
static void append_words(struct buffer *out, const char *text, size_t size)
{
	for (size_t i = 0; i < size; i++)
		if (text[i] != ' ' || (out->size && out->data[out->size - 1] != ' '))
			buffer_append_char(out, text[i]);
	while (out->size && out->data[out->size - 1] == ' ')
		out->data[--out->size] = '\0';
}

/* As RFC 3461 9.2 has it: each line with its code, all but the last with a hyphen. */
static void put_diagnostic(const struct reply *reply, bool utf8, size_t most, struct buffer *out)
{
	const char *text = reply->text ? reply->text : "";
	const char *end = text + utf8_cut(text, strlen(text) < most ? strlen(text) : most);
	struct buffer line = { 0 }, clean = { 0 };

	for (bool first = true;; first = false) {
		size_t size = strcspn(text, "\n");
		bool last = text + size >= end;
		char *part = xstrndup(text, last ? (size_t)(end - text) : size);
		size_t from;

		buffer_append_str(&line, first ? "Diagnostic-Code: smtp; " : " ");
		buffer_appendf(&line, "%u%c%u.%u.%u ", reply->code, last ? ' ' : '-',
			reply->code / 100, reply->subject, reply->detail);
		from = line.size - 1;
		bounce_append(&clean, part, utf8);
		append_words(&line, buffer_str(&clean), clean.size);
		append_folded(out, line.data, line.size, from, FOLD_WIDTH);
		free(part);
		buffer_reset(&line);
		buffer_reset(&clean);
		if (last)
			break;
		text += size + 1;
	}
	buffer_release(&line);
	buffer_release(&clean);
}

/* "NAME[ADDRESS]", as relays say whom they spoke to, has its address as a comment; one without a name is a literal. */
void bounce_append_host(struct buffer *out, const char *host, bool utf8)
{
	const char *open = strrchr(host, '[');
	size_t name_size = open ? (size_t)(open - host) : 0, size = strlen(host);
	char *name, *address;

	if (!open || host[size - 1] != ']') {
		bounce_append(out, host, utf8);
		return;
	}
	name = xstrndup(host, name_size);
	address = xstrndup(open + 1, size - name_size - 2);
	bounce_append(out, !*name || strcmp(name, address) == 0 ? open : name, utf8);
	if (*name && strcmp(name, address) != 0) {
		buffer_append_str(out, " (");
		bounce_append(out, address, utf8);
		buffer_append_char(out, ')');
	}
	free(name);
	free(address);
}

static void put_recipient(const struct bounce *b, const struct bounce_result *result, bool utf8,
	struct buffer *out, struct buffer *value)
{
	size_t share = DIAGNOSTICS_MAX / b->count;
	size_t most = share > DIAGNOSTIC_MIN ? share : DIAGNOSTIC_MIN;

	buffer_append_str(out, "\r\n");
	put_addresses(&b->original->recipients[result->index], utf8, out, value);
	buffer_appendf(out, "Action: %s\r\n", action_names[result->action]);
	put_status(result, out);
	if (result->host && result->host[0]) {
		buffer_append_str(value, "dns; ");
		bounce_append_host(value, result->host, utf8);
		put_field(out, "Remote-MTA", value, LINE_WIDTH);
	}
	if (!reply_is_none(result->reply))
		put_diagnostic(result->reply, utf8, most, out);
	put_date(out, "Last-Attempt-Date", result->attempt_ms);
	if (result->action == BOUNCE_DELAYED)
		put_date(out, "Will-Retry-Until", b->options->retry_until_ms);
}

static void put_all(const struct bounce *b, bool utf8, struct buffer *out)
{
	struct buffer value = { 0 };

	put_message(b, utf8, out, &value);
	for (size_t i = 0; i < b->count; i++)
		put_recipient(b, &b->group[i], utf8, out, &value);
	buffer_release(&value);
}

void bounce_make_status(const struct bounce *b, struct bounce_part *part)
{
	*part = (struct bounce_part){ .type = "message/delivery-status", .encoding = "7bit" };
	put_all(b, b->utf8, &part->octets);
	if (!b->utf8)
		return;
	if (!text_is_ascii(part->octets.data, part->octets.size)) {
		part->type = "message/global-delivery-status";
		part->encoding = "8bit";
		return;
	}
	/* Nothing is beyond ASCII: then addresses of type utf-8 stand in their ASCII form. */
	buffer_reset(&part->octets);
	put_all(b, false, &part->octets);
}
