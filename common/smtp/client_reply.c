/* client_reply.c - reads what an SMTP server answers
 * SPDX-License-Identifier: MIT */
#include "common/smtp/client_reply.h"

#include <stdio.h>
#include <string.h>

static bool is_digit(char c)
{
	return c >= '0' && c <= '9';
}

/* 200 to 599, 0 for what is no code. */
static unsigned code_of(const char *line, size_t size)
{
	if (size < 3 || line[0] < '2' || line[0] > '5' || !is_digit(line[1]) || !is_digit(line[2]))
		return 0;
	return (unsigned)(line[0] - '0') * 100 + (unsigned)(line[1] - '0') * 10 + (unsigned)(line[2] - '0');
}

static void keep_text(struct client_reply *reply, const char *text, size_t size)
{
	size_t start;

	if (reply->text.size >= CLIENT_REPLY_TEXT_MAX)
		return;
	if (reply->lines)
		buffer_append_char(&reply->text, '\n');
	start = reply->text.size;
	buffer_append(&reply->text, text, size);
	for (size_t i = start; i < reply->text.size; i++)
		if (!reply->text.data[i])
			reply->text.data[i] = ' ';
}

static enum client_reply_result take_line(struct client_reply *reply, const char *line, size_t size)
{
	unsigned code;

	if (size && line[size - 1] == '\r')
		size--;
	code = code_of(line, size);
	if (!code || (reply->lines && code != reply->code) || (size > 3 && line[3] != ' ' && line[3] != '-'))
		return CLIENT_REPLY_BROKEN;
	reply->code = code;
	keep_text(reply, size > 4 ? line + 4 : "", size > 4 ? size - 4 : 0);
	if (++reply->lines > CLIENT_REPLY_LINES_MAX)
		return CLIENT_REPLY_BROKEN;
	return size > 3 && line[3] == '-' ? CLIENT_REPLY_MORE : CLIENT_REPLY_READ;
}

enum client_reply_result client_reply_next(struct client_reply *reply, const char *data, size_t size, size_t *taken)
{
	enum client_reply_result result = CLIENT_REPLY_MORE;

	*taken = 0;
	while (result == CLIENT_REPLY_MORE && *taken < size) {
		const char *line = data + *taken;
		size_t left = size - *taken;
		const char *lf = memchr(line, '\n', left < CLIENT_REPLY_LINE_MAX ? left : CLIENT_REPLY_LINE_MAX);

		if (!lf)
			return left < CLIENT_REPLY_LINE_MAX ? CLIENT_REPLY_MORE : CLIENT_REPLY_BROKEN;
		*taken += (size_t)(lf - line) + 1;
		result = take_line(reply, line, (size_t)(lf - line));
	}
	return result;
}

/* Octets of "X.Y.Z" at the start of `text` where X is `class`; 0: there is none. */
static size_t status_size(const char *text, unsigned class)
{
	size_t at = 2, part;

	if (text[0] != (char)('0' + class) || text[1] != '.')
		return 0;
	part = strspn(text + at, "0123456789");
	if (part < 1 || part > 3 || text[at + part] != '.')
		return 0;
	at += part + 1;
	part = strspn(text + at, "0123456789");
	at += part;
	return part >= 1 && part <= 3 && strchr(" \n", text[at]) ? at : 0;
}

void client_reply_get(const struct client_reply *reply, struct reply *out)
{
	const char *at = buffer_str(&reply->text);
	size_t status = status_size(at, reply->code / 100);
	struct buffer text = { 0 };
	char name[16] = "";

	if (status)
		snprintf(name, sizeof(name), "%.*s", (int)status, at);
	while (*at) {
		size_t line = strcspn(at, "\n");

		if (status && strncmp(at, name, status) == 0 && strchr(" \n", at[status])) {
			at += status + (at[status] == ' ');
			line = strcspn(at, "\n");
		}
		buffer_append(&text, at, line);
		at += line;
		if (*at)
			buffer_append_char(&text, *at++);
	}
	reply_set(out, reply->code, status ? name : NULL, "%s", buffer_str(&text));
	buffer_release(&text);
}

void client_reply_reset(struct client_reply *reply)
{
	buffer_release(&reply->text);
	*reply = (struct client_reply){ 0 };
}
