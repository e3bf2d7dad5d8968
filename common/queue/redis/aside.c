/* aside.c - what was put aside in a redis queue is called back
 * SPDX-License-Identifier: MIT
 * A recall is kept until redis was told: one that is lost would leave messages for half an hour. */
#include <hiredis/hiredis.h>
#include <stdlib.h>

#include "common/base/memory.h"
#include "common/queue/redis/work.h"

static void tell(struct redis_queue *queue);

static void on_told(void *arg, const struct redisReply *reply, const struct reply *why)
{
	struct redis_queue *queue = arg;
	struct redis_work *work = queue->work;

	if (!work)
		return;
	work->recalling = false;
	if (why)
		return;			/* with the next one, or when redis is there again */
	if (redis_number(reply, 0) != 1) {
		work->recall_count--;
		for (size_t i = 0; i < work->recall_count; i++)
			work->recalls[i] = work->recalls[i + 1];
	}
	tell(queue);
}

/* One after the other, each until nothing of it is left. */
static void tell(struct redis_queue *queue)
{
	struct redis_work *work = queue->work;
	char group[REDIS_NUMBER_SIZE], several[REDIS_NUMBER_SIZE];

	if (work->recalling || !work->recall_count || !queue->usable)
		return;
	const struct redis_part args[] = {
		redis_text_part(work->tag), redis_text_part(redis_number_text(group, work->recalls[0])),
		redis_text_part(redis_number_text(several, ASIDE_SEVERAL)),
	};
	work->recalling = true;
	redis_script(queue, SCRIPT_RECALL, args, ARRAY_SIZE(args), on_told, queue);
}

void redis_recall(struct storage *storage, unsigned group)
{
	struct redis_queue *queue = (struct redis_queue *)storage;
	struct redis_work *work = queue->work;

	if (!work)
		return;
	work->recalled++;
	work->recalls = xgrow(work->recalls, work->recall_count, sizeof(*work->recalls));
	work->recalls[work->recall_count++] = group;
	tell(queue);
}

void redis_recall_up(struct redis_queue *queue)
{
	tell(queue);
}
