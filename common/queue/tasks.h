/* tasks.h - answers from the loop, and jobs in threads that a close waits for
 * SPDX-License-Identifier: MIT */
#ifndef SLIMTA_QUEUE_TASKS_H
#define SLIMTA_QUEUE_TASKS_H

#include <pthread.h>
#include <stdbool.h>
#include <sys/queue.h>

#include "common/base/pool.h"
#include "common/queue/storage.h"

struct event;
struct event_base;

/* The first member of what is to be done. */
struct task {
	TAILQ_ENTRY(task) next;
	void (*work)(struct task *);		/* in a thread; not for tasks_soon */
	void (*done)(struct task *);		/* on the loop, once; frees it */
};

struct tasks {
	struct pool *pool;
	struct event *wake;
	TAILQ_HEAD(, task) soon;
	LIST_HEAD(, job) jobs;
	pthread_mutex_t lock;			/* with `ended`: a job has run, for tasks_close */
	pthread_cond_t ended;
};

void tasks_open(struct tasks *, struct event_base *, struct pool *);
void tasks_soon(struct tasks *, struct task *);		/* `done` on the loop's next turn */
/* Calls back on the loop's next turn; `why` is copied, NULL or none: success. */
void tasks_answer(struct tasks *, storage_done_fn *, void *arg, const struct reply *why);
void tasks_run(struct tasks *, struct task *);		/* `work`, then `done` */
/* Waits for the jobs and calls everything back, also what is asked for meanwhile. */
void tasks_close(struct tasks *);

#endif
