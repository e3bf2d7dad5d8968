/* bounce.h - what a sender is told of a message: failed, delayed, delivered or relayed
 * SPDX-License-Identifier: MIT
 * RFC 3464 (delivery status notifications), 3461 6, 6522 and 6533. Results go into groups of one
 * attempt and equal reply; each group makes one message. */
#ifndef SLIMTA_MESSAGE_BOUNCE_H
#define SLIMTA_MESSAGE_BOUNCE_H

#include "common/message/envelope.h"
#include "common/message/reply.h"

enum bounce_action {
	BOUNCE_FAILED,		/* given up */
	BOUNCE_DELAYED,		/* not delivered so far, tried again */
	BOUNCE_DELIVERED,
	BOUNCE_RELAYED,		/* to a host that will not notify of success */
};

/* What became of one recipient. All borrowed. */
struct bounce_result {
	size_t index;			/* in the original's list */
	enum bounce_action action;
	const struct reply *reply;	/* that decided, or the last one; maybe none */
	const char *host;		/* the remote MTA that gave it, NAME or NAME[ADDRESS]; NULL or "": none did */
	int64_t attempt_ms;		/* wall clock of the last attempt; 0 = not known */
	const char *tls;		/* "TLSv1.3": under which it was given; NULL or "": in clear, or not known */
};

/* Whether the sender wants to know (RFC 3461 5.2): by NOTIFY, else of failure and delay. */
bool bounce_is_wanted(const struct recipient *, enum bounce_action);

/* Puts results of equal action, reply and attempt together, each group in the order of indexes: a group that could not
 * be written yet does not grow by what comes later, so that none of it is told twice. The order
 * depends on the results alone, not on how they stood. */
void bounce_sort(struct bounce_result *, size_t count);
/* How many of them, from the first on, are one group; 0 if there are none. */
size_t bounce_group(const struct bounce_result *, size_t count);

struct bounce_options {
	const char *hostname;		/* our name, ASCII */
	uint64_t size_limit_bytes;	/* of the original; a larger one comes back as its header */
	const char *to;			/* NULL = the original's sender, who is not null then */
	int64_t now_ms;			/* wall clock: its Date, its envelope's timestamp */
	int64_t retry_until_ms;		/* of a delayed one: when it is given up; 0 = not known */
};

/* The notification of one group (at least one result) of a message, complete: null sender, `to` as
 * the only recipient. It stands in memory. NULL with errno if the original cannot be read: blocking
 * where its octets are in a file, so call it on the disk pool.
 *
 * Its id follows from the original's id, the action, the reply and the indexes; its octets follow
 * from all that is given here. So whoever gives what was recorded, and no clock of the moment,
 * writes the same message as the one before, who died. Where recipients fail one after the other,
 * the owed groups are to be written as they were recorded, before there are further results.
 *
 * The original comes back whole if it failed, was not sent with RET=HDRS or REQUIRETLS, is not too large, and has
 * no NUL, bare CR or LF, or line over 998 octets; else its header, of that 64 KB at most. Where the
 * way back is ASCII all is 7-bit, but for an original with 8-bit octets in its body (8BITMIME):
 * addresses as utf-8-addr-xtext, UTF-8 headers in quoted-printable. Where `to` needs SMTPUTF8, the
 * forms of RFC 6533 stand in UTF-8. */
struct envelope *bounce_new(const struct envelope *original, const struct bounce_result *group,
	size_t count, const struct bounce_options *);

#endif
