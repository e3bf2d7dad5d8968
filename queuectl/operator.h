/* operator.h - the operator's hand: a configuration, its queues opened, calls that wait for their answer
 * SPDX-License-Identifier: MIT */
#ifndef SLIMTA_QUEUECTL_OPERATOR_H
#define SLIMTA_QUEUECTL_OPERATOR_H

#include "common/queue/queue.h"

/* The worst of what happened, as the program's exit status; a greater number does not mean worse. */
enum exit_code {
	EXIT_DONE = 0,
	EXIT_ERROR = 1,
	EXIT_USAGE = 2,
	EXIT_NOT_FOUND = 3,	/* no queue has the message */
	EXIT_BUSY = 4,		/* it is being delivered just now */
};

struct operator {
	struct event_base *base;
	struct pool *disk;
	struct config *config;
	struct process_options process;
	struct queue **queues;		/* those that could be opened */
	size_t queue_count;
	struct buffer user;		/* who is behind this process */
	struct buffer sudo_user;	/* who became that by sudo; empty: nobody */
	bool json;
	enum exit_code code;
};

struct arguments {
	const char *config_path;	/* NULL: where config_read looks */
	const char *queue;		/* NULL: all */
	bool json, message;
	bool changes;			/* the command changes what is stored, and leaves a line in the log */
	bool without_queues;		/* the command has something to say where no queue can be opened */
	bool of_master;			/* the command is for the master alone, also where the configuration is wrong */
	size_t limit;			/* 0: none */
	char **ids;
	size_t id_count;
};

/* Reads the configuration, opens the log for commands that change something, becomes the user that workers are
 * (as root, so that whatever is written can be read by them), opens the queues. -1: all was said on stderr. A
 * queue that cannot be opened is said, and makes the exit code EXIT_ERROR; the others are there. For the master alone
 * only the `process` section is taken. */
int operator_open(struct operator *, const struct arguments *);
void operator_close(struct operator *);

/* Says on stderr what went wrong with `what` (a queue, an id), and sets the exit code unless a worse one is set. */
void operator_fail(struct operator *, enum exit_code, const char *what, const struct reply *why);
void operator_say(struct operator *, enum exit_code, const char *format, ...) __attribute__((format(printf, 3, 4)));

/* Runs the loop until *done. */
void operator_wait(struct operator *, const bool *done);

/* The commands: EXIT_DONE and so on stand in operator->code afterwards. */
void list_messages(struct operator *, const struct arguments *);
void show_message(struct operator *, const struct arguments *);
void remove_messages(struct operator *, const struct arguments *);
void show_status(struct operator *, const struct arguments *);
void reload_master(struct operator *, const struct arguments *);

/* The lines that the master answers within `timeout_s` (0: whenever it does), each a JSON object; NULL with *why (owned)
 * where there is no master. */
json_t *master_ask(const char *runtime_dir, const char *op, unsigned timeout_s, char **why);

#endif
