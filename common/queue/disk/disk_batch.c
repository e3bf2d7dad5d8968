/* disk_batch.c - jobs on the disk pool, and requests that share one
 * SPDX-License-Identifier: MIT
 * A batch is what waits at the moment a job is free: alone, a message is committed at once; in a crowd, each of the
 * few jobs takes its share, and no request waits for a batch that it is not part of. */
#include <errno.h>
#include <event2/event.h>
#include <stdlib.h>

#include "common/base/memory.h"
#include "common/queue/disk/disk.h"

struct disk_job {
	LIST_ENTRY(disk_job) next;
	struct disk *disk;		/* NULL: closed meanwhile */
	void (*work)(struct disk *, void *);
	void (*done)(struct disk *, void *);
	void *arg;
	bool has_run;			/* under disk->lock */
};

static void job_work(void *arg)
{
	struct disk_job *job = arg;
	struct disk *disk = job->disk;

	job->work(disk, job->arg);
	pthread_mutex_lock(&disk->lock);
	job->has_run = true;
	pthread_cond_signal(&disk->ended);
	pthread_mutex_unlock(&disk->lock);
}

static void job_done(void *arg)
{
	struct disk_job *job = arg;

	if (job->disk) {
		LIST_REMOVE(job, next);
		job->done(job->disk, job->arg);
	}
	free(job);
}

void disk_run(struct disk *disk, void (*work)(struct disk *, void *), void (*done)(struct disk *, void *), void *arg)
{
	struct disk_job *job = xcalloc(1, sizeof(*job));

	*job = (struct disk_job){ .disk = disk, .work = work, .done = done, .arg = arg };
	LIST_INSERT_HEAD(&disk->jobs, job, next);
	pool_submit(disk->storage.context.disk, job_work, job_done, job);
}

struct batch {
	struct disk_batcher *batcher;
	struct disk_ops ops;
};

static void finish_all(struct disk *disk, struct disk_ops *ops)
{
	struct disk_op *op;

	while ((op = TAILQ_FIRST(ops))) {
		TAILQ_REMOVE(ops, op, next);
		op->finish(disk, op);
	}
}

static void batch_work(struct disk *disk, void *arg)
{
	struct batch *batch = arg;

	batch->batcher->work(disk, &batch->ops);
}

static void batch_done(struct disk *disk, void *arg)
{
	struct batch *batch = arg;

	batch->batcher->running--;
	if (!disk->closing && batch->batcher->count)
		event_active(batch->batcher->kick, EV_TIMEOUT, 0);
	finish_all(disk, &batch->ops);
	free(batch);
}

/* One turn of the loop gathers what its events brought before this runs. */
static void start_jobs(evutil_socket_t fd, short what, void *arg)
{
	struct disk_batcher *batcher = arg;

	(void)fd;
	(void)what;
	while (batcher->count && batcher->running < batcher->jobs_max) {
		unsigned free_jobs = batcher->jobs_max - batcher->running;
		unsigned share = (batcher->count + free_jobs - 1) / free_jobs;
		struct batch *batch = xcalloc(1, sizeof(*batch));

		batch->batcher = batcher;
		TAILQ_INIT(&batch->ops);
		for (unsigned i = 0; i < share && i < DISK_SHARE_MAX; i++) {
			struct disk_op *op = TAILQ_FIRST(&batcher->waiting);

			TAILQ_REMOVE(&batcher->waiting, op, next);
			TAILQ_INSERT_TAIL(&batch->ops, op, next);
			batcher->count--;
		}
		batcher->running++;
		disk_run(batcher->disk, batch_work, batch_done, batch);
	}
}

void disk_batcher_init(struct disk_batcher *batcher, struct disk *disk, unsigned jobs_max,
	void (*work)(struct disk *, struct disk_ops *))
{
	*batcher = (struct disk_batcher){ .disk = disk, .jobs_max = jobs_max, .work = work };
	TAILQ_INIT(&batcher->waiting);
	batcher->kick = event_new(disk->storage.context.base, -1, 0, start_jobs, batcher);
	if (!batcher->kick)
		BUG("no event");
}

