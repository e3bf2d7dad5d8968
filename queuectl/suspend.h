/* suspend.h - suspended destinations, as an operator sees them
 * SPDX-License-Identifier: MIT */
#ifndef SLIMTA_QUEUECTL_SUSPEND_H
#define SLIMTA_QUEUECTL_SUSPEND_H

#include "common/queue/suspension.h"
#include "queuectl/operator.h"

/* What of this queue is suspended; to be released. -1: it was said why that is not known. */
int read_suspensions(struct operator *, struct queue *, struct suspensions *);
/* A line for each of all queues, as JSON or below a heading; nothing where there is none. How many there were. */
size_t print_suspensions(struct operator *, const char *heading);
/* What of all queues is suspended, to be kept in the operator; -1: as above, of one of them at least. */
int look_for_suspensions(struct operator *);
void forget_suspensions(struct operator *);
/* For which of them recipients wait that are still open, each once: owned, NULL behind the last; NULL: for none.
 * `done` may be NULL. */
const struct suspension **suspended_for(const struct suspensions *, const struct recipient *, size_t count,
	const struct outcomes *done);
/* Likewise, "destination example.net is suspended by ann since ..."; appended, nothing where none does. */
void put_suspended(struct buffer *out, struct operator *, struct queue *, const struct peeked *);

#endif
