/* sweep.c - what nobody else sees to in a redis queue: leases that ended, mail that became due, what the dead put aside
 * SPDX-License-Identifier: MIT
 * Each worker of the queue says at times that it is there, and tries the lock; who has that comes again when something is
 * due, and is told by a token (alarm) of what is due sooner. */
#include <event2/event.h>
#include <hiredis/hiredis.h>
#include <stdio.h>
#include <stdlib.h>

#include "common/base/clock.h"
#include "common/base/log.h"
#include "common/base/memory.h"
#include "common/queue/redis/work.h"

#define INTERVAL_MIN_MS 20

struct redis_sweep {
	struct redis_queue *queue;
	int64_t lease_ms;
	bool under_way, again;		/* again: asked for meanwhile */
	bool alarmed;			/* a token was taken, and redis not asked since */
	char behind[ID_SIZE];		/* up to there messages were looked at one by one; "-": to the last */
	int64_t looked_boot_ms;		/* once per interval */
	struct event *timer;
	struct redis_bell *alarm;	/* while the lock is ours */
};

static int64_t interval_of(const struct redis_sweep *sweep)
{
	return sweep->lease_ms / 4 > INTERVAL_MIN_MS ? sweep->lease_ms / 4 : INTERVAL_MIN_MS;
}

static void come_again(struct redis_sweep *sweep, int64_t ms)
{
	event_add(sweep->timer, &(struct timeval){ .tv_sec = ms / 1000, .tv_usec = ms % 1000 * 1000 });
}

static void sweep_now(struct redis_sweep *sweep);

static void on_alarm(void *arg)
{
	struct redis_sweep *sweep = arg;

	sweep->alarmed = true;
	sweep_now(sweep);
}

/* Not all who wait for a lock at its end at the same time. */
static int64_t spread_ms(const struct redis_sweep *sweep)
{
	const char *tag = sweep->queue->work->tag;
	unsigned part = (unsigned char)tag[ID_LENGTH - 1] * 7 + (unsigned char)tag[ID_LENGTH - 2] * 31;

	return interval_of(sweep) / 8 * (part % 64) / 64;
}

static void hold_lock(struct redis_sweep *sweep, bool ours)
{
	if (!ours) {
		redis_bell_free(sweep->alarm);
		sweep->alarm = NULL;
		return;
	}
	if (!sweep->alarm)
		sweep->alarm = redis_bell_new(sweep->queue, "alarm", on_alarm, sweep);
	redis_bell_wait(sweep->alarm);
}

/* Nothing of ours leaves them so: that is for an operator to know. */
static void say_stray(const struct redis_queue *queue, const struct redisReply *ids)
{
	for (size_t i = 0; ids->type == REDIS_REPLY_ARRAY && i < ids->elements; i++) {
		const struct redisReply *id = redis_item(ids, i);

		if (id->type == REDIS_REPLY_STRING)
			log_warn("queue", "nobody would have claimed it: mended", LOG_TEXT("id", id->str),
				LOG_TEXT("queue", queue->storage.context.queue));
	}
}

static void looked(struct redis_sweep *sweep, const struct redisReply *behind, const struct redisReply *stray)
{
	if (behind->type == REDIS_REPLY_STRING && behind->len)
		snprintf(sweep->behind, sizeof(sweep->behind), "%s", behind->str);
	say_stray(sweep->queue, stray);
}

static void on_swept(void *arg, const struct redisReply *reply, const struct reply *why)
{
	struct redis_queue *queue = arg;
	struct redis_sweep *sweep = queue->work ? queue->work->sweep : NULL;
	bool ours;

	if (!sweep)
		return;
	sweep->under_way = false;
	if (why) {
		come_again(sweep, interval_of(sweep));
		return;
	}
	ours = redis_number(redis_item(reply, 0), 0) == 1;
	hold_lock(sweep, ours);
	looked(sweep, redis_item(reply, 3), redis_item(reply, 4));
	redis_claim_unheard(queue);
	if (sweep->again || redis_number(redis_item(reply, 2), 0))
		sweep_now(sweep);
	else
		come_again(sweep, redis_number(redis_item(reply, 1), interval_of(sweep)) + (ours ? 0 : spread_ms(sweep)));
}

static void sweep_now(struct redis_sweep *sweep)
{
	struct redis_queue *queue = sweep->queue;
	char interval[REDIS_NUMBER_SIZE], lease_ms[REDIS_NUMBER_SIZE];
	bool looks = clock_boot_ms() - sweep->looked_boot_ms >= interval_of(sweep);
	const struct redis_part args[] = {
		redis_text_part(queue->work->tag), redis_text_part(redis_number_text(interval, interval_of(sweep))),
		redis_text_part(redis_number_text(lease_ms, sweep->lease_ms)), redis_text_part(queue->work->stopped ? "" : "1"),
		redis_text_part(sweep->alarmed ? "1" : ""), redis_text_part(looks ? sweep->behind : ""),
	};

	sweep->again = sweep->under_way;
	if (sweep->under_way)
		return;
	if (!queue->usable) {
		come_again(sweep, interval_of(sweep));
		return;
	}
	event_del(sweep->timer);
	sweep->under_way = true;
	if (looks)
		sweep->looked_boot_ms = clock_boot_ms();
	sweep->alarmed = false;
	redis_script(queue, SCRIPT_SWEEP, args, ARRAY_SIZE(args), on_swept, queue);
}

static void on_timer(evutil_socket_t fd, short what, void *arg)
{
	(void)fd;
	(void)what;
	sweep_now(arg);
}

void redis_sweep_begin(struct redis_queue *queue, int64_t lease_ms)
{
	struct redis_sweep *sweep = queue->work->sweep;

	if (sweep) {
		sweep->lease_ms = lease_ms;
		return;
	}
	sweep = queue->work->sweep = xcalloc(1, sizeof(*sweep));
	*sweep = (struct redis_sweep){ .queue = queue, .lease_ms = lease_ms, .behind = "-" };
	sweep->timer = event_new(queue->storage.context.base, -1, 0, on_timer, sweep);
	if (!sweep->timer)
		BUG("no event for a timer");
	sweep_now(sweep);
}

void redis_sweep_now(struct redis_queue *queue)
{
	if (queue->work && queue->work->sweep)
		sweep_now(queue->work->sweep);
}

void redis_sweep_close(struct redis_queue *queue)
{
	struct redis_sweep *sweep = queue->work->sweep;

	if (!sweep)
		return;
	redis_bell_free(sweep->alarm);
	event_free(sweep->timer);
	free(sweep);
	queue->work->sweep = NULL;
}
