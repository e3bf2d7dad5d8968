/* submit.h - a queue from within, and messages on their way into it
 * SPDX-License-Identifier: MIT
 * For queue.c, queue_options.c and submit.c alone. */
#ifndef SLIMTA_QUEUE_SUBMIT_H
#define SLIMTA_QUEUE_SUBMIT_H

#include <sys/queue.h>

#include "common/queue/queue.h"

struct submission {
	LIST_ENTRY(submission) next;
	struct queue *queue;
	struct envelopes out;
	int64_t begun_boot_ms;
	bool unknown;			/* a write may have stored it */
	struct reply why;		/* none: success */
	struct event *later;
	storage_done_fn *done;
	void *arg;
};
LIST_HEAD(submissions, submission);

struct queue {
	char *name;
	struct queue_options options;
	struct expression *schedule;	/* of retry.delay */
	struct storage *storage;
	struct policy_chain *policies;
	bool is_open;
	bool is_full;			/* and the log has it, since full_boot_ms */
	int64_t full_boot_ms;
	struct submissions submissions;
	size_t pending;
};

/* Fills the options of the queue and its storage from `section`. 0, or -1 with errors. */
int queue_options_load(struct queue *, const struct config *, const struct config_node *section, struct config_errors *);
/* Answers those that still wait for a storage that is closed. */
void queue_submit_end(struct queue *);
/* Calls back from the loop. */
void queue_answer_later(struct queue *, unsigned code, const char *status, const char *text, storage_done_fn *,
	void *arg);

#endif
