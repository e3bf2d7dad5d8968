/* unit-smtp-session.c - verbs in every phase, replies, limits, answers that come later
 * SPDX-License-Identifier: MIT
 * S5 P16 P19 */
#include "t/lib/tap.h"

#include "t/lib/smtp_harness.h"

/* How to get into each phase, and what each verb is answered there. */
static const char *const phases[] = { "", "EHLO c\r\n", "EHLO c\r\nMAIL FROM:<a@b.example>\r\n",
	"EHLO c\r\nMAIL FROM:<a@b.example>\r\nRCPT TO:<c@d.example>\r\n",
	"EHLO c\r\nMAIL FROM:<a@b.example>\r\nRCPT TO:<c@d.example>\r\nBDAT 1\r\nx" };
static const struct {
	const char *line;
	const char *codes;	/* in START, READY, MAIL, RCPT, and between chunks */
} table[] = {
	{ "EHLO c", "250 250 250 250 250" },
	{ "HELO c", "250 250 250 250 250" },
	{ "EHLO \xc3\xa4.example", "501 501 501 501 501" },
	{ "EHLO", "501 501 501 501 501" },
	{ "MAIL FROM:<a@b.example>", "503 250 503 503 503" },
	{ "MAIL FROM:<>", "503 250 503 503 503" },
	{ "mail from: <a@b.example> size=10 body=8bitmime", "503 250 503 503 503" },
	{ "MAIL FROM:a@b.example", "503 501 503 503 503" },
	{ "MAIL", "503 501 503 503 503" },
	{ "MAIL FROM:<a@b.example> SIZE=101", "503 552 503 503 503" },
	{ "MAIL FROM:<a@b.example> SIZE=99999999999999999999", "503 552 503 503 503" },
	{ "MAIL FROM:<a@b.example> SIZE=1 SIZE=1", "503 501 503 503 503" },
	{ "MAIL FROM:<a@b.example> SIZE=x", "503 501 503 503 503" },
	{ "MAIL FROM:<a@b.example> SIZE=", "503 501 503 503 503" },
	{ "MAIL FROM:<a@b.example> SIZE", "503 501 503 503 503" },
	{ "MAIL FROM:<a@b.example> BODY=BINARYMIME", "503 501 503 503 503" },
	{ "MAIL FROM:<a@b.example> SMTPUTF8=1", "503 501 503 503 503" },
	{ "MAIL FROM:<a@b.example> FOO=1", "503 555 503 503 503" },
	{ "MAIL FROM:<a@b.example> -=1", "503 501 503 503 503" },
	{ "MAIL FROM:<a@b.example>SIZE=1", "503 501 503 503 503" },
	{ "MAIL FROM:<\xc3\xa4@b.example>", "503 553 503 503 503" },
	{ "MAIL FROM:<\xc3\xa4@b.example> SMTPUTF8", "503 250 503 503 503" },
	{ "MAIL FROM:<\xc3@b.example> SMTPUTF8", "503 501 503 503 503" },
	{ "RCPT TO:<c@d.example>", "503 503 250 250 503" },
	{ "RCPT TO:<Postmaster>", "503 503 250 250 503" },
	{ "RCPT TO:<>", "503 503 501 501 503" },
	{ "RCPT TO:<c@d.example> SIZE=1", "503 503 555 555 503" },
	{ "RCPT TO:<\xc3\xa4@d.example>", "503 503 553 553 503" },
	{ "DATA", "503 503 503 354 503" },
	{ "DATA now", "503 503 503 501 503" },
	{ "RSET", "250 250 250 250 250" },
	{ "RSET all", "501 501 501 501 501" },
	{ "NOOP", "250 250 250 250 250" },
	{ "NOOP anything", "250 250 250 250 250" },
	{ "VRFY someone", "252 252 252 252 252" },
	{ "VRFY", "501 501 501 501 501" },
	{ "EXPN list", "502 502 502 502 502" },
	{ "HELP", "214 214 214 214 214" },
	{ "QUIT", "221 221 221 221 221" },
	{ "QUIT now", "501 501 501 501 501" },
	{ "NOOPS", "500 500 500 500 500" },
	{ "", "500 500 500 500 500" },
	{ "GET / HTTP/1.1", "421 421 421 421 421" },
	{ "POST /", "421 421 421 421 421" },
	{ "connect x:25 HTTP/1.0", "421 421 421 421 421" },
	{ "BDAT 0", "503 503 503 250 250" },
	{ "BDAT 0 LAST", "503 503 503 250 250" },
	{ "BDAT x", "501 501 501 501 501" },
	{ "NOOP a\nQUIT", "500 500 500 500 500" },
	{ "NOOP a\rQUIT", "500 500 500 500 500" },
};

