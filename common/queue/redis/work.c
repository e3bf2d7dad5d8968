/* work.c - the lease side of a redis queue: its life, and requests that are asked again
 * SPDX-License-Identifier: MIT */
#include "common/queue/redis/work.h"

#include <stdlib.h>
#include <unistd.h>

#include "common/base/clock.h"
#include "common/base/log.h"
#include "common/base/memory.h"

#define AGAIN_MS 250

static void again_soon(struct redis_work *work)
{
	if (!event_pending(work->again, EV_TIMEOUT, NULL))
		event_add(work->again, &(struct timeval){ .tv_usec = AGAIN_MS * 1000 });
}

static void send_op(struct redis_op *op)
{
	op->waits = false;
	op->send(op);
}

void redis_op_begin(struct redis_op *op, struct redis_queue *queue, struct redis_lease *lease)
{
	op->queue = queue;
	op->lease = lease;
	if (lease)
		op->until_boot_ms = clock_boot_ms() + redis_lease_left_ms(&lease->lease);
	if (queue->work)
		TAILQ_INSERT_TAIL(&queue->work->ops, op, next);
	send_op(op);
}

void redis_op_end(struct redis_op *op, const struct reply *why)
{
	struct redis_work *work = op->queue->work;

	if (work)
		TAILQ_REMOVE(&work->ops, op, next);
	if (work && !why)
		work->failing = false;
	op->end(op, why);
}

static void say_failing(const struct redis_op *op, const struct reply *why)
{
	struct buffer text = { 0 };

	reply_append(why, &text);
	log_warn("queue", "could not tell redis what came of its leases, asked again",
		LOG_TEXT("queue", op->queue->storage.context.queue), LOG_TEXT("reply", buffer_str(&text)));
	buffer_release(&text);
}

void redis_op_failed(struct redis_op *op, const struct reply *why)
{
	struct redis_work *work = op->queue->work;

	if (!work || reply_is_permanent(why) || clock_boot_ms() >= op->until_boot_ms) {
		redis_op_end(op, why);
		return;
	}
	if (!work->failing)
		say_failing(op, why);
	work->failing = true;
	op->waits = true;
	again_soon(work);
}

static void give_up(struct redis_op *op)
{
	struct reply why = { 0 };

	reply_set(&why, 451, "4.4.2", "Redis did not answer in time");
	redis_op_end(op, &why);
	reply_release(&why);
}

static struct redis_op *first_waiting(const struct redis_work *work, int64_t until_boot_ms)
{
	struct redis_op *op;

	TAILQ_FOREACH(op, &work->ops, next)
		if (op->waits && op->until_boot_ms <= until_boot_ms)
			return op;
	return NULL;
}

/* What `end` and `send` do may change the list. A lease that is over by our clock may still be ours: redis says that. */
static void on_again(evutil_socket_t fd, short what, void *arg)
{
	struct redis_queue *queue = arg;
	struct redis_op *op;

	(void)fd;
	(void)what;
	while (!queue->usable && (op = first_waiting(queue->work, clock_boot_ms())))
		give_up(op);
	while (queue->usable && (op = first_waiting(queue->work, INT64_MAX)))
		send_op(op);
	if (first_waiting(queue->work, INT64_MAX))
		again_soon(queue->work);
}

void redis_work_open(struct redis_queue *queue)
{
	static const char *const programs[] = {
		[STORAGE_FOR_EDGE] = "slimta-edge", [STORAGE_FOR_WORKER] = "slimta-worker",
		[STORAGE_FOR_OPERATOR] = "slimta-queuectl",
	};
	const struct storage_context *context = &queue->storage.context;
	struct redis_work *work = xcalloc(1, sizeof(*work));

	queue->work = work;
	id_new(work->tag);
	snprintf(work->owner, sizeof(work->owner), "%s/%s[%d]",
		context->process->hostname ? context->process->hostname : "localhost", programs[context->role], (int)getpid());
	LIST_INIT(&work->leases);
	LIST_INIT(&work->claim_ids);
	TAILQ_INIT(&work->ops);
	work->again = event_new(context->base, -1, 0, on_again, queue);
	if (!work->again)
		BUG("no event for a timer");
}

void redis_work_up(struct redis_queue *queue)
{
	/* Before a claim gives what was done with to somebody else. */
	on_again(-1, 0, queue);
	redis_recall_up(queue);
	redis_claim_up(queue);
	redis_sweep_now(queue);
}

/* What waits is called back here; what is under way as the connection ends. */
void redis_work_close(struct redis_queue *queue)
{
	struct redis_work *work = queue->work;
	struct redis_lease *lease;
	struct redis_op *op;

	if (!work)
		return;
	redis_sweep_close(queue);
	redis_claim_close(queue);
	redis_bell_free(work->wake);
	work->wake = NULL;
	redis_release_close(queue);
	while ((op = first_waiting(work, INT64_MAX)))
		give_up(op);
	while ((lease = LIST_FIRST(&work->leases))) {
		LIST_REMOVE(lease, next);
		redis_lease_free(lease);
	}
	event_free(work->again);
	free(work->recalls);
	free(work);
	queue->work = NULL;
}
