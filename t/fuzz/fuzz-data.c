/* fuzz-data.c - the line-end rule: any cut gives what single octets give, and nothing can end data but CR LF . CR LF
 * SPDX-License-Identifier: MIT
 * Input: an octet of settings, an octet of step, then the data. */
#include <stdint.h>
#include <string.h>

#include "common/base/buffer.h"
#include "common/base/memory.h"
#include "common/smtp/newline.h"

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
	buffer_release(&out);
	buffer_release(&same);
	return 0;
}
