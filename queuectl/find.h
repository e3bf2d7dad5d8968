/* find.h - which queue has a message
 * SPDX-License-Identifier: MIT */
#ifndef SLIMTA_QUEUECTL_FIND_H
#define SLIMTA_QUEUECTL_FIND_H

#include "queuectl/operator.h"

struct found {
	struct queue *queue;		/* NULL: no queue has it, or none could say */
	struct reply why;		/* not none: it is there, but cannot be read (damaged) */
	struct peeked peeked;		/* what is known; all ours */
	struct buffer suspended;	/* why recipients of it are not tried, filled by who wants to know */
};

/* Looks into one queue after the other. Says what is wrong, and sets the exit code, where nothing is found. */
void find_message(struct operator *, const char *id, bool content, struct found *);
void found_release(struct found *);

#endif
