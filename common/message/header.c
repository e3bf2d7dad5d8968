/* header.c - finding fields in a message's header, and adding some
 * SPDX-License-Identifier: MIT */
#include "common/message/header.h"

#include <string.h>
#include <strings.h>

#include "common/base/memory.h"

/* Octets of the line at text, with its LF. */
static size_t line_size(const char *text, size_t size)
{
	const char *end = memchr(text, '\n', size);

	return end ? (size_t)(end - text) + 1 : size;
}

/* A name is printable ASCII; white space before ":" is the obsolete form (RFC 5322 4.5). 0: not a field. */
static size_t name_size(const char *text, size_t size, size_t *colon)
{
	size_t at = 0, name;

	while (at < size && text[at] > ' ' && text[at] < 0x7f && text[at] != ':')
		at++;
	name = at;
	while (at < size && (text[at] == ' ' || text[at] == '\t'))
		at++;
	if (at == size || text[at] != ':')
		return 0;
	*colon = at;
	return name;
}

static size_t without_line_end(const char *text, size_t size)
{
	if (size && text[size - 1] == '\n')
		size--;
	if (size && text[size - 1] == '\r')
		size--;
	return size;
}

bool header_next(const char *text, size_t size, size_t *at, struct header_field *field)
{
	size_t start = *at, end, colon = 0, name;

	if (start >= size)
		return false;
	end = start + line_size(text + start, size - start);
	name = name_size(text + start, end - start, &colon);
	if (!name)
		return false;
	while (end < size && (text[end] == ' ' || text[end] == '\t'))
		end += line_size(text + end, size - end);
	*field = (struct header_field){
		.name = text + start,
		.name_size = name,
		.value = text + start + colon + 1,
		.value_size = without_line_end(text + start + colon + 1, end - start - colon - 1),
	};
	*at = end;
	return true;
}

static bool has_name(const struct header_field *field, const char *name)
{
	return strlen(name) == field->name_size && !strncasecmp(name, field->name, field->name_size);
}

/* The three places that fields stand in. */
static const char *part(const struct content *content, unsigned which, size_t *size)
{
	const struct buffer *buffers[] = { &content->prepended, &content->memory, &content->appended };

	*size = which == 1 ? content->header_size : buffers[which]->size;
	return buffer_str(buffers[which]);
}

static unsigned count_fields(const struct content *content, const char *one, const char *other)
{
	struct header_field field;
	unsigned count = 0;

	for (unsigned which = 0; which < 3; which++) {
		size_t size, at = 0;
		const char *text = part(content, which, &size);

		while (header_next(text, size, &at, &field))
			count += has_name(&field, one) || (other && has_name(&field, other));
	}
	return count;
}

bool header_has(const struct content *content, const char *name)
{
	return count_fields(content, name, NULL) > 0;
}

unsigned header_count_hops(const struct content *content)
{
	return count_fields(content, "Received", "Delivered-To");
}

/* What a value may hold: no line end but one that folds, no NUL (strlen saw to that). */
static void check_value(const char *value)
{
	for (; *value; value++) {
		if (*value == '\n')
			BUG("a header field with a bare LF");
		if (*value != '\r')
			continue;
		value++;
		if (value[0] != '\n' || (value[1] != ' ' && value[1] != '\t'))
			BUG("a header field with a line end that does not fold");
	}
}

static void append_field(struct buffer *out, const char *name, const char *value)
{
	size_t colon = 0;

	buffer_append_str(out, name);
	buffer_append_char(out, ':');
	if (name_size(out->data, out->size, &colon) != strlen(name))
		BUG("a header field called %s", name);
	check_value(value);
	buffer_append_char(out, ' ');
	buffer_append_str(out, value);
	buffer_append_str(out, "\r\n");
}

void header_prepend(struct content *content, const char *name, const char *value)
{
	struct buffer field = { 0 };

	append_field(&field, name, value);
	buffer_insert(&content->prepended, 0, field.data, field.size);
	buffer_release(&field);
}

void header_append(struct content *content, const char *name, const char *value)
{
	struct buffer field = { 0 };

	append_field(&field, name, value);
	buffer_append(&content->appended, field.data, field.size);
	buffer_release(&field);
}
