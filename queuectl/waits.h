/* waits.h - why a message is still there, in one line
 * SPDX-License-Identifier: MIT */
#ifndef SLIMTA_QUEUECTL_WAITS_H
#define SLIMTA_QUEUECTL_WAITS_H

#include "queuectl/find.h"

/* Appended; `found->queue` has it. */
void put_waits(struct buffer *out, const struct found *);

#endif
