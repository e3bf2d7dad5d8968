/* line.h - what messages wait for that are in the line of their relay
 * SPDX-License-Identifier: MIT */
#ifndef SLIMTA_QUEUECTL_LINE_H
#define SLIMTA_QUEUECTL_LINE_H

#include "queuectl/find.h"

/* Fills `turn` from the configuration, which the workers may have in an older version, `held` and `in_line` from what the
 * living workers of this host say. */
void line_look(struct found *, const struct operator *);

#endif
