/* feed.h - the octets of a message into the stdin of a command
 * SPDX-License-Identifier: MIT */
#ifndef SLIMTA_WORKER_FEED_H
#define SLIMTA_WORKER_FEED_H

#include "common/base/pool.h"
#include "worker/guard.h"
#include "worker/spawn_protocol.h"

struct event_base;
struct feed;

/* The message as ranges of descriptors, which are taken. */
struct feed_source {
	int fds[SPAWN_FDS];		/* -1: none */
	struct spawn_piece pieces[SPAWN_PIECES];
	unsigned piece_count;
};
void feed_source_release(struct feed_source *);

typedef void feed_ready_fn(void *arg);
typedef void feed_failed_fn(void *arg, int why);

/* Takes the source and reads the first octets, off the loop. Then `ready` runs once from the loop; or `failed`
 * once, then or later, with the errno (a file that is shorter than it should be: EIO). */
struct feed *feed_new(struct event_base *, struct pool *, struct feed_source *, feed_ready_fn *, feed_failed_fn *,
	void *arg);
/* Takes the writing end of a pipe, that does not block. It is closed when all was written, or nobody reads any more;
 * but never after a failure: who reads must not take a part for the whole. */
void feed_begin(struct feed *, int pipe_fd);
int feed_pipe(const struct feed *);		/* -1: it was closed */
/* For what feed_begin could not write at once: `slot` is told before the pipe is closed. */
void feed_guard(struct feed *, struct guard_slot *);
/* All of the message has been read: what the command still gets cannot change any more. */
bool feed_is_read(const struct feed *);
void feed_free(struct feed *);		/* closes the pipe; NULL is fine */

#endif
