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
/* For which suspension a recipient that is still open waits, "destination example.net is suspended by ann since ...";
 * appended, nothing where none does. */
void put_suspended(struct buffer *out, struct operator *, struct queue *, const struct peeked *);

#endif
