/* guard.h - a process that ends the commands of a spawner that was killed
 * SPDX-License-Identifier: MIT
 * It shares the spawner's descriptors. Those of a process that is killed are closed before anybody can act on its death;
 * these stay open until the guard has ended the commands, so that none of them sees an end of file behind a part of its
 * message. What has left its command's process group and still reads gets no end at all: the guard stays, with that pipe
 * alone, until nobody reads. */
#ifndef SLIMTA_WORKER_GUARD_H
#define SLIMTA_WORKER_GUARD_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>

struct event_base;
struct guard;

/* A command that is under way, in memory that the guard sees. */
struct guard_slot {
	_Atomic pid_t group;		/* 0: has not entered yet, or ended */
	atomic_int pipe;		/* through which it still gets its message; -1: it has all of it */
	bool taken;
};

/* Starts the process, and another whenever it ends; where that fails it is logged, and tried again a second later.
 * `commands`: as many there are at most at a time; none: NULL, without a process. No other thread may ever log or
 * allocate: a process that is started later has a copy of their locks. */
struct guard *guard_new(struct event_base *, size_t commands);
void guard_free(struct guard *);	/* ends the process; NULL is fine */
/* Whether there is a process, as far as is known; else errno says why not. */
bool guard_is_there(const struct guard *);

/* Before the fork of a command; `pipe_fd` -1: it has all of its message. */
struct guard_slot *guard_take(struct guard *, int pipe_fd);
/* In the child between fork and exec, before it makes sure that its parent lives and once it leads its group. */
void guard_slot_enter(struct guard_slot *);
/* The message was written, or nobody reads it: to be said before the pipe is closed. */
void guard_slot_fed(struct guard_slot *);
/* It ended: to be said before it is reaped, as its number may then be another's. */
void guard_slot_leave(struct guard_slot *);
void guard_slot_release(struct guard_slot *);	/* NULL is fine */

#endif
