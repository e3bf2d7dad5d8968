/* notice.h - tells a sender what is recorded of a message: failed, delayed, delivered
 * SPDX-License-Identifier: MIT
 * A notification is owed for each recipient whose recorded outcome is the first of a pair (storage.h) and whose sender
 * wants to know. It is made of what is recorded alone, so that whoever finds it owed writes the same. A message without
 * a sender has no notification but that of a failure to `double_bounce`, which has none itself. */
#ifndef SLIMTA_WORKER_NOTICE_H
#define SLIMTA_WORKER_NOTICE_H

#include "common/queue/queue.h"

/* All borrowed. */
struct notice_settings {
	struct pool *disk;
	struct queue *into;			/* the bounce queue, open or not */
	const struct queue_options *options;	/* of the message's queue */
	const char *hostname;			/* ours */
	bool relay_is_final;			/* a success is a delivery; else the next hop has it now */
	struct counters *counters;
};

/* Whether somebody is to be told of this outcome, which is the first of a pair. */
bool notice_is_wanted(const struct notice_settings *, const struct envelope *, size_t index, enum outcome_kind);
/* Whether somebody has to be told of what is in `done`. */
bool notice_is_owed(const struct notice_settings *, const struct envelope *, const struct outcomes *done);

struct notice;
/* `why`: the bounce queue's. NULL: it has the notification of one group, and the outcomes of that in `done` are the
 * second of their pair now, which is to be recorded before there are further results. */
typedef void notice_done_fn(void *arg, const struct reply *why);

/* Writes the first group that is owed; there is one. Envelope and outcomes are borrowed until `done`, which runs once,
 * from the loop; nobody changes them meanwhile. */
struct notice *notice_write(const struct notice_settings *, const struct envelope *, struct outcomes *, notice_done_fn *,
	void *arg);
/* The process ends: the bounce queue is asked for nothing more; `done` may run yet, with 451. */
void notice_stop(struct notice *);

#endif
