/* record.h - what an operator did, in the log
 * SPDX-License-Identifier: MIT */
#ifndef SLIMTA_QUEUECTL_RECORD_H
#define SLIMTA_QUEUECTL_RECORD_H

#include "common/base/log.h"
#include "queuectl/operator.h"

/* A line with these fields (at most RECORD_FIELDS_MAX, ends with {0}) and the user behind them, whatever the level of the
 * log. If it cannot be written that is said, and operator->unrecorded set. */
#define RECORD_FIELDS_MAX 8
void record(struct operator *, const char *event, const struct log_field *fields);

#endif
