/* dots.c - mail data as DATA sends it
 * SPDX-License-Identifier: MIT */
#include "common/smtp/dots.h"

#include <string.h>

void dots_init(struct dots *dots, struct buffer *out)
{
	newline_init(&dots->newline, false, true);
	dots->out = out;
	dots->within_line = false;
}

/* Lines here end with CR LF, and an LF is nothing but such an end. */
static void append(void *arg, const char *data, size_t size)
{
	struct dots *dots = arg;
	const char *end = data + size;

	while (data < end) {
		const char *lf = memchr(data, '\n', (size_t)(end - data));
		const char *next = lf ? lf + 1 : end;

		if (!dots->within_line && *data == '.')
			buffer_append_char(dots->out, '.');
		buffer_append(dots->out, data, (size_t)(next - data));
		dots->within_line = !lf;
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
	if (dots->within_line)
		buffer_append_str(dots->out, "\r\n");
	buffer_append_str(dots->out, ".\r\n");
	dots->within_line = false;
}