static void test_table(void)
{
	for (size_t i = 0; i < ARRAY_SIZE(table); i++) {
		char codes[32] = "";

		for (size_t j = 0; j < ARRAY_SIZE(phases); j++) {
			struct harness h;
			char *line = xasprintf("%s\r\n", table[i].line);

			harness_init(&h);
			harness_open(&h);
			harness_say(&h, phases[j]);
			snprintf(codes + strlen(codes), sizeof(codes) - strlen(codes), "%s%.3s", j ? " " : "",
				harness_say(&h, line));
			free(line);
			harness_close(&h);
		}
		ok(strcmp(codes, table[i].codes) == 0, "%.*s%s: %s", (int)strcspn(table[i].line, "\r\n"),
			table[i].line, table[i].line[strcspn(table[i].line, "\r\n")] ? "(and more)" : "",
			codes);
	}
}

#define SESSION \
	"EHLO client.example\r\nMAIL FROM:<a@b.example> SIZE=20 SMTPUTF8\r\nRCPT TO:<c@d.example>\r\n" \
	"RCPT TO:<\"x y\"@d.example>\r\nRCPT TO:<e@d.example>\r\nDATA\r\n" \
	"Subject: x\r\n\r\n..dot\r\n.\r\nNOOP\r\nQUIT\r\nNOOP\r\n"
#define REPLIES \
	"220 mx.example ESMTP\r\n" \
	"250-mx.example Hello client.example\r\n250-SIZE 100\r\n250-8BITMIME\r\n250-PIPELINING\r\n" \
	"250-ENHANCEDSTATUSCODES\r\n250-SMTPUTF8\r\n250-DSN\r\n250-CHUNKING\r\n250 LIMITS RCPTMAX=2\r\n" \
	"250 2.1.0 Sender <a@b.example> Ok\r\n250 2.1.5 Recipient <c@d.example> Ok\r\n" \
	"250 2.1.5 Recipient <\"x y\"@d.example> Ok\r\n452 4.5.3 Too many recipients\r\n" \
	"354 Start mail input; end with <CRLF>.<CRLF>\r\n" \
	"250 2.6.0 Message accepted for delivery; %s\r\n250 2.0.0 Ok\r\n221 2.0.0 Bye\r\n"

static void check_envelope(const struct envelope *e)
{
	is_str(e->sender, "a@b.example", "sender");
	is_int(e->recipient_count, 2, "recipients");
	is_str(e->client.protocol, "UTF8SMTP", "protocol");
	is_str(e->client.name, "client.example", "EHLO name");
	is_str(e->client.ip, "192.0.2.1", "client");
	is_str(e->receiver, "mx.example", "receiver");
	is_int(e->size, 20, "declared size");
	ok(e->smtputf8, "SMTPUTF8");
	ok(e->timestamp_ms > 0, "timestamp");
	is_str(buffer_str(&e->content.memory), "Subject: x\r\n\r\n.dot\r\n", "octets");
	is_int(e->content.header_size, 12, "the header is found");
}

static void test_every_cut(void)
{
	unsigned wrong = 0;

	for (size_t step = 1; step <= strlen(SESSION); step++) {
		struct harness h;
		char *wanted;

		harness_init(&h);
		harness_open(&h);
		harness_send(&h, SESSION, strlen(SESSION), step);
		wanted = xasprintf(REPLIES, h.taken ? h.taken->id : "?");
		if (strcmp(buffer_str(&h.out), wanted) != 0 && !wrong++)
			diag("in steps of %zu:\n%s", step, buffer_str(&h.out));
		if (step == 1)
			check_envelope(h.taken);
		wrong += session_state(h.session) != SESSION_CLOSING;
		free(wanted);
		harness_close(&h);
	}
	is_int(wrong, 0, "a pipelined session is answered alike at every cut");
}

