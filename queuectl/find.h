/* find.h - which queue has a message
 * SPDX-License-Identifier: MIT */
#ifndef SLIMTA_QUEUECTL_FIND_H
#define SLIMTA_QUEUECTL_FIND_H

#include "queuectl/operator.h"

struct found {
	struct queue *queue;		/* NULL: no queue has it, or none could say */
	struct reply why;		/* not none: it is there, but cannot be read (damaged) */
	struct peeked peeked;		/* what is known; all ours */
	struct buffer suspended;	/* why recipients of it are not tried, filled by who wants to know, as the others: */
	struct buffer turn;		/* what those in the line of its relay wait for: "a free connection to ..." */
	size_t held, in_line;		/* by workers of its queue here, and how many of these wait for their turn */
};

/* Looks into one queue after the other. Says what is wrong, and sets the exit code, where nothing is found. */
void find_message(struct operator *, const char *id, bool content, struct found *);
void found_release(struct found *);

#endif
