/* serving.h - which worker serves a memory queue: its lock and its socket in runtime_dir
 * SPDX-License-Identifier: MIT
 *     queue-NAME.lock	octet 0: held by who serves it; 1: by one that serves it without a master; 2: by who is next
 *     queue-NAME.new	the socket of who is next, renamed to
 *     queue-NAME	as it begins to serve
 * One worker serves and at most one waits to. Only a master's worker waits, for one of another generation; any other
 * second worker is refused. */
#ifndef SLIMTA_QUEUE_MEMORY_SERVING_H
#define SLIMTA_QUEUE_MEMORY_SERVING_H

#include <stdbool.h>
#include <sys/stat.h>

#include "common/message/reply.h"

struct storage_context;

struct serving {
	int directory_fd, lock_fd, fd;	/* -1: none; fd: the listening socket */
	const char *queue;
	dev_t device;			/* of our socket's name */
	ino_t inode;
	bool holds;			/* the lock of who serves: nobody else has messages */
	bool shown;			/* our socket was made queue-NAME */
};

/* Listens, and serves if nobody else does. 0; -1 with *why (5yz): there is another, or the system refuses. */
int serving_begin(struct serving *, const struct storage_context *, struct reply *why);
/* Takes the lock if it is free now: true if it is ours. */
bool serving_hold(struct serving *);
bool serving_is_awaited(const struct serving *);	/* somebody waits to serve next */
/* From now on new connections come to us. -1 with errno. */
int serving_show(struct serving *);
void serving_end(struct serving *);

/* A connected, non-blocking socket to who serves the queue, `next`: to who waits to. Its process is of
 * our user or root's, unless we are root. -1 with errno. */
int serving_connect(const struct storage_context *, bool next);
/* Whether the process at the other end is of our user, or root's. */
bool serving_trusts(int fd);

#endif
