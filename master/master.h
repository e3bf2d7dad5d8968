/* master.h - the supervisor's state: its generations, their children, their sockets
 * SPDX-License-Identifier: MIT
 * A slot is a place for one child of one generation; processes come and go in it. supervise() alone starts and ends
 * them. */
#ifndef SLIMTA_MASTER_MASTER_H
#define SLIMTA_MASTER_MASTER_H

#include <jansson.h>
#include <stdbool.h>
#include <sys/queue.h>
#include <sys/types.h>

#include "common/base/counters.h"
#include "common/base/limits.h"
#include "common/config/process.h"
#include "common/net/control.h"
#include "common/net/shared_secrets.h"
#include "master/arguments.h"
#include "master/restart.h"
#include "master/sockets.h"

struct event;
struct event_base;
struct reload;
struct status;

enum program { PROGRAM_MASTER, PROGRAM_EDGE, PROGRAM_WORKER, PROGRAM_COUNT };
extern const char *const program_sections[PROGRAM_COUNT];	/* "master" "edge" "worker" */

/* What belongs to one program in one generation. */
struct program_plan {
	struct process_options process;
	struct identity identity;
	int exec_fd;			/* O_PATH; -1 for the master itself */
	int config_fd;			/* the configuration as it gets it, sealed; -1 for the master itself */
	int stdout_fd, stderr_fd;	/* its files; -1: as the master's */
};

/* In the order of starting; ended the other way round. */
enum child_kind { CHILD_SPAWNER, CHILD_WORKER, CHILD_EDGE, CHILD_KINDS };
enum child_state { CHILD_GONE, CHILD_STARTING, CHILD_READY, CHILD_DRAINING };
extern const char *const child_kind_names[CHILD_KINDS];		/* "spawner" "worker" "edge" */
extern const char *const child_state_names[];			/* "gone" "starting" "ready" "draining" */

struct slot {
	struct generation *generation;
	enum child_kind kind;
	const char *queue;		/* a worker's; borrowed from the configuration */
	unsigned instance;		/* from 0; of its queue, for workers */
	unsigned row;			/* of counters and limits; ROW_NONE: none yet */
#define ROW_NONE (~0U)
	enum child_state state;
	pid_t pid;			/* 0 when gone */
	struct control *control;	/* NULL when gone, or closed by the child */
	bool tried;			/* was ready or died once: the next kind need not wait for it */
	bool ended_at_once;		/* was sent SIGKILL */
	int64_t extended_ms;		/* clock_boot_ms(): until when it may drain, as it asked; 0: as all */
	int64_t since_ms;		/* wall clock: of its state */
	int64_t started_ms;		/* clock_boot_ms() */
	unsigned restarts;
	struct restart restart;
	struct event *timer;		/* gone: start again; starting: no hello came */
	bool *accepts;			/* an edge's: on which of its listening sockets, as it was told */
	bool asked;			/* for its stats */
	json_t *stats;			/* its last answer; NULL: none */
};

/* SERVING: it was ready once. DRAINING: its children end, and none is started. */
enum generation_phase { GENERATION_STARTING, GENERATION_SERVING, GENERATION_DRAINING };

/* What was fixed when it started: the checked configuration, the programs, the places for children. */
struct generation {
	struct master *master;
	unsigned number;		/* from 1; 0: not one that was started */
	enum generation_phase phase;
	char *failure;			/* of one that is not to start again what ended: why it cannot serve; NULL: nothing */
	struct config *config;
	struct program_plan plans[PROGRAM_COUNT];
	struct sockets sockets;
	int spawner_socket;		/* listens on runtime_dir/spawner-G; -1: no workers */
	char *spawner_path;
	struct slot *slots;
	size_t slot_count;
	unsigned edge_count;		/* of its slots, the last ones */

	/* Draining: */
	bool successor;			/* another one does its work */
	json_t *closing;		/* which sockets that one has not, as CONTROL_DRAIN says it; NULL: no successor */
	bool late;			/* the time for it is over */
	bool ending;			/* who is left is killed */
	int64_t drain_timeout_ms, drained_ms;	/* all of it; clock_boot_ms() when it is over */
	struct event *bound;
};

enum master_phase { MASTER_STARTING, MASTER_RUNNING, MASTER_STOPPING, MASTER_ENDING };

struct master {
	struct master_arguments arguments;
	struct event_base *base;
	/* The one that serves; then either one that starts to take over, or one that is drained since another has; NULL
	 * where there is none. */
	struct generation *current, *next, *old;
	unsigned last_number;		/* that a generation got */
	enum master_phase phase;
	bool failed;			/* something had to be ended by force */
	int stop_signal;		/* which of them began it */
	int64_t stop_ms;		/* clock_boot_ms() when STOPPING began */
	int lock_fd;			/* of master.lock, kept */
	int counters_fd, limits_fd;
	int ready_fd;			/* the parent that waits for a daemon; -1 */
	bool pid_file_written;
	struct counters *counters;
	struct limits *limits;
	bool *rows_taken;		/* of counters and limits, `row_count` */
	unsigned row_count;
	struct shared_secrets secrets;
	struct status *status;
	struct reload *reload;
	char *config_path;		/* as given, and absolute; NULL: none was given */
	struct event *term, *interrupt, *child, *hangup, *reopen, *watchdog;
};

