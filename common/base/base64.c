/* base64.c - base64 without line breaks (RFC 4648 section 4)
 * SPDX-License-Identifier: MIT */
#include "common/base/base64.h"

#include <stdint.h>

#include "common/base/buffer.h"

static const char alphabet[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

void base64_append(struct buffer *out, const void *data, size_t size)
{
	const unsigned char *in = data;

	buffer_reserve(out, (size + 2) / 3 * 4);
	for (size_t i = 0; i < size; i += 3) {
		uint32_t group = (uint32_t)in[i] << 16 | (i + 1 < size ? (uint32_t)in[i + 1] << 8 : 0)
			| (i + 2 < size ? in[i + 2] : 0);

		buffer_append_char(out, alphabet[group >> 18]);
		buffer_append_char(out, alphabet[group >> 12 & 63]);
		buffer_append_char(out, i + 1 < size ? alphabet[group >> 6 & 63] : '=');
		buffer_append_char(out, i + 2 < size ? alphabet[group & 63] : '=');
	}
}

static int value_of(char c)
{
	if (c >= 'A' && c <= 'Z')
		return c - 'A';
	if (c >= 'a' && c <= 'z')
		return c - 'a' + 26;
	if (c >= '0' && c <= '9')
		return c - '0' + 52;
	return c == '+' ? 62 : c == '/' ? 63 : -1;
}

/* The last group may end with padding; what that covers is none of its octets. */
static bool decode_group(struct buffer *out, const char *text, unsigned padding)
{
	uint32_t group = 0;

	for (unsigned i = 0; i < 4; i++) {
		int value = i < 4 - padding ? value_of(text[i]) : 0;

		if (value < 0)
			return false;
		group = group << 6 | (uint32_t)value;
	}
	if (padding && group & ((1U << 8 * padding) - 1))
		return false;
	for (unsigned i = 0; i < 3 - padding; i++)
		buffer_append_char(out, (char)(group >> (16 - 8 * i) & 255));
	return true;
}

bool base64_decode(struct buffer *out, const char *text, size_t size)
{
	size_t before = out->size;

	if (size % 4)
		return false;
	for (size_t i = 0; i < size; i += 4) {
		unsigned padding = i + 4 < size || text[i + 3] != '=' ? 0 : text[i + 2] != '=' ? 1 : 2;

		if (!decode_group(out, text + i, padding)) {
			out->size = before;
			return false;
		}
	}
	return true;
}
