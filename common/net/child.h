/* child.h - how slimta-edge and slimta-worker start, drain and end, under a master or alone
 * SPDX-License-Identifier: MIT
 * Descriptors of a child: 0 null, 1 and 2 log, 3 control, 4 configuration (sealed memfd), 5 counters, 6 limits, 7 and
 * on: listening sockets as CONTROL_START lists them. */
#ifndef SLIMTA_NET_CHILD_H
#define SLIMTA_NET_CHILD_H

#include <jansson.h>

#include "common/base/counters.h"
#include "common/base/limits.h"
#include "common/base/pool.h"
#include "common/config/process.h"
#include "common/net/arguments.h"
#include "common/net/shared_secrets.h"

struct event_base;

#define CHILD_FD_CONTROL 3
#define CHILD_FD_CONFIG 4
#define CHILD_FD_COUNTERS 5
#define CHILD_FD_LIMITS 6
#define CHILD_FD_FIRST 7

struct child_listener {
	char *edge;		/* section name */
	unsigned listener;	/* index in its listeners */
	unsigned slot;		/* the instance it was opened for, ours or a sibling's; shared sockets: own for all */
	bool own;		/* ours to accept on from the start */
	bool kept;		/* while draining: a successor accepts on it, and what waits there is not ours to refuse */
	int fd;			/* non-blocking, listening; one listener may have several (v4 and v6) */
};

struct child_drain {
	int64_t timeout_ms;
	bool successor;		/* another generation is ready and does this one's work: it gets what we hold, and our
				 * sockets stay open there */
};

struct child {
	const char *program;		/* "slimta-edge"; "slimta-spawner" where the master made it that */
	bool alone;			/* no master: sockets, runtime_dir and counters are our own */
	struct event_base *base;
	struct config *config;
	struct process_options process;
	struct counters *counters;
	struct limits *limits;		/* an edge's; NULL otherwise */
	struct pool *disk;		/* started by child_begin, after privileges were dropped; no spawner has it */
	struct shared_secrets secrets;	/* an edge's */
	unsigned generation, instance;
	char *queue;			/* a worker's; NULL otherwise */
	struct child_listener *listeners;
	size_t listener_count;
	int spawner_fd;			/* the spawner's listening socket; -1 */

	/* Set by the program before child_run. */
	void (*drain)(void *arg, const struct child_drain *);	/* once: begin nothing new; child_finished when done */
	void (*hurry)(void *arg, int64_t timeout_ms);	/* optional: draining has so much time left, not what was said */
	void (*adopt)(void *arg, size_t listener, bool on);	/* edges: accept on this one too, or no longer */
	void (*stats)(void *arg, json_t *into);		/* optional: members for `status` */
	void *arg;
	struct child_private *private;
};

/* Reads the configuration, opens the log, takes the start message; alone, makes what a master would have made:
 * runtime_dir, counters, for slimta-edge the sockets of all its listeners. NULL: all was said on stderr. */
struct child *child_open(const char *program, const struct child_arguments *);
/* Drops privileges (the spawner keeps them), sets the process name, starts the disk pool. 0, or -1 (logged). */
int child_begin(struct child *);
/* Tells the master, or logs `ready`. */
void child_ready(struct child *);
/* The loop, until child_finished. SIGTERM, CONTROL_DRAIN and the end of the control socket drain; a second SIGTERM
 * (alone: SIGINT too), or 3 s past the time-out given to `drain`, ends at once. SIGUSR1 (alone) reopens logs.
 * Returns the exit code: 0, or 1 where it was ended before `drain` was done. */
int child_run(struct child *);
/* While it drains: it waits for an answer that it must not do without, for `ms` from now, whatever the bound; the master
 * is told. At most CHILD_EXTEND_MAX_MS at once. */
#define CHILD_EXTEND_MAX_MS 600000
void child_extend(struct child *, int64_t ms);
void child_finished(struct child *);
void child_free(struct child *);

/* `--check`: the configuration from descriptor 3, where the master has put it, or else from -c and then with
 * the checks that every program makes. NULL where it cannot be read. Errors go into `errors`. */
struct config *child_check_config(const struct child_arguments *, struct config_errors *errors);
/* Says what was found: to the master on stdout as config_errors_format, to people on stderr as they like it.
 * Returns the exit code: 0, or 1 with errors. */
int child_check_print(const struct child_arguments *, struct config_errors *);

#endif