void master_is_ready(struct master *);	/* all children are */
/* All that there are, in the order in which they are shown; ends with NULL. */
#define GENERATIONS_MAX 3
struct generations {
	struct generation *items[GENERATIONS_MAX + 1];
};
struct generations master_generations(const struct master *);

/* ---- generation.c */
/* With nothing in it. */
struct generation *generation_new(struct master *);
/* Opens the programs beside our own executable, else in SBINDIR. -1 with an owned text in *why. */
int generation_open_programs(struct generation *, char **why);
/* Makes what its programs get of its configuration. -1 with errno. */
int generation_seal(struct generation *);
/* From a checked configuration, its `number` set: descriptors, slots, rows of the counters. Sockets that `before` (may be
 * NULL) has too are shared with it. -1 with an owned text in *why. */
int generation_prepare(struct generation *, const struct generation *before, char **why);
/* Where sockets go on in `heir` (may be NULL), their files stay. */
void generation_free(struct generation *, const struct generation *heir);
size_t generation_count(const struct generation *, enum child_state);
/* The program that runs in such a slot. */
enum program child_program(enum child_kind);

/* ---- supervise.c */
/* Compares what is wanted with what runs, and acts. Call it after every change; it may be called at any time. */
void supervise(struct master *);
void supervise_stop(struct master *);	/* SIGTERM: drain; called again: end at once */
void supervise_reap(struct master *);	/* SIGCHLD */

/* ---- drain.c */
/* Its children are to end within `timeout_ms`, edges first; `successor` (may be NULL) does their work. Called again:
 * within less. supervise() goes on with it. */
void drain_begin(struct generation *, int64_t timeout_ms, const struct generation *successor);
/* Tells those whose turn it is. */
void drain_go_on(struct generation *);
/* At once: all are killed, but the spawner, which ends its commands. */
void drain_end_now(struct generation *, const char *because);

/* ---- children.c */
/* What the log says of a slot. */
#define SLOT_FIELDS(slot) \
	LOG_TEXT("child", child_kind_names[(slot)->kind]), LOG_TEXT("queue", (slot)->queue), \
		LOG_INT("instance", (slot)->instance), LOG_INT("child_pid", (slot)->pid)
void slot_set_state(struct slot *, enum child_state);
void slot_keep_running(struct slot *);	/* starts it if it is gone and need not wait */
void slot_kill(struct slot *, const char *because);
void slot_ended(struct slot *, int status);	/* as wait() gives it; it is started again later, or is wanted gone */
struct control *slot_connect(struct slot *, int fd);	/* the master's end, taken */
#define SLOT_EXTENSION_MS 5000	/* beyond what a child has asked for, to end by itself */

/* ---- adopt.c */
/* For CONTROL_START of an edge: the list of child_listener, and the fds in the same order (owned array of borrowed
 * fds). */
json_t *adopt_describe(struct slot *edge, int **fds, size_t *count);
/* Tells the edges what has changed since. */
void adopt(struct generation *);

/* ---- spawn.c */
/* Starts a process in a gone slot and sends it CONTROL_START. -1 with errno: fork or exec did not work. */
int slot_spawn(struct slot *);

/* ---- runtime.c */
/* runtime_dir and its lock. -1: said on stderr. */
int runtime_open(struct master *);
/* Gives up what a master does not need: as root, all capabilities but those of its work. -1 with errno. */
int privileges_reduce(void);

/* ---- outputs.c */
/* The stdout and stderr files, and log files that children will have to reopen. -1 with an owned text in *why. */
int outputs_open(struct generation *, char **why);
void outputs_use_own(const struct generation *);	/* the master's own 1 and 2 */
void outputs_reopen(struct master *);			/* all of them, and tells the children */

/* ---- daemon.c */
/* In the child: 0. In the parent: waits, and does not return. -1 with errno: no fork. */
int daemon_start(struct master *);
void daemon_is_ready(struct master *);

/* ---- pidfile.c */
/* -1 with an owned text: it names a live master, or cannot be written. */
int pidfile_check(const char *path, char **why);
int pidfile_write(const char *path);
void pidfile_remove(const char *path);	/* if it still is ours */

/* ---- notify.c */
void notify_open(void);			/* reads and clears NOTIFY_SOCKET, WATCHDOG_USEC, WATCHDOG_PID */
void notify_send(const char *format, ...) __attribute__((format(printf, 1, 2)));
int64_t notify_watchdog_ms(void);	/* half of what systemd waits; 0: no watchdog */

/* ---- status.c */
/* The socket runtime_dir/master. -1 with errno. */
int status_open(struct master *);
void status_close(struct master *);
void status_answer(struct slot *, json_t *stats);	/* what a child answered; or NULL: it is gone */
/* Those who asked for the reload of this number, or an earlier one, get this line. */
void status_reloaded(struct master *, unsigned number, json_t *outcome_taken);

/* ---- check.c */
/* All that is wrong with `generation`'s configuration, by all programs. Fills its plans. -1 with errors. */
int check_configuration(struct generation *, bool allow_root, struct config_errors *);
/* Its plans, from a configuration that was found to be right. */
void check_load_plans(struct generation *);
/* Reads the file and checks it; says all that is wrong on stderr. -1 with errors. */
int check_read(struct generation *, const struct master_arguments *);

#endif
