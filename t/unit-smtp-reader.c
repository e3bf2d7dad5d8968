/* unit-smtp-reader.c - command lines, whole, cut and too long
 * SPDX-License-Identifier: MIT */
#include "t/lib/tap.h"

#include "common/base/buffer.h"
#include "common/smtp/reader.h"

/* Reads it all, offering it in pieces of `step` as a connection does; "[line]" and "!" (too long) to `out`. */
static void read_all(const char *data, size_t size, size_t step, struct buffer *out)
{
	struct reader r = { 0 };
	struct buffer in = { 0 };
	size_t line_size, taken, at = 0;

	while (at < size) {
		size_t more = step < size - at ? step : size - at;

		buffer_append(&in, data + at, more);
		at += more;
		do {
			enum reader_result result = reader_next(&r, in.data, in.size, 8, &line_size, &taken);

			if (result == READER_LINE)
				buffer_appendf(out, "[%.*s]", (int)line_size, in.data);
			else if (result == READER_TOO_LONG)
				buffer_append_char(out, '!');
			buffer_consume(&in, taken);
		} while (taken && in.size);
		if (in.size >= 8)
			ok(false, "an incomplete line stays below the limit");
	}
	buffer_release(&in);
}

static void check(const char *data, const char *wanted)
{
	size_t size = strlen(data);
	unsigned wrong = 0;

	for (size_t step = 1; step <= size; step++) {
		struct buffer out = { 0 };

		read_all(data, size, step, &out);
		if (strcmp(buffer_str(&out), wanted) != 0) {
			wrong++;
			diag("in steps of %zu: %s", step, buffer_str(&out));
		}
		buffer_release(&out);
	}
	ok(!wrong, "%s in steps of every size", wanted);
}

int main(void)
{
	check("NOOP\r\nQUIT\r\n", "[NOOP][QUIT]");
	check("\r\n\r\nA", "[][]");
	check("A\nB\r\nC\rD\r\n", "[A\nB][C\rD]");
	check("123456\r\nA\r\n", "[123456][A]");
	check("1234567\r\nA\r\n", "![A]");
	check("1234567890123456789012345\n6\r7\r\nA\r\n", "![A]");
	check("12345678\r\r\nA\r\n", "![A]");
	check("12345678\n\r\nA\r\n12345678", "![A]!");
	return done_testing();
}
