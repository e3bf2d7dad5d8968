/* tasks.c - answers from the loop, and jobs in threads that a close waits for
 * SPDX-License-Identifier: MIT */
#include "common/queue/tasks.h"

#include <event2/event.h>
#include <stdlib.h>

#include "common/base/memory.h"

struct job {
	LIST_ENTRY(job) next;
	struct tasks *tasks;		/* NULL: closed meanwhile */
	struct task *task;
	bool has_run;			/* under tasks->lock */
};

static void job_work(void *arg)
{
	struct job *job = arg;
	struct tasks *tasks = job->tasks;

	job->task->work(job->task);
	pthread_mutex_lock(&tasks->lock);
	job->has_run = true;
	pthread_cond_signal(&tasks->ended);
	pthread_mutex_unlock(&tasks->lock);
}

static void job_done(void *arg)
{
	struct job *job = arg;

	if (job->tasks) {
		LIST_REMOVE(job, next);
		job->task->done(job->task);
	}
	free(job);
}

void tasks_run(struct tasks *tasks, struct task *task)
{
	struct job *job = xcalloc(1, sizeof(*job));

	*job = (struct job){ .tasks = tasks, .task = task };
	LIST_INSERT_HEAD(&tasks->jobs, job, next);
	pool_submit(tasks->pool, job_work, job_done, job);
}

static void run_soon(evutil_socket_t fd, short what, void *arg)
{
	struct tasks *tasks = arg;
	TAILQ_HEAD(, task) now = TAILQ_HEAD_INITIALIZER(now);
	struct task *task;

	(void)fd;
	(void)what;
	TAILQ_CONCAT(&now, &tasks->soon, next);
	while ((task = TAILQ_FIRST(&now))) {
		TAILQ_REMOVE(&now, task, next);
		task->done(task);
	}
}

void tasks_soon(struct tasks *tasks, struct task *task)
{
	TAILQ_INSERT_TAIL(&tasks->soon, task, next);
	event_active(tasks->wake, EV_TIMEOUT, 0);
}

void tasks_open(struct tasks *tasks, struct event_base *base, struct pool *pool)
{
	tasks->pool = pool;
	TAILQ_INIT(&tasks->soon);
	LIST_INIT(&tasks->jobs);
	pthread_mutex_init(&tasks->lock, NULL);
	pthread_cond_init(&tasks->ended, NULL);
	tasks->wake = event_new(base, -1, 0, run_soon, tasks);
	if (!tasks->wake)
		BUG("no event");
}

/* The pool still calls job_done() of those finished here: it finds nothing to do and only frees. */
static void await_job(struct tasks *tasks, struct job *job)
{
	pthread_mutex_lock(&tasks->lock);
	while (!job->has_run)
		pthread_cond_wait(&tasks->ended, &tasks->lock);
	pthread_mutex_unlock(&tasks->lock);
	LIST_REMOVE(job, next);
	job->tasks = NULL;
	job->task->done(job->task);
}

void tasks_close(struct tasks *tasks)
{
	while (!LIST_EMPTY(&tasks->jobs) || !TAILQ_EMPTY(&tasks->soon)) {
		if (LIST_EMPTY(&tasks->jobs))
			run_soon(-1, 0, tasks);
		else
			await_job(tasks, LIST_FIRST(&tasks->jobs));
	}
	event_free(tasks->wake);
	pthread_cond_destroy(&tasks->ended);
	pthread_mutex_destroy(&tasks->lock);
}

/* ---- answers */

struct answer_task {
	struct task task;
	struct reply why;
	storage_done_fn *done;
	void *arg;
};

static void answer_done(struct task *task)
{
	struct answer_task *answer = CONTAINER_OF(task, struct answer_task, task);

	answer->done(answer->arg, reply_is_none(&answer->why) ? NULL : &answer->why);
	reply_release(&answer->why);
	free(answer);
}

void tasks_answer(struct tasks *tasks, storage_done_fn *done, void *arg, const struct reply *why)
{
	struct answer_task *answer = xcalloc(1, sizeof(*answer));

	*answer = (struct answer_task){ .task.done = answer_done, .done = done, .arg = arg };
	if (why)
		reply_copy(&answer->why, why);
	tasks_soon(tasks, &answer->task);
}
