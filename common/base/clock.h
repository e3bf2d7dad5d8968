/* clock.h - the clocks we read, and times as text
 * SPDX-License-Identifier: MIT */
#ifndef SLIMTA_BASE_CLOCK_H
#define SLIMTA_BASE_CLOCK_H

#include <stdint.h>

int64_t clock_wall_ms(void);	/* milliseconds since 1970, UTC; may jump */
int64_t clock_boot_ms(void);	/* CLOCK_BOOTTIME: never jumps, counts while suspended */

#define CLOCK_RFC5322_SIZE 40
#define CLOCK_ISO8601_SIZE 32
/* "Sun, 22 Nov 2026 08:03:36 +0000" (RFC 5322 3.3, always UTC); returns `out`. */
char *clock_rfc5322(char out[CLOCK_RFC5322_SIZE], int64_t wall_ms);
/* "2026-11-22T08:03:36.123Z" (RFC 3339); returns `out`. */
char *clock_iso8601(char out[CLOCK_ISO8601_SIZE], int64_t wall_ms);

#endif
