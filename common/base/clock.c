/* clock.c - the clocks we read, and times as text
 * SPDX-License-Identifier: MIT */
#include "common/base/clock.h"

#include <stdio.h>
#include <time.h>

static int64_t clock_ms(clockid_t id)
{
	struct timespec now = { 0 };

	clock_gettime(id, &now);
	return (int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

int64_t clock_wall_ms(void)
{
	return clock_ms(CLOCK_REALTIME);
}

int64_t clock_boot_ms(void)
{
	return clock_ms(CLOCK_BOOTTIME);
}

/* Rounds towards the past, before 1970 too; returns the milliseconds that are left. */
static int split_ms(int64_t wall_ms, struct tm *utc)
{
	int64_t ms = wall_ms % 1000;
	time_t seconds = (time_t)(wall_ms / 1000);

	if (ms < 0) {
		ms += 1000;
		seconds--;
	}
	if (!gmtime_r(&seconds, utc))
		*utc = (struct tm){ .tm_mday = 1, .tm_year = 70, .tm_wday = 4 };
	return (int)ms;
}

/* Says to the compiler, which checks our sizes, that these are two digits. */
static unsigned two_digits(int value)
{
	return (unsigned)value % 100;
}

/* Not strftime: its names follow the locale, those of RFC 5322 do not. */
char *clock_rfc5322(char out[CLOCK_RFC5322_SIZE], int64_t wall_ms)
{
	static const char days[7][4] = { "Sun", "Mon", "Tue", "Wed", "Thu", "Fri", "Sat" };
	static const char months[12][4] = {
		"Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"
	};
	struct tm utc;

	split_ms(wall_ms, &utc);
	snprintf(out, CLOCK_RFC5322_SIZE, "%s, %02u %s %04d %02u:%02u:%02u +0000", days[utc.tm_wday],
		two_digits(utc.tm_mday), months[utc.tm_mon], utc.tm_year + 1900, two_digits(utc.tm_hour),
		two_digits(utc.tm_min), two_digits(utc.tm_sec));
	return out;
}

char *clock_iso8601(char out[CLOCK_ISO8601_SIZE], int64_t wall_ms)
{
	struct tm utc;
	int ms = split_ms(wall_ms, &utc);

	snprintf(out, CLOCK_ISO8601_SIZE, "%04d-%02u-%02uT%02u:%02u:%02u.%03uZ", utc.tm_year + 1900,
		two_digits(utc.tm_mon + 1), two_digits(utc.tm_mday), two_digits(utc.tm_hour),
		two_digits(utc.tm_min), two_digits(utc.tm_sec), (unsigned)ms % 1000);
	return out;
}
