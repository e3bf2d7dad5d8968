/* unit-smtp-client-offer.c - what a message takes along where it is offered: DSN, LIMITS, REQUIRETLS
 * SPDX-License-Identifier: MIT
 * P12 P22 */
#include "t/lib/tap.h"

#include "t/lib/client_transcript.h"

#define HELLO "EHLO mx.example\r\n"
#define FROM "MAIL FROM:<s@example.org>"
#define GREETING(offer) "220 mx\r\n|250-mx\r\n250-PIPELINING\r\n250 " offer "\r\n|"

/* ---- DSN */

static void prepare_dsn(struct client_harness *h)
{
	struct recipient *recipients = h->envelope->recipients;

	h->envelope->ret = 'H';
	xstrset(&h->envelope->envid, "a b+c=");
	recipients[0].notify = NOTIFY_NEVER;
	recipients[1].notify = NOTIFY_SUCCESS | NOTIFY_FAILURE | NOTIFY_DELAY;
	recipients[1].orcpt = xstrdup("rfc822;R+1@example.net");
	recipients[2].notify = NOTIFY_DELAY;
	recipients[2].orcpt = xstrdup("utf-8;\xc3\xa4@example.net");
}

static void prepare_odd_dsn(struct client_harness *h)
{
	struct recipient *recipients = h->envelope->recipients;
	char *large = xmalloc(600);

	memset(large, 'x', 599);
	large[599] = '\0';
	h->envelope->ret = 'F';
	h->envelope->envid = xstrdup("a\r\nDATA");
	recipients[0].orcpt = xasprintf("rfc822;%s", large);
	recipients[1].orcpt = xstrdup("rfc822> X;r@example.net");
	recipients[2].orcpt = xstrdup("rfc822;r\r\nDATA\r\n");
	free(large);
}

static const struct transcript dsn[] = {
	{ "DSN", GREETING("DSN"), HELLO FROM " RET=HDRS ENVID=a+20b+2Bc+3D\r\n"
		"RCPT TO:<r0@example.net> NOTIFY=NEVER\r\n"
		"RCPT TO:<r1@example.net> NOTIFY=SUCCESS,FAILURE,DELAY ORCPT=rfc822;R+2B1@example.net\r\n"
		"RCPT TO:<r2@example.net> NOTIFY=DELAY ORCPT=utf-8;\\x{E4}@example.net\r\nDATA\r\n", "", SMTP_CLIENT_WAITING, 0 },
	{ "no DSN", GREETING("X"), HELLO FROM "\r\nRCPT TO:<r0@example.net>\r\nRCPT TO:<r1@example.net>\r\n"
		"RCPT TO:<r2@example.net>\r\nDATA\r\n", "", SMTP_CLIENT_WAITING, 0 },
};

static const struct transcript odd_dsn[] = {
	{ "what is no such parameter", GREETING("DSN"), HELLO FROM " RET=FULL\r\nRCPT TO:<r0@example.net>\r\n"
		"RCPT TO:<r1@example.net>\r\nRCPT TO:<r2@example.net>\r\nDATA\r\n", "", SMTP_CLIENT_WAITING, 0 },
};

/* ---- LIMITS, and servers that have them without saying so */

#define RCPT(n) "RCPT TO:<r" #n "@example.net>\r\n"
#define TO(n, domain) "RCPT TO:<r" #n "@" domain ">\r\n"
#define DATA "DATA\r\n"
#define MESSAGE "x\r\n.\r\n"
#define OK1 "250 ok\r\n250 ok\r\n354 go\r\n|250 taken\r\n"
#define OK2 "250 ok\r\n250 ok\r\n250 ok\r\n354 go\r\n|250 taken\r\n"

