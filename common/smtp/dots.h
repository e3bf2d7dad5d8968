/* dots.h - mail data as DATA sends it
 * SPDX-License-Identifier: MIT
 * RFC 5321 4.5.2. What comes out has CR LF line ends alone, no line that is one dot but the last, and that at its end:
 * no server can take it for two messages, not even one that ends lines with CR or LF, or drops NUL. */
#ifndef SLIMTA_SMTP_DOTS_H
#define SLIMTA_SMTP_DOTS_H

#include "common/base/buffer.h"
#include "common/smtp/newline.h"

struct dots {
	struct newline newline;
	struct buffer *out;
	enum { DOTS_LINE_START, DOTS_LINE_NULS, DOTS_LINE_TEXT } line;	/* what there is of it so far */
};

void dots_init(struct dots *, struct buffer *out);
/* Mail data, cut anywhere. A bare CR or LF in it comes out as CR LF. */
void dots_write(struct dots *, const char *data, size_t size);
/* The end of the last line, if it has none, and the line with the dot. */
void dots_end(struct dots *);

#endif
