/* tool.c - what load and sink share: time, percentiles, addresses, complaints
 * SPDX-License-Identifier: MIT */
#include "t/bench/tool.h"

#include <arpa/inet.h>
#include <errno.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <time.h>

#include "common/base/memory.h"
#include "common/base/text.h"

void die(const char *format, ...)
{
	va_list args;

	fprintf(stderr, "%s: ", program_invocation_short_name);
	va_start(args, format);
	vfprintf(stderr, format, args);
	va_end(args);
	putc('\n', stderr);
	exit(1);
}

int64_t clock_us(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (int64_t)now.tv_sec * 1000000 + now.tv_nsec / 1000;
}

uint64_t option_number(const char *name, const char *text, uint64_t min, uint64_t max)
{
	uint64_t number;

	if (!parse_u64(text, strlen(text), max, &number) || number < min)
		die("%s takes a number from %llu to %llu, not \"%s\"", name, (unsigned long long)min,
			(unsigned long long)max, text);
	return number;
}

struct sockaddr_in option_address(const char *text)
{
	struct sockaddr_in address = { .sin_family = AF_INET };
	const char *colon = strrchr(text, ':');
	char *host = colon ? xstrndup(text, (size_t)(colon - text)) : NULL;

	if (!colon || inet_pton(AF_INET, host, &address.sin_addr) != 1)
		die("expected ADDRESS:PORT, not \"%s\"", text);
	free(host);
	address.sin_port = htons((uint16_t)option_number("a port", colon + 1, 0, 65535));
	return address;
}

void raise_descriptors(void)
{
	struct rlimit limit;

	if (getrlimit(RLIMIT_NOFILE, &limit) == 0) {
		limit.rlim_cur = limit.rlim_max;
		setrlimit(RLIMIT_NOFILE, &limit);
	}
}

void samples_add(struct samples *samples, int64_t us)
{
	if (samples->count == samples->room) {
		samples->room = samples->room ? samples->room * 2 : 1024;
		samples->us = xrealloc(samples->us, samples->room, sizeof(*samples->us));
	}
	samples->us[samples->count++] = us < 0 ? 0 : us > UINT32_MAX ? UINT32_MAX : (uint32_t)us;
}

static int compare(const void *a, const void *b)
{
	uint32_t one = *(const uint32_t *)a, other = *(const uint32_t *)b;

	return one < other ? -1 : one > other;
}

static double percentile_ms(const struct samples *samples, unsigned per_mille)
{
	size_t rank = (samples->count * per_mille + 999) / 1000;

	return samples->count ? samples->us[rank ? rank - 1 : 0] / 1000.0 : 0;
}

void samples_print(FILE *out, const char *name, struct samples *samples)
{
	if (samples->count)
		qsort(samples->us, samples->count, sizeof(*samples->us), compare);
	fprintf(out, "\"%s\": {\"count\": %zu, \"min\": %.3f, \"p25\": %.3f, \"p50\": %.3f, \"p75\": %.3f, \"p90\": %.3f, "
		"\"p99\": %.3f, \"max\": %.3f}", name, samples->count, percentile_ms(samples, 0),
		percentile_ms(samples, 250), percentile_ms(samples, 500), percentile_ms(samples, 750),
		percentile_ms(samples, 900), percentile_ms(samples, 990), percentile_ms(samples, 1000));
}

void samples_release(struct samples *samples)
{
	free(samples->us);
	*samples = (struct samples){ 0 };
}