static const char *message(struct harness *h, const char *data)
{
	harness_init(h);
	harness_open(h);
	harness_say(h, phases[3]);
	harness_say(h, "DATA\r\n");
	return harness_say(h, data);
}

static void test_oversize(void)
{
	struct harness h;
	struct buffer body = { 0 };

	for (unsigned i = 0; i < 20; i++)
		buffer_append_str(&body, "MAIL FROM:<x@y.example>\r\nQUIT\r\n");
	buffer_append_str(&body, ".\r\nNOOP\r\n");
	is_str(message(&h, buffer_str(&body)), "552 5.3.4 Message exceeded size limit\r\n250 2.0.0 Ok\r\n",
		"an oversize message gets one 552, and no line of it is a command");
	is_int(h.messages, 0, "and is not taken");
	is_str(harness_say(&h, "RCPT TO:<a@b.example>\r\n"), "503 5.5.1 Bad sequence of commands\r\n",
		"its transaction is over");
	buffer_release(&body);
	harness_close(&h);
}

static void test_content(void)
{
	struct harness h;

	is_str(message(&h, "a\nb\r\n.\r\n"), "550 5.5.2 Message contains bare CR or LF\r\n", "bare LF is refused");
	harness_close(&h);
	message(&h, "");
	harness_send(&h, "a\0b\r\n.\r\n", 8, 8);
	is_str(buffer_str(&h.out), "550 5.5.2 Message contains NUL\r\n", "NUL is refused");
	harness_close(&h);
	is_str(message(&h, "Received: a\r\nReceived: b\r\nDelivered-To: c\r\nReceived: d\r\n\r\n.\r\n"),
		"554 5.4.6 Too many hops\r\n", "hops are counted");
	harness_close(&h);
	harness_init(&h);
	h.settings.normalize_newlines = true;
	h.settings.max_size_bytes = 0;
	harness_open(&h);
	harness_say(&h, phases[3]);
	harness_say(&h, "DATA\r\n");
	is_int(atoi(harness_say(&h, "a\nb\rc\r\n.\r\n")), 250, "normalize takes it");
	is_str(buffer_str(&h.taken->content.memory), "a\r\nb\r\nc\r\n", "with CR LF at every line's end");
	harness_close(&h);
}

static void test_limits(void)
{
	struct harness h;
	struct buffer line = { 0 };

	harness_init(&h);
	h.settings.max_errors = 2;
	h.settings.extensions = EXTENSION_8BITMIME;
	h.settings.max_size_bytes = 0;
	harness_open(&h);
	is_str(harness_say(&h, "EHLO c\r\n"), "250-mx.example Hello c\r\n250 8BITMIME\r\n", "fewer extensions");
	is_str(harness_say(&h, "MAIL FROM:<a@b.example> SIZE=1\r\n"), "555 Parameter SIZE not recognized\r\n",
		"what is not offered is not taken, and without codes if those are not offered");
	for (unsigned i = 0; i < 4000; i++)
		buffer_append_char(&line, 'x');
	is_str(harness_say(&h, buffer_str(&line)), "500 Line too long\r\n", "a line without end is answered");
	is_int(h.in.size, 0, "and not kept");
	is_str(harness_say(&h, "x\r\nNOOP\r\n"), "250 Ok\r\n", "its rest is skipped");
	is_str(harness_say(&h, "FOO\r\nNOOP\r\n"), "421 Too many errors\r\n", "the third error is the last");
	is_int(session_state(h.session), SESSION_LINGERING, "and the client may be sending");
	buffer_release(&line);
	harness_close(&h);
}

static void test_long_lines(void)
{
	struct harness h;
	char line[1300];

	harness_init(&h);
	harness_open(&h);
	snprintf(line, sizeof(line), "EHLO c\r\nNOOP %505s\r\n", "");
	is_int(atoi(harness_say(&h, line)), 250, "512 octets are a command");
	ok(strstr(buffer_str(&h.out), "250 2.0.0 Ok"), "of any verb");
	snprintf(line, sizeof(line), "NOOP %506s\r\n", "");
	is_int(atoi(harness_say(&h, line)), 500, "513 are not");
	snprintf(line, sizeof(line), "MAIL FROM:<a@b.example>%1167s\r\n", "");
	is_int(atoi(harness_say(&h, line)), 250, "MAIL has room for its parameters");
	snprintf(line, sizeof(line), "RSET\r\nMAIL FROM:<a@b.example>%1168s\r\n", "");
	harness_say(&h, line);
	ok(strstr(buffer_str(&h.out), "500 5.5.2"), "but no more");
	harness_close(&h);
}

