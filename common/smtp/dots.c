/* dots.c - mail data as DATA sends it
 * SPDX-License-Identifier: MIT */
#include "common/smtp/dots.h"

#include <string.h>

void dots_init(struct dots *dots, struct buffer *out)
{
	newline_init(&dots->newline, false, true);
	dots->out = out;
	dots->line = DOTS_LINE_START;
}

/* A server that drops NUL finds the dot behind it: that is one at the start of a line, too. */
static const char *put_line_start(struct dots *dots, const char *at, const char *end)
{
	while (at < end && !*at)
		buffer_append_char(dots->out, *at++);
	if (at < end && *at == '.')
		buffer_append_char(dots->out, '.');
	dots->line = at < end ? DOTS_LINE_TEXT : DOTS_LINE_NULS;
	return at;
}

/* Lines here end with CR LF, and an LF is nothing but such an end. */
static void append(void *arg, const char *data, size_t size)
{
	struct dots *dots = arg;
	const char *end = data + size;

	while (data < end) {
		const char *lf = memchr(data, '\n', (size_t)(end - data));
		const char *next = lf ? lf + 1 : end;

		if (dots->line != DOTS_LINE_TEXT)
			data = put_line_start(dots, data, next);
		buffer_append(dots->out, data, (size_t)(next - data));
		if (lf)
			dots->line = DOTS_LINE_START;
		data = next;
	}
}

void dots_write(struct dots *dots, const char *data, size_t size)
{
	newline_feed(&dots->newline, data, size, append, dots);
}

void dots_end(struct dots *dots)
{
	newline_finish(&dots->newline, append, dots);
	if (dots->line != DOTS_LINE_START)
		buffer_append_str(dots->out, "\r\n");
	buffer_append_str(dots->out, ".\r\n");
	dots->line = DOTS_LINE_START;
}
