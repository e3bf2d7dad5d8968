/* unit-smtp-client-auth.c - AUTH as the client gives its credentials, and never gives them
 * SPDX-License-Identifier: MIT
 * S7 P12 P24 */
#include "t/lib/tap.h"

#include <stdlib.h>

#include "common/base/base64.h"
#include "common/smtp/sasl_client.h"
#include "t/lib/client_transcript.h"

#define HELLO "EHLO mx.example\r\n"
#define OFFER(words) "220 mx\r\n|250-mx\r\n250 AUTH " words "\r\n|"
#define MAIL "MAIL FROM:<s@example.org>\r\n"
#define PLAIN "AUTH PLAIN AHVzZXIAcGVuY2ls\r\n"
#define LOGIN "AUTH LOGIN\r\n"
#define USER "dXNlcg==\r\n"
#define PENCIL "cGVuY2ls\r\n"

static const struct sasl_credentials credentials = { .username = "user", .password = "pencil" };
static const struct transcript_kind in_tls = { { .ehlo_as = "mx.example", .credentials = &credentials }, SMTP_TLS_STARTED, 1,
	"x\r\n", NULL };
static const struct transcript_kind in_clear = { { .ehlo_as = "mx.example", .credentials = &credentials }, SMTP_TLS_OFFERED, 1,
	"x\r\n", NULL };
static const struct transcript_kind told_to = { { .ehlo_as = "mx.example", .credentials = &credentials,
	.auth_without_tls = true }, SMTP_TLS_OFFERED, 1, "x\r\n", NULL };

static const struct transcript rows[] = {
	{ "PLAIN", OFFER("LOGIN PLAIN X") "235 2.7.0 welcome\r\n", HELLO PLAIN MAIL, "", SMTP_CLIENT_WAITING, 0 },
	{ "LOGIN", OFFER("login") "334 VXNlcm5hbWU6\r\n|334 UGFzc3dvcmQ6\r\n|235 2.7.0 welcome\r\n", HELLO LOGIN USER PENCIL MAIL,
		"", SMTP_CLIENT_WAITING, 0 },
	{ "the old form of the offer", "220 mx\r\n|250-mx\r\n250 AUTH=PLAIN LOGIN\r\n|235 ok\r\n", HELLO PLAIN MAIL, "",
		SMTP_CLIENT_WAITING, 0 },
	{ "both forms", "220 mx\r\n|250-mx\r\n250-AUTH X\r\n250 AUTH=PLAIN LOGIN\r\n|235 ok\r\n", HELLO PLAIN MAIL, "",
		SMTP_CLIENT_WAITING, 0 },
	{ "refused", OFFER("PLAIN") "535 5.7.8 250 wrong\r\n", HELLO PLAIN "QUIT\r\n", "", SMTP_CLIENT_ENDED, 454 },
	{ "refused for now", OFFER("PLAIN") "454 4.7.0 later\r\n", HELLO PLAIN "QUIT\r\n", "", SMTP_CLIENT_ENDED, 454 },
	{ "421", OFFER("PLAIN") "421 4.3.2 down\r\n", HELLO PLAIN, "", SMTP_CLIENT_ENDED, 421 },
	{ "250 is no success of AUTH", OFFER("PLAIN") "250 ok\r\n", HELLO PLAIN, "", SMTP_CLIENT_ENDED, 451 },
	{ "354 is no challenge", OFFER("LOGIN") "354 VXNlcm5hbWU6\r\n", HELLO LOGIN, "", SMTP_CLIENT_ENDED, 451 },
	{ "nonsense", OFFER("PLAIN") "ok\r\n", HELLO PLAIN, "", SMTP_CLIENT_ENDED, 451 },
	{ "no mechanism that is known", OFFER("GSSAPI NTLM"), HELLO "QUIT\r\n", "", SMTP_CLIENT_ENDED, 454 },
	{ "none at all", OFFER(""), HELLO "QUIT\r\n", "", SMTP_CLIENT_ENDED, 454 },
	{ "no AUTH", "220 mx\r\n|250 mx\r\n", HELLO "QUIT\r\n", "", SMTP_CLIENT_ENDED, 454 },
	{ "no EHLO", "220 mx\r\n|502 what\r\n|250 mx\r\n", HELLO "HELO mx.example\r\nQUIT\r\n", "", SMTP_CLIENT_ENDED, 454 },
	{ "success before the password", OFFER("LOGIN") "235 ok\r\n", HELLO LOGIN "QUIT\r\n", "", SMTP_CLIENT_ENDED, 454 },
	{ "a challenge too many", OFFER("PLAIN") "334 \r\n|501 ok\r\n", HELLO PLAIN "*\r\nQUIT\r\n", "", SMTP_CLIENT_ENDED, 454 },
	{ "and no end", OFFER("PLAIN") "334 \r\n|334 \r\n", HELLO PLAIN "*\r\n", "", SMTP_CLIENT_ENDED, 451 },
	{ "and 235 for it", OFFER("PLAIN") "334 \r\n|235 ok\r\n", HELLO PLAIN "*\r\nQUIT\r\n", "", SMTP_CLIENT_ENDED, 454 },
	{ "challenges without an end",
		OFFER("LOGIN") "334 \r\n|334 \r\n|334 \r\n|535 no\r\n", HELLO LOGIN USER PENCIL "*\r\nQUIT\r\n",
		"", SMTP_CLIENT_ENDED, 454 },
	{ "two challenges at once", OFFER("LOGIN") "334 \r\n334 \r\n", HELLO LOGIN USER, "", SMTP_CLIENT_ENDED, 451, true },
	{ "success before it was asked for",
		"220 mx\r\n|250-mx\r\n250 AUTH PLAIN\r\n235 ok\r\n", HELLO PLAIN, "", SMTP_CLIENT_ENDED,
		451, true },
};