static const struct transcript limits[] = {
	{ "RCPTMAX", GREETING("LIMITS RCPTMAX=2") OK2 "|" OK1,
		HELLO FROM "\r\n" RCPT(0) RCPT(1) DATA MESSAGE FROM "\r\n" RCPT(2) DATA MESSAGE,
		"0: 250 2.0.0 taken\n1: 250 2.0.0 taken\nrest: 452 4.5.3 The next hop takes fewer recipients at once\n"
		"2: 250 2.0.0 taken\ndone\n", SMTP_CLIENT_READY, 0 },
	{ "MAILMAX", GREETING("limits foo=1 mailmax=1 rcptmax=x")
		"250 ok\r\n250 ok\r\n250 ok\r\n250 ok\r\n354 go\r\n|250 taken\r\n",
		HELLO FROM "\r\n" RCPT(0) RCPT(1) RCPT(2) DATA MESSAGE "QUIT\r\n",
		"0: 250 2.0.0 taken\n1: 250 2.0.0 taken\n2: 250 2.0.0 taken\ndone\n", SMTP_CLIENT_ENDED, 0 },
	{ "both", GREETING("LIMITS MAILMAX=1 RCPTMAX=2") OK2, HELLO FROM "\r\n" RCPT(0) RCPT(1) DATA MESSAGE "QUIT\r\n",
		"0: 250 2.0.0 taken\n1: 250 2.0.0 taken\nrest: 452 4.5.3 The next hop takes fewer recipients at once\n",
		SMTP_CLIENT_ENDED, 0 },
	{ "MAILMAX, refused", GREETING("LIMITS MAILMAX=1") "550 5.7.1 no\r\n503 no\r\n503 no\r\n503 no\r\n503 no\r\n",
		HELLO FROM "\r\n" RCPT(0) RCPT(1) RCPT(2) DATA "QUIT\r\n",
		"0: 550 5.7.1 no\n1: 550 5.7.1 no\n2: 550 5.7.1 no\ndone\n", SMTP_CLIENT_ENDED, 0 },
	{ "the sender is refused for all", GREETING("LIMITS RCPTMAX=1") "550 5.7.1 no\r\n503 no\r\n503 no\r\n",
		HELLO FROM "\r\n" RCPT(0) DATA,
		"0: 550 5.7.1 no\n1: 550 5.7.1 no\n2: 550 5.7.1 no\ndone\n", SMTP_CLIENT_READY, 0 },
	{ "each refused alone", GREETING("LIMITS RCPTMAX=2") "250 ok\r\n550 a\r\n550 b\r\n503 no\r\n|250 reset\r\n|" OK1,
		HELLO FROM "\r\n" RCPT(0) RCPT(1) DATA "RSET\r\n" FROM "\r\n" RCPT(2) DATA MESSAGE,
		"0: 550 5.0.0 a\n1: 550 5.0.0 b\nrest: 452 4.5.3 The next hop takes fewer recipients at once\n"
		"2: 250 2.0.0 taken\ndone\n", SMTP_CLIENT_READY, 0 },
	{ "the data refused", GREETING("LIMITS RCPTMAX=2") "250 ok\r\n250 ok\r\n250 ok\r\n554 no\r\n|250 reset\r\n",
		HELLO FROM "\r\n" RCPT(0) RCPT(1) DATA "RSET\r\n" FROM "\r\n" RCPT(2) DATA,
		"0: 554 5.0.0 no\n1: 554 5.0.0 no\nrest: 452 4.5.3 The next hop takes fewer recipients at once\n",
		SMTP_CLIENT_WAITING, 0 },
	{ "in doubt are those it was sent to", GREETING("LIMITS RCPTMAX=2") "250 ok\r\n250 ok\r\n250 ok\r\n354 go\r\n|what\r\n",
		HELLO FROM "\r\n" RCPT(0) RCPT(1) DATA MESSAGE,
		"2: 452 4.5.3 The next hop takes fewer recipients at once\nin doubt: 451 4.5.0 Invalid reply to the message\n",
		SMTP_CLIENT_ENDED, 451 },
	{ "refused within the data", GREETING("LIMITS RCPTMAX=2") "250 ok\r\n250 ok\r\n250 ok\r\n354 go\r\n552 5.3.4 large\r\n",
		HELLO FROM "\r\n" RCPT(0) RCPT(1) DATA,
		"0: 552 5.3.4 large\n1: 552 5.3.4 large\nrest: 452 4.5.3 The next hop takes fewer recipients at once\n",
		SMTP_CLIENT_ENDED, 552, true },
	{ "no limit", GREETING("LIMITS RCPTMAX=0 MAILMAX=1000000 RCPTDOMAINMAX= RCPTMAX =1 RCPTMAX"),
		HELLO FROM "\r\n" RCPT(0) RCPT(1) RCPT(2) DATA, "", SMTP_CLIENT_WAITING, 0 },
	{ "452 behind others", GREETING("X") "250 ok\r\n250 ok\r\n250 ok\r\n452 4.5.3 enough\r\n354 go\r\n|250 taken\r\n|" OK1,
		HELLO FROM "\r\n" RCPT(0) RCPT(1) RCPT(2) DATA MESSAGE FROM "\r\n" RCPT(2) DATA MESSAGE,
		"0: 250 2.0.0 taken\n1: 250 2.0.0 taken\nrest: 452 4.5.3 enough\n2: 250 2.0.0 taken\ndone\n",
		SMTP_CLIENT_READY, 0 },
	{ "452 without more", "220 mx\r\n|250 mx\r\n|250 ok\r\n|250 ok\r\n|452 550 5.1.1 enough\r\n|354 go\r\n|250 taken\r\n",
		HELLO FROM "\r\n" RCPT(0) RCPT(1) DATA MESSAGE FROM "\r\n",
		"0: 250 2.0.0 taken\nrest: 452 4.5.3 550 5.1.1 enough\n", SMTP_CLIENT_WAITING, 0 },
	{ "452 for another reason", GREETING("X") "250 ok\r\n250 ok\r\n250 ok\r\n452 4.2.2 full\r\n354 go\r\n|250 taken\r\n",
		HELLO FROM "\r\n" RCPT(0) RCPT(1) RCPT(2) DATA MESSAGE,
		"2: 452 4.2.2 full\n0: 250 2.0.0 taken\n1: 250 2.0.0 taken\ndone\n", SMTP_CLIENT_READY, 0 },
	{ "452 again and again", GREETING("X")
		"250 ok\r\n250 ok\r\n452 4.5.3 a\r\n552 5.5.3 b\r\n354 go\r\n|250 taken\r\n|"
		"250 ok\r\n452 4.5.3 c\r\n452 4.5.3 d\r\n503 no\r\n",
		HELLO FROM "\r\n" RCPT(0) RCPT(1) RCPT(2) DATA MESSAGE FROM "\r\n" RCPT(1) RCPT(2) DATA "RSET\r\n",
		"0: 250 2.0.0 taken\nrest: 452 4.5.3 b\n1: 452 4.5.3 c\n2: 452 4.5.3 d\ndone\n", SMTP_CLIENT_WAITING, 0 },
};

