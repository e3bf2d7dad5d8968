/* bounce.c - what a sender is told of a message
 * SPDX-License-Identifier: MIT */
#include "common/message/bounce.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "common/base/clock.h"
#include "common/base/memory.h"
#include "common/base/text.h"
#include "common/message/address.h"
#include "common/message/bounce_parts.h"

static const char *const subjects[] = {
	[BOUNCE_FAILED] = "Undelivered Mail Returned to Sender",
	[BOUNCE_DELAYED] = "Mail Delivery Delayed",
	[BOUNCE_DELIVERED] = "Mail Delivered",
	[BOUNCE_RELAYED] = "Mail Passed On",
};

bool bounce_is_wanted(const struct recipient *recipient, enum bounce_action action)
{
	static const unsigned bits[] = {
		[BOUNCE_FAILED] = NOTIFY_FAILURE, [BOUNCE_DELAYED] = NOTIFY_DELAY,
		[BOUNCE_DELIVERED] = NOTIFY_SUCCESS, [BOUNCE_RELAYED] = NOTIFY_SUCCESS,
	};
	unsigned notify = recipient->notify ? recipient->notify : NOTIFY_FAILURE | NOTIFY_DELAY;

	return !(notify & NOTIFY_NEVER) && notify & bits[action];
}

/* ---- groups */

static int compare_numbers(uint64_t a, uint64_t b)
{
	return a < b ? -1 : a > b;
}

static const char *text_of(const struct reply *reply)
{
	return reply->text ? reply->text : "";
}

static int compare_groups(const struct bounce_result *a, const struct bounce_result *b)
{
	int order = compare_numbers(a->action, b->action);

	if (!order)
		order = compare_numbers(a->reply->code, b->reply->code);
	if (!order)
		order = compare_numbers(a->reply->subject, b->reply->subject);
	if (!order)
		order = compare_numbers(a->reply->detail, b->reply->detail);
	if (!order)
		order = strcmp(text_of(a->reply), text_of(b->reply));
	if (!order)
		order = compare_numbers((uint64_t)a->attempt_ms, (uint64_t)b->attempt_ms);
	return order;
}

static int compare_results(const void *a, const void *b)
{
	const struct bounce_result *one = a, *other = b;
	int order = compare_groups(one, other);

	return order ? order : compare_numbers(one->index, other->index);
}

void bounce_sort(struct bounce_result *results, size_t count)
{
	if (count)
		qsort(results, count, sizeof(results[0]), compare_results);
}

size_t bounce_group(const struct bounce_result *results, size_t count)
{
	size_t size = 0;

	while (size < count && compare_groups(&results[0], &results[size]) == 0)
		size++;
	return size;
}

/* ---- one notification */

void bounce_append(struct buffer *out, const char *text, bool utf8)
{
	size_t size = strlen(text), length;
	uint32_t character;

	for (size_t at = 0; at < size; at += length ? length : 1) {
		length = utf8_next(text + at, size - at, &character);
		if (!length)
			buffer_append_str(out, utf8 ? "\xef\xbf\xbd" : "?");
		else if (character < 0x20 || (character >= 0x7f && character < 0xa0))
			buffer_append_char(out, ' ');
		else if (character < 0x80 || utf8)
			buffer_append(out, text + at, length);
		else
			buffer_appendf(out, "\\x{%02" PRIX32 "}", character);
	}
}

/* Everything that makes it another notification than others of the same message. */
static void derive_id(const struct bounce *b, char id[ID_SIZE])
{
	const struct reply *reply = b->group[0].reply;
	struct buffer what = { 0 };

	buffer_appendf(&what, "bounce %d %u %u.%u %zu:%s", (int)bounce_action(b), reply->code,
		reply->subject, reply->detail, strlen(text_of(reply)), text_of(reply));
	for (size_t i = 0; i < b->count; i++)
		buffer_appendf(&what, " %zu", b->group[i].index);
	id_derive(b->original->id, what.data, what.size, id);
	buffer_release(&what);
}

static struct envelope *new_envelope(const struct bounce *b)
{
	struct envelope *envelope = envelope_new();

	derive_id(b, envelope->id);
	envelope->timestamp_ms = b->options->now_ms;
	envelope->sender = xstrdup("");
	envelope_add_recipient(envelope, b->to);
	envelope->client.name = xstrdup("postmaster");
	envelope->client.ip = xstrdup("127.0.0.1");
	envelope->client.host = xstrdup("localhost");
	xstrset(&envelope->receiver, b->original->receiver);
	envelope->smtputf8 = b->utf8;
	/* RFC 8689 5: it tells of the original what that was to protect. */
	envelope->requiretls = b->original->requiretls;
	return envelope;
}

