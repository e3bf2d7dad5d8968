/* bounce_text.c - the first part of a notification: what people read
 * SPDX-License-Identifier: MIT */
#include <string.h>

#include "common/base/buffer.h"
#include "common/base/clock.h"
#include "common/base/text.h"
#include "common/message/bounce_parts.h"
#include "common/message/quoted_printable.h"

#define NAMED_MAX 100		/* recipients; the second part has them all */
#define PLAIN_LINE_MAX 990	/* octets; text with longer lines is encoded */

static const char *const headings[] = {
	[BOUNCE_FAILED] = "Delivery failed for:",
	[BOUNCE_DELAYED] = "Delivery is delayed for:",
	[BOUNCE_DELIVERED] = "Delivered to:",
	[BOUNCE_RELAYED] = "Passed on to a host that will not tell when it delivers, for:",
};

static const char *text_or_none(const char *text)
{
	return text ? text : "";
}

static void put_recipients(const struct bounce *b, struct buffer *out)
{
	buffer_appendf(out, "%s\r\n", headings[bounce_action(b)]);
	for (size_t i = 0; i < b->count && i < NAMED_MAX; i++) {
		buffer_append_str(out, "- ");
		bounce_append(out, b->original->recipients[b->group[i].index].address, true);
		buffer_append_str(out, "\r\n");
	}
	if (b->count > NAMED_MAX)
		buffer_appendf(out, "and %zu more.\r\n", b->count - NAMED_MAX);
	buffer_append_str(out, "\r\n");
}

static bool is_same_host(const struct bounce_result *one, const struct bounce_result *other)
{
	return strcmp(text_or_none(one->host), text_or_none(other->host)) == 0 &&
		strcmp(text_or_none(one->tls), text_or_none(other->tls)) == 0;
}

/* Of several that say the same, each stands in the second part. */
static void put_host(const struct bounce *b, struct buffer *out)
{
	const struct bounce_result *result = &b->group[0];

	for (size_t i = 1; i < b->count; i++)
		if (!is_same_host(result, &b->group[i]))
			return;
	buffer_append_str(out, "The host was ");
	bounce_append_host(out, result->host, true);
	if (*text_or_none(result->tls)) {
		buffer_append_str(out, ", over ");
		bounce_append(out, result->tls, true);
	}
	buffer_append_char(out, '.');
	buffer_append_str(out, "\r\n");
}

/* Every line of it with its code, as the next hop said it. */
static void put_reply(const struct bounce *b, struct buffer *out)
{
	const struct bounce_result *result = &b->group[0];
	bool remote = result->host && result->host[0];
	struct buffer wire = { 0 };

	if (reply_is_none(result->reply))
		return;
	buffer_append_str(out, remote ? "Destination host responded:\r\n" : "The reason:\r\n");
	reply_append_wire(result->reply, false, &wire);
	buffer_append(out, wire.data, wire.size);
	buffer_append_str(out, "\r\n");
	if (remote)
		put_host(b, out);
	buffer_release(&wire);
}

static void put_future(const struct bounce *b, struct buffer *out)
{
	char date[CLOCK_RFC5322_SIZE];

	if (bounce_action(b) == BOUNCE_FAILED) {
		buffer_append_str(out, "It is not tried again.\r\n");
	} else if (bounce_action(b) == BOUNCE_DELAYED) {
		buffer_append_str(out, "It is tried again");
		if (b->options->retry_until_ms > 0)
			buffer_appendf(out, " until\r\n%s",
				clock_rfc5322(date, b->options->retry_until_ms));
		buffer_append_str(out, "; there is no need to send it again.\r\n");
	}
}

static bool has_long_line(const struct buffer *text)
{
	const char *at = buffer_str(text), *end = at + text->size;

	while (at < end) {
		const char *lf = memchr(at, '\n', (size_t)(end - at));

		if ((lf ? lf : end) - at > PLAIN_LINE_MAX)
			return true;
		at = lf ? lf + 1 : end;
	}
	return false;
}

void bounce_make_text(const struct bounce *b, const struct bounce_part *returned, bool whole,
	struct bounce_part *part)
{
	char date[CLOCK_RFC5322_SIZE];
	struct buffer text = { 0 };
	bool ascii;

	put_recipients(b, &text);
	put_reply(b, &text);
	buffer_append_str(&text, "The message was accepted by ");
	bounce_append(&text, b->options->hostname, true);
	buffer_appendf(&text, " on\r\n%s with the id %s.\r\n",
		clock_rfc5322(date, b->original->timestamp_ms), b->original->id);
	put_future(b, &text);
	if (returned->type)
		buffer_appendf(&text, "%s is attached.\r\n", whole ? "The message" : "Its header");
	ascii = text_is_ascii(text.data, text.size);
	*part = (struct bounce_part){ .encoding = "7bit" };
	part->type = ascii ? "text/plain; charset=us-ascii" : "text/plain; charset=utf-8";
	if (ascii && !has_long_line(&text)) {
		part->octets = text;
		return;
	}
	part->encoding = "quoted-printable";
	quoted_printable_encode(&part->octets, text.data, text.size);
	buffer_release(&text);
}
