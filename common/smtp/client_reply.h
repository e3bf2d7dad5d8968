/* client_reply.h - reads what an SMTP server answers
 * SPDX-License-Identifier: MIT
 * RFC 5321 4.2. Nothing is kept of a line that is not whole: that stays with the caller. */
#ifndef SLIMTA_SMTP_CLIENT_REPLY_H
#define SLIMTA_SMTP_CLIENT_REPLY_H

#include "common/base/buffer.h"
#include "common/message/reply.h"

#define CLIENT_REPLY_LINE_MAX 2048	/* with its line end; RFC 5321 4.5.3.1.5 has 512 */
#define CLIENT_REPLY_LINES_MAX 128
#define CLIENT_REPLY_TEXT_MAX 16384	/* what is beyond is read, and not kept */

/* All-zero at the start. */
struct client_reply {
	unsigned code, lines;
	struct buffer text;		/* lines without code, joined by \n; as they came, but for NUL */
};

enum client_reply_result {
	CLIENT_REPLY_MORE,	/* not complete yet */
	CLIENT_REPLY_READ,	/* complete: to be reset before the next */
	CLIENT_REPLY_BROKEN,	/* no reply: too long, no code, or codes that differ */
};

/* `taken`: whole lines, up to and with the last of the reply. A line may end with LF alone. */
enum client_reply_result client_reply_next(struct client_reply *, const char *data, size_t size, size_t *taken);
/* The reply with its text cleaned. An enhanced status (RFC 2034) counts where its class is that of the code; else it
 * is text like any other. */
void client_reply_get(const struct client_reply *, struct reply *out);
void client_reply_reset(struct client_reply *);		/* keeps no memory */

#endif