void disk_submit(struct disk_batcher *batcher, struct disk_op *op)
{
	if (batcher->disk->closing)
		op->error = ESHUTDOWN;
	TAILQ_INSERT_TAIL(&batcher->waiting, op, next);
	batcher->count++;
	if (batcher->running < batcher->jobs_max)
		event_active(batcher->kick, EV_TIMEOUT, 0);
}

static void run_soon(evutil_socket_t fd, short what, void *arg)
{
	struct disk *disk = arg;
	struct disk_ops ops = TAILQ_HEAD_INITIALIZER(ops);

	(void)fd;
	(void)what;
	TAILQ_CONCAT(&ops, &disk->soon, next);
	finish_all(disk, &ops);
}

void disk_soon(struct disk *disk, struct disk_op *op)
{
	TAILQ_INSERT_TAIL(&disk->soon, op, next);
	event_active(disk->soon_event, EV_TIMEOUT, 0);
}

struct soon_op {
	struct disk_op op;
	storage_done_fn *done;
	void *arg;
};

static void finish_soon(struct disk *disk, struct disk_op *op)
{
	struct soon_op *soon = (struct soon_op *)op;
	struct reply why = { 0 };

	(void)disk;
	if (op->error)
		disk_error_reply(op->error, &why);
	soon->done(soon->arg, op->error ? &why : NULL);
	reply_release(&why);
	free(soon);
}

static void answer_soon(struct disk *disk, int error, storage_done_fn *done, void *arg)
{
	struct soon_op *soon = xcalloc(1, sizeof(*soon));

	*soon = (struct soon_op){ .op = { .finish = finish_soon, .error = error }, .done = done, .arg = arg };
	disk_soon(disk, &soon->op);
}

void disk_fail_soon(struct disk *disk, storage_done_fn *done, void *arg)
{
	answer_soon(disk, EIO, done, arg);
}

void disk_succeed_soon(struct disk *disk, storage_done_fn *done, void *arg)
{
	answer_soon(disk, 0, done, arg);
}

void disk_batch_open(struct disk *disk)
{
	LIST_INIT(&disk->jobs);
	TAILQ_INIT(&disk->soon);
	pthread_mutex_init(&disk->lock, NULL);
	pthread_cond_init(&disk->ended, NULL);
	disk->soon_event = event_new(disk->storage.context.base, -1, 0, run_soon, disk);
	if (!disk->soon_event)
		BUG("no event");
	disk_batcher_init(&disk->writes, disk, DISK_WRITE_JOBS, disk_commit_work);
	disk_batcher_init(&disk->settles, disk, 1, disk_settle_work);
}

static void refuse_waiting(struct disk *disk, struct disk_batcher *batcher)
{
	struct disk_op *op;

	TAILQ_FOREACH(op, &batcher->waiting, next)
		op->error = ESHUTDOWN;
	batcher->count = 0;
	finish_all(disk, &batcher->waiting);
}

/* The pool still calls job_done() of those finished here: it finds no disk and only frees. */
static void await_job(struct disk *disk, struct disk_job *job)
{
	pthread_mutex_lock(&disk->lock);
	while (!job->has_run)
		pthread_cond_wait(&disk->ended, &disk->lock);
	pthread_mutex_unlock(&disk->lock);
	LIST_REMOVE(job, next);
	job->disk = NULL;
	job->done(disk, job->arg);
}

void disk_batch_close(struct disk *disk)
{
	disk->closing = true;
	/* Who is called back may ask for more, which is refused too. */
	do {
		refuse_waiting(disk, &disk->writes);
		refuse_waiting(disk, &disk->settles);
		while (!LIST_EMPTY(&disk->jobs))
			await_job(disk, LIST_FIRST(&disk->jobs));
		while (!TAILQ_EMPTY(&disk->soon))
			run_soon(-1, 0, disk);
	} while (!TAILQ_EMPTY(&disk->writes.waiting) || !TAILQ_EMPTY(&disk->settles.waiting) ||
		!LIST_EMPTY(&disk->jobs));
	event_free(disk->writes.kick);
	event_free(disk->settles.kick);
	event_free(disk->soon_event);
	pthread_cond_destroy(&disk->ended);
	pthread_mutex_destroy(&disk->lock);
}
