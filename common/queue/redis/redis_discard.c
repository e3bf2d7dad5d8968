/* redis_discard.c - what was or may have been written is taken back
 * SPDX-License-Identifier: MIT */
#include <hiredis/hiredis.h>
#include <stdlib.h>
#include <string.h>

#include "common/base/memory.h"
#include "common/queue/redis/redis_queue.h"

struct discard_op {
	storage_done_fn *done;
	void *arg;
};

static void on_discarded(void *arg, const struct redisReply *reply, const struct reply *why)
{
	struct discard_op *op = arg;

	(void)reply;
	op->done(op->arg, why);
	free(op);
}

void redis_discard(struct storage *storage, const char *const ids[], size_t count, storage_done_fn *done, void *arg)
{
	struct redis_part *args = xcalloc(3 + 2 * count, sizeof(*args));
	struct discard_op *op = xmemdup(&(struct discard_op){ done, arg }, sizeof(*op));
	char kept[REDIS_NUMBER_SIZE], derived_kept[REDIS_NUMBER_SIZE];
	struct buffer line = { 0 };
	size_t used = 3;

	redis_mark_line(&line, MARK_DISCARD, NULL);
	args[0] = redis_text_part(redis_number_text(kept, FINISHED_KEPT_MS));
	args[1] = redis_text_part(redis_number_text(derived_kept, FINISHED_DERIVED_KEPT_MS));
	args[2] = (struct redis_part){ line.data, line.size };
	for (size_t i = 0; i < count; i++) {
		if (!id_is_valid(ids[i]))
			continue;
		args[used++] = (struct redis_part){ "1", id_is_derived(ids[i]) };
		args[used++] = (struct redis_part){ ids[i], ID_LENGTH };
	}
	redis_script((struct redis_queue *)storage, SCRIPT_DISCARD, args, used, on_discarded, op);
	buffer_release(&line);
	free(args);
}
