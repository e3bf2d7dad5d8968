/* unit-smtp-work.c - what a session spends on octets grows as their number does, however they come
 * SPDX-License-Identifier: MIT
 * P8
 * Four times the octets may take ten times the time of the CPU; work that grew as the square would take sixteen times. What
 * others do to the machine is forgiven: it is measured again until it holds, which the square never does. */
#include "t/lib/tap.h"

#include <limits.h>
#include <time.h>

#include "t/lib/smtp_harness.h"

#define BEGIN "EHLO c\r\nMAIL FROM:<a@b.example>\r\nRCPT TO:<c@d.example>\r\n"
#define MOST_RATIO 10
#define TRIES 20
#define FEW 40000

/* What is sent again and again behind `before`, and how much of it at once. */
struct junk {
	const char *what, *before, *said;
	size_t step;
};

static double cpu_ms(void)
{
	struct timespec now;

	clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &now);
	return (double)now.tv_sec * 1e3 + (double)now.tv_nsec / 1e6;
}

static double spend(const struct junk *junk, size_t octets)
{
	size_t size = strlen(junk->said), sent = 0;
	struct harness h;
	double began;

	harness_init(&h);
	h.settings.max_size_bytes = UINT64_MAX / 16;
	h.settings.max_errors = UINT_MAX;
	h.settings.max_recipients = UINT_MAX;
	h.settings.spool.threshold_bytes = UINT64_MAX;
	harness_open(&h);
	harness_say(&h, junk->before);
	began = cpu_ms();
	for (; sent < octets && session_state(h.session) == SESSION_READING; sent += size) {
		harness_send(&h, junk->said, size, junk->step);
		buffer_reset(&h.out);
	}
	began = cpu_ms() - began;
	if (sent < octets)
		ok(false, "%s: all of it is taken (%zu)", junk->what, sent);
	harness_close(&h);
	return began;
}

static void measure(const struct junk *junk)
{
	double few = 0, many = 0;

	for (unsigned i = 0; i < TRIES; i++) {
		few = spend(junk, FEW);
		many = spend(junk, 4 * FEW);
		if (many < few * MOST_RATIO)
			break;
	}
	diag("%s: %.1f ms a MB", junk->what, many / (4 * FEW) * 1e6);
	ok(many < few * MOST_RATIO, "%s: %.2f ms, %.2f for four times as much", junk->what, few, many);
}

int main(void)
{
	static const struct junk rows[] = {
		{ "a line without end, octet by octet", "EHLO c\r\n", "x", 1 },
		{ "CR without end", "EHLO c\r\n", "\r", 1 },
		{ "commands, octet by octet", "EHLO c\r\n", "NOOP xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx\r\n", 1 },
		{ "recipients", "EHLO c\r\nMAIL FROM:<>\r\n", "RCPT TO:<a@b.example>\r\n", 1000 },
		{ "a line of data without end, octet by octet", BEGIN "DATA\r\n", "x", 1 },
		{ "lines of data, octet by octet", BEGIN "DATA\r\n", "x: y\r\n", 1 },
		{ "dots, octet by octet", BEGIN "DATA\r\n", "..\r\n", 1 },
		{ "empty lines", BEGIN "DATA\r\n", "\r\n\r\n\r\n\r\n", 1000 },
		{ "chunks of an octet", BEGIN, "BDAT 1\r\nx", 1000 },
		{ "chunks of an octet, octet by octet", BEGIN, "BDAT 1\r\nx", 1 },
		{ "a chunk, octet by octet", BEGIN "BDAT 1000000000 LAST\r\n", "x", 1 },
	};

	harness_quiet("unit-smtp-work");
	for (size_t i = 0; i < ARRAY_SIZE(rows); i++)
		measure(&rows[i]);
	return done_testing();
}
