/* verdict.h - what results mean for each recipient: given up, told to be late, tried again
 * SPDX-License-Identifier: MIT
 * `done` grows by what is decided; telling the storage and the sender is the caller's. */
#ifndef SLIMTA_WORKER_VERDICT_H
#define SLIMTA_WORKER_VERDICT_H

#include "worker/notice.h"
#include "worker/progress.h"

/* All borrowed. */
struct verdict {
	const struct notice_settings *notices;
	const struct queue_retry *retry;
	const struct envelope *envelope;
	struct message_state *state;
	struct progress *progress;
	int64_t attempt_ms;		/* wall clock: when it was begun; unused before it */
	int64_t now_ms;
};

/* Before an attempt: all who are open fail if an operator wants the message back, or if it is too old or was tried too
 * often for the configuration of today. True if so. */
bool verdict_before(const struct verdict *);
/* Of one who is not attempted as his destination is suspended: who is late. True if he was added to `done`. */
bool verdict_suspended(const struct verdict *, size_t index, const char *domain);
/* After an attempt, for which all that the relay settled stands in `progress`: who failed, who is late. True if
 * somebody was added to `done`. */
bool verdict_after(const struct verdict *);

#endif
