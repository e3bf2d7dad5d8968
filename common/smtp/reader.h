/* reader.h - finds command lines in what a client sent
 * SPDX-License-Identifier: MIT
 * Nothing is buffered here: a part of a line stays with the caller, one that is too long is skipped. */
#ifndef SLIMTA_SMTP_READER_H
#define SLIMTA_SMTP_READER_H

#include <stdbool.h>
#include <stddef.h>

/* With CR LF, RFC 5321 4.5.3.1.4; parameters of extensions come on top. */
#define READER_LINE_MAX 512

enum reader_result {
	READER_MORE,		/* no whole line yet; `taken` octets of a long one were skipped */
	READER_LINE,		/* data[0..line_size) without its CR LF; `taken` is with it */
	READER_TOO_LONG,	/* no end within `limit`: told once, its rest is then skipped */
};

/* All-zero at the start. */
struct reader {
	bool skipping;
	bool after_cr;
};

enum reader_result reader_next(struct reader *, const char *data, size_t size, size_t limit,
	size_t *line_size, size_t *taken);

#endif
