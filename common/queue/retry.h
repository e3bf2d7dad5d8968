/* retry.h - when a message that had to wait is tried again
 * SPDX-License-Identifier: MIT */
#ifndef SLIMTA_QUEUE_RETRY_H
#define SLIMTA_QUEUE_RETRY_H

#include <stdint.h>

#include "common/config/expression.h"
#include "common/config/tree.h"

#define RETRY_CHECKED_MAX 1000			/* attempts for which a schedule is tried when it is read */
#define RETRY_DELAY_MAX_MS INT64_C(315360000000)	/* ten years: what is longer waits that long */

/* retry.delay, tried for x = 1 to `maximum`: owned, or NULL with an error at `node` that names the column and x. */
struct expression *retry_schedule(const struct config_node *node, const char *delay, unsigned maximum,
	struct config_errors *);

/* How long to wait after `attempts` of them were made. One beyond those that were tried when the schedule was read
 * may have no delay: it gets that of the last that has one. */
int64_t retry_delay_ms(const struct expression *schedule, unsigned attempts);

#endif
