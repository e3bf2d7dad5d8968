/* unit-smtp-tls.c - STARTTLS in the session: what it offers, refuses and forgets, without TLS
 * SPDX-License-Identifier: MIT
 * S7 P9 */
#include "t/lib/tap.h"

#include "t/lib/smtp_harness.h"

#define VERSION13 "TLSv1.3", "TLS_AES_256_GCM_SHA384"
#define MAIL "MAIL FROM:<a@b.example>\r\n"
#define RCPT "RCPT TO:<c@d.example>\r\n"
#define HELLO "250-mx.example Hello c\r\n250-SIZE 100\r\n250-8BITMIME\r\n250-PIPELINING\r\n250-ENHANCEDSTATUSCODES\r\n" \
	"250-SMTPUTF8\r\n250-DSN\r\n250-CHUNKING\r\n250-LIMITS RCPTMAX=2\r\n"
#define LACKS "530 5.7.0 Must issue a STARTTLS command first\r\n"

static void open_session(struct harness *h)
{
	harness_init(h);
	h->settings.tls_available = true;
	harness_open(h);
}

static void start_tls(struct harness *h)
{
	harness_say(h, "EHLO c\r\n");
	is_str(harness_say(h, "STARTTLS\r\n"), "220 2.7.0 Go ahead\r\n", "TLS may begin");
	is_int(session_state(h->session), SESSION_WANTS_TLS, "and is waited for");
	session_tls_started(h->session, VERSION13);
}

static void test_offers(void)
{
	struct harness h;

	open_session(&h);
	is_str(harness_say(&h, "EHLO c\r\n"), HELLO "250 STARTTLS\r\n",
		"in clear");
	ok(!session_is_secure(h.session), "which it is");
	start_tls(&h);
	is_str(harness_say(&h, "EHLO c\r\n"), HELLO "250 REQUIRETLS\r\n",
		"within TLS");
	ok(session_is_secure(h.session), "which is known");
	is_str(harness_say(&h, "HELO c\r\n"), "250 mx.example Hello c\r\n", "to HELO nothing");
	harness_close(&h);
	h.settings.extensions &= ~(unsigned)(EXTENSION_STARTTLS | EXTENSION_REQUIRETLS);
	harness_open(&h);
	ok(!strstr(harness_say(&h, "EHLO c\r\n"), "TLS"), "nor where it is disabled");
	is_str(harness_say(&h, "STARTTLS\r\n"), "502 5.5.1 Command not implemented\r\n", "and then it is not there");
	is_int(extension_find("starttls"), EXTENSION_STARTTLS, "by its name");
	is_int(extension_find("RequireTLS"), EXTENSION_REQUIRETLS, "as this");
	harness_close(&h);
}

static void refuses(struct harness *h, const char *before, const char *line, const char *reply)
{
	harness_say(h, before);
	is_str(harness_say(h, line), reply, "not now");
	is_int(session_state(h->session), SESSION_READING, "nothing is waited for");
}

static void test_refusals(void)
{
	struct harness h;

	open_session(&h);
	refuses(&h, "", "STARTTLS\r\n", "503 5.5.1 Bad sequence of commands\r\n");
	refuses(&h, "HELO c\r\n", "STARTTLS\r\n", "503 5.5.1 Bad sequence of commands\r\n");
	refuses(&h, "EHLO c\r\n", "STARTTLS now\r\n", "501 5.5.4 Syntax error in parameters or arguments\r\n");
	refuses(&h, MAIL, "STARTTLS\r\n", "503 5.5.1 Bad sequence of commands\r\n");
	refuses(&h, RCPT, "STARTTLS\r\n", "503 5.5.1 Bad sequence of commands\r\n");
	refuses(&h, "BDAT 1\r\nx", "STARTTLS\r\n", "503 5.5.1 Bad sequence of commands\r\n");
	harness_say(&h, "BDAT 1 LAST\r\nx");
	is_int(h.messages, 1, "the transaction goes on, to its end");
	harness_close(&h);
	open_session(&h);
	start_tls(&h);
	refuses(&h, "EHLO c\r\n", "STARTTLS\r\n", "503 5.5.1 Bad sequence of commands\r\n");
	harness_close(&h);
	harness_init(&h);
	harness_open(&h);
	refuses(&h, "EHLO c\r\n", "STARTTLS\r\n", "454 4.7.0 TLS not available\r\n");
	ok(!strstr(harness_say(&h, "EHLO c\r\n"), "STARTTLS"), "what is not available is not offered");
	harness_close(&h);
}

