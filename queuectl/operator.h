/* operator.h - the operator's hand: a configuration, its queues opened, calls that wait for their answer
 * SPDX-License-Identifier: MIT */
#ifndef SLIMTA_QUEUECTL_OPERATOR_H
#define SLIMTA_QUEUECTL_OPERATOR_H

#include "common/queue/queue.h"
#include "queuectl/arguments.h"

/* The worst of what happened, as the program's exit status; a greater number does not mean worse. */
enum exit_code {
	EXIT_DONE = 0,
	EXIT_ERROR = 1,
	EXIT_USAGE = 2,
	EXIT_NOT_FOUND = 3,	/* no queue has the message */
	EXIT_BUSY = 4,		/* it is being delivered just now, and obeys when that ends */
	EXIT_DECLINED = 5,	/* the operator was asked, and did not want it */
};

struct operator {
	struct event_base *base;
	struct pool *disk;
	struct config *config;
	struct process_options process;
	struct queue **queues;		/* those that could be opened */
	size_t queue_count;
	bool *broken;			/* of each: it does not answer any more, and is not asked again */
	bool partly;			/* there are others: what is not in these may be in those */
	struct suspensions *suspended;	/* of each of them, once somebody looked */
	struct strings said;		/* what went wrong with queues */
	struct buffer user;		/* who is behind this process */
	struct buffer sudo_user;	/* who became that by sudo; empty: nobody */
	bool json;
	bool unrecorded;		/* something that was changed is not in the log: nothing more is to be */
	enum exit_code code;
};

/* Reads the configuration, opens the log for commands that change something, becomes the user that workers are
 * (as root, so that whatever is written can be read by them), opens the queues. -1: all was said on stderr. A
 * queue that cannot be opened is said, and makes the exit code EXIT_ERROR; the others are there. For the master alone
 * only the `process` section is taken. */
int operator_open(struct operator *, const struct arguments *);
void operator_close(struct operator *);

void operator_worsen(struct operator *, enum exit_code);	/* unless a worse one is set */
/* Says on stderr what went wrong with `what` (a queue, an id), and worsens the exit code. */
void operator_fail(struct operator *, enum exit_code, const char *what, const struct reply *why);
/* Likewise of a queue as a whole, EXIT_ERROR; the same is said once, however often a command comes upon it. */
bool operator_may_ask(const struct operator *, const struct queue *);	/* it is not broken */
void operator_fail_queue(struct operator *, const struct queue *, const struct reply *why);
/* No queue has it: EXIT_NOT_FOUND, or EXIT_ERROR where one could not be opened. `more` is said behind it. */
void operator_say_absent(struct operator *, const char *id, const char *more);
void operator_say(struct operator *, enum exit_code, const char *format, ...) __attribute__((format(printf, 3, 4)));

/* Runs the loop until *done. */
void operator_wait(struct operator *, const bool *done);

/* The commands: EXIT_DONE and so on stand in operator->code afterwards. */
void list_messages(struct operator *, const struct arguments *);
void show_message(struct operator *, const struct arguments *);
void steer_messages(struct operator *, const struct arguments *);
void suspend_destinations(struct operator *, const struct arguments *);
void resume_destinations(struct operator *, const struct arguments *);
void show_status(struct operator *, const struct arguments *);
void reload_master(struct operator *, const struct arguments *);

/* The lines that the master answers within `timeout_s` (0: whenever it does), each a JSON object; NULL with *why (owned)
 * where there is no master. */
json_t *master_ask(const char *runtime_dir, const char *op, unsigned timeout_s, char **why);

#endif
