/* unit-session-auth.c - AUTH in a session: phases, initial responses, cancel, base64, long lines, what is forgotten and logged
 * SPDX-License-Identifier: MIT
 * Lessons P13, S14. */
#include "common/base/base64.h"
#include "t/lib/smtp_harness.h"
#include "t/lib/tap.h"

#define EHLO "EHLO client.example\r\n"
#define MAIL "MAIL FROM:<a@example.org>"
#define TIM "AHRpbQB0YW5zdGFhZg=="		/* NUL tim NUL tanstaaf */

static const struct session_auth in_clear = { .scram = true, .without_tls = true }, in_tls = { 0 };

static void open_session(struct harness *h, const struct session_auth *auth)
{
	harness_init(h);
	h->settings.auth = auth;
	h->settings.tls_available = true;
	harness_open(h);
	harness_say(h, EHLO);
}

/* The last reply to `text`, without its line end. */
static const char *last(struct harness *h, const char *text)
{
	char *said, *end;

	harness_say(h, text);
	if (h->out.size < 2)
		return "";
	h->out.data[h->out.size - 2] = '\0';
	said = h->out.data;
	end = strrchr(said, '\n');
	return end ? end + 1 : said;
}

static void start_tls(struct harness *h)
{
	harness_say(h, "STARTTLS\r\n");
	session_tls_started(h->session, "TLSv1.3", "TLS_AES_256_GCM_SHA384");
}

/* S14: refused and not offered before TLS. */
static void offers(void)
{
	struct harness h;

	open_session(&h, NULL);
	ok(!strstr(harness_say(&h, EHLO), "AUTH"), "no AUTH where there is none");
	is_str(last(&h, "AUTH PLAIN " TIM "\r\n"), "502 5.5.1 Command not implemented", "nor is it known");
	is_str(last(&h, MAIL " AUTH=<>\r\n"), "555 5.5.4 Parameter AUTH not recognized", "nor its parameter");
	harness_close(&h);
	open_session(&h, &in_tls);
	ok(!strstr(harness_say(&h, EHLO), "AUTH"), "not offered in clear");
	is_str(last(&h, "AUTH PLAIN " TIM "\r\n"), "538 5.7.11 Encryption required for requested authentication mechanism",
		"refused");
	is_int(h.questions, 0, "without a question");
	start_tls(&h);
	ok(strstr(harness_say(&h, EHLO), "AUTH PLAIN LOGIN\r\n") != NULL, "offered in TLS");
	is_str(last(&h, "AUTH SCRAM-SHA-256\r\n"), "504 5.5.4 Invalid authentication mechanism", "one that is not offered");
	is_str(last(&h, "AUTH PLAIN " TIM "\r\n"), "235 2.7.0 Authentication successful", "taken");
	harness_say(&h, MAIL "\r\nRCPT TO:<b@example.org>\r\nDATA\r\nx\r\n.\r\n");
	is_str(h.taken->client.protocol, "ESMTPSA", "the protocol of the envelope");
	is_str(h.taken->client.auth, "tim", "who sent it");
	harness_close(&h);
	open_session(&h, &in_clear);
	ok(strstr(harness_say(&h, EHLO), "AUTH SCRAM-SHA-256 PLAIN LOGIN\r\n") != NULL, "in clear where that is allowed");
	harness_close(&h);
	harness_init(&h);
	h.settings.auth = &in_clear;
	h.settings.extensions &= ~(unsigned)EXTENSION_AUTH;
	harness_open(&h);
	ok(!strstr(harness_say(&h, EHLO), "AUTH"), "disable_extensions: AUTH");
	is_str(last(&h, "AUTH PLAIN " TIM "\r\n"), "502 5.5.1 Command not implemented", "and it is gone");
	harness_close(&h);
}

static void exchanges(void)
{
	struct harness h;

	open_session(&h, &in_clear);
	is_str(last(&h, "auth plain\r\n"), "334 ", "no initial response: asked for it, with the space");
	is_str(last(&h, TIM "\r\n"), "235 2.7.0 Authentication successful", "given");
	is_str(session_auth(h.session), "tim", "known");
	is_str(last(&h, "AUTH PLAIN " TIM "\r\n"), "503 5.5.1 Already authenticated", "not twice");
	is_str(last(&h, EHLO "RSET\r\nAUTH LOGIN\r\n"), "503 5.5.1 Already authenticated", "nor behind EHLO");
	start_tls(&h);
	ok(!session_auth(h.session), "TLS forgets it");
	is_str(last(&h, EHLO "AUTH LOGIN\r\n"), "334 VXNlcm5hbWU6", "LOGIN");
	is_str(last(&h, "dGlt\r\n"), "334 UGFzc3dvcmQ6", "the name");
	is_str(last(&h, "c2VjcmV0\r\n"), "235 2.7.0 Authentication successful", "the password");
	harness_close(&h);
	open_session(&h, &in_clear);
	is_str(last(&h, "AUTH LOGIN dGlt\r\nc2VjcmV0\r\n"), "235 2.7.0 Authentication successful", "all in one packet");
	harness_close(&h);
	open_session(&h, &in_clear);
	ok(!strncmp(last(&h, "AUTH SCRAM-SHA-256 biwsbj11c2VyLHI9YWJj\r\n"), "334 cj1hYm", 10), "SCRAM: our first message");
	is_str(last(&h, "biws\r\n"), "501 5.5.2 Not what the mechanism says", "nonsense");
	is_str(last(&h, "NOOP\r\n"), "250 2.0.0 Ok", "and commands again");
	harness_close(&h);
}

