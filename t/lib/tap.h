/* tap.h - TAP for unit tests: one line per check, the plan at the end
 * SPDX-License-Identifier: MIT */
#ifndef SLIMTA_T_TAP_H
#define SLIMTA_T_TAP_H

#include <stdarg.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static unsigned tap_run, tap_failed;

__attribute__((unused, format(printf, 1, 2))) static void diag(const char *format, ...)
{
	va_list args;

	va_start(args, format);
	fflush(stdout);
	fputs("# ", stderr);
	vfprintf(stderr, format, args);
	fputc('\n', stderr);
	va_end(args);
}

__attribute__((format(printf, 4, 0)))
static bool tap_vcheck(bool good, const char *file, int line, const char *format, va_list args)
{
	printf("%sok %u - ", good ? "" : "not ", ++tap_run);
	vprintf(format, args);
	putchar('\n');
	if (!good) {
		tap_failed++;
		diag("failed at %s:%d", file, line);
	}
	fflush(stdout);
	return good;
}

__attribute__((format(printf, 4, 5)))
static bool tap_check(bool good, const char *file, int line, const char *format, ...)
{
	va_list args;

	va_start(args, format);
	tap_vcheck(good, file, line, format, args);
	va_end(args);
	return good;
}

static inline bool tap_int(int64_t got, int64_t wanted, const char *file, int line, const char *what)
{
	if (tap_check(got == wanted, file, line, "%s", what))
		return true;
	diag("got %lld, wanted %lld", (long long)got, (long long)wanted);
	return false;
}

static inline bool tap_str(const char *got, const char *wanted, const char *file, int line,
	const char *what)
{
	bool same = got && wanted ? strcmp(got, wanted) == 0 : got == wanted;

	if (tap_check(same, file, line, "%s", what))
		return true;
	diag("got    %s%s%s", got ? "\"" : "", got ? got : "NULL", got ? "\"" : "");
	diag("wanted %s%s%s", wanted ? "\"" : "", wanted ? wanted : "NULL", wanted ? "\"" : "");
	return false;
}

static inline bool tap_mem(const void *got, size_t got_size, const void *wanted, size_t wanted_size,
	const char *file, int line, const char *what)
{
	if (tap_check(got_size == wanted_size && (got_size == 0 || memcmp(got, wanted, got_size) == 0),
		    file, line, "%s", what))
		return true;
	diag("got %zu octets, wanted %zu, or they differ", got_size, wanted_size);
	return false;
}

/* ok(cond, "text with %d", 3); the others take plain text. All give back whether it passed. */
#define ok(good, ...) tap_check((good), __FILE__, __LINE__, __VA_ARGS__)
#define is_int(got, wanted, what) \
	tap_int((int64_t)(got), (int64_t)(wanted), __FILE__, __LINE__, (what))
#define is_str(got, wanted, what) tap_str((got), (wanted), __FILE__, __LINE__, (what))
#define is_mem(got, got_size, wanted, wanted_size, what) \
	tap_mem((got), (got_size), (wanted), (wanted_size), __FILE__, __LINE__, (what))

__attribute__((unused, format(printf, 2, 3))) static void skip(unsigned count, const char *why, ...)
{
	va_list args;

	for (unsigned i = 0; i < count; i++) {
		va_start(args, why);
		printf("ok %u # skip ", ++tap_run);
		vprintf(why, args);
		putchar('\n');
		va_end(args);
	}
	fflush(stdout);
}

/* Ends the program: `return done_testing();` is the last line of main. */
static inline int done_testing(void)
{
	printf("1..%u\n", tap_run);
	fflush(stdout);
	return tap_failed || !tap_run ? 1 : 0;
}

#endif