static void test_later(void)
{
	struct harness h;
	struct reply no = { 0 };

	harness_init(&h);
	h.later = true;
	harness_open(&h);
	ok(strstr(harness_say(&h, "HELO c\r\nMAIL FROM:<> SIZE=1\r\n"), "\r\n555 5.5.4 "),
		"extensions are for those who said EHLO");
	is_str(harness_say(&h,
		"HELO c\r\nMAIL FROM:<>\r\nRCPT TO:<a@b.example>\r\nRCPT TO:<c@b.example>\r\n"),
		"250 mx.example Hello c\r\n", "nothing behind a question is answered before it");
	is_int(session_state(h.session), SESSION_WAITING, "and no input is wanted");
	buffer_reset(&h.out);
	harness_answer(&h, NULL);
	is_str(buffer_str(&h.out), "250 2.1.0 Sender <> Ok\r\n", "the answer");
	reply_set(&no, 550, "5.7.1", "Recipient <a@b.example> Not allowed");
	buffer_reset(&h.out);
	harness_answer(&h, &no);
	is_str(buffer_str(&h.out), "550 5.7.1 Recipient <a@b.example> Not allowed\r\n", "a refusal");
	buffer_reset(&h.out);
	harness_answer(&h, NULL);
	harness_say(&h, "DATA\r\nx\r\n.\r\nNOOP\r\n");
	is_int(h.messages, 1, "the message is taken");
	is_int(h.taken->recipient_count, 1, "without the refused recipient");
	is_str(h.taken->client.protocol, "SMTP", "HELO is SMTP");
	reply_set(&no, 451, "4.3.0", "Error queuing message");
	buffer_reset(&h.out);
	harness_answer(&h, &no);
	is_str(buffer_str(&h.out), "451 4.3.0 Error queuing message\r\n250 2.0.0 Ok\r\n", "its refusal, then NOOP");
	harness_say(&h, "MAIL FROM:<>\r\n");
	is_int(session_state(h.session), SESSION_WAITING, "a question is open");
	reply_release(&no);
	harness_close(&h);
	ok(true, "a session may go while a question is open");
}

static void test_ends(void)
{
	struct harness h;

	harness_init(&h);
	h.session = session_new(&h.settings, &harness_owner, &h, &h.out, "192.0.2.1");
	is_str(harness_say(&h, "EHLO c\r\n"), "554 5.5.1 Command before the greeting\r\n", "an early talker");
	session_greet(h.session);
	is_int(session_state(h.session), SESSION_LINGERING, "is not greeted");
	harness_close(&h);
	harness_init(&h);
	harness_open(&h);
	harness_say(&h, phases[3]);
	buffer_reset(&h.out);
	session_drain(h.session, false);
	is_str(buffer_str(&h.out), "", "draining leaves a transaction alone");
	is_str(harness_say(&h, "RSET\r\n"), "250 2.0.0 Ok\r\n421 4.3.2 Service shutting down\r\n", "until its end");
	harness_close(&h);
	harness_open(&h);
	harness_say(&h, phases[2]);
	buffer_reset(&h.out);
	session_drain(h.session, true);
	is_str(buffer_str(&h.out), "421 4.3.2 Service shutting down\r\n", "or ends it");
	harness_close(&h);
	harness_open(&h);
	buffer_reset(&h.out);
	session_timed_out(h.session);
	is_str(buffer_str(&h.out), "421 4.4.2 Connection timed out\r\n", "time is over");
	harness_close(&h);
	harness_init(&h);
	h.settings.command_timeout_ms = -1;
	harness_open(&h);
	harness_say(&h, "NO");
	is_str(harness_say(&h, "O"), "421 4.4.2 Connection timed out\r\n", "for a command that trickles in, too");
	harness_close(&h);
}

int main(void)
{
	harness_quiet("unit-smtp-session");
	test_table();
	test_every_cut();
	test_oversize();
	test_content();
	test_limits();
	test_long_lines();
	test_later();
	test_ends();
	return done_testing();
}