static void prepare_domains(struct client_harness *h)
{
	static const char *const addresses[] = { "r0@a", "r1@b", "r2@A", "r3@c", "r4@b" };

	for (size_t i = 0; i < ARRAY_SIZE(addresses); i++)
		xstrset(&h->envelope->recipients[i].address, addresses[i]);
}

static const struct transcript domains[] = {
	{ "RCPTDOMAINMAX", GREETING("LIMITS RCPTDOMAINMAX=1") OK2 "|" OK2 "|" OK1,
		HELLO FROM "\r\n" TO(0, "a") TO(2, "A") DATA MESSAGE FROM "\r\n" TO(1, "b") TO(4, "b") DATA MESSAGE
		FROM "\r\n" TO(3, "c") DATA MESSAGE,
		"0: 250 2.0.0 taken\n2: 250 2.0.0 taken\nrest: 452 4.5.3 The next hop takes fewer recipients at once\n"
		"1: 250 2.0.0 taken\n4: 250 2.0.0 taken\nrest: 452 4.5.3 The next hop takes fewer recipients at once\n"
		"3: 250 2.0.0 taken\ndone\n", SMTP_CLIENT_READY, 0 },
};

/* ---- what another server may take */

static void prepare_requiretls(struct client_harness *h)
{
	h->envelope->requiretls = true;
}

static const struct transcript requiretls[] = {
	{ "REQUIRETLS", GREETING("REQUIRETLS"), HELLO FROM " REQUIRETLS\r\n" RCPT(0) DATA, "", SMTP_CLIENT_WAITING, 0 },
};
static void prepare_notification(struct client_harness *h)
{
	h->envelope->requiretls = true;
	xstrset(&h->envelope->sender, "");
}

#define FROM_NOBODY HELLO "MAIL FROM:<>"
static const struct transcript notification[] = {
	{ "a notification asks for it too", GREETING("REQUIRETLS"), FROM_NOBODY " REQUIRETLS\r\n" RCPT(0) DATA, "",
		SMTP_CLIENT_WAITING, 0 },
	{ "and goes where it is not offered", GREETING("X"), FROM_NOBODY "\r\n" RCPT(0) DATA, "", SMTP_CLIENT_WAITING, 0 },
};
static const struct transcript clear_notification[] = {
	{ "in clear, where it cannot be offered", GREETING("REQUIRETLS"), FROM_NOBODY "\r\n" RCPT(0) DATA, "",
		SMTP_CLIENT_WAITING, 0 },
};
static const struct transcript lmtp_requiretls[] = {
	{ "LMTP has none", GREETING("X"), "LHLO mx.example\r\n" FROM "\r\n" RCPT(0) DATA, "", SMTP_CLIENT_WAITING, 0 },
};

