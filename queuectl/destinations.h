/* destinations.h - the domains that most messages are for
 * SPDX-License-Identifier: MIT */
#ifndef SLIMTA_QUEUECTL_DESTINATIONS_H
#define SLIMTA_QUEUECTL_DESTINATIONS_H

#include "queuectl/operator.h"

/* Reads all messages of the operator's queues and prints the `most` domains of recipients that most of them are for,
 * counted once a message. In bounded memory: beyond some thousand domains counts may be too great, which is shown. */
void print_destinations(struct operator *, const struct arguments *, size_t most);

#endif
