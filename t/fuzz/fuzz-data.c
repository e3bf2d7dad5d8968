/* fuzz-data.c - the line-end rule: any cut gives what single octets give, and nothing can end data but CR LF . CR LF
 * SPDX-License-Identifier: MIT
 * The same data as a message that goes out: every server, however lax, reads one.
 * Input: an octet of settings, an octet of step, then the data. */
#include <stdint.h>
#include <string.h>

#include "common/base/buffer.h"
#include "common/base/memory.h"
#include "common/smtp/dots.h"
#include "common/smtp/newline.h"
#include "t/lib/lenient.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void keep(void *arg, const char *data, size_t size)
{
	buffer_append(arg, data, size);
}

static size_t feed(struct newline *n, const char *data, size_t size, size_t step, struct buffer *out)
{
	size_t taken = 0;

	while (taken < size && !n->ended)
		taken += newline_feed(n, data + taken, step < size - taken ? step : size - taken, keep, out);
	if (!n->dots)
		newline_finish(n, keep, out);
	return taken;
}

/* As the RFC says it: data ends behind the first CR LF . CR LF, the CR LF of the command counting. */
static size_t end_of(const char *data, size_t size)
{
	const char *end;

	if (size >= 3 && memcmp(data, ".\r\n", 3) == 0)
		return 3;
	end = memmem(data, size, "\r\n.\r\n", 5);
	return end ? (size_t)(end - data) + 5 : size;
}

/* What a server that drops NUL makes of it, without the dots that were added where there are any. */
static void read_lines(const char *data, size_t size, bool stuffed, struct buffer *out)
{
	bool start = true;

	for (size_t i = 0; i < size; i++) {
		if (data[i] && !(stuffed && start && data[i] == '.'))
			buffer_append_char(out, data[i]);
		start = data[i] == '\n' || (start && !data[i]);
	}
}

/* As a relay sends it: one message for all, and the one that it was. */
static void send_on(const char *data, size_t size, size_t step)
{
	struct buffer sent = { 0 }, wanted = { 0 }, got = { 0 }, lines = { 0 };
	struct newline plain;
	struct dots dots;

	dots_init(&dots, &sent);
	for (size_t at = 0; at < size; at += step)
		dots_write(&dots, data + at, step < size - at ? step : size - at);
	dots_end(&dots);
	if (end_of(sent.data, sent.size) != sent.size || lenient_end(sent.data, sent.size) != sent.size)
		BUG("what is sent ends before its end");
	newline_init(&plain, false, true);
	feed(&plain, data, size, step, &lines);
	if (lines.size && lines.data[lines.size - 1] != '\n')
		buffer_append_str(&lines, "\r\n");
	read_lines(lines.data, lines.size, false, &wanted);
	read_lines(sent.data, sent.size - strlen(".\r\n"), true, &got);
	if (got.size != wanted.size || (got.size && memcmp(got.data, wanted.data, got.size) != 0))
		BUG("another message is read than was sent");
	for (struct buffer *const *b = (struct buffer *[]){ &sent, &wanted, &got, &lines, NULL }; *b; b++)
		buffer_release(*b);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct newline one, other;
	struct buffer out = { 0 }, same = { 0 };
	const char *text = (const char *)data + 2;
	size_t taken;

	if (size < 2)
		return 0;
	newline_init(&one, data[0] & 1, data[0] & 2);
	newline_init(&other, data[0] & 1, data[0] & 2);
	taken = feed(&one, text, size - 2, 1, &out);
	if (feed(&other, text, size - 2, 1u + data[1], &same) != taken || one.found != other.found
		|| one.ended != other.ended || out.size != same.size
		|| (out.size && memcmp(out.data, same.data, out.size) != 0))
		BUG("cuts make a difference");
	if (one.dots && taken != end_of(text, size - 2))
		BUG("data ends where it does not");
	if (one.normalize && out.size) {
		for (size_t i = 0; i < out.size; i++) {
			if ((out.data[i] == '\n') != (i > 0 && out.data[i - 1] == '\r') && out.data[i] == '\n')
				BUG("a bare LF came out");
			if (out.data[i] == '\r' && one.ended && (i + 1 == out.size || out.data[i + 1] != '\n'))
				BUG("a bare CR came out");
		}
	}
	send_on(text, size - 2, 1u + data[1]);
	buffer_release(&out);
	buffer_release(&same);
	return 0;
}
