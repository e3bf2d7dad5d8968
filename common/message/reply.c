/* reply.c - an SMTP reply
 * SPDX-License-Identifier: MIT */
#include "common/message/reply.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/base/buffer.h"
#include "common/base/memory.h"
#include "common/base/text.h"

#define TEXT_MAX 8192
#define WIRE_LINE_MAX 510	/* RFC 5321 4.5.3.1.5, without CR LF */

static const char *text_of(const struct reply *reply)
{
	return reply->text ? reply->text : "";
}

/* One character of `text` as it may stand in a reply; returns the octets it had. */
static size_t append_clean(struct buffer *out, const char *text, size_t size)
{
	uint32_t character = 0;
	size_t length = utf8_next(text, size, &character);

	if (!length) {
		buffer_append_str(out, "\xef\xbf\xbd");
		return 1;
	}
	if (character == '\r' && size > 1 && text[1] == '\n')
		return 1;
	if (character != '\n' && (character < 0x20 || (character >= 0x7f && character < 0xa0)))
		buffer_append_char(out, ' ');
	else
		buffer_append(out, text, length);
	return length;
}

/* How many octets are fine as they are: nearly all of nearly every text. */
static size_t clean_run(const char *text, size_t size)
{
	size_t run = 0;

	while (run < size && ((text[run] >= ' ' && text[run] <= '~') || text[run] == '\n'))
		run++;
	return run;
}

static char *clean_text(const char *text, size_t size)
{
	struct buffer clean = { 0 };
	size_t at = 0;

	while (at < size && clean.size <= TEXT_MAX) {
		size_t run = clean_run(text + at, size - at);

		buffer_append(&clean, text + at, run);
		at += run;
		if (at < size)
			at += append_clean(&clean, text + at, size - at);
	}
	if (clean.size > TEXT_MAX) {
		clean.size = utf8_cut(clean.data, TEXT_MAX);
		clean.data[clean.size] = '\0';
	}
	while (clean.size && clean.data[clean.size - 1] == '\n')
		clean.data[--clean.size] = '\0';
	return buffer_detach(&clean);
}

static bool parse_part(const char **at, char end, unsigned short *out)
{
	size_t size = strspn(*at, "0123456789");
	uint64_t number;

	if (size > 3 || !parse_u64(*at, size, 999, &number) || (*at)[size] != end)
		return false;
	*out = (unsigned short)number;
	*at += size + 1;
	return true;
}

/* The class is the code's whatever `status` says: the code decides. */
static void set_status(struct reply *reply, const char *status)
{
	unsigned short class, subject, detail;

	reply->subject = reply->detail = 0;
	if (status && parse_part(&status, '.', &class) && parse_part(&status, '.', &subject) &&
			parse_part(&status, '\0', &detail)) {
		reply->subject = subject;
		reply->detail = detail;
	}
}

void reply_set(struct reply *reply, unsigned code, const char *status, const char *format, ...)
{
	struct buffer text = { 0 };
	char *clean;
	va_list args;

	if (code < 200 || code > 599)
		BUG("a reply of code %u", code);
	va_start(args, format);
	buffer_vappendf(&text, format, args);
	va_end(args);
	/* The old text may be among the arguments: it goes last. */
	clean = clean_text(buffer_str(&text), text.size);
	buffer_release(&text);
	free(reply->text);
	reply->code = (unsigned short)code;
	set_status(reply, status);
	reply->text = clean;
}

void reply_release(struct reply *reply)
{
	free(reply->text);
	*reply = (struct reply){ 0 };
}

void reply_copy(struct reply *to, const struct reply *from)
{
	char *text = from->text ? xstrdup(from->text) : NULL;

	free(to->text);
	*to = *from;
	to->text = text;
}

void reply_move(struct reply *to, struct reply *from)
{
	if (to == from)
		return;
	free(to->text);
	*to = *from;
	*from = (struct reply){ 0 };
}

bool reply_equal(const struct reply *a, const struct reply *b)
{
	return a->code == b->code && a->subject == b->subject && a->detail == b->detail &&
		!strcmp(text_of(a), text_of(b));
}

static bool has_status(const struct reply *reply)
{
	return reply->code / 100 != 3;
}

static void append_status(const struct reply *reply, struct buffer *out)
{
	buffer_appendf(out, "%u.%u.%u", reply->code / 100, reply->subject, reply->detail);
}

void reply_append(const struct reply *reply, struct buffer *out)
{
	const char *text = text_of(reply);

	buffer_appendf(out, "%u", reply->code);
	if (has_status(reply)) {
		buffer_append_char(out, ' ');
		append_status(reply, out);
	}
	if (*text)
		buffer_append_char(out, ' ');
	for (;;) {
		size_t size = strcspn(text, "\n");

		buffer_append(out, text, size);
		if (!text[size])
			return;
		buffer_append_str(out, " / ");
		text += size + 1;
	}
}

/* How much of `text` goes on one line of at most `room` octets: whole words if there are any. */
static size_t line_size(const char *text, size_t room)
{
	size_t size = strcspn(text, "\n");
	size_t space;

	if (size <= room)
		return size;
	size = utf8_cut(text, room);
	for (space = size; space > room / 2; space--)
		if (text[space] == ' ')
			return space;
	return size;
}

void reply_append_wire(const struct reply *reply, bool plain, struct buffer *out)
{
	const char *text = text_of(reply);

	if (reply_is_none(reply))
		BUG("no reply to send");
	for (;;) {
		size_t start = out->size, size, rest;
		bool last;

		buffer_appendf(out, "%u ", reply->code);
		if (!plain && has_status(reply)) {
			append_status(reply, out);
			buffer_append_char(out, ' ');
		}
		size = line_size(text, WIRE_LINE_MAX - (out->size - start));
		rest = size + (text[size] == '\n' || text[size] == ' ');
		last = !text[size];
		buffer_append(out, text, size);
		/* A line without text has no space at its end: only "250-" keeps its mark, and 334 the space that stands
		 * before a challenge of nothing (RFC 4954 4). */
		if (!size && reply->code != 334 && out->data[out->size - 1] == ' ' && (last || out->size - start > 4))
			out->size--;
		if (!last)
			out->data[start + 3] = '-';
		buffer_append_str(out, "\r\n");
		if (last)
			return;
		text += rest;
	}
}

json_t *reply_to_json(const struct reply *reply)
{
	char status[16];

	snprintf(status, sizeof(status), "%u.%u.%u", (unsigned)(reply->code / 100) % 10,
		(unsigned)reply->subject % 1000, (unsigned)reply->detail % 1000);
	return json_pack("{s:i,s:s,s:s}", "code", reply->code, "status", status, "text", text_of(reply));
}

int reply_from_json(struct reply *reply, const json_t *json)
{
	const json_t *code = json_object_get(json, "code");
	const char *status = json_string_value(json_object_get(json, "status"));
	const char *text = json_string_value(json_object_get(json, "text"));

	if (!json_is_integer(code) || json_integer_value(code) < 200 || json_integer_value(code) > 599)
		return -1;
	reply_set(reply, (unsigned)json_integer_value(code), status, "%s", text ? text : "");
	return 0;
}