/* However it is cut: behind STARTTLS nothing is read before TLS, and nothing of it counts then. */
static void test_injected(void)
{
	static const char behind[] = "EHLO evil\r\n" MAIL RCPT "RSET\r\nNOO";
	static const char begin[] = "EHLO c\r\nSTARTTLS\r\n";
	size_t all = strlen(begin) + strlen(behind);

	for (size_t cut = strlen(begin) - 2; cut <= all; cut++) {
		struct harness h;
		char *said = xasprintf("%s%s", begin, behind);
		bool quiet;

		open_session(&h);
		harness_send(&h, said, all, cut);
		/* what came later than the state that wants none of it, from an owner that asks nobody */
		if (h.in.size)
			is_int(session_input(h.session, h.in.data, h.in.size), (intmax_t)h.in.size, "all of it is taken");
		buffer_reset(&h.in);
		quiet = h.out.size > 20 && strcmp(h.out.data + h.out.size - 20, "220 2.7.0 Go ahead\r\n") == 0;
		session_tls_started(h.session, VERSION13);
		buffer_reset(&h.out);
		if (!quiet || strcmp(harness_say(&h, "P\r\n"), "500 5.5.2 Syntax error, command unrecognized\r\n") != 0 ||
				strcmp(harness_say(&h, MAIL), "503 5.5.1 Bad sequence of commands\r\n") != 0 || h.questions)
			ok(false, "cut at %zu: %s", cut, buffer_str(&h.out));
		free(said);
		harness_close(&h);
	}
	ok(true, "what came in clear behind STARTTLS is gone");
}

static void test_forgets(void)
{
	struct harness h;

	open_session(&h);
	h.settings.max_errors = 3;
	harness_say(&h, "FOO\r\nFOO\r\n");
	start_tls(&h);
	is_str(buffer_str(&h.out), "220 2.7.0 Go ahead\r\n", "there is no second banner");
	is_str(harness_say(&h, MAIL), "503 5.5.1 Bad sequence of commands\r\n", "EHLO is due again");
	is_str(harness_say(&h, "FOO\r\n"), "421 4.7.0 Too many errors\r\n", "errors are counted on");
	harness_close(&h);
	open_session(&h);
	harness_say(&h, "EHLO c\r\n" MAIL RCPT "BDAT 2\r\nx\n");
	ok(strstr(harness_say(&h, "BDAT 1 LAST\r\nx"), "550 5.5.2"), "a chunk was refused");
	start_tls(&h);
	harness_say(&h, "EHLO d\r\n");
	is_str(harness_say(&h, "BDAT 1 LAST\r\nx"), "503 5.5.1 Bad sequence of commands\r\n", "which is forgotten");
	harness_close(&h);
}

static const struct envelope *message_by(struct harness *h, const char *hello, const char *mail)
{
	harness_say(h, hello);
	harness_say(h, mail);
	harness_say(h, RCPT "DATA\r\n");
	harness_say(h, "x\r\n.\r\n");
	return h->taken;
}

static void test_envelope(void)
{
	struct harness h;
	const struct envelope *e;

	open_session(&h);
	is_str(message_by(&h, "EHLO c\r\n", MAIL)->client.protocol, "ESMTP", "in clear");
	is_str(h.taken->client.tls, NULL, "which is without TLS");
	is_str(harness_say(&h, "MAIL FROM:<a@b.example> REQUIRETLS\r\n"), "555 5.5.4 Parameter REQUIRETLS not recognized\r\n",
		"in clear it means nothing");
	start_tls(&h);
	e = message_by(&h, "EHLO d\r\n", "MAIL FROM:<a@b.example>\r\n");
	is_str(e->client.protocol, "ESMTPS", "within TLS");
	is_str(e->client.tls, "TLSv1.3 TLS_AES_256_GCM_SHA384", "of which version and cipher are known");
	is_str(e->client.name, "d", "the name is the new one");
	ok(!e->requiretls, "the sender did not require more");
	ok(message_by(&h, "", "MAIL FROM:<a@b.example> requiretls\r\n")->requiretls, "a sender may require it");
	is_str(harness_say(&h, "MAIL FROM:<a@b.example> REQUIRETLS=1\r\n"),
		"501 5.5.4 Syntax error in parameters or arguments\r\n", "without a value");
	is_str(message_by(&h, "", "MAIL FROM:<a@b.example> SMTPUTF8\r\n")->client.protocol, "UTF8SMTPS", "in UTF-8");
	is_str(message_by(&h, "HELO d\r\n", MAIL)->client.protocol, "SMTP", "by HELO");
	is_str(h.taken->client.tls, "TLSv1.3 TLS_AES_256_GCM_SHA384", "and TLS all the same");
	is_str(harness_say(&h, "MAIL FROM:<a@b.example> REQUIRETLS\r\n"), "555 5.5.4 Parameter REQUIRETLS not recognized\r\n",
		"behind HELO there are no parameters");
	harness_close(&h);
}

