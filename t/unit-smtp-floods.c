/* unit-smtp-floods.c - clients that keep a session busy, or open, without bringing a message
 * SPDX-License-Identifier: MIT
 * P8 P16 */
#include "t/lib/tap.h"

#define CLOCK_AHEAD CLOCK_BOOTTIME
#include "t/lib/clock_ahead.h"
#include "t/lib/smtp_harness.h"

#define BEGIN "MAIL FROM:<a@b.example>\r\nRCPT TO:<c@d.example>\r\n"

/* How often a client may say that before the session ends; at most 5,000 times. */
static unsigned times(const char *before, const char *said)
{
	struct harness h;
	unsigned count = 0;

	harness_init(&h);
	h.settings.max_errors = 10;
	harness_open(&h);
	harness_say(&h, before);
	while (count < 5000 && session_state(h.session) == SESSION_READING) {
		harness_say(&h, said);
		count++;
	}
	if (count < 5000)
		ok(strstr(buffer_str(&h.out), "421 4.7.0 Too many "), "%.*s: told", (int)strcspn(said, "\r"), said);
	harness_close(&h);
	return count;
}

static void test_commands(void)
{
	static const struct {
		const char *before, *said;
		unsigned most;
	} rows[] = {
		{ "EHLO c\r\n", "NOOP\r\n", 110 },
		{ "EHLO c\r\n", "RSET\r\n", 110 },
		{ "EHLO c\r\n", "VRFY x\r\n", 110 },
		{ "EHLO c\r\n", "HELP\r\n", 110 },
		{ "", "EHLO c\r\n", 111 },
		{ "EHLO c\r\n", "MAIL FROM:<a@b.example> SIZE=1000\r\n", 110 },
		{ "EHLO c\r\n", BEGIN "RSET\r\n", 110 },
		{ "EHLO c\r\n", BEGIN "DATA\r\nx\ny\r\n.\r\n", 110 },
		{ "EHLO c\r\n" BEGIN, "BDAT 0\r\n", 110 },
		{ "EHLO c\r\n", "EXPN x\r\n", 11 },
		{ "EHLO c\r\n", "FOO\r\n", 11 },
		{ "EHLO c\r\n", "BDAT 1\r\nx", 11 },
		{ "EHLO c\r\n", "RCPT TO:<c@d.example>\r\n", 11 },
		{ "EHLO c\r\n", "DATA\r\n", 11 },
		{ "EHLO c\r\nMAIL FROM:<a@b.example>\r\n", "MAIL FROM:<a@b.example>\r\n", 11 },
		{ "EHLO c\r\nMAIL FROM:<a@b.example>\r\n", "RCPT <c@d.example>\r\n", 11 },
		/* addresses that are none; two that are taken, and more; what is sent in advance behind a refused MAIL */
		{ "EHLO c\r\nMAIL FROM:<a@b.example>\r\n", "RCPT TO:<c d@e.example>\r\n", 1000 + 11 },
		{ "EHLO c\r\nMAIL FROM:<a@b.example>\r\n", "RCPT TO:<c@d.example>\r\n", 2 + 1000 + 11 },
		{ "EHLO c\r\nMAIL FROM:<a b@c.example>\r\n", "RCPT TO:<c@d.example>\r\n", 1000 + 11 },
		{ "EHLO c\r\nMAIL FROM:<> SIZE=1000\r\n", "DATA\r\n", 109 },
		{ "EHLO c\r\nMAIL FROM:<> SIZE=1000\r\n", "BDAT 1\r\nx", 109 },
		{ "EHLO c\r\n", "MAIL FROM:<a b@c.example>\r\n", 110 },
		{ "EHLO c\r\n", BEGIN "DATA\r\nx\r\n.\r\n", 5000 },
		{ "EHLO c\r\n", "NOOP\r\nRSET\r\n" BEGIN "BDAT 1 LAST\r\nx", 5000 },
	};

	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		unsigned count = times(rows[i].before, rows[i].said);

		ok(count == rows[i].most, "%u times, of %u: %.*s", count, rows[i].most, (int)strcspn(rows[i].said, "\r"),
			rows[i].said);
	}
}

