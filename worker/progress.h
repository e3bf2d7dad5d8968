/* progress.h - what became of each recipient of a message under way
 * SPDX-License-Identifier: MIT */
#ifndef SLIMTA_WORKER_PROGRESS_H
#define SLIMTA_WORKER_PROGRESS_H

#include "common/message/envelope.h"
#include "common/message/reply.h"
#include "common/queue/storage.h"
#include "worker/relay.h"

struct counters;
struct notice_settings;

/* One recipient. */
struct progress {
	bool settled;			/* the relay is done with it */
	bool failed;			/* given up in this life: state.done says with which reply */
	bool sent, logged;		/* of a delivered or failed one: the storage was told; it did, and the log has it */
	struct reply reply;		/* of this attempt; none: not attempted */
	char *host, *tls;		/* as relay_result has it */
	int64_t later_ms;		/* not attempted, as the line for `host` was full: due then */
};

/* An array, one a recipient. */
struct progress *progress_new(const struct envelope *);
void progress_free(struct progress *, size_t count);		/* NULL is fine */
void progress_settle(struct progress *, const struct relay_result *);

bool progress_is_unsuccessful(const struct progress *);		/* tried in this attempt, without success */
/* The first such one, `open`: of those that were not given up; NULL: none. */
const struct progress *progress_first_unsuccessful(const struct progress *, size_t count, bool open);

/* Of those that were not attempted the one that is due first, if its line was full; NULL: none, or one is due at once. */
const struct progress *progress_in_full_line(const struct progress *, size_t count);
/* What is to be said of it. */
void progress_say_full_line(const struct progress *, struct reply *);

void progress_mark_sent(struct progress *, size_t count);	/* the storage is being told what is settled now */

/* What lines say. All borrowed. */
struct progress_log {
	const struct envelope *envelope;
	const struct outcomes *done;
	const struct notice_settings *notices;
	const char *relay;
	struct counters *counters;
	unsigned attempts;
};
/* One line, and one count, for each delivered or failed one that the storage has recorded and that was not logged yet;
 * an error for a failed one of whom nobody is told as the message has no sender. */
void progress_log_recorded(struct progress *, const struct progress_log *);
void progress_log_deferred(const struct progress *, const struct progress_log *, int64_t delay_ms);
/* For those that were delivered, but are not known to be recorded. */
void progress_log_in_doubt(const struct progress *, const struct envelope *, const char *relay);

#endif
