/* tool.h - what load and sink share: time, percentiles, addresses, complaints
 * SPDX-License-Identifier: MIT */
#ifndef SLIMTA_BENCH_TOOL_H
#define SLIMTA_BENCH_TOOL_H

#include <netinet/in.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

/* Says why, as `NAME: ...`, and exits with 1. */
_Noreturn void die(const char *format, ...) __attribute__((format(printf, 1, 2)));

int64_t clock_us(void);			/* CLOCK_MONOTONIC: the same for both tools on one machine */

/* The number that option `name` was given, from `min` to `max`; dies of anything else. */
uint64_t option_number(const char *name, const char *text, uint64_t min, uint64_t max);

/* "ADDRESS:PORT", IPv4 in digits. */
struct sockaddr_in option_address(const char *text);

/* As many descriptors as this process may have. */
void raise_descriptors(void);

/* Durations; all-zero is valid and empty. */
struct samples {
	uint32_t *us;
	size_t count, room;
};
void samples_add(struct samples *, int64_t us);
/* Sorts them and prints them as the member "NAME": {"count": ..., "p50": ..., ...} in milliseconds. A percentile is by
 * nearest rank: a value that occurred, with at least that part of all at or below it. */
void samples_print(FILE *, const char *name, struct samples *);
void samples_release(struct samples *);

#endif
