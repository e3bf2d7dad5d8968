/* quoted_printable.c - the transfer encoding of RFC 2045 6.7
 * SPDX-License-Identifier: MIT */
#include "common/message/quoted_printable.h"

#include <stdbool.h>

#include "common/base/buffer.h"

#define LINE_MAX_SIZE 76

static bool is_line_end(const char *data, size_t size)
{
	return size >= 2 && data[0] == '\r' && data[1] == '\n';
}

/* White space stays unless a line, or all, ends behind it. */
static bool is_literal(const char *data, size_t size)
{
	unsigned char c = (unsigned char)data[0];

	if (c == ' ' || c == '\t')
		return size > 1 && !is_line_end(data + 1, size - 1);
	return c > ' ' && c < 0x7f && c != '=';
}

void quoted_printable_encode(struct buffer *out, const char *data, size_t size)
{
	size_t column = 0;

	for (size_t at = 0; at < size; at++) {
		size_t width = is_literal(data + at, size - at) ? 1 : 3;

		if (is_line_end(data + at, size - at)) {
			buffer_append_str(out, "\r\n");
			column = 0;
			at++;
			continue;
		}
		/* The last place is for the "=" of a soft line break. */
		if (column + width > LINE_MAX_SIZE - 1) {
			buffer_append_str(out, "=\r\n");
			column = 0;
		}
		if (width == 1)
			buffer_append_char(out, data[at]);
		else
			buffer_appendf(out, "=%02X", (unsigned)(unsigned char)data[at]);
		column += width;
	}
}
