/* text.c - strings: escaping, numbers, lists
 * SPDX-License-Identifier: MIT */
#include "common/base/text.h"

#include <stdlib.h>
#include <string.h>

#include "common/base/buffer.h"
#include "common/base/memory.h"

#define REPLACEMENT "\xef\xbf\xbd"	/* U+FFFD */

/* What a terminal or a pager would act on instead of showing it: C0, DEL and C1 controls, the separators
 * of lines, and the marks and overrides of the direction of writing. */
static bool is_unprintable(uint32_t character)
{
	return character < 0x20 || (character >= 0x7f && character < 0xa0) ||
		character == 0x200e || character == 0x200f ||
		(character >= 0x2028 && character <= 0x202e) ||
		(character >= 0x2066 && character <= 0x2069) || character == 0xfeff;
}

static void append_hex(struct buffer *out, const char *text, size_t size)
{
	for (size_t i = 0; i < size; i++)
		buffer_appendf(out, "\\x%02X", (unsigned char)text[i]);
}

/* The octets of one character, or one octet that is none. */
static size_t append_escaped(struct buffer *out, const char *text, size_t size, bool in_quotes)
{
	uint32_t character = 0;
	size_t length = utf8_next(text, size, &character);

	if (!length) {
		append_hex(out, text, 1);
		return 1;
	}
	if (character == '\\' || (character == '"' && in_quotes)) {
		buffer_append_char(out, '\\');
		buffer_append_char(out, text[0]);
	} else if (character == '\n') {
		buffer_append_str(out, "\\n");
	} else if (character == '\r') {
		buffer_append_str(out, "\\r");
	} else if (character == '\t') {
		buffer_append_str(out, "\\t");
	} else if (is_unprintable(character)) {
		append_hex(out, text, length);
	} else {
		buffer_append(out, text, length);
	}
	return length;
}

/* ASCII that no form of ours escapes, which is nearly all there is. */
static bool is_plain(char c)
{
	return c >= ' ' && c < 0x7f && c != '"' && c != '\\';
}

/* Appends what is plain at the beginning, at once. */
static size_t append_plain(struct buffer *out, const char *text, size_t size)
{
	size_t plain = 0;

	while (plain < size && is_plain(text[plain]))
		plain++;
	buffer_append(out, text, plain);
	return plain;
}

static bool needs_quotes(const char *text, size_t size)
{
	size_t at = 0;

	while (at < size) {
		uint32_t character = (unsigned char)text[at];
		size_t length = is_plain(text[at]) ? 1 : utf8_next(text + at, size - at, &character);

		if (!length || is_unprintable(character) || character == ' ' || character == '=' ||
				character == '"' || character == '\\')
			return true;
		at += length;
	}
	return size == 0;
}

static void append_all_escaped(struct buffer *out, const char *text, size_t size, bool in_quotes)
{
	for (size_t at = append_plain(out, text, size); at < size; at += append_plain(out, text + at, size - at))
		at += append_escaped(out, text + at, size - at, in_quotes);
}

void escaped(struct buffer *out, const char *text, size_t size)
{
	append_all_escaped(out, text, size, false);
}

void quoted(struct buffer *out, const char *text, size_t size)
{
	if (!needs_quotes(text, size)) {
		buffer_append(out, text, size);
		return;
	}
	buffer_append_char(out, '"');
	append_all_escaped(out, text, size, true);
	buffer_append_char(out, '"');
}

static size_t append_json(struct buffer *out, const char *text, size_t size)
{
	uint32_t character = 0;
	size_t length = utf8_next(text, size, &character);

	if (!length) {
		buffer_append_str(out, REPLACEMENT);
		return 1;
	}
	if (character == '"' || character == '\\') {
		buffer_append_char(out, '\\');
		buffer_append_char(out, text[0]);
	} else if (character == '\n') {
		buffer_append_str(out, "\\n");
	} else if (is_unprintable(character)) {
		buffer_appendf(out, "\\u%04x", character);
	} else {
		buffer_append(out, text, length);
	}
	return length;
}

void json_escaped(struct buffer *out, const char *text, size_t size)
{
	for (size_t at = append_plain(out, text, size); at < size; at += append_plain(out, text + at, size - at))
		at += append_json(out, text + at, size - at);
}

/* The range of the second octet tells overlong forms, surrogates and what lies beyond U+10FFFF (RFC 3629
 * section 4); the others are all 80 to BF. */
