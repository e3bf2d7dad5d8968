/* lease.c - a message of a redis queue under our lease
 * SPDX-License-Identifier: MIT */
#include <hiredis/hiredis.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/base/clock.h"
#include "common/base/log.h"
#include "common/base/memory.h"
#include "common/queue/redis/work.h"

static void take_over(struct redis_lease *lease, int64_t now_ms)
{
	lease->seen_ms = now_ms;
	lease->seen_boot_ms = clock_boot_ms();
	memcpy(lease->lease.id, lease->record.id, ID_SIZE);
	lease->lease.epoch = lease->record.epoch;
	lease->lease.suspect = lease->record.suspect || lease->record.state.suspect;
}

/* He may have delivered it. */
static void say_in_doubt(const struct redis_queue *queue, const char *id, const struct redisReply *lapsed)
{
	if (lapsed->type == REDIS_REPLY_STRING)
		log_warn("queue", "in doubt", LOG_TEXT("id", id), LOG_TEXT("queue", queue->storage.context.queue),
			LOG_TEXT("owner", lapsed->str), LOG_TEXT("reason", "its lease ended without a word"));
}

struct redis_lease *redis_lease_read(const struct redis_queue *queue, const struct redisReply *message, int64_t now_ms)
{
	struct redis_lease *lease = xcalloc(1, sizeof(*lease));
	const struct redisReply *octets = redis_item(message, 1);

	if (redis_record_read(&lease->record, redis_item(message, 0), now_ms) < 0) {
		free(lease);
		return NULL;
	}
	take_over(lease, now_ms);
	say_in_doubt(queue, lease->lease.id, redis_item(message, 2));
	if (octets->type == REDIS_REPLY_STRING && (uint64_t)octets->len == lease->record.octets)
		lease->octets = xmemdup(octets->str, (size_t)octets->len);
	return lease;
}

void redis_lease_free(struct redis_lease *lease)
{
	if (!lease)
		return;
	redis_record_release(&lease->record);
	free(lease->octets);
	free(lease);
}

bool redis_lease_reread(struct redis_lease *lease, const struct redisReply *answer)
{
	struct redis_record record = { 0 };
	int64_t now_ms = redis_number(redis_item(answer, 1), 0);

	if (redis_record_read(&record, redis_item(answer, 2), now_ms) < 0)
		return false;
	lease->dirty = outcomes_merge(&record.state.done, &lease->record.state.done);
	redis_record_release(&lease->record);
	lease->record = record;
	if (lease->damaged)
		xstrset(&lease->record.state.held, "damaged");
	lease->seen_ms = now_ms;
	lease->seen_boot_ms = clock_boot_ms();
	lease->reread = true;
	return true;
}

int64_t redis_lease_now_ms(const struct redis_lease *lease)
{
	return lease->seen_ms + clock_boot_ms() - lease->seen_boot_ms;
}

int64_t redis_lease_left_ms(const struct lease *lease)
{
	return lease->claimed_boot_ms + lease->lease_ms - clock_boot_ms();
}

bool redis_lease_is_new(const struct redis_lease *lease)
{
	const struct redis_record *record = &lease->record;

	return (record->place == PLACE_LEASED ? record->back : record->place) == PLACE_NEW && !record->state_text;
}
