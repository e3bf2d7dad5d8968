/* form.h - a message in its stored form, in memory
 * SPDX-License-Identifier: MIT */
#ifndef SLIMTA_QUEUE_MEMORY_FORM_H
#define SLIMTA_QUEUE_MEMORY_FORM_H

#include "common/message/envelope.h"
#include "common/message/reply.h"

/* Never changed once it is made, so that threads may read it while somebody on the loop holds a reference. */
struct form {
	unsigned references;		/* the loop's */
	char id[ID_SIZE];
	int64_t accepted_ms;		/* as message_accepted_ms() gives it */
	size_t octets_at, size;
	char *data;
};

struct forms {
	struct form **items;
	size_t count;
};

struct form *form_hold(struct form *);
void form_release(struct form *);		/* NULL is fine */
void forms_release(struct forms *);
uint64_t form_content_size(const struct form *);

/* In a thread: the envelope and its content. NULL with *why: 451 4.3.0. */
struct form *form_encode(const struct envelope *, struct reply *why);
/* In a thread: all the messages that stand in the buffer, one behind the other, their sums checked. Empties it. 0, or
 * -1 with *why: 554 5.6.0 (damaged), 451 4.3.0 (of another version). */
int forms_split(struct forms *, struct buffer *, struct reply *why);
/* The same from any memory; `content` false: its octets need not be there. */
struct envelope *form_read(const char *data, size_t size, bool content, struct reply *why);
/* Any thread: the envelope; `content` false: its content has the right size and no octets. NULL with *why. */
struct envelope *form_decode(const struct form *, bool content, struct reply *why);
/* Any thread: the envelope, with no content. */
struct envelope *form_decode_head(const struct form *, struct reply *why);

#endif