size_t utf8_next(const char *text, size_t size, uint32_t *character)
{
	const unsigned char *octets = (const unsigned char *)text;
	unsigned char low = 0x80, high = 0xbf;
	uint32_t value;
	size_t length;

	if (!size)
		return 0;
	if (octets[0] < 0x80) {
		length = 1;
		value = octets[0];
	} else if (octets[0] >= 0xc2 && octets[0] <= 0xdf) {
		length = 2;
		value = octets[0] & 0x1f;
	} else if (octets[0] >= 0xe0 && octets[0] <= 0xef) {
		length = 3;
		value = octets[0] & 0x0f;
		low = octets[0] == 0xe0 ? 0xa0 : low;
		high = octets[0] == 0xed ? 0x9f : high;
	} else if (octets[0] >= 0xf0 && octets[0] <= 0xf4) {
		length = 4;
		value = octets[0] & 0x07;
		low = octets[0] == 0xf0 ? 0x90 : low;
		high = octets[0] == 0xf4 ? 0x8f : high;
	} else {
		return 0;
	}
	if (length > size)
		return 0;
	for (size_t i = 1; i < length; i++, low = 0x80, high = 0xbf) {
		if (octets[i] < low || octets[i] > high)
			return 0;
		value = value << 6 | (octets[i] & 0x3f);
	}
	if (character)
		*character = value;
	return length;
}

bool utf8_is_valid(const char *text, size_t size)
{
	for (size_t at = 0, length; at < size; at += length) {
		length = utf8_next(text + at, size - at, NULL);
		if (!length)
			return false;
	}
	return true;
}

size_t utf8_cut(const char *text, size_t size)
{
	size_t start = size;

	while (start > 0 && size - start < 3 && ((unsigned char)text[start - 1] & 0xc0) == 0x80)
		start--;
	if (start == 0 || (unsigned char)text[start - 1] < 0xc2 || (unsigned char)text[start - 1] > 0xf4)
		return size;
	/* A character begins at start - 1: does it end where we cut? */
	return utf8_next(text + start - 1, size - start + 1, NULL) ? size : start - 1;
}

/* Messages are looked through whole by this: eight octets a step. */
bool text_is_ascii(const char *text, size_t size)
{
	uint64_t eight;
	size_t i = 0;

	for (; size - i >= sizeof(eight); i += sizeof(eight)) {
		memcpy(&eight, text + i, sizeof(eight));
		if (eight & UINT64_C(0x8080808080808080))
			return false;
	}
	for (; i < size; i++)
		if ((unsigned char)text[i] >= 0x80)
			return false;
	return true;
}

void text_lower(char *text)
{
	for (; *text; text++)
		if (*text >= 'A' && *text <= 'Z')
			*text |= 0x20;
}

bool text_has_prefix(const char *text, const char *prefix)
{
	return strncmp(text, prefix, strlen(prefix)) == 0;
}

bool text_has_suffix(const char *text, const char *suffix)
{
	size_t size = strlen(text), suffix_size = strlen(suffix);

	return suffix_size <= size && strcmp(text + size - suffix_size, suffix) == 0;
}

bool parse_u64(const char *text, size_t size, uint64_t max, uint64_t *out)
{
	uint64_t value = 0;

	if (!size)
		return false;
	for (size_t i = 0; i < size; i++) {
		if (text[i] < '0' || text[i] > '9')
			return false;
		if (__builtin_mul_overflow(value, 10, &value) ||
				__builtin_add_overflow(value, (uint64_t)(text[i] - '0'), &value))
			return false;
	}
	if (value > max)
		return false;
	*out = value;
	return true;
}

size_t name_index(const char *name, const char *const *names, size_t count)
{
	size_t i = 0;

	while (i < count && !(name && names[i] && strcmp(names[i], name) == 0))
		i++;
	return i;
}

void strings_add(struct strings *strings, const char *text)
{
	strings->items = xgrow(strings->items, strings->count, sizeof(strings->items[0]));
	strings->items[strings->count++] = xstrdup(text);
}

void strings_release(struct strings *strings)
{
	for (size_t i = 0; i < strings->count; i++)
		free(strings->items[i]);
	free(strings->items);
	*strings = (struct strings){ 0 };
}

bool strings_contain(const struct strings *strings, const char *text)
{
	for (size_t i = 0; i < strings->count; i++)
		if (!strcmp(strings->items[i], text))
			return true;
	return false;
}
