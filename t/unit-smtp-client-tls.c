/* unit-smtp-client-tls.c - STARTTLS as the client does it
 * SPDX-License-Identifier: MIT
 * S7 P12 P24 */
#include "t/lib/tap.h"

#include "t/lib/client_transcript.h"

#define OFFER "250-mx\r\n250-PIPELINING\r\n250 STARTTLS\r\n"
#define HELLO "EHLO mx.example\r\n"
#define ASKED HELLO "STARTTLS\r\n"
#define MAIL "MAIL FROM:<s@example.org>\r\n"

static const struct transcript_kind kinds[] = {
#define KIND(how) { { .ehlo_as = "mx.example" }, how, 1, "x\r\n", NULL }
	[SMTP_TLS_NEVER] = KIND(SMTP_TLS_NEVER),
	[SMTP_TLS_OFFERED] = KIND(SMTP_TLS_OFFERED),
	[SMTP_TLS_REQUIRED] = KIND(SMTP_TLS_REQUIRED),
	[SMTP_TLS_STARTED] = KIND(SMTP_TLS_STARTED),
#undef KIND
};

static const struct transcript offered[] = {
	{ "a whole transaction in TLS",
		"220 mx\r\n|" OFFER "|220 go\r\n|250 mx\r\n|250 ok\r\n|250 ok\r\n|354 go\r\n|250 taken\r\n",
		ASKED "(TLS)\n" HELLO MAIL "RCPT TO:<r0@example.net>\r\nDATA\r\nx\r\n.\r\n", "0: 250 2.0.0 taken\ndone\n",
		SMTP_CLIENT_READY, 0 },
	{ "what was offered in clear is forgotten", "220 mx\r\n|" OFFER "|220 go\r\n|250 mx\r\n|250 ok\r\n",
		ASKED "(TLS)\n" HELLO MAIL "RCPT TO:<r0@example.net>\r\n", "", SMTP_CLIENT_WAITING, 0 },
	{ "octets behind 220 are thrown away", "220 mx\r\n|" OFFER "|220 go\r\n250 evil\r\n550 5.7.1 ev|250 mx\r\n",
		ASKED "(TLS)\n" HELLO MAIL, "", SMTP_CLIENT_WAITING, 0 },
	{ "and so is a line without its end", "220 mx\r\n|" OFFER "|220 go\r\n2|250 mx\r\n", ASKED "(TLS)\n" HELLO MAIL, "",
		SMTP_CLIENT_WAITING, 0 },
	{ "a second offer is none", "220 mx\r\n|" OFFER "|220 go\r\n|" OFFER, ASKED "(TLS)\n" HELLO MAIL
		"RCPT TO:<r0@example.net>\r\nDATA\r\n", "", SMTP_CLIENT_WAITING, 0 },
	{ "454 leaves it in clear",
		"220 mx\r\n|" OFFER "|454 4.7.0 not now\r\n", ASKED MAIL "RCPT TO:<r0@example.net>\r\nDATA\r\n",
		"", SMTP_CLIENT_WAITING, 0 },
	{ "502 too", "220 mx\r\n|" OFFER "|502 220 go\r\n", ASKED MAIL "RCPT TO:<r0@example.net>\r\nDATA\r\n", "",
		SMTP_CLIENT_WAITING, 0 },
	{ "no offer", "220 mx\r\n|250 mx\r\n", HELLO MAIL, "", SMTP_CLIENT_WAITING, 0 },
	{ "no EHLO", "220 mx\r\n|502 no\r\n|250 mx\r\n", HELLO "HELO mx.example\r\n" MAIL, "", SMTP_CLIENT_WAITING, 0 },
	{ "the word in another place is no offer", "220 STARTTLS\r\n|250-STARTTLS\r\n250-XSTARTTLS\r\n250 X STARTTLS\r\n",
		HELLO MAIL, "", SMTP_CLIENT_WAITING, 0 },
	{ "250 is no answer to STARTTLS", "220 mx\r\n|" OFFER "|250 go\r\n", ASKED, "", SMTP_CLIENT_ENDED, 451 },
	{ "nor is 354", "220 mx\r\n|" OFFER "|354 go\r\n", ASKED, "", SMTP_CLIENT_ENDED, 451 },
	{ "nor nonsense", "220 mx\r\n|" OFFER "|\x16\x03\x01\r\n", ASKED, "", SMTP_CLIENT_ENDED, 451 },
	{ "421 to STARTTLS", "220 mx\r\n|" OFFER "|421 4.3.2 down\r\n", ASKED, "", SMTP_CLIENT_ENDED, 421 },
	{ "220 before STARTTLS", "220 mx\r\n|" OFFER "220 go\r\n", ASKED, "", SMTP_CLIENT_ENDED, 451, true },
	{ "EHLO refused in TLS", "220 mx\r\n|" OFFER "|220 go\r\n|550 5.7.1 no\r\n|550 5.7.1 no\r\n",
		ASKED "(TLS)\n" HELLO "HELO mx.example\r\n", "", SMTP_CLIENT_ENDED, 550 },
	{ "421 in TLS", "220 mx\r\n|" OFFER "|220 go\r\n|421 4.3.2 down\r\n", ASKED "(TLS)\n" HELLO, "", SMTP_CLIENT_ENDED, 421 },
};

