/* reply.h - an SMTP reply: answer to a client, result of a delivery, and the error value of this software
 * SPDX-License-Identifier: MIT
 * RFC 5321 4.2, RFC 2034 and 3463. The code decides, never the text. */
#ifndef SLIMTA_MESSAGE_REPLY_H
#define SLIMTA_MESSAGE_REPLY_H

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>

/* An all-zero reply is "none": code 0. */
struct reply {
	unsigned short code;			/* 200 to 599 */
	unsigned short subject, detail;		/* of the enhanced status X.subject.detail; X is code / 100 */
	char *text;				/* owned; lines are separated by \n; no CR, no NUL, UTF-8 */
};

/* Sets all of it; `code` outside 200 to 599 is a BUG (who reads a peer's reply checks it first). `status` is
 * "4.3.0" (of another class: the code's class is taken) or NULL for X.0.0. What the format gives is cleaned:
 * CR LF becomes \n, other control characters become spaces, invalid UTF-8 becomes U+FFFD, line ends at the
 * end go, cut at 8 KB. The arguments may come from the reply itself. */
void reply_set(struct reply *, unsigned code, const char *status, const char *format, ...)
	__attribute__((format(printf, 4, 5)));
void reply_release(struct reply *);
void reply_copy(struct reply *to, const struct reply *from);
void reply_move(struct reply *to, struct reply *from);	/* `from` is none afterwards */
bool reply_equal(const struct reply *, const struct reply *);

static inline bool reply_is_none(const struct reply *r) { return r->code == 0; }
static inline bool reply_is_success(const struct reply *r) { return r->code >= 200 && r->code < 300; }
static inline bool reply_is_transient(const struct reply *r) { return r->code >= 400 && r->code < 500; }
static inline bool reply_is_permanent(const struct reply *r) { return r->code >= 500 && r->code < 600; }

struct buffer;
/* "250 2.1.0 Ok" on one line (\n as " / "), for logs and queuectl. */
void reply_append(const struct reply *, struct buffer *out);
/* On the wire: every line with code and enhanced status (unless `plain`: 220 and EHLO have none, 3yz never),
 * CR LF. Lines are broken at 512 octets (RFC 5321 4.5.3.1.5). */
void reply_append_wire(const struct reply *, bool plain, struct buffer *out);

json_t *reply_to_json(const struct reply *);	/* {"code":250,"status":"2.1.0","text":"Ok"} */
int reply_from_json(struct reply *, const json_t *);	/* 0, or -1 if it is none */

#endif
