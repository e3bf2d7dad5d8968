/* unit-smtp-client-lmtp.c - LMTP: a reply for each recipient, or none
 * SPDX-License-Identifier: MIT
 * P1 P12 P23 P24 */
#include "t/lib/tap.h"

#include "t/lib/client_transcript.h"

#define GREETING "220 store\r\n|250-store\r\n250 PIPELINING\r\n|"
#define PLAIN "220 store\r\n|250 store\r\n|"
#define HELLO "LHLO mx.example\r\n"
#define MAIL HELLO "MAIL FROM:<s@example.org>\r\n"
#define THREE MAIL "RCPT TO:<r0@example.net>\r\nRCPT TO:<r1@example.net>\r\nRCPT TO:<r2@example.net>\r\nDATA\r\n"
#define SENT THREE "x\r\n.\r\n"
#define ACCEPTED "250 ok\r\n|250 ok\r\n|250 ok\r\n|250 ok\r\n|354 go\r\n|"

static const struct transcript_kind three = { { .ehlo_as = "mx.example", .lmtp = true }, SMTP_TLS_NEVER, 3, "x\r\n", NULL };

static const struct transcript rows[] = {
	{ "all taken", GREETING ACCEPTED "250 a\r\n|250 b\r\n|250 c\r\n", SENT,
		"0: 250 2.0.0 a\n1: 250 2.0.0 b\n2: 250 2.0.0 c\ndone\n", SMTP_CLIENT_READY, 0 },
	{ "all at once", GREETING "250 ok\r\n250 ok\r\n250 ok\r\n250 ok\r\n354 go\r\n|250 a\r\n250 b\r\n250 c\r\n", SENT,
		"0: 250 2.0.0 a\n1: 250 2.0.0 b\n2: 250 2.0.0 c\ndone\n", SMTP_CLIENT_READY, 0 },
	{ "each its own", GREETING ACCEPTED "452 4.2.2 full\r\n|550 5.2.1 gone\r\n|250-c\r\n250 c\r\n", SENT,
		"0: 452 4.2.2 full\n1: 550 5.2.1 gone\n2: 250 2.0.0 c / c\ndone\n", SMTP_CLIENT_READY, 0 },
	{ "only those that were accepted",
		GREETING "250 ok\r\n|250 ok\r\n|550 5.1.1 who\r\n|250 ok\r\n|354 go\r\n|250 a\r\n|450 c\r\n",
		SENT, "1: 550 5.1.1 who\n0: 250 2.0.0 a\n2: 450 4.0.0 c\ndone\n", SMTP_CLIENT_READY, 0 },
	{ "the first was refused", GREETING "250 ok\r\n|450 no\r\n|550 5.1.1 who\r\n|250 ok\r\n|354 go\r\n|250 c\r\n", SENT,
		"0: 450 4.0.0 no\n1: 550 5.1.1 who\n2: 250 2.0.0 c\ndone\n", SMTP_CLIENT_READY, 0 },
	{ "one reply too many", GREETING ACCEPTED "250 a\r\n|250 b\r\n|250 c\r\n|250 d\r\n", SENT,
		"0: 250 2.0.0 a\n1: 250 2.0.0 b\n2: 250 2.0.0 c\ndone\n", SMTP_CLIENT_ENDED, 451 },
	{ "one too many at once", GREETING ACCEPTED "250 a\r\n250 b\r\n250 c\r\n550 d\r\n", SENT,
		"0: 250 2.0.0 a\n1: 250 2.0.0 b\n2: 250 2.0.0 c\ndone\n", SMTP_CLIENT_ENDED, 451 },
	{ "nonsense behind the first", GREETING ACCEPTED "250 a\r\n|what\r\n", SENT,
		"0: 250 2.0.0 a\nin doubt: 451 4.5.0 Invalid reply to the message\n", SMTP_CLIENT_ENDED, 451 },
	{ "354 is none", GREETING ACCEPTED "354 a\r\n", SENT, "in doubt: 451 4.5.0 Invalid reply to the message\n",
		SMTP_CLIENT_ENDED, 451 },
	{ "mixed codes", GREETING ACCEPTED "250 a\r\n|250-b\r\n550 b\r\n", SENT,
		"0: 250 2.0.0 a\nin doubt: 451 4.5.0 Invalid reply to the message\n", SMTP_CLIENT_ENDED, 451 },
	{ "421 answers one of them", GREETING ACCEPTED "250 a\r\n|421 4.3.2 down\r\n", SENT,
		"0: 250 2.0.0 a\n1: 421 4.3.2 down\nin doubt: 421 4.3.2 down\n", SMTP_CLIENT_ENDED, 421 },
	{ "421 answers the last", GREETING ACCEPTED "250 a\r\n|250 b\r\n|421 4.3.2 down\r\n", SENT,
		"0: 250 2.0.0 a\n1: 250 2.0.0 b\nlost: 421 4.3.2 down\n", SMTP_CLIENT_ENDED, 421 },
	{ "the data refused: one reply",
		GREETING "250 ok\r\n|250 ok\r\n|250 ok\r\n|450 4.2.0 no\r\n|554 5.3.0 no\r\n|250 reset\r\n",
		THREE "RSET\r\n", "2: 450 4.2.0 no\n0: 554 5.3.0 no\n1: 554 5.3.0 no\ndone\n", SMTP_CLIENT_READY, 0 },
	{ "nobody accepted", GREETING "250 ok\r\n|550 a\r\n|550 b\r\n|450 c\r\n|503 no\r\n|250 reset\r\n", THREE "RSET\r\n",
		"0: 550 5.0.0 a\n1: 550 5.0.0 b\n2: 450 4.0.0 c\ndone\n", SMTP_CLIENT_READY, 0 },
	{ "nobody accepted, yet it wants data", GREETING "250 ok\r\n|550 a\r\n|550 b\r\n|450 c\r\n|354 go\r\n", THREE,
		"0: 550 5.0.0 a\n1: 550 5.0.0 b\n2: 450 4.0.0 c\ndone\n", SMTP_CLIENT_ENDED, 451 },
	{ "an answer within the data", GREETING "250 ok\r\n250 ok\r\n250 ok\r\n250 ok\r\n354 go\r\n451 4.3.0 no\r\n", THREE,
		"0: 451 4.3.0 no\n1: 451 4.3.0 no\n2: 451 4.3.0 no\ndone\n", SMTP_CLIENT_ENDED, 451, true },
	{ "no LMTP", "220 mx\r\n|500 5.5.1 what\r\n", HELLO "QUIT\r\n", "", SMTP_CLIENT_ENDED, 451 },
	{ "no LMTP there", "220 mx\r\n|502 5.5.1 what\r\n", HELLO "QUIT\r\n", "", SMTP_CLIENT_ENDED, 451 },
	{ "no LMTP for us", "220 mx\r\n|550 5.7.1 go away\r\n", HELLO, "", SMTP_CLIENT_ENDED, 550 },
	{ "no LMTP now", "220 mx\r\n|450 550 later\r\n", HELLO, "", SMTP_CLIENT_ENDED, 450 },
	{ "one by one", PLAIN "250 ok\r\n|250 ok\r\n|251 ok\r\n|250 ok\r\n|354 go\r\n|250 a\r\n|250 b\r\n|250 c\r\n", SENT,
		"0: 250 2.0.0 a\n1: 250 2.0.0 b\n2: 250 2.0.0 c\ndone\n", SMTP_CLIENT_READY, 0 },
};