static const struct transcript clear_rows[] = {
	{ "nothing in clear", OFFER("PLAIN LOGIN"), HELLO "QUIT\r\n", "", SMTP_CLIENT_ENDED, 451 },
	{ "nor where TLS was refused", "220 mx\r\n|250-mx\r\n250-STARTTLS\r\n250 AUTH PLAIN\r\n|454 no\r\n",
		HELLO "STARTTLS\r\nQUIT\r\n", "", SMTP_CLIENT_ENDED, 451 },
	{ "in TLS, by what is offered there", "220 mx\r\n|250-mx\r\n250-STARTTLS\r\n250 AUTH PLAIN\r\n|220 go\r\n|"
		"250-mx\r\n250 AUTH LOGIN\r\n", HELLO "STARTTLS\r\n(TLS)\n" HELLO LOGIN, "", SMTP_CLIENT_WAITING, 0 },
	{ "nothing where it is offered in clear alone", "220 mx\r\n|250-mx\r\n250-STARTTLS\r\n250 AUTH PLAIN\r\n|220 go\r\n|"
		"250 mx\r\n", HELLO "STARTTLS\r\n(TLS)\n" HELLO "QUIT\r\n", "", SMTP_CLIENT_ENDED, 454 },
};

static const struct transcript told_rows[] = {
	{ "in clear, as told", OFFER("PLAIN LOGIN") "235 ok\r\n", HELLO PLAIN MAIL, "", SMTP_CLIENT_WAITING, 0 },
};

/* ---- SCRAM, whose first message is another each time */

static struct client_harness h;

static void begin_scram(struct buffer *first)
{
	const char *line;

	client_harness_init(&h, 1);
	h.settings.credentials = &credentials;
	client_harness_renew(&h, SMTP_TLS_STARTED);
	client_harness_hear(&h, "220 mx\r\n");
	line = client_harness_hear(&h, "250-mx\r\n250 AUTH PLAIN SCRAM-SHA-256\r\n");
	ok(strncmp(line, "AUTH SCRAM-SHA-256 ", 19) == 0, "the best is chosen");
	if (strlen(line) > 21)
		ok(base64_decode(first, line + 19, strlen(line) - 21), "and begun");
}

/* Answers with a challenge of that many iterations; gives what is sent. */
static const char *challenge(const struct buffer *first, const char *iterations)
{
	const char *nonce = strstr(buffer_str(first), "r=");
	struct buffer text = { 0 }, line = { 0 };
	const char *sent;

	buffer_appendf(&text, "%sXYZ,s=QSXCR+Q6sek8bf92,i=%s", nonce ? nonce : "", iterations);
	buffer_append_str(&line, "334 ");
	base64_append(&line, text.data, text.size);
	buffer_append_str(&line, "\r\n");
	sent = client_harness_hear(&h, buffer_str(&line));
	buffer_release(&text);
	buffer_release(&line);
	return sent;
}