static void check_missing(enum smtp_client_tls tls, const char *offer, void (*prepare)(struct client_harness *), int code,
	bool another_may, unsigned settled)
{
	struct client_harness h;

	client_harness_init(&h, 2);
	prepare(&h);
	client_harness_renew(&h, tls);
	client_harness_hear(&h, offer);
	is_int(client_harness_begin(&h), code, "a message that lacks something");
	is_int(h.another_may, another_may, "may go to another server, or not");
	is_int(h.settled, settled, "and nobody is settled who may go there");
	is_int(h.out.size, 0, "nothing was sent");
	is_int(smtp_client_state(h.client), SMTP_CLIENT_READY, "and the connection is ready for another");
	client_harness_release(&h);
}

static void prepare_utf8_sender(struct client_harness *h)
{
	xstrset(&h->envelope->sender, "\xc3\xa4@x");
}

static void prepare_utf8_recipients(struct client_harness *h)
{
	xstrset(&h->envelope->recipients[0].address, "\xc3\xa4@x");
	xstrset(&h->envelope->recipients[1].address, "no address");
}

static void prepare_bad_sender(struct client_harness *h)
{
	xstrset(&h->envelope->sender, "no address");
}

static void prepare_large(struct client_harness *h)
{
	h->transaction.size = 1001;
}

static void prepare_8bit(struct client_harness *h)
{
	h->transaction.eight_bit = true;
}

static void test_missing(void)
{
	static const char plain[] = "220 mx\r\n250-mx\r\n250-REQUIRETLS\r\n250 SIZE 1000\r\n";
	static const char bare[] = "220 mx\r\n250 mx\r\n";

	check_missing(SMTP_TLS_NEVER, plain, prepare_requiretls, 550, true, 0);
	check_missing(SMTP_TLS_STARTED, bare, prepare_requiretls, 550, true, 0);
	check_missing(SMTP_TLS_NEVER, plain, prepare_utf8_sender, 553, true, 0);
	check_missing(SMTP_TLS_NEVER, plain, prepare_utf8_recipients, 553, true, 1);
	check_missing(SMTP_TLS_NEVER, plain, prepare_large, 552, true, 0);
	check_missing(SMTP_TLS_NEVER, plain, prepare_8bit, 554, true, 0);
	check_missing(SMTP_TLS_NEVER, plain, prepare_bad_sender, 553, false, 0);
}

static void prepare_mixed(struct client_harness *h)
{
	xstrset(&h->envelope->recipients[1].address, "\xc3\xa4@x");
}

/* Who can be sent is; then it turns out that the other cannot, and may go elsewhere. */
static const struct transcript mixed[] = {
	{ "one of two needs SMTPUTF8", GREETING("X") OK1, HELLO FROM "\r\n" RCPT(0) DATA MESSAGE,
		"0: 250 2.0.0 taken\nrest: 452 4.5.3 The next hop takes fewer recipients at once\n", SMTP_CLIENT_READY, 0 },
};

#define CHECK(rows, tls, count, how, ...) \
	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) \
		transcript_check(&(struct transcript_kind){ { .ehlo_as = "mx.example", __VA_ARGS__ }, tls, count, "x\r\n", \
			how }, &rows[i])

int main(void)
{
	CHECK(dsn, SMTP_TLS_NEVER, 3, prepare_dsn);
	CHECK(odd_dsn, SMTP_TLS_NEVER, 3, prepare_odd_dsn);
	CHECK(limits, SMTP_TLS_NEVER, 3, NULL);
	CHECK(domains, SMTP_TLS_NEVER, 5, prepare_domains);
	CHECK(requiretls, SMTP_TLS_STARTED, 1, prepare_requiretls);
	CHECK(notification, SMTP_TLS_STARTED, 1, prepare_notification);
	CHECK(clear_notification, SMTP_TLS_NEVER, 1, prepare_notification);
	CHECK(lmtp_requiretls, SMTP_TLS_NEVER, 1, prepare_requiretls, .lmtp = true);
	CHECK(mixed, SMTP_TLS_NEVER, 2, prepare_mixed);
	test_missing();
	return done_testing();
}
