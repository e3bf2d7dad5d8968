/* script.h - the scripts that change a redis queue, run in the server
 * SPDX-License-Identifier: MIT
 * NAME.lua of this folder each, part of the program; each is sent with prelude.lua before it and with the same KEYS. */
#ifndef SLIMTA_QUEUE_REDIS_SCRIPT_H
#define SLIMTA_QUEUE_REDIS_SCRIPT_H

#include "common/net/redis.h"

enum redis_script {
	SCRIPT_WRITE, SCRIPT_DISCARD, SCRIPT_MARK, SCRIPT_PEEK, SCRIPT_LIST, SCRIPT_INFO, SCRIPT_SET, SCRIPT_SETTINGS,
	SCRIPT_CLAIM, SCRIPT_CLAIM_ID, SCRIPT_SETTLE, SCRIPT_RENEW, SCRIPT_RECORD, SCRIPT_REMOVE, SCRIPT_RECALL, SCRIPT_SWEEP,
	SCRIPT_RELEASE,
	SCRIPT_COUNT
};

struct redis_queue;
struct redis_scripts;

/* `flags`: the server is of version 7 or later, which wants to be told what a script does. */
void redis_scripts_open(struct redis_queue *);
void redis_scripts_close(struct redis_queue *);		/* commands under way have called back */
void redis_scripts_flags(struct redis_queue *, bool flags);

/* Runs it on the main connection: EVALSHA, and EVAL where the server does not know it. The arguments, its ARGV, are copied.
 * `done` never gets an error of the server as a reply: it is a `why` then, as redis_error_reply() makes it. Where the queue
 * is not usable the answer is 451 4.3.0. */
void redis_script(struct redis_queue *, enum redis_script, const struct redis_part *args, size_t count, redis_done_fn *,
	void *arg);
/* The same with arguments that stay the caller's until `done` has run. */
void redis_script_large(struct redis_queue *, enum redis_script, const struct redis_part *args, size_t count,
	redis_done_fn *, void *arg);

/* For a connection of one's own: EVAL with the whole text, a command of *parts_count. Owned; what it has is borrowed. */
struct redis_part *redis_script_command(const struct redis_queue *, enum redis_script, const struct redis_part *args,
	size_t count, size_t *parts_count);

#endif