static void test_scram(void)
{
	static const char *const finals[] = { "235 2.7.0 welcome\r\n", "334 dj1ub3QgdGhlIHByb29m\r\n501 5.7.0 ok\r\n",
		"535 5.7.8 no\r\n", "334 !\r\n501 ok\r\n" };

	for (size_t i = 0; i < ARRAY_SIZE(finals); i++) {
		struct buffer first = { 0 };

		begin_scram(&first);
		ok(strlen(challenge(&first, "4096")) > 40, "the proof is sent");
		client_harness_hear(&h, finals[i]);
		is_int(smtp_client_state(h.client), SMTP_CLIENT_ENDED, "a server that proves nothing is not spoken to");
		is_int(smtp_client_why(h.client)->code, 454, "for now");
		client_harness_release(&h);
		buffer_release(&first);
	}
}

/* What takes long is done piece by piece, and may be overtaken by the end. */
static void test_work(void)
{
	for (unsigned i = 0; i < 4; i++) {
		struct buffer first = { 0 };
		unsigned pieces = 0;

		begin_scram(&first);
		is_str(challenge(&first, "200000"), "", "nothing is sent yet");
		is_int(smtp_client_state(h.client), SMTP_CLIENT_WORKING, "it is calculated first");
		if (i == 1)
			smtp_client_lost(h.client, "gone");
		else if (i == 2)
			client_harness_hear(&h, "421 4.3.2 down\r\n");
		else if (i == 3)
			client_harness_hear(&h, "235 ok\r\n");
		for (; smtp_client_state(h.client) == SMTP_CLIENT_WORKING; pieces++)
			smtp_client_work(h.client);
		is_int(smtp_client_state(h.client), i ? SMTP_CLIENT_ENDED : SMTP_CLIENT_WAITING, "then it goes on, or has ended");
		ok(i ? pieces == 0 : pieces > 0 && h.out.size > 40, "in pieces, or not at all");
		smtp_client_work(h.client);
		client_harness_release(&h);
		buffer_release(&first);
	}
	{
		struct buffer first = { 0 };

		begin_scram(&first);
		is_str(challenge(&first, "100000000"), "*\r\n", "too many iterations are not calculated at all");
		client_harness_release(&h);
		buffer_release(&first);
	}
}

/* A challenge that is longer than a line may be, or has several lines. */
static void test_huge(void)
{
	struct buffer line = { 0 };

	for (unsigned i = 0; i < 3; i++) {
		begin_scram(&line);
		buffer_reset(&line);
		buffer_append_str(&line, i == 1 ? "334-QUJD\r\n334 " : "334 ");
		for (unsigned n = 0; n < (i == 0 ? 100000 : 1000); n++)
			buffer_append_char(&line, 'A');
		buffer_append_str(&line, "\r\n501 ok\r\n");
		client_harness_hear(&h, buffer_str(&line));
		is_int(smtp_client_state(h.client), SMTP_CLIENT_ENDED, "a huge challenge ends it");
		ok(reply_is_transient(smtp_client_why(h.client)), "for now");
		client_harness_release(&h);
		buffer_reset(&line);
	}
	buffer_release(&line);
}

/* A secret that is longer than a command may be goes behind a challenge. */
static void test_long_password(void)
{
	char *password = xmalloc(2001);
	struct sasl_credentials large = { .username = "user", .password = password };

	memset(password, 'p', 2000);
	password[2000] = '\0';
	client_harness_init(&h, 1);
	h.settings.credentials = &large;
	client_harness_renew(&h, SMTP_TLS_STARTED);
	is_str(client_harness_hear(&h, "220 mx\r\n250-mx\r\n250 AUTH PLAIN\r\n"), HELLO "AUTH PLAIN\r\n", "not in the command");
	ok(strlen(client_harness_hear(&h, "334 \r\n")) > 2000, "but behind it");
	client_harness_hear(&h, "535 5.7.8 no\r\n");
	ok(!strstr(smtp_client_why(h.client)->text, "ppp"), "and in no reply");
	is_int(smtp_client_why(h.client)->detail, 8, "which says what was wrong");
	client_harness_release(&h);
	free(password);
}

int main(void)
{
	for (size_t i = 0; i < ARRAY_SIZE(rows); i++)
		transcript_check(&in_tls, &rows[i]);
	for (size_t i = 0; i < ARRAY_SIZE(clear_rows); i++)
		transcript_check(&in_clear, &clear_rows[i]);
	for (size_t i = 0; i < ARRAY_SIZE(told_rows); i++)
		transcript_check(&told_to, &told_rows[i]);
	test_scram();
	test_work();
	test_huge();
	test_long_password();
	return done_testing();
}
