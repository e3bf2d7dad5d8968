/* host_failure.c - that a host could not be used, and until when it is left alone
 * SPDX-License-Identifier: MIT */
#include "worker/host_failure.h"

#include <stdlib.h>

#include "common/base/clock.h"
#include "common/base/memory.h"

#define WAIT_MIN_MS 1000
#define WAIT_MAX_MS 60000
#define KEPT_MS 600000

void host_failure_note(struct host_failure *failure, const struct reply *why, const char *host, int64_t now_ms)
{
	int64_t twice = 2 * failure->wait_ms;
	char until[CLOCK_ISO8601_SIZE], status[32];

	failure->wait_ms = twice < WAIT_MIN_MS ? WAIT_MIN_MS : twice > WAIT_MAX_MS ? WAIT_MAX_MS : twice;
	failure->until_ms = now_ms + failure->wait_ms;
	reply_copy(&failure->why, why);
	xstrset(&failure->host, host);
	snprintf(status, sizeof(status), "%u.%u.%u", why->code / 100U, why->subject, why->detail);
	clock_iso8601(until, clock_wall_ms() + failure->wait_ms);
	reply_set(&failure->told, why->code, status, "%s (left alone until %s)", why->text ? why->text : "", until);
}

bool host_failure_holds(const struct host_failure *failure, int64_t now_ms)
{
	return now_ms < failure->until_ms;
}

int64_t host_failure_kept_until_ms(const struct host_failure *failure)
{
	return failure->until_ms ? failure->until_ms + KEPT_MS : 0;
}

void host_failure_forget(struct host_failure *failure)
{
	reply_release(&failure->why);
	reply_release(&failure->told);
	free(failure->host);
	*failure = (struct host_failure){ 0 };
}
