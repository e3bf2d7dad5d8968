/* delivery_suspended.c - recipients whose destination is suspended: left alone, told to be late, put aside
 * SPDX-License-Identifier: MIT */
#include <stdlib.h>

#include "common/base/clock.h"
#include "common/base/memory.h"
#include "worker/delivery_parts.h"

/* A look costs little, and is needed only where a recall was not heard; a part of it by the id, so that not all that were
 * put aside together come back together. */
#define ASIDE_MS 1800000

static bool is_open(const struct delivery *delivery, size_t index)
{
	return outcome_is_open(outcomes_find(&delivery->state.done, index));
}

static const struct suspension *suspension_of(const struct delivery *delivery, size_t index)
{
	return suspended_find(delivery->context.suspended, delivery->envelope->recipients[index].address);
}

bool delivery_leave_out(struct delivery *delivery, const struct verdict *verdict)
{
	size_t count = delivery->envelope->recipient_count;
	bool any = false;

	for (size_t i = 0; i < count; i++) {
		const struct suspension *suspension = is_open(delivery, i) ? suspension_of(delivery, i) : NULL;

		if (!suspension)
			continue;
		if (!delivery->left_out)
			delivery->left_out = xcalloc(count, sizeof(*delivery->left_out));
		delivery->left_out[i] = true;
		delivery->left_out_count++;
		any |= verdict_suspended(verdict, i, suspension->domain);
	}
	return any;
}

static int64_t spread(const struct delivery *delivery, int64_t ms)
{
	unsigned part = 0;

	for (const char *at = delivery->id + ID_LENGTH - 2; *at; at++)
		part = part * 32 + ((unsigned char)*at & 31);
	return ms / 2 + ms / 2 * part / 1024;
}

static int64_t earlier(int64_t one_ms, int64_t other_ms)
{
	return other_ms > 0 && other_ms < one_ms ? other_ms : one_ms;
}

/* When its age makes a difference, or a suspension ends. */
static int64_t wait_of(const struct delivery *delivery, int64_t until_boot_ms)
{
	const struct queue_retry *retry = &queue_options(delivery->context.queue)->retry;
	int64_t age_ms = clock_wall_ms() - delivery->envelope->timestamp_ms, wait_ms = spread(delivery, ASIDE_MS);

	wait_ms = earlier(wait_ms, retry->maximum_age_ms - age_ms);
	wait_ms = earlier(wait_ms, retry->notify_delay_ms - age_ms);
	return until_boot_ms < INT64_MAX ? earlier(wait_ms, until_boot_ms - clock_boot_ms()) : wait_ms;
}

bool delivery_is_suspended(const struct delivery *delivery, struct aside *aside)
{
	int64_t until_boot_ms = INT64_MAX;
	unsigned group = 0;

	for (size_t i = 0; delivery->left_out && i < delivery->envelope->recipient_count; i++) {
		const struct suspension *suspension;

		if (!is_open(delivery, i))
			continue;
		suspension = suspension_of(delivery, i);
		/* Who may be tried by now does not wait for the others. */
		if (!suspension)
			return false;
		group = group && group != suspension->group ? ASIDE_SEVERAL : suspension->group;
		if (suspension->until_boot_ms < until_boot_ms)
			until_boot_ms = suspension->until_boot_ms;
	}
	*aside = (struct aside){ .delay_ms = wait_of(delivery, until_boot_ms), .group = group };
	return group != 0;
}
