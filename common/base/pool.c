/* pool.c - threads for work that would block the loop
 * SPDX-License-Identifier: MIT
 * What is done comes back to the loop through an eventfd, written only when the list of the done was empty:
 * a burst of jobs costs one wake-up. */
#include "common/base/pool.h"

#include <errno.h>
#include <event2/event.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/eventfd.h>
#include <sys/queue.h>
#include <unistd.h>

#include "common/base/fault.h"
#include "common/base/file.h"
#include "common/base/memory.h"

struct job {
	STAILQ_ENTRY(job) next;
	pool_work_fn *work;
	pool_done_fn *done;
	void *arg;
};
STAILQ_HEAD(jobs, job);

struct pool {
	pthread_mutex_t lock;
	pthread_cond_t wanted;
	struct jobs waiting;		/* under the lock, as `finished` and `ending` */
	struct jobs finished;
	bool ending;
	size_t pending;			/* the loop's alone */
	bool calling_back;
	int wake_fd;
	struct event *wake;
	pthread_t *threads;
	unsigned thread_count;
};

static void finish(struct pool *pool, struct job *job)
{
	bool was_empty = STAILQ_EMPTY(&pool->finished);
	uint64_t one = 1;

	STAILQ_INSERT_TAIL(&pool->finished, job, next);
	/* Fails only at a count of 2^64 - 1, and then the loop is awake already. */
	if (was_empty && write(pool->wake_fd, &one, sizeof(one)) < 0)
		return;
}

static void *thread_main(void *arg)
{
	struct pool *pool = arg;

	pthread_mutex_lock(&pool->lock);
	for (;;) {
		struct job *job = STAILQ_FIRST(&pool->waiting);

		if (job) {
			STAILQ_REMOVE_HEAD(&pool->waiting, next);
			pthread_mutex_unlock(&pool->lock);
			job->work(job->arg);
			pthread_mutex_lock(&pool->lock);
			finish(pool, job);
		} else if (pool->ending) {
			break;
		} else {
			pthread_cond_wait(&pool->wanted, &pool->lock);
		}
	}
	pthread_mutex_unlock(&pool->lock);
	return NULL;
}

static void call_back(struct pool *pool)
{
	struct jobs finished = STAILQ_HEAD_INITIALIZER(finished);
	struct job *job;
	uint64_t count;

	if (read(pool->wake_fd, &count, sizeof(count)) < 0 && errno != EAGAIN)
		return;
	pthread_mutex_lock(&pool->lock);
	STAILQ_CONCAT(&finished, &pool->finished);
	pthread_mutex_unlock(&pool->lock);
	pool->calling_back = true;
	while ((job = STAILQ_FIRST(&finished))) {
		STAILQ_REMOVE_HEAD(&finished, next);
		pool->pending--;
		job->done(job->arg);
		free(job);
	}
	pool->calling_back = false;
}

static void on_wake(evutil_socket_t fd, short what, void *arg)
{
	(void)fd;
	(void)what;
	call_back(arg);
}

static int start_threads(struct pool *pool, const char *name, unsigned threads)
{
	sigset_t all, before;
	char thread_name[16];
	int error = 0;

	pool->threads = xcalloc(threads, sizeof(pool->threads[0]));
	sigfillset(&all);
	pthread_sigmask(SIG_SETMASK, &all, &before);
	while (pool->thread_count < threads && !error) {
		pthread_t *thread = &pool->threads[pool->thread_count];

		error = FAULT("pool.thread", pthread_create(thread, NULL, thread_main, pool));
		if (error)
			break;
		snprintf(thread_name, sizeof(thread_name), "%.10s-%u", name, pool->thread_count++);
		pthread_setname_np(*thread, thread_name);
	}
	pthread_sigmask(SIG_SETMASK, &before, NULL);
	if (!error)
		return 0;
	errno = error < 0 ? errno : error;
	return -1;
}

struct pool *pool_new(struct event_base *base, const char *name, unsigned threads)
{
	struct pool *pool = xcalloc(1, sizeof(*pool));

	pthread_mutex_init(&pool->lock, NULL);
	pthread_cond_init(&pool->wanted, NULL);
	STAILQ_INIT(&pool->waiting);
	STAILQ_INIT(&pool->finished);
	pool->wake_fd = FAULT("pool.eventfd", eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK));
	if (pool->wake_fd < 0)
		goto failed;
	pool->wake = event_new(base, pool->wake_fd, EV_READ | EV_PERSIST, on_wake, pool);
	if (!pool->wake || event_add(pool->wake, NULL) < 0) {
		errno = ENOMEM;
		goto failed;
	}
	if (start_threads(pool, name, threads) == 0)
		return pool;
failed:
	pool_free(pool);
	return NULL;
}

/* The callbacks may submit more, so the threads are told to end only when nothing is pending. */
void pool_free(struct pool *pool)
{
	int kept = errno;

	if (!pool)
		return;
	if (pool->calling_back)
		BUG("pool_free from a callback of that pool");
	while (pool->pending) {
		struct pollfd wake = { .fd = pool->wake_fd, .events = POLLIN };

		poll(&wake, 1, -1);
		call_back(pool);
	}
	pthread_mutex_lock(&pool->lock);
	pool->ending = true;
	pthread_cond_broadcast(&pool->wanted);
	pthread_mutex_unlock(&pool->lock);
	for (unsigned i = 0; i < pool->thread_count; i++)
		pthread_join(pool->threads[i], NULL);
	if (pool->wake)
		event_free(pool->wake);
	fd_close(&pool->wake_fd);
	pthread_cond_destroy(&pool->wanted);
	pthread_mutex_destroy(&pool->lock);
	free(pool->threads);
	free(pool);
	errno = kept;
}

void pool_submit(struct pool *pool, pool_work_fn *work, pool_done_fn *done, void *arg)
{
	struct job *job = xmalloc(sizeof(*job));

	*job = (struct job){ .work = work, .done = done, .arg = arg };
	pool->pending++;
	pthread_mutex_lock(&pool->lock);
	STAILQ_INSERT_TAIL(&pool->waiting, job, next);
	pthread_cond_signal(&pool->wanted);
	pthread_mutex_unlock(&pool->lock);
}

size_t pool_pending(const struct pool *pool)
{
	return pool->pending;
}