static void sequences(void)
{
	struct harness h;

	harness_init(&h);
	h.settings.auth = &in_clear;
	harness_open(&h);
	is_str(last(&h, "AUTH PLAIN " TIM "\r\n"), "503 5.5.1 Bad sequence of commands", "not before EHLO");
	is_str(last(&h, "HELO x\r\nAUTH PLAIN " TIM "\r\n"), "503 5.5.1 Bad sequence of commands", "not behind HELO");
	is_str(last(&h, EHLO MAIL "\r\nAUTH PLAIN " TIM "\r\n"), "503 5.5.1 Bad sequence of commands", "not in a transaction");
	is_str(last(&h, "RCPT TO:<b@example.org>\r\n"), "250 2.1.5 Recipient <b@example.org> Ok", "which goes on");
	ok(!session_auth(h.session) && !h.question, "nobody was asked");
	harness_close(&h);
	open_session(&h, &in_clear);
	h.settings.require_tls = true;
	is_str(last(&h, "AUTH PLAIN " TIM "\r\n"), "530 5.7.0 Must issue a STARTTLS command first", "require_tls comes first");
	harness_close(&h);
}

static void mistakes(void)
{
	static const char *const lines[][2] = {
		{ "AUTH\r\n", "501 5.5.4 Syntax error in parameters or arguments" },
		{ "AUTH  \r\n", "501 5.5.4 Syntax error in parameters or arguments" },
		{ "AUTH CRAM-MD5\r\n", "504 5.5.4 Invalid authentication mechanism" },
		{ "AUTH SCRAM-SHA-256-PLUS\r\n", "504 5.5.4 Invalid authentication mechanism" },
		{ "AUTH PLAIN =\r\n", "501 5.5.2 Not what the mechanism says" },
		{ "AUTH PLAIN ==\r\n", "501 5.5.2 Cannot decode what is not base64" },
		{ "AUTH PLAIN *\r\n", "501 5.5.2 Cannot decode what is not base64" },
		{ "AUTH PLAIN AHRpbQB0YW5zdGFhZg\r\n", "501 5.5.2 Cannot decode what is not base64" },
		{ "AUTH PLAIN AHRpbQB0 YW5zdGFhZg==\r\n", "501 5.5.2 Cannot decode what is not base64" },
		{ "AUTH PLAIN\r\n*\r\n", "501 5.7.0 Authentication canceled by client" },
		{ "AUTH PLAIN\r\n**\r\n", "501 5.5.2 Cannot decode what is not base64" },
		{ "AUTH PLAIN\r\nQUIT\r\n", "501 5.5.2 Not what the mechanism says" },
		{ "AUTH PLAIN\r\n\r\n", "501 5.5.2 Not what the mechanism says" },
		{ "AUTH LOGIN\r\ndGlt\r\n*\r\n", "501 5.7.0 Authentication canceled by client" },
		{ "AUTH LOGIN\r\n\r\n", "535 5.7.8 Authentication credentials invalid" },
		{ "AUTH PLAIN AHRpbQA=\r\n", "535 5.7.8 Authentication credentials invalid" },
	};
	struct harness h;

	open_session(&h, &in_clear);
	for (size_t i = 0; i < ARRAY_SIZE(lines); i++)
		is_str(last(&h, lines[i][0]), lines[i][1], lines[i][1]);
	ok(!session_auth(h.session), "nobody is known");
	is_int(h.questions, 2, "the owner hears of those that could be guesses, and cannot accept them");
	is_str(last(&h, "AUTH PLAIN " TIM "\r\n"), "235 2.7.0 Authentication successful", "then it goes");
	harness_close(&h);
}

