/* restart.c - how long a child that died stays away
 * SPDX-License-Identifier: MIT */
#include "master/restart.h"

int64_t restart_delay_ms(struct restart *restart, int64_t ran_ms)
{
	if (ran_ms >= RESTART_GOOD_MS || restart->last_ms == 0)
		restart->last_ms = RESTART_FIRST_MS;
	else if (restart->last_ms >= RESTART_MOST_MS / 2)
		restart->last_ms = RESTART_MOST_MS;
	else
		restart->last_ms *= 2;
	return restart->last_ms;
}
