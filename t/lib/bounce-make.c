/* bounce-make.c - notifications, for tests: a JSON object a line in, a list a line out
 * SPDX-License-Identifier: MIT
 * In: {"envelope": {...}, "content": HEX, "prepended": HEX, "split": octets in memory, the others
 * in a file, "results": [{"index", "action", "code", "status", "text": HEX, "host", "attempt", "tls"}],
 * "hostname", "limit", "to", "now", "until"}. Out: [{"envelope": {...}, "content": HEX}]. */
#include <err.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#include "common/base/buffer.h"
#include "common/base/file.h"
#include "common/base/memory.h"
#include "common/message/bounce.h"

static void append_hex(struct buffer *out, const char *hex)
{
	char octet[3] = "";

	for (; hex && hex[0] && hex[1]; hex += 2) {
		memcpy(octet, hex, 2);
		buffer_append_char(out, (char)strtoul(octet, NULL, 16));
	}
}

static const char *text_of(const json_t *object, const char *key)
{
	return json_string_value(json_object_get(object, key));
}

static int64_t number_of(const json_t *object, const char *key)
{
	return json_integer_value(json_object_get(object, key));
}

static void read_content(const json_t *in, struct content *content)
{
	struct buffer octets = { 0 };
	size_t split, rest;

	append_hex(&octets, text_of(in, "content"));
	split = json_object_get(in, "split") ? (size_t)number_of(in, "split") : octets.size;
	rest = octets.size - split;
	buffer_append(&content->memory, octets.data, split);
	if (rest) {
		content->fd = memfd_create("content", MFD_CLOEXEC);
		content->fd_size = rest;
		if (content->fd < 0 || fd_write_all(content->fd, octets.data + split, rest) < 0)
			err(1, "memfd");
	}
	content_finish(content);
	append_hex(&content->prepended, text_of(in, "prepended"));
	buffer_release(&octets);
}

static struct envelope *read_envelope(const json_t *in)
{
	const char *why = "none";
	struct envelope *envelope = envelope_from_json(json_object_get(in, "envelope"), &why);

	if (!envelope)
		errx(1, "envelope: %s", why);
	read_content(in, &envelope->content);
	return envelope;
}

static enum bounce_action read_action(const char *name)
{
	static const char *const names[] = { "failed", "delayed", "delivered", "relayed" };

	for (unsigned i = 0; i < ARRAY_SIZE(names); i++)
		if (name && strcmp(name, names[i]) == 0)
			return (enum bounce_action)i;
	errx(1, "no action");
}

/* The reply goes with the result: freed by nobody, as the process ends. */
static struct bounce_result read_result(const json_t *in)
{
	struct reply *reply = xcalloc(1, sizeof(*reply));
	struct buffer text = { 0 };

	append_hex(&text, text_of(in, "text"));
	if (number_of(in, "code"))
		reply_set(reply, (unsigned)number_of(in, "code"), text_of(in, "status"), "%s",
			buffer_str(&text));
	buffer_release(&text);
	return (struct bounce_result){ .index = (size_t)number_of(in, "index"),
		.action = read_action(text_of(in, "action")), .reply = reply,
		.host = text_of(in, "host"), .attempt_ms = number_of(in, "attempt"), .tls = text_of(in, "tls") };
}

static json_t *notification(const struct envelope *envelope)
{
	size_t size = (size_t)content_size(&envelope->content);
	char *octets = xmalloc(size + 1);
	struct buffer hex = { 0 };
	json_t *out;

	if (content_read(&envelope->content, 0, octets, size) != (long)size)
		err(1, "content");
	for (size_t i = 0; i < size; i++)
		buffer_appendf(&hex, "%02x", (unsigned)(unsigned char)octets[i]);
	out = json_pack("{s:o,s:s}", "envelope", envelope_to_json(envelope), "content",
		buffer_str(&hex));
	free(octets);
	buffer_release(&hex);
	return out;
}

static json_t *make(const json_t *in)
{
	const json_t *list = json_object_get(in, "results");
	size_t count = json_array_size(list), size;
	struct bounce_result *results = xcalloc(count + 1, sizeof(*results));
	struct bounce_options options = { .hostname = text_of(in, "hostname"),
		.size_limit_bytes = (uint64_t)number_of(in, "limit"), .to = text_of(in, "to"),
		.now_ms = number_of(in, "now"), .retry_until_ms = number_of(in, "until") };
	struct envelope *envelope = read_envelope(in);
	json_t *out = json_array();

	for (size_t i = 0; i < count; i++)
		results[i] = read_result(json_array_get(list, i));
	bounce_sort(results, count);
	for (size_t at = 0; (size = bounce_group(results + at, count - at)) > 0; at += size) {
		struct envelope *made = bounce_new(envelope, results + at, size, &options);

		if (!made)
			err(1, "bounce_new");
		json_array_append_new(out, notification(made));
		envelope_free(made);
	}
	for (size_t i = 0; i < count; i++) {
		reply_release((struct reply *)results[i].reply);
		free((void *)results[i].reply);
	}
	free(results);
	envelope_free(envelope);
	return out;
}

int main(void)
{
	char *line = NULL;
	size_t room = 0;
	ssize_t size;

	while ((size = getline(&line, &room, stdin)) > 0) {
		json_t *in = json_loadb(line, (size_t)size, 0, NULL), *out;

		if (!in)
			errx(1, "no JSON");
		out = make(in);
		if (json_dumpf(out, stdout, JSON_COMPACT) < 0)
			err(1, "stdout");
		putchar('\n');
		fflush(stdout);
		json_decref(out);
		json_decref(in);
	}
	free(line);
	return 0;
}
