/* clock_ahead.h - a clock that a test puts ahead; the times of files stay the kernel's
 * SPDX-License-Identifier: MIT
 * Define CLOCK_AHEAD before this is included: the clock that is meant. */
#ifndef SLIMTA_T_CLOCK_AHEAD_H
#define SLIMTA_T_CLOCK_AHEAD_H

#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

static long ahead_s;

int clock_gettime(clockid_t id, struct timespec *now)
{
	long result = syscall(SYS_clock_gettime, id, now);

	if (id == CLOCK_AHEAD)
		now->tv_sec += ahead_s;
	return (int)result;
}

#endif
