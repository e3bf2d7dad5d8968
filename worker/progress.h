/* progress.h - what became of each recipient of a message under way
 * SPDX-License-Identifier: MIT */
#ifndef SLIMTA_WORKER_PROGRESS_H
#define SLIMTA_WORKER_PROGRESS_H

#include "common/base/counters.h"
#include "common/message/envelope.h"
#include "common/message/reply.h"
#include "common/queue/storage.h"

/* One recipient. */
struct progress {
	bool before;			/* delivered in an earlier attempt */
	bool settled;			/* the relay is done with it */
	bool sent, logged;		/* of a delivered one: the storage was told; it did, and the log has it */
	struct reply reply;		/* none: not attempted */
	char *host;
};

/* An array, one a recipient; *open is the number of those that the relay has to settle. */
struct progress *progress_new(const struct envelope *, const struct outcomes *done, size_t *open);
void progress_free(struct progress *, size_t count);		/* NULL is fine */
void progress_settle(struct progress *, const struct reply *, const char *host);

bool progress_is_complete(const struct progress *, size_t count);	/* all are delivered */
/* The first that failed in this attempt; NULL: none. */
const struct progress *progress_first_failed(const struct progress *, size_t count);

void progress_mark_sent(struct progress *, size_t count);	/* the storage is being told what is delivered now */
/* One line, and one count, for each that the storage has recorded and that was not logged yet. */
void progress_log_delivered(struct progress *, const struct envelope *, const char *relay, struct counters *,
	unsigned attempts);
void progress_log_deferred(const struct progress *, const struct envelope *, const char *relay, struct counters *,
	unsigned attempts, int64_t delay_ms);
/* For those that were delivered, but are not known to be recorded. */
void progress_log_in_doubt(const struct progress *, const struct envelope *, const char *relay);

#endif
