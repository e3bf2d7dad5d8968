/* reader.c - finds command lines
 * SPDX-License-Identifier: MIT */
#include "common/smtp/reader.h"

#include <string.h>

/* The LF of the first CR LF, or NULL. */
static const char *find_end(const char *data, size_t size, bool after_cr)
{
	const char *at = data, *end = data + size;

	while (at < end) {
		const char *lf = memchr(at, '\n', (size_t)(end - at));

		if (!lf)
			return NULL;
		if (lf > data ? lf[-1] == '\r' : after_cr)
			return lf;
		at = lf + 1;
	}
	return NULL;
}

static size_t skip(struct reader *r, const char *data, size_t size)
{
	const char *lf = find_end(data, size, r->after_cr);

	r->skipping = !lf;
	r->after_cr = !lf && size > 0 && data[size - 1] == '\r';
	return lf ? (size_t)(lf - data) + 1 : size;
}

enum reader_result reader_next(struct reader *r, const char *data, size_t size, size_t limit,
	size_t *line_size, size_t *taken)
{
	const char *lf;

	*taken = 0;
	if (r->skipping) {
		*taken = skip(r, data, size);
		return READER_MORE;
	}
	lf = find_end(data, size < limit ? size : limit, false);
	if (lf) {
		*line_size = (size_t)(lf - data) - 1;
		*taken = *line_size + 2;
		return READER_LINE;
	}
	if (size < limit)
		return READER_MORE;
	r->after_cr = false;
	*taken = skip(r, data, size);
	return READER_TOO_LONG;
}
