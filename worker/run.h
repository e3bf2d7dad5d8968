/* run.h - one command under way: started, fed, listened to, ended
 * SPDX-License-Identifier: MIT */
#ifndef SLIMTA_WORKER_RUN_H
#define SLIMTA_WORKER_RUN_H

#include <sys/resource.h>

#include "worker/command.h"
#include "worker/feed.h"

struct run;

struct run_result {
	enum spawn_end end;
	uint32_t detail;
	struct buffer output[SPAWN_STREAMS];	/* the first SPAWN_OUTPUT_MAX octets; may be taken */
};
/* Once, from the loop. The run is freed afterwards. */
typedef void run_done_fn(void *arg, struct run_result *);

struct run_context {
	struct event_base *base;
	struct pool *pool;
	struct guard *guard;
	struct rlimit files;		/* the commands' limit of descriptors */
};

/* Takes args (of command_expand) and the source; the command is borrowed until `done`. */
struct run *run_start(const struct run_context *, const struct command *, char **args, struct feed_source *,
	run_done_fn *, void *arg);
/* Ends the process group: SIGTERM, and 5 seconds later, or when its leader is gone, SIGKILL. `now`: SIGKILL. */
void run_kill(struct run *, bool now);
/* Nobody waits for it any more: SIGKILL if it still gets octets, as a lease no longer keeps those as they are; else as
 * run_kill. */
void run_orphan(struct run *);
/* Kills and frees it; `done` does not run. */
void run_abandon(struct run *);

#endif