static void long_lines(void)
{
	struct buffer text = { 0 };
	struct harness h;

	open_session(&h, &in_clear);
	h.settings.max_errors = 10000;
	for (int begun = 0; begun < 2; begun++) {
		for (int more = 0; more < 2; more++) {
			if (begun)
				harness_say(&h, "AUTH PLAIN\r\n");
			buffer_reset(&text);
			buffer_append_str(&text, begun ? "" : "AUTH PLAIN ");
			while (text.size < (size_t)(12288 + more))
				buffer_append_char(&text, 'A');
			buffer_append_str(&text, "\r\n");
			if (more)
				is_str(last(&h, buffer_str(&text)), "500 5.5.6 Authentication exchange line is too long",
					"too long");
			else
				is_str(last(&h, buffer_str(&text)), begun ? "501 5.5.2 Not what the mechanism says" :
					"501 5.5.2 Cannot decode what is not base64", "12288 octets");
		}
	}
	is_str(last(&h, "AUTH PLAIN A\rA\r\n"), "500 5.5.2 Syntax error, command unrecognized",
		"short, but of no command's octets");
	is_str(last(&h, "NOOP\r\n"), "250 2.0.0 Ok", "it goes on");
	harness_send(&h, buffer_str(&text), 12000, 100);
	ok(h.in.size < 1000, "no other line is kept that long");
	harness_close(&h);
	buffer_release(&text);
}

static void answers(void)
{
	struct reply no = { 0 };
	struct harness h;

	open_session(&h, &in_clear);
	h.later = true;
	is_str(last(&h, "AUTH PLAIN " TIM "\r\nNOOP\r\n"), "", "it waits");
	is_int(session_state(h.session), SESSION_WAITING, "and reads no more");
	ok(h.question && !strcmp(h.question->authcid, "tim") && !strcmp(h.question->password, "tanstaaf"), "the question");
	reply_set(&no, 535, "5.7.8", "Authentication credentials invalid");
	session_authenticated(h.session, &no, NULL);
	ok(!session_auth(h.session), "refused");
	buffer_reset(&h.out);
	harness_offer(&h);
	is_str(buffer_str(&h.out), "250 2.0.0 Ok\r\n", "the command behind it");
	last(&h, "AUTH PLAIN " TIM "\r\n");
	reply_set(&no, 421, "4.7.0", "Too many failures");
	session_authenticated(h.session, &no, NULL);
	is_int(session_state(h.session), SESSION_LINGERING, "421 ends it");
	harness_close(&h);
	open_session(&h, &in_clear);
	h.later = true;
	last(&h, "AUTH PLAIN " TIM "\r\n");
	session_drain(h.session, false);
	is_int(session_state(h.session), SESSION_WAITING, "a drain waits for the answer");
	session_authenticated(h.session, NULL, NULL);
	ok(strstr(buffer_str(&h.out), "235 2.7.0 Authentication successful\r\n421 4.3.2 "), "then it ends");
	harness_close(&h);
	open_session(&h, &in_clear);
	last(&h, "AUTH LOGIN\r\n");
	buffer_reset(&h.out);
	session_drain(h.session, false);
	ok(strstr(buffer_str(&h.out), "421 4.3.2 "), "between two questions it ends at once");
	harness_close(&h);
	open_session(&h, &in_clear);
	h.later = true;
	last(&h, "AUTH PLAIN " TIM "\r\n");
	session_lost(h.session);
	harness_close(&h);
	reply_release(&no);
}

/* RFC 4954 5 */
static void parameter(void)
{
	static const char *const wrong[] = { "AUTH", "AUTH=", "AUTH=a+4", "AUTH=a+zz", "AUTH=a+3d", "AUTH=a=b",
		"AUTH=<> AUTH=<>" };
	struct buffer text = { 0 };
	struct harness h;

	open_session(&h, &in_clear);
	is_str(last(&h, MAIL " AUTH=<>\r\n"), "250 2.1.0 Sender <a@example.org> Ok", "AUTH=<>");
	is_str(last(&h, "RSET\r\n" MAIL " AUTH=e+3Dmc2@example.com\r\n"), "250 2.1.0 Sender <a@example.org> Ok",
		"a mailbox in xtext");
	harness_say(&h, "RSET\r\n");
	for (size_t i = 0; i < ARRAY_SIZE(wrong); i++) {
		buffer_reset(&text);
		buffer_appendf(&text, MAIL " %s\r\n", wrong[i]);
		is_str(last(&h, buffer_str(&text)), "501 5.5.4 Syntax error in parameters or arguments", wrong[i]);
	}
	buffer_reset(&text);
	buffer_append_str(&text, MAIL " AUTH=");
	for (int i = 0; i < 500; i++)
		buffer_append_char(&text, 'x');
	buffer_append_str(&text, "\r\n");
	is_str(last(&h, buffer_str(&text)), "250 2.1.0 Sender <a@example.org> Ok", "500 octets");
	harness_close(&h);
	buffer_release(&text);
}

static void secrets(void)
{
	struct harness h;

	open_session(&h, &in_clear);
	ok(!session_forget_secret(h.session), "no secret was heard");
	last(&h, "AUTH LOGIN\r\n");
	session_forget_secret(h.session);
	last(&h, "dGlt\r\n");
	ok(session_forget_secret(h.session) && !session_forget_secret(h.session), "one was");
	harness_close(&h);
}

int main(void)
{
	harness_quiet("unit-session-auth");
	offers();
	exchanges();
	sequences();
	mistakes();
	long_lines();
	answers();
	parameter();
	secrets();
	return done_testing();
}
