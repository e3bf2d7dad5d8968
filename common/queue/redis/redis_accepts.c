/* redis_accepts.c - whether there is room for one more message, from what was last seen
 * SPDX-License-Identifier: MIT */
#include <hiredis/hiredis.h>

#include "common/base/clock.h"
#include "common/queue/redis/redis_queue.h"

#define ASK_EVERY_MS 1000
#define HEAD_ROOM 65536			/* fields that are added on the way */

void redis_room_seen(struct redis_queue *queue, const struct reply *why)
{
	queue->room.refused = why ? why->code : 0;
}

void redis_room_counted(struct redis_queue *queue, int64_t messages)
{
	queue->room.messages = (uint64_t)messages;
}

static void on_asked(void *arg, const struct redisReply *reply, const struct reply *why)
{
	struct redis_queue *queue = arg;

	(void)why;
	queue->room.asking = false;
	if (reply && redis_text_is(redis_item(reply, 0), "ok"))
		redis_room_counted(queue, redis_number(redis_item(reply, 1), 0));
	else if (reply)
		redis_room_counted(queue, redis_number(redis_item(reply, 0), 0));
}

/* Only while somebody wants to write. One that refused is asked to write nothing, which it refuses for the same reason. */
static void ask(struct redis_queue *queue)
{
	struct redis_room *room = &queue->room;
	int64_t now_ms = clock_boot_ms();

	if (room->asking || now_ms - room->asked_boot_ms < ASK_EVERY_MS)
		return;
	if (!room->refused && !queue->storage.max_messages)
		return;
	room->asking = true;
	room->asked_boot_ms = now_ms;
	if (room->refused)
		redis_script(queue, SCRIPT_WRITE, (const struct redis_part[]){ REDIS_PART("0"), REDIS_PART("0") }, 2, on_asked,
			queue);
	else
		redis_script(queue, SCRIPT_INFO, NULL, 0, on_asked, queue);
}

int redis_accepts(struct storage *storage, uint64_t size, struct reply *why)
{
	struct redis_queue *queue = (struct redis_queue *)storage;
	const struct redis_room *room = &queue->room;

	if (!queue->usable) {
		reply_set(why, 451, "4.3.0", "The storage of the queue is away");
		return -1;
	}
	ask(queue);
	if (size > queue->bulk_max || size + HEAD_ROOM > queue->query_max)
		reply_set(why, 552, "5.3.4", "Message is too large for the storage of the queue");
	else if (room->refused && room->refused != 452)
		reply_set(why, 451, "4.3.0", "The storage of the queue takes nothing now");
	else if (room->refused || (storage->max_messages && room->messages >= storage->max_messages))
		reply_set(why, 452, "4.3.1", "Insufficient system storage");
	else
		return 0;
	return -1;
}