/* A boundary that is in none of the parts; the id makes a second try as good as impossible, but a
 * sender who sees one notification could write what breaks the next. */
static void choose_boundary(const char *id, const struct bounce_part parts[3], struct buffer *out)
{
	for (unsigned try = 0;; try++) {
		bool taken = false;

		buffer_reset(out);
		buffer_appendf(out, "=_%s", id);
		if (try)
			buffer_appendf(out, "_%u", try);
		for (unsigned i = 0; i < 3; i++)
			taken |= parts[i].octets.size && memmem(parts[i].octets.data,
				parts[i].octets.size, out->data, out->size);
		if (!taken)
			return;
	}
}

static bool is_8bit(const struct bounce_part *part)
{
	return part->encoding && strcmp(part->encoding, "8bit") == 0;
}

static void put_header(const struct bounce *b, const struct envelope *envelope,
	const char *boundary, bool global_status, struct buffer *out)
{
	const char *hostname = b->options->hostname;
	char date[CLOCK_RFC5322_SIZE];

	buffer_append_str(out, "From: MAILER-DAEMON <postmaster@");
	bounce_append(out, hostname, b->utf8);
	buffer_append_str(out, ">\r\nTo: ");
	bounce_append(out, b->to, b->utf8);
	buffer_appendf(out, "\r\nSubject: %s\r\nDate: %s\r\nMessage-ID: <%s@",
		subjects[bounce_action(b)], clock_rfc5322(date, b->options->now_ms), envelope->id);
	bounce_append(out, hostname, b->utf8);
	buffer_append_str(out, ">\r\nAuto-Submitted: auto-replied\r\nMIME-Version: 1.0\r\n");
	/* RFC 6522 3: the type of the report is that of its second part. */
	buffer_appendf(out, "Content-Type: multipart/report; report-type=%sdelivery-status;\r\n",
		global_status ? "global-" : "");
	buffer_appendf(out, " boundary=\"%s\"\r\n", boundary);
	buffer_appendf(out, "Content-Transfer-Encoding: %s\r\n\r\n",
		envelope->body == BODY_8BITMIME ? "8bit" : "7bit");
}

/* The line end before a boundary belongs to that: a part is exactly its octets. */
static void put_part(const struct bounce_part *part, const char *boundary, struct buffer *out)
{
	if (!part->type)
		return;
	buffer_appendf(out, "\r\n--%s\r\nContent-Type: %s\r\n", boundary, part->type);
	buffer_appendf(out, "Content-Transfer-Encoding: %s\r\n\r\n", part->encoding);
	buffer_append(out, part->octets.data, part->octets.size);
}

static void put_content(const struct bounce *b, const struct bounce_part parts[3],
	struct envelope *envelope)
{
	struct buffer *out = &envelope->content.memory, boundary = { 0 };

	envelope->body = BODY_7BIT;
	for (unsigned i = 0; i < 3; i++)
		if (is_8bit(&parts[i]))
			envelope->body = BODY_8BITMIME;
	choose_boundary(envelope->id, parts, &boundary);
	put_header(b, envelope, buffer_str(&boundary), is_8bit(&parts[1]), out);
	buffer_append_str(out, "This is a notification in several parts, in MIME format.\r\n");
	for (unsigned i = 0; i < 3; i++)
		put_part(&parts[i], buffer_str(&boundary), out);
	buffer_appendf(out, "\r\n--%s--\r\n", buffer_str(&boundary));
	content_finish(&envelope->content);
	buffer_release(&boundary);
}

struct envelope *bounce_new(const struct envelope *original, const struct bounce_result *group,
	size_t count, const struct bounce_options *options)
{
	struct bounce b = { original, group, count, options };
	struct bounce_part parts[3];
	struct envelope *envelope;
	bool whole;

	b.to = options->to ? options->to : original->sender;
	if (!count || !b.to || !b.to[0])
		BUG("a notification of nothing, or to nobody");
	for (size_t i = 0; i < count; i++)
		if (group[i].index >= original->recipient_count ||
				compare_groups(&group[0], &group[i]))
			BUG("result %zu is not of this message and group", i);
	b.utf8 = !address_is_ascii(b.to);
	if (bounce_make_returned(&b, &parts[2], &whole) < 0)
		return NULL;
	bounce_make_text(&b, &parts[2], whole, &parts[0]);
	bounce_make_status(&b, &parts[1]);
	envelope = new_envelope(&b);
	put_content(&b, parts, envelope);
	for (unsigned i = 0; i < 3; i++)
		buffer_release(&parts[i].octets);
	return envelope;
}
