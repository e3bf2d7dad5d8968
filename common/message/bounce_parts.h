/* bounce_parts.h - what the files of bounce.c share; nobody else includes it
 * SPDX-License-Identifier: MIT */
#ifndef SLIMTA_MESSAGE_BOUNCE_PARTS_H
#define SLIMTA_MESSAGE_BOUNCE_PARTS_H

#include "common/message/bounce.h"

/* One notification while it is made. */
struct bounce {
	const struct envelope *original;
	const struct bounce_result *group;	/* `count` of them, at least one */
	size_t count;
	const struct bounce_options *options;
	const char *to;
	bool utf8;				/* the way back takes UTF-8 */
};

/* A body part. */
struct bounce_part {
	const char *type;			/* Content-Type; NULL: there is no such part */
	const char *encoding;			/* Content-Transfer-Encoding */
	struct buffer octets;
};

static inline enum bounce_action bounce_action(const struct bounce *b)
{
	return b->group[0].action;
}

/* Appends text that comes from elsewhere, as part of a line: control characters are spaces, what is
 * not ASCII is escaped as \x{HEX} unless `utf8`. */
void bounce_append(struct buffer *out, const char *text, bool utf8);

/* "NAME (ADDRESS)" of "NAME[ADDRESS]". */
void bounce_append_host(struct buffer *out, const char *host, bool utf8);

/* The third part: the original (`*whole`) or its header. 0, or -1 with errno. */
int bounce_make_returned(const struct bounce *, struct bounce_part *, bool *whole);
/* The second one: message/delivery-status. */
void bounce_make_status(const struct bounce *, struct bounce_part *);
/* The first one, for people; `returned` is what goes with it. */
void bounce_make_text(const struct bounce *, const struct bounce_part *returned, bool whole,
	struct bounce_part *);

#endif