/* More recipients than replies are awaited at once; the end of the connection, or of patience, at each of them. */
static void test_many(void)
{
	for (unsigned answered = 0; answered <= 150; answered += 10) {
		struct client_harness h;
		char wanted[80];

		client_harness_init(&h, 150);
		h.settings.lmtp = true;
		client_harness_renew(&h, SMTP_TLS_NEVER);
		client_harness_hear(&h, "220 store\r\n250-store\r\n250 PIPELINING\r\n");
		client_harness_begin(&h);
		for (unsigned i = 0; i < 151; i++)
			client_harness_hear(&h, "250 ok\r\n");
		client_harness_hear(&h, "354 go\r\n");
		client_harness_data(&h, "x");
		for (unsigned i = 0; i < answered; i++)
			client_harness_hear(&h, "250 taken\r\n");
		is_int(h.settled, answered, "as many are settled as replies came");
		buffer_reset(&h.results);
		if (answered % 20)
			smtp_client_lost(h.client, "gone");
		else
			smtp_client_timed_out(h.client);
		snprintf(wanted, sizeof(wanted), "in doubt: %s\n", answered % 20 ? "451 4.4.2 Connection lost: gone"
										 : "421 4.4.2 Connection timed out");
		is_str(buffer_str(&h.results), answered == 150 ? "" : wanted, "the others are in doubt");
		client_harness_release(&h);
	}
}

int main(void)
{
	for (size_t i = 0; i < ARRAY_SIZE(rows); i++)
		transcript_check(&three, &rows[i]);
	test_many();
	return done_testing();
}