/* Clients that send commands in advance, whatever becomes of them: each of these has what it can get, in one session. */
static void test_honest(void)
{
	static const struct {
		const char *begin, *recipient;
		unsigned recipients;
		const char *end, *last;
		unsigned messages;
	} rows[] = {
		{ "MAIL FROM:<> SIZE=101\r\n", "RCPT TO:<c@d.example>\r\n", 900, "DATA\r\n", "503 5.5.1 ", 0 },
		{ "MAIL FROM:<a@b.example>\r\n", "RCPT TO:<c@d..example>\r\n", 900, "DATA\r\n", "503 5.5.1 ", 0 },
		{ "MAIL FROM:<a@b.example>\r\n", "RCPT TO:<c@d..example>\r\n", 900, "BDAT 1 LAST\r\nx", "503 5.5.1 ", 0 },
		{ "MAIL FROM:<a@b.example>\r\n", "RCPT TO:<c@d.example>\r\n", 900, "BDAT 1 LAST\r\nx", "250 2.6.0 ", 1 },
		{ BEGIN, "RCPT TO:<@d.example>\r\n", 900, "DATA\r\nx\r\n.\r\n", "250 2.6.0 ", 1 },
	};

	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		struct harness h;
		const char *last;

		harness_init(&h);
		h.settings.max_errors = 1;
		harness_open(&h);
		harness_say(&h, "EHLO c\r\n");
		harness_say(&h, rows[i].begin);
		for (unsigned n = 0; n < rows[i].recipients; n++)
			harness_say(&h, rows[i].recipient);
		last = harness_say(&h, rows[i].end);
		last = strncmp(last, "354 ", 4) ? last : strchr(last, '\n') + 1;
		ok(!strncmp(last, rows[i].last, strlen(rows[i].last)), "the end has its own reply: %.20s", last);
		is_int(h.messages, rows[i].messages, "who was accepted gets the message");
		is_int(session_state(h.session), SESSION_READING, "and the session goes on");
		harness_close(&h);
	}
}

/* Octets a second for ten minutes, in pieces a second apart; what the session said. */
static const char *trickle(struct harness *h, const char *begin, unsigned rate)
{
	harness_init(h);
	h->settings.max_size_bytes = 0;
	harness_open(h);
	harness_say(h, "EHLO c\r\n" BEGIN);
	harness_say(h, begin);
	buffer_reset(&h->out);
	for (unsigned i = 0; i < 600 && session_state(h->session) == SESSION_READING; i++) {
		harness_send(h, "xxxxxxxxxxxxxxxxxxxx", rate, rate);
		ahead_s++;
	}
	return buffer_str(&h->out);
}

/* The same in chunks of an octet; what was said last. */
static const char *chunks(struct harness *h, unsigned rate)
{
	harness_init(h);
	h->settings.max_size_bytes = 0;
	harness_open(h);
	harness_say(h, "EHLO c\r\n" BEGIN);
	for (unsigned i = 0; i < 600 * rate && session_state(h->session) == SESSION_READING; i++) {
		buffer_reset(&h->out);
		harness_say(h, "BDAT 1\r\nx");
		ahead_s += i % rate == 0;
	}
	return buffer_str(&h->out);
}

static void test_rate(void)
{
	static const char *const how[] = { "DATA\r\n", "BDAT 1000000 LAST\r\n" };
	char line[700];
	struct harness h;

	for (size_t i = 0; i < ARRAY_SIZE(how); i++) {
		ok(strcmp(trickle(&h, how[i], 9), "421 4.4.2 Connection timed out\r\n") == 0,
			"%.4s: nine octets a second are too few", how[i]);
		harness_close(&h);
		ok(!*trickle(&h, how[i], 11), "%.4s: eleven are not", how[i]);
		harness_close(&h);
	}
	ok(strcmp(chunks(&h, 9), "421 4.4.2 Connection timed out\r\n") == 0, "chunks of an octet are nine octets, too");
	harness_close(&h);
	ok(strcmp(chunks(&h, 11), "250 2.0.0 1 octets received\r\n") == 0, "or eleven");
	harness_close(&h);
	harness_init(&h);
	harness_open(&h);
	for (unsigned i = 0; i < 500 && session_state(h.session) == SESSION_READING; i++) {
		harness_send(&h, "x", 1, 1);
		ahead_s++;
	}
	ok(strstr(buffer_str(&h.out), "421 4.4.2 "), "a command has its time from its first octet on");
	harness_close(&h);
	harness_open(&h);
	snprintf(line, sizeof(line), "NOOP %600s\r\n", "");
	harness_send(&h, line, strlen(line), 100);
	ahead_s += 301;
	buffer_reset(&h.out);
	harness_send(&h, "NOOP\r\n", 6, 1);
	is_str(buffer_str(&h.out), "250 2.0.0 Ok\r\n", "whatever the one before it was");
	harness_close(&h);
}

/* Some wait for an answer in their own protocol, and would for as long as they may. */
static void test_strangers(void)
{
	struct harness h;

	harness_init(&h);
	harness_open(&h);
	buffer_reset(&h.out);
	harness_send(&h, "\x16\x03\x01\x02\x00\x01\x00", 7, 1);
	is_str(buffer_str(&h.out), "554 5.5.1 This is SMTP without TLS\r\n", "a client that begins with TLS is told at once");
	harness_close(&h);
	harness_open(&h);
	is_str(harness_say(&h, "POST / HTTP/1.1\r\nEHLO c\r\nMAIL FROM:<a@b.example>\r\n"),
		"421 4.7.0 This is SMTP, not HTTP\r\n", "nothing that a browser sends is done");
	is_int(session_state(h.session), SESSION_LINGERING, "the session is over");
	harness_close(&h);
}

int main(void)
{
	harness_quiet("unit-smtp-floods");
	test_commands();
	test_honest();
	test_rate();
	test_strangers();
	return done_testing();
}
