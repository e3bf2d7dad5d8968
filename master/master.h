/* master.h - the supervisor's state: one generation, its children, its sockets
 * SPDX-License-Identifier: MIT
 * A slot is a place for one child; processes come and go in it. supervise() alone starts and ends them. */
#ifndef SLIMTA_MASTER_MASTER_H
#define SLIMTA_MASTER_MASTER_H

#include <jansson.h>
#include <stdbool.h>
#include <sys/queue.h>
#include <sys/types.h>

#include "common/base/counters.h"
#include "common/config/process.h"
#include "common/net/control.h"
#include "master/arguments.h"
#include "master/restart.h"
#include "master/sockets.h"

struct event;
struct event_base;
struct status;

enum program { PROGRAM_MASTER, PROGRAM_EDGE, PROGRAM_WORKER, PROGRAM_COUNT };
extern const char *const program_sections[PROGRAM_COUNT];	/* "master" "edge" "worker" */

/* What belongs to one program in one generation. */
struct program_plan {
	struct process_options process;
	struct identity identity;
	int exec_fd;			/* O_PATH; -1 for the master itself */
	int stdout_fd, stderr_fd;	/* its files; -1: as the master's */
};

/* In the order of starting; ended the other way round. */
enum child_kind { CHILD_SPAWNER, CHILD_WORKER, CHILD_EDGE, CHILD_KINDS };
enum child_state { CHILD_GONE, CHILD_STARTING, CHILD_READY, CHILD_DRAINING };
extern const char *const child_kind_names[CHILD_KINDS];		/* "spawner" "worker" "edge" */
extern const char *const child_state_names[];			/* "gone" "starting" "ready" "draining" */

struct slot {
	struct master *master;
	enum child_kind kind;
	const char *queue;		/* a worker's; borrowed from the configuration */
	unsigned instance;		/* from 0; of its queue, for workers */
	unsigned row;			/* of the counters */
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
	bool asked;			/* for its stats */
	json_t *stats;			/* its last answer; NULL: none */
};

/* What was fixed when it started: the checked configuration, the programs, the places for children. */
struct generation {
	unsigned number;
	struct config *config;
	int config_fd;			/* sealed */
	struct program_plan plans[PROGRAM_COUNT];
	struct sockets sockets;
	int spawner_socket;		/* listens on runtime_dir/spawner-G; -1: no workers */
	char *spawner_path;
	struct slot *slots;
	size_t slot_count;
};

enum master_phase { MASTER_STARTING, MASTER_RUNNING, MASTER_STOPPING, MASTER_ENDING };

struct master {
	struct master_arguments arguments;
	struct event_base *base;
	struct generation generation;
	enum master_phase phase;
	bool failed;			/* something had to be ended by force */
	int stop_signal;		/* which of them began it */
	int64_t stop_ms;		/* clock_boot_ms() when STOPPING began */
	bool late;			/* drain_timeout is over */
	int lock_fd;			/* of master.lock, kept */
	int counters_fd;
	int ready_fd;			/* the parent that waits for a daemon; -1 */
	bool pid_file_written;
	struct counters *counters;
	struct status *status;
	struct event *term, *interrupt, *child, *hangup, *reopen, *bound, *watchdog;
};

void master_is_ready(struct master *);	/* all children are */

/* ---- generation.c */
/* Opens the programs beside our own executable, else in SBINDIR. -1: said on stderr. */
int generation_open_programs(struct generation *);
/* From a checked configuration: descriptors, slots. -1: said on stderr. */
int generation_prepare(struct master *);
void generation_release(struct generation *);
/* The program that runs in such a slot. */
enum program child_program(enum child_kind);

/* ---- supervise.c */
/* Compares what is wanted with what runs, and acts. Call it after every change; it may be called at any time. */
void supervise(struct master *);
void supervise_stop(struct master *);	/* SIGTERM: drain; called again: end at once */
void supervise_reap(struct master *);	/* SIGCHLD */
void supervise_bound(struct master *);	/* the timer `bound` */
struct control *supervise_connect(struct slot *, int fd);	/* the master's end, taken */
size_t supervise_count(const struct master *, enum child_state);

/* ---- spawn.c */
/* Starts a process in a gone slot and sends it CONTROL_START. -1 with errno: fork or exec did not work. */
int slot_spawn(struct slot *);

/* ---- runtime.c */
/* runtime_dir and its lock. -1: said on stderr. */
int runtime_open(struct master *);
/* Gives up what a master does not need: as root, all capabilities but those of its work. -1 with errno. */
int privileges_reduce(void);

/* ---- outputs.c */
/* The stdout and stderr files, and log files that children will have to reopen. -1: said on stderr. */
int outputs_open(struct generation *);
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

/* ---- check.c */
/* All that is wrong with `generation`'s configuration, by all programs. Fills its plans. -1 with errors. */
int check_configuration(struct generation *, bool allow_root, struct config_errors *);
/* Reads the file and checks it; says all that is wrong on stderr. -1 with errors; release the generation anyway. */
int check_read(struct generation *, const struct master_arguments *);

#endif