static const struct transcript required[] = {
	{ "TLS that is offered", "220 mx\r\n|" OFFER "|220 go\r\n|250 mx\r\n", ASKED "(TLS)\n" HELLO MAIL, "",
		SMTP_CLIENT_WAITING, 0 },
	{ "required and not offered", "220 mx\r\n|250 mx\r\n", HELLO "QUIT\r\n", "", SMTP_CLIENT_ENDED, 451 },
	{ "required and no EHLO", "220 mx\r\n|500 no\r\n|250 mx\r\n", HELLO "HELO mx.example\r\nQUIT\r\n", "",
		SMTP_CLIENT_ENDED, 451 },
	{ "required and refused", "220 mx\r\n|" OFFER "|454 4.7.0 not now\r\n", ASKED "QUIT\r\n", "", SMTP_CLIENT_ENDED, 451 },
	{ "required and refused for good",
		"220 mx\r\n|" OFFER "|554 5.7.0 no\r\n", ASKED "QUIT\r\n", "", SMTP_CLIENT_ENDED, 451 },
};

static const struct transcript others[] = {
	{ "TLS from the first octet", "220 mx\r\n|" OFFER, HELLO MAIL "RCPT TO:<r0@example.net>\r\nDATA\r\n", "",
		SMTP_CLIENT_WAITING, 0 },
};

static void test_discarded(void)
{
	struct client_harness h;
	const char *said = "220 go\r\n250 evil\r\n2";

	client_harness_init(&h, 1);
	client_harness_renew(&h, SMTP_TLS_REQUIRED);
	client_harness_hear(&h, "220 mx\r\n" OFFER);
	is_int(smtp_client_input(h.client, said, strlen(said)), strlen(said), "all that is clear is taken");
	is_int(smtp_client_state(h.client), SMTP_CLIENT_WANTS_TLS, "the handshake is awaited");
	is_int(smtp_client_input(h.client, "50 ok\r\n", 7), 7, "what comes later is taken, too");
	is_int(smtp_client_discarded(h.client), 18, "and counted");
	is_int(smtp_client_timeout_ms(h.client), 30000, "a handshake has the time of a command");
	smtp_client_tls_started(h.client);
	client_harness_hear(&h, "250 mx\r\n");
	is_int(smtp_client_state(h.client), SMTP_CLIENT_READY, "in TLS it begins anew");
	client_harness_release(&h);
}

/* The owner's ways out while a handshake is under way. */
static void test_ends(void)
{
	static const unsigned codes[] = { 451, 421, 0 };

	for (unsigned i = 0; i < 3; i++) {
		struct client_harness h;

		client_harness_init(&h, 1);
		client_harness_renew(&h, SMTP_TLS_OFFERED);
		client_harness_hear(&h, "220 mx\r\n" OFFER "220 go\r\n");
		buffer_reset(&h.out);
		if (i == 0)
			smtp_client_lost(h.client, "gone");
		else if (i == 1)
			smtp_client_timed_out(h.client);
		else
			smtp_client_quit(h.client);
		is_int(smtp_client_state(h.client), SMTP_CLIENT_ENDED, "it ends");
		is_int(smtp_client_why(h.client)->code, codes[i], "as it should");
		is_int(h.out.size, 0, "nothing is sent in clear");
		client_harness_release(&h);
	}
}

int main(void)
{
	for (size_t i = 0; i < ARRAY_SIZE(offered); i++)
		transcript_check(&kinds[SMTP_TLS_OFFERED], &offered[i]);
	for (size_t i = 0; i < ARRAY_SIZE(required); i++)
		transcript_check(&kinds[SMTP_TLS_REQUIRED], &required[i]);
	for (size_t i = 0; i < ARRAY_SIZE(others); i++) {
		transcript_check(&kinds[SMTP_TLS_NEVER], &others[i]);
		transcript_check(&kinds[SMTP_TLS_STARTED], &others[i]);
	}
	test_discarded();
	test_ends();
	return done_testing();
}
