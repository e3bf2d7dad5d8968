/* fuzz-bounce.c - notifications of what a peer made up: they stay what they are
 * SPDX-License-Identifier: MIT
 * Input: an octet of settings, then reply, host, client name, ENVID, address and ORCPT, each ended
 * by an octet 0; the rest is the original's. */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "common/base/buffer.h"
#include "common/base/memory.h"
#include "common/message/bounce.h"
#include "common/message/header.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static char *take(const uint8_t **data, size_t *size)
{
	size_t length = strnlen((const char *)*data, *size < 9000 ? *size : 9000);
	char *text = xstrndup((const char *)*data, length);

	length += length < *size;
	*data += length;
	*size -= length;
	return text;
}

static void check_lines(const char *at, const char *end)
{
	while (at < end) {
		const char *lf = memchr(at, '\n', (size_t)(end - at));

		if (!lf || lf == at || lf[-1] != '\r' || lf - 1 - at > 998 ||
				memchr(at, '\r', (size_t)(lf - 1 - at)) ||
				memchr(at, '\0', (size_t)(lf - at)))
			BUG("a line is none: %.*s", lf ? (int)(lf - at) : 20, at);
		at = lf + 1;
	}
}

static unsigned count(const struct buffer *all, const char *what)
{
	const char *at = all->data, *end = all->data + all->size;
	unsigned found = 0;

	while ((at = memmem(at, (size_t)(end - at), what, strlen(what)))) {
		found++;
		at++;
	}
	return found;
}

static void check(const struct envelope *made)
{
	const struct buffer *all = &made->content.memory;
	struct header_field field;
	unsigned fields = 0, boundaries;
	const char *start, *end;
	size_t at = 0;
	char *boundary;

	check_lines(all->data, all->data + all->size);
	while (header_next(all->data, all->size, &at, &field))
		fields++;
	if (fields != 9)
		BUG("%u fields", fields);
	start = strstr(all->data, "boundary=\"") + strlen("boundary=\"");
	end = strchr(start, '"');
	boundary = xasprintf("--%.*s", (int)(end - start), start);
	boundaries = count(all, boundary);
	if (boundaries < 3 || boundaries > 4)
		BUG("%u boundaries", boundaries);
	if (made->body != BODY_8BITMIME && !made->smtputf8)
		for (size_t i = 0; i < all->size; i++)
			if (all->data[i] & 0x80)
				BUG("8-bit octets");
	free(boundary);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct bounce_options options = { .hostname = "mx.example", .size_limit_bytes = 4096 };
	struct envelope *original, *made;
	struct bounce_result result = { 0 };
	struct reply reply = { 0 };
	struct recipient *recipient;
	unsigned settings;
	char *text, *host;

	if (size-- < 2)
		return 0;
	settings = *data++;
	text = take(&data, &size);
	host = take(&data, &size);
	reply_set(&reply, settings & 1 ? 550 : 450, "5.1.1", "%s", text);
	result.action = settings >> 1 & 3;
	result.reply = &reply;
	result.host = host;
	original = envelope_new();
	original->sender = xstrdup(settings & 8 ? "\xc3\xb6@b.example" : "a@b.example");
	original->smtputf8 = settings & 16;
	original->client.name = take(&data, &size);
	original->envid = take(&data, &size);
	envelope_add_recipient(original, "c@d.example");
	recipient = &original->recipients[0];
	free(recipient->address);
	recipient->address = take(&data, &size);
	recipient->orcpt = take(&data, &size);
	buffer_append(&original->content.memory, data, size);
	content_finish(&original->content);
	made = bounce_new(original, &result, 1, &options);
	check(made);
	envelope_free(made);
	envelope_free(original);
	reply_release(&reply);
	free(text);
	free(host);
	return 0;
}