static void test_required(void)
{
	static const char *const refused[] = { MAIL, RCPT, "DATA\r\n", "VRFY x\r\n", "EXPN x\r\n", "BDAT 6 LAST\r\nQUIT\r\n" };
	static const char *const allowed[] = { "NOOP\r\n", "RSET\r\n", "HELP\r\n", "EHLO c\r\n" };
	struct harness h;

	open_session(&h);
	h.settings.require_tls = true;
	is_str(harness_say(&h, MAIL), LACKS, "before EHLO too");
	harness_say(&h, "EHLO c\r\n");
	for (size_t i = 0; i < ARRAY_SIZE(refused); i++)
		is_str(harness_say(&h, refused[i]), LACKS, "TLS is required");
	for (size_t i = 0; i < ARRAY_SIZE(allowed); i++)
		is_int(harness_say(&h, allowed[i])[0], '2', "but not for this");
	is_str(harness_say(&h, MAIL RCPT "DATA\r\nRSET\r\n"), LACKS LACKS LACKS "250 2.0.0 Ok\r\n", "what was pipelined");
	is_int(h.questions, 0, "nobody was asked");
	start_tls(&h);
	is_str(message_by(&h, "EHLO c\r\n", MAIL)->client.protocol, "ESMTPS", "then mail is taken");
	is_str(harness_say(&h, "QUIT\r\n"), "221 2.0.0 Bye\r\n", "to the end");
	harness_close(&h);
}

/* Between the 220 and the end of the handshake nothing can be said that would not break it. */
static void test_ends(void)
{
	struct harness h;

	open_session(&h);
	harness_say(&h, "EHLO c\r\nSTARTTLS\r\n");
	buffer_reset(&h.out);
	session_drain(h.session, false);
	is_int(session_state(h.session), SESSION_WANTS_TLS, "a handshake may end while draining");
	session_tls_started(h.session, VERSION13);
	is_str(buffer_str(&h.out), "421 4.3.2 Service shutting down\r\n", "then it is told, within TLS");
	harness_close(&h);
	for (unsigned how = 0; how < 4; how++) {
		open_session(&h);
		harness_say(&h, "EHLO c\r\nSTARTTLS\r\n");
		buffer_reset(&h.out);
		if (how == 0)
			session_drain(h.session, true);
		else if (how == 1)
			session_timed_out(h.session);
		else if (how == 2)
			session_lost(h.session);
		else
			session_input_ended(h.session);
		is_int(session_state(h.session), SESSION_CLOSING, "it ends");
		is_str(buffer_str(&h.out), "", "without a word");
		session_tls_started(h.session, VERSION13);
		is_int(session_state(h.session), SESSION_CLOSING, "and stays so");
		harness_close(&h);
	}
}

static void open_immediately(struct harness *h)
{
	harness_init(h);
	h->settings.tls_available = h->settings.tls_immediately = true;
	h->session = session_new(&h->settings, &harness_owner, h, &h->out, "192.0.2.1");
	is_int(session_state(h->session), SESSION_WANTS_TLS, "TLS comes first");
}

static void test_immediately(void)
{
	struct harness h;

	open_immediately(&h);
	session_greet(h.session);
	session_tls_started(h.session, "TLSv1.2", "ECDHE-ECDSA-AES128-GCM-SHA256");
	is_str(buffer_str(&h.out), "", "the banner comes when it is time");
	session_greet(h.session);
	is_str(buffer_str(&h.out), "220 mx.example ESMTP\r\n", "within TLS");
	is_str(message_by(&h, "EHLO c\r\n", MAIL)->client.tls, "TLSv1.2 ECDHE-ECDSA-AES128-GCM-SHA256", "of this kind");
	is_str(harness_say(&h, "STARTTLS\r\n"), "503 5.5.1 Bad sequence of commands\r\n", "there is no more of it");
	harness_close(&h);
	open_immediately(&h);
	session_tls_started(h.session, VERSION13);
	session_input(h.session, "EHLO c\r\n", 8);
	is_str(buffer_str(&h.out), "554 5.5.1 Command before the greeting\r\n", "nobody speaks before the banner");
	harness_close(&h);
	open_immediately(&h);
	session_drain(h.session, false);
	session_tls_started(h.session, VERSION13);
	session_greet(h.session);
	is_str(buffer_str(&h.out), "220 mx.example ESMTP\r\n421 4.3.2 Service shutting down\r\n", "draining is told within TLS");
	harness_close(&h);
	open_immediately(&h);
	session_drain(h.session, true);
	is_str(buffer_str(&h.out), "", "or not at all");
	is_int(session_state(h.session), SESSION_CLOSING, "at its end");
	harness_close(&h);
}

int main(void)
{
	harness_quiet("unit-smtp-tls");
	test_offers();
	test_refusals();
	test_injected();
	test_forgets();
	test_envelope();
	test_required();
	test_ends();
	test_immediately();
	return done_testing();
}
