/* unit-smtp-client.c - the client's side of SMTP against servers of every kind
 * SPDX-License-Identifier: MIT
 * P12 P15 P23 P24 */
#include "t/lib/tap.h"

#include "common/smtp/client_reply.h"
#include "common/smtp/dots.h"
#include "t/lib/client_harness.h"
#include "t/lib/lenient.h"

#define GREETED "220 mx\r\n250-mx\r\n250-PIPELINING\r\n250-SIZE 1000\r\n250-8BITMIME\r\n250 SMTPUTF8\r\n"
#define PLAIN "220 mx\r\n250 mx\r\n"

static struct client_harness h;

static void open_client(size_t recipients, const char *greeting)
{
	client_harness_init(&h, recipients);
	client_harness_hear(&h, greeting);
	is_int(smtp_client_state(h.client), SMTP_CLIENT_READY, "greeted");
	is_int(client_harness_begin(&h), 0, "a transaction begins");
}

static void close_client(const char *results, enum smtp_client_state state, const char *what)
{
	is_str(buffer_str(&h.results), results, what);
	is_int(smtp_client_state(h.client), state, "and the connection is as it should be");
	client_harness_release(&h);
}

static void test_hello(void)
{
	static const struct {
		const char *said, *sent;
		enum smtp_client_state state;
		unsigned code;
	} rows[] = {
		{ "220 mx\r\n", "EHLO mx.example\r\n", SMTP_CLIENT_WAITING, 0 },
		{ "220-a\r\n220 b\r\n250 mx\r\n", "EHLO mx.example\r\n", SMTP_CLIENT_READY, 0 },
		{ "220 mx\r\n500 what\r\n", "EHLO mx.example\r\nHELO mx.example\r\n", SMTP_CLIENT_WAITING, 0 },
		{ "220 mx\r\n554 no\r\n250 mx\r\n", "EHLO mx.example\r\nHELO mx.example\r\n", SMTP_CLIENT_READY, 0 },
		{ "220 mx\r\n502 no\r\n550 5.7.1 no\r\n", "EHLO mx.example\r\nHELO mx.example\r\n", SMTP_CLIENT_ENDED, 550 },
		{ "220 mx\r\n421 later\r\n", "EHLO mx.example\r\n", SMTP_CLIENT_ENDED, 421 },
		{ "220 mx\r\n450 550 later\r\n", "EHLO mx.example\r\n", SMTP_CLIENT_ENDED, 450 },
		{ "421 550 5.0.0 busy\r\n", "", SMTP_CLIENT_ENDED, 421 },
		{ "450 busy\r\n", "", SMTP_CLIENT_ENDED, 450 },
		{ "554 4.0.0 go away\r\n", "", SMTP_CLIENT_ENDED, 554 },
		{ "354 what\r\n", "", SMTP_CLIENT_ENDED, 451 },
		{ "SSH-2.0-OpenSSH\r\n", "", SMTP_CLIENT_ENDED, 451 },
		/* What nobody asked for is no result, least of all a good one. */
		{ "220 mx\r\n250 mx\r\n250 more\r\n", "EHLO mx.example\r\n", SMTP_CLIENT_ENDED, 451 },
		{ "220 mx\r\n250 mx\r\n354 more\r\n", "EHLO mx.example\r\n", SMTP_CLIENT_ENDED, 451 },
		{ "220 mx\r\n250 mx\r\n554 more\r\n", "EHLO mx.example\r\n", SMTP_CLIENT_ENDED, 451 },
		{ "220 mx\r\n250 mx\r\n421 4.3.2 bye\r\n", "EHLO mx.example\r\n", SMTP_CLIENT_ENDED, 421 },
	};

	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		client_harness_init(&h, 1);
		is_str(client_harness_hear(&h, rows[i].said), rows[i].sent, "a greeting is answered");
		is_int(smtp_client_state(h.client), rows[i].state, "leads to the state");
		is_int(smtp_client_why(h.client)->code, rows[i].code, "with the code");
		client_harness_release(&h);
	}
}

static void test_pipelined(void)
{
	open_client(3, GREETED);
	is_str(buffer_str(&h.out), "MAIL FROM:<s@example.org> SIZE=12\r\nRCPT TO:<r0@example.net>\r\n"
		"RCPT TO:<r1@example.net>\r\nRCPT TO:<r2@example.net>\r\nDATA\r\n", "all commands at once");
	client_harness_hear(&h, "250 ok\r\n250 ok\r\n550 5.1.1 who\r\n450 later\r\n");
	is_int(smtp_client_timeout_ms(h.client), 30000, "a command has its time");
	client_harness_hear(&h, "354 go\r\n");
	is_int(smtp_client_state(h.client), SMTP_CLIENT_SENDING, "the data is wanted");
	is_int(smtp_client_timeout_ms(h.client), 60000, "which has another");
	buffer_reset(&h.out);
	client_harness_data(&h, "a\r\n.b\r\n");
	is_str(buffer_str(&h.out), "a\r\n..b\r\n.\r\n", "and sent");
	ok(smtp_client_dot_sent(h.client), "with its dot");
	is_str(client_harness_hear(&h, "250 2.6.0 taken\r\n"), "", "nothing follows");
	close_client("1: 550 5.1.1 who\n2: 450 4.0.0 later\n0: 250 2.6.0 taken\ndone\n", SMTP_CLIENT_READY,
		"a result for each recipient");
}

static void test_too_many(void)
{
	open_client(3, GREETED);
	client_harness_hear(&h, "250 ok\r\n250 ok\r\n552 5.5.3 too many\r\n552 5.2.2 full\r\n354 go\r\n");
	client_harness_data(&h, "x");
	client_harness_hear(&h, "250 taken\r\n");
	close_client("2: 552 5.2.2 full\n0: 250 2.0.0 taken\nrest: 452 4.5.3 too many\n", SMTP_CLIENT_READY,
		"who was one too many goes again");
	open_client(2, GREETED);
	client_harness_hear(&h, "250 ok\r\n552 5.5.3 too many\r\n250 ok\r\n354 go\r\n");
	client_harness_data(&h, "x");
	client_harness_hear(&h, "250 taken\r\n");
	close_client("0: 452 4.5.3 too many\n1: 250 2.0.0 taken\ndone\n", SMTP_CLIENT_READY,
		"later, if nobody was accepted before");
}

/* Replies in one piece, some of which come before what they would be replies to. */
static void test_early(void)
{
	static const struct {
		const char *greeting, *said, *result;
		enum smtp_client_state state;
	} rows[] = {
		{ PLAIN, "250 ok\r\n250 ok\r\n", "broken: 451 4.5.0 Unexpected reply: 250 ok\n", SMTP_CLIENT_ENDED },
		{ PLAIN, "250 ok\r\n550 5.1.1 no\r\n", "broken: 451 4.5.0 Unexpected reply: 550 no\n", SMTP_CLIENT_ENDED },
		{ PLAIN, "250 ok\r\n421 4.3.2 down\r\n", "lost: 421 4.3.2 down\n", SMTP_CLIENT_ENDED },
		{ GREETED, "250 ok\r\n250 ok\r\n354 go\r\n", "", SMTP_CLIENT_SENDING },
		{ GREETED, "250 ok\r\n250 ok\r\n354 go\r\n250 ok\r\n", "broken: 451 4.5.0 Invalid reply to the message\n",
			SMTP_CLIENT_ENDED },
		{ GREETED, "250 ok\r\n550 no\r\n354 go\r\n250 ok\r\n",
			"0: 550 5.0.0 no\nbroken: 451 4.5.0 Unexpected reply: 250 ok\n", SMTP_CLIENT_ENDED },
	};

	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		open_client(1, rows[i].greeting);
		client_harness_feed(&h, rows[i].said, strlen(rows[i].said), strlen(rows[i].said));
		close_client(rows[i].result, rows[i].state, "nothing good or final comes from what was said too early");
	}
}

static void test_lockstep(void)
{
	open_client(2, PLAIN);
	is_str(buffer_str(&h.out), "MAIL FROM:<s@example.org>\r\n", "one command");
	is_str(client_harness_hear(&h, "250 ok\r\n"), "RCPT TO:<r0@example.net>\r\n", "then the next");
	is_str(client_harness_hear(&h, "251 ok\r\n"), "RCPT TO:<r1@example.net>\r\n", "and the next");
	is_str(client_harness_hear(&h, "550 no\r\n"), "DATA\r\n", "then the data");
	is_str(client_harness_hear(&h, "554 5.3.0 no\r\n"), "RSET\r\n", "which is refused");
	is_str(client_harness_hear(&h, "250 ok\r\n"), "", "and forgotten");
	close_client("1: 550 5.0.0 no\n0: 554 5.3.0 no\ndone\n", SMTP_CLIENT_READY, "its reply is for who was accepted");
	open_client(2, PLAIN);
	client_harness_hear(&h, "250 ok\r\n");
	client_harness_hear(&h, "550 no\r\n");
	is_str(client_harness_hear(&h, "450 no\r\n"), "RSET\r\n", "nobody is accepted: no DATA");
	close_client("0: 550 5.0.0 no\n1: 450 4.0.0 no\ndone\n", SMTP_CLIENT_WAITING, "each has its own reply");
	open_client(2, PLAIN);
	is_str(client_harness_hear(&h, "452 4.3.1 full\r\n"), "", "the sender is refused");
	close_client("0: 452 4.3.1 full\n1: 452 4.3.1 full\ndone\n", SMTP_CLIENT_READY, "for all");
}

static void test_refused_in_advance(void)
{
	open_client(1, GREETED);
	is_str(client_harness_hear(&h, "250 ok\r\n550 5.1.1 no\r\n354 go\r\n"), ".\r\n", "354 for nobody: an empty message");
	is_str(client_harness_hear(&h, "250 2.0.0 taken\r\n"), "RSET\r\n", "that counts for nothing");
	client_harness_hear(&h, "250 ok\r\n");
	close_client("0: 550 5.1.1 no\ndone\n", SMTP_CLIENT_READY, "the recipient was refused");
	open_client(1, GREETED);
	is_str(client_harness_hear(&h, "550 5.7.1 no\r\n503 no\r\n354 go\r\n"), ".\r\n", "the same with the sender");
	client_harness_hear(&h, "554 no\r\n250 ok\r\n");
	close_client("0: 550 5.7.1 no\ndone\n", SMTP_CLIENT_READY, "the sender's reply");
	open_client(1, GREETED);
	client_harness_hear(&h, "250 ok\r\n450 4.2.0 no\r\n503 no\r\n250 reset\r\n");
	close_client("0: 450 4.2.0 no\ndone\n", SMTP_CLIENT_READY, "503 to DATA is not the recipient's");
}

/* The server may end the connection behind its refusal of the sender, and before its replies to what was sent ahead. */
static void test_refused_and_ended(void)
{
	static const char *const said[] = { "503 no\r\n421 4.7.0 Too many errors\r\n", "421 4.3.2 down\r\n",
		"nonsense\r\n", NULL, "" };
	static const char *const results[] = { "lost: 421 4.7.0 Too many errors", "lost: 421 4.3.2 down",
		"broken: 451 4.5.0 Invalid reply to RCPT", "lost: 451 4.4.2 Connection lost: gone",
		"broken: 421 4.4.2 Connection timed out" };

	for (size_t i = 0; i < ARRAY_SIZE(said); i++) {
		char wanted[200];

		snprintf(wanted, sizeof(wanted), "0: 552 5.3.4 large\n1: 552 5.3.4 large\n%s\n", results[i]);
		open_client(2, GREETED);
		client_harness_hear(&h, "552 5.3.4 large\r\n");
		if (!said[i])
			smtp_client_lost(h.client, "gone");
		else if (!*said[i])
			smtp_client_timed_out(h.client);
		else
			client_harness_hear(&h, said[i]);
		close_client(wanted, SMTP_CLIENT_ENDED, "the refusal counts");
	}
	open_client(2, GREETED);
	client_harness_hear(&h, "552 5.3.4 large\r\n");
	smtp_client_break_off(h.client, NULL);
	close_client("broken off\n", SMTP_CLIENT_ENDED, "unless we broke it off");
}

static void test_many(void)
{
	unsigned commands = 0;

	open_client(200, GREETED);
	for (unsigned turn = 0; turn < 300 && smtp_client_state(h.client) == SMTP_CLIENT_WAITING; turn++) {
		for (const char *at = buffer_str(&h.out); (at = strchr(at, '\n')); at++)
			commands++;
		if (commands - turn > 64)
			break;
		client_harness_hear(&h, turn == 201 ? "354 go\r\n" : "250 ok\r\n");
	}
	is_int(commands, 202, "200 recipients, never more than 64 commands ahead");
	is_int(smtp_client_state(h.client), SMTP_CLIENT_SENDING, "and all accepted");
	client_harness_data(&h, "x");
	client_harness_hear(&h, "250 ok\r\n");
	is_int(h.settled, 200, "each has a result");
	client_harness_release(&h);
}

/* At every reply of a transaction: 421, the end of the connection, nonsense, silence. */
static void test_every_step(void)
{
	static const char *const replies[] = { "250 ok\r\n", "250 ok\r\n", "250 ok\r\n", "354 go\r\n" };
	static const char *const greetings[] = { PLAIN, GREETED };
	static const struct {
		const char *said, *result, *doubt;
	} rows[] = {
		{ "421 4.3.2 down\r\n", "lost: 421 4.3.2 down\n", "lost: 421 4.3.2 down\n" },
		{ NULL, "lost: 451 4.4.2 Connection lost: gone\n", "in doubt: 451 4.4.2 Connection lost: gone\n" },
		{ "no reply\r\n", "broken: ", "in doubt: 451 4.5.0 Invalid reply to the message\n" },
		{ "250-a\r\n251 b\r\n", "broken: ", "in doubt: 451 4.5.0 Invalid reply to the message\n" },
		{ "", "broken: 421 4.4.2 Connection timed out\n", "in doubt: 421 4.4.2 Connection timed out\n" },
	};

	for (size_t greeting = 0; greeting < ARRAY_SIZE(greetings); greeting++)
		for (size_t row = 0; row < ARRAY_SIZE(rows); row++)
			for (size_t step = 0; step <= ARRAY_SIZE(replies); step++) {
				const char *wanted = step == 4 ? rows[row].doubt : rows[row].result;

				open_client(2, greetings[greeting]);
				for (size_t i = 0; i < step; i++)
					client_harness_hear(&h, replies[i]);
				if (step == 4)
					client_harness_data(&h, "x");
				if (!rows[row].said)
					smtp_client_lost(h.client, "gone");
				else if (!*rows[row].said)
					smtp_client_timed_out(h.client);
				else
					client_harness_hear(&h, rows[row].said);
				ok(strncmp(buffer_str(&h.results), wanted, strlen(wanted)) == 0, "row %zu, step %zu", row, step);
				is_int(h.settled, 0, "nobody is settled");
				close_client(buffer_str(&h.results), SMTP_CLIENT_ENDED, "once");
			}
}

static void test_while_sending(void)
{
	static const char *const said[][2] = { { "552 5.3.4 large\r\n", "0: 552 5.3.4 large\ndone\n" },
		{ "421 4.3.2 down\r\n", "lost: 421 4.3.2 down\n" },
		{ "250 ok\r\n", "broken: 451 4.5.0 Invalid reply to the message\n" } };

	for (size_t i = 0; i < ARRAY_SIZE(said); i++) {
		open_client(1, GREETED);
		client_harness_hear(&h, "250 ok\r\n250 ok\r\n354 go\r\n");
		smtp_client_data(h.client, "x", 1);
		is_str(client_harness_hear(&h, said[i][0]), "", "an answer within the data");
		smtp_client_data(h.client, "x", 1);
		smtp_client_data_end(h.client);
		is_int(h.out.size, 0, "no dot is sent behind it");
		close_client(said[i][1], SMTP_CLIENT_ENDED, "and it is the result");
	}
}

static void test_needs(void)
{
	static const struct {
		const char *greeting, *sender, *recipient;
		bool eight_bit, utf8_header, smtputf8;
		uint64_t size;
		int code;
		const char *sent;
	} rows[] = {
		{ PLAIN, "s@x", "r@x", true, false, false, 1, 554, NULL },
		{ GREETED, "s@x", "r@x", true, false, false, 1, 0, "MAIL FROM:<s@x> SIZE=1 BODY=8BITMIME\r\n" },
		{ GREETED, "s@x", "r@x", true, true, false, 1, 0, "MAIL FROM:<s@x> SIZE=1 BODY=8BITMIME\r\n" },
		{ GREETED, "s@x", "r@x", false, false, true, 1, 0, "MAIL FROM:<s@x> SIZE=1\r\n" },
		{ GREETED, "", "r@x", false, false, false, 1000, 0, "MAIL FROM:<> SIZE=1000\r\n" },
		{ GREETED, "s@x", "r@x", false, false, false, 1001, 552, NULL },
		{ PLAIN, "s@x", "r@x", true, true, true, 1, 554, NULL },
		{ PLAIN, "s@x", "r@x", false, false, true, 1, 0, "MAIL FROM:<s@x>\r\n" },
		{ GREETED, "s@x", "r@x", true, true, true, 1, 0, "MAIL FROM:<s@x> SIZE=1 BODY=8BITMIME SMTPUTF8\r\n" },
		{ GREETED, "\xc3\xa4@x", "r@x", false, false, true, 1, 0, "MAIL FROM:<\xc3\xa4@x> SIZE=1 SMTPUTF8\r\n" },
		{ GREETED, "s@x", "\xc3\xa4@x", false, false, true, 1, 0, "MAIL FROM:<s@x> SIZE=1 SMTPUTF8\r\n" },
		{ PLAIN, "\xc3\xa4@x", "r@x", false, false, true, 1, 553, NULL },
		{ PLAIN, "s@x", "\xc3\xa4@x", false, false, true, 1, 553, NULL },
		{ GREETED, "s\r\nDATA@x", "r@x", false, false, false, 1, 553, NULL },
		{ GREETED, "s@x", "r@x>\r\nDATA\r\n", false, false, false, 1, -1, NULL },
		/* One address, or none. */
		{ GREETED, "s@x> SIZE=1 <", "r@x", false, false, false, 1, 553, NULL },
		{ GREETED, "s@x y", "r@x", false, false, false, 1, 553, NULL },
		{ GREETED, "s", "r@x", false, false, false, 1, 553, NULL },
		{ GREETED, "<s@x>", "r@x", false, false, false, 1, 553, NULL },
		{ GREETED, "@y:s@x", "r@x", false, false, false, 1, 553, NULL },
		{ GREETED, "\"a>b\"@x", "r@x", false, false, false, 1, 0, "MAIL FROM:<\"a>b\"@x> SIZE=1\r\n" },
		{ GREETED, "s\xc2\x85@x", "r@x", false, false, true, 1, 553, NULL },
		{ GREETED, "s\xff@x", "r@x", false, false, true, 1, 553, NULL },
		{ GREETED, "s@x", "r@x> NOTIFY=NEVER <", false, false, false, 1, -1, NULL },
		{ GREETED, "s@x", "r@x, t@x", false, false, false, 1, -1, NULL },
		{ GREETED, "s@x", "", false, false, false, 1, -1, NULL },
		{ GREETED, "s@x", "r\xe2@x", false, false, true, 1, -1, NULL },
	};

	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		client_harness_init(&h, 1);
		client_harness_hear(&h, rows[i].greeting);
		xstrset(&h.envelope->sender, rows[i].sender);
		xstrset(&h.envelope->recipients[0].address, rows[i].recipient);
		h.envelope->smtputf8 = rows[i].smtputf8;
		h.transaction.eight_bit = rows[i].eight_bit;
		h.transaction.utf8_header = rows[i].utf8_header;
		h.transaction.size = rows[i].size;
		is_int(client_harness_begin(&h), rows[i].code, "what a message needs");
		if (rows[i].sent)
			ok(strncmp(buffer_str(&h.out), rows[i].sent, strlen(rows[i].sent)) == 0, "row %zu is sent so", i);
		else
			is_int(h.out.size, 0, "nothing is sent");
		is_int(smtp_client_state(h.client), rows[i].code ? SMTP_CLIENT_READY : SMTP_CLIENT_WAITING, "state");
		is_int(h.settled, rows[i].code == -1, "an address alone fails alone");
		client_harness_release(&h);
	}
	client_harness_init(&h, 1);
	client_harness_hear(&h, GREETED);
	h.envelope->body = BODY_BINARYMIME;
	is_int(client_harness_begin(&h), 554, "what is binary would not arrive as it is (RFC 3030 3)");
	client_harness_release(&h);
	client_harness_init(&h, 2);
	client_harness_hear(&h, PLAIN);
	xstrset(&h.envelope->recipients[0].address, "\xc3\xa4@x");
	is_int(client_harness_begin(&h), 0, "one of two can be sent");
	client_harness_hear(&h, "250 ok\r\n");
	is_str(buffer_str(&h.out), "RCPT TO:<r1@example.net>\r\n", "to the other");
	client_harness_release(&h);
}

static void test_break_off(void)
{
	struct reply why = { 0 };

	open_client(1, PLAIN);
	buffer_reset(&h.out);
	smtp_client_break_off(h.client, NULL);
	is_str(buffer_str(&h.out), "RSET\r\nQUIT\r\n", "before DATA it is said");
	close_client("broken off\n", SMTP_CLIENT_ENDED, "that nothing will come");
	open_client(1, GREETED);
	client_harness_hear(&h, "250 ok\r\n250 ok\r\n354 go\r\n");
	reply_set(&why, 451, "4.3.0", "unreadable");
	smtp_client_break_off(h.client, &why);
	is_int(h.out.size, 0, "within the data nothing can be said");
	close_client("broken: 451 4.3.0 unreadable\n", SMTP_CLIENT_ENDED, "why");
	open_client(1, GREETED);
	client_harness_hear(&h, "250 ok\r\n250 ok\r\n354 go\r\n");
	client_harness_data(&h, "x");
	smtp_client_break_off(h.client, NULL);
	client_harness_hear(&h, "250 ok\r\n");
	close_client("0: 250 2.0.0 ok\ndone\n", SMTP_CLIENT_READY, "behind the dot it is too late");
	client_harness_init(&h, 1);
	client_harness_hear(&h, PLAIN);
	buffer_reset(&h.out);
	smtp_client_quit(h.client);
	is_str(buffer_str(&h.out), "QUIT\r\n", "QUIT");
	close_client("", SMTP_CLIENT_ENDED, "no result");
	client_harness_init(&h, 1);
	client_harness_hear(&h, PLAIN "421 idle\r\n");
	close_client("", SMTP_CLIENT_ENDED, "421 while idle");
	reply_release(&why);
}

static const char *read_reply(const char *text, size_t size, size_t step, enum client_reply_result *result)
{
	static struct buffer shown;
	struct client_reply reader = { 0 };
	struct reply reply = { 0 };
	size_t at = 0, end = 0, taken = 0;

	*result = CLIENT_REPLY_MORE;
	buffer_reset(&shown);
	while (*result == CLIENT_REPLY_MORE && end < size) {
		end = end + step < size ? end + step : size;
		*result = client_reply_next(&reader, text + at, end - at, &taken);
		at += taken;
	}
	if (*result == CLIENT_REPLY_READ) {
		client_reply_get(&reader, &reply);
		reply_append(&reply, &shown);
	}
	client_reply_reset(&reader);
	reply_release(&reply);
	return buffer_str(&shown);
}

static void test_replies(void)
{
	static const struct {
		const char *text;
		enum client_reply_result result;
		const char *shown;
	} rows[] = {
		{ "250 ok\r\n", CLIENT_REPLY_READ, "250 2.0.0 ok" }, { "250\r\n", CLIENT_REPLY_READ, "250 2.0.0" },
		{ "250 ok\n", CLIENT_REPLY_READ, "250 2.0.0 ok" }, { "250-a\r\n250 b\r\n", CLIENT_REPLY_READ, "250 2.0.0 a / b" },
		{ "550-5.1.1 a\r\n550-5.1.1 b\r\n550 c\r\n", CLIENT_REPLY_READ, "550 5.1.1 a / b / c" },
		{ "450 550 5.1.1 gone\r\n", CLIENT_REPLY_READ, "450 4.0.0 550 5.1.1 gone" },
		{ "450 5.1.1 gone\r\n", CLIENT_REPLY_READ, "450 4.0.0 5.1.1 gone" },
		{ "550 5.1.1234 gone\r\n", CLIENT_REPLY_READ, "550 5.0.0 5.1.1234 gone" },
		{ "550 5.7.1\r\n", CLIENT_REPLY_READ, "550 5.7.1" },
		{ "550 a\x1b[2Jb\xff\x80\r\n", CLIENT_REPLY_READ, "550 5.0.0 a [2Jb\xef\xbf\xbd\xef\xbf\xbd" },
		{ "250-a\r\n", CLIENT_REPLY_MORE, "" }, { "250 a", CLIENT_REPLY_MORE, "" }, { "", CLIENT_REPLY_MORE, "" },
		{ "250-a\r\n550 b\r\n", CLIENT_REPLY_BROKEN, "" }, { "150 a\r\n", CLIENT_REPLY_BROKEN, "" },
		{ "600 a\r\n", CLIENT_REPLY_BROKEN, "" }, { "25 a\r\n", CLIENT_REPLY_BROKEN, "" },
		{ "2500 a\r\n", CLIENT_REPLY_BROKEN, "" }, { "\r\n", CLIENT_REPLY_BROKEN, "" },
		{ "ok\r\n", CLIENT_REPLY_BROKEN, "" },
	};
	enum client_reply_result result;
	struct buffer endless = { 0 };

	for (size_t i = 0; i < ARRAY_SIZE(rows); i++)
		for (size_t step = 1; step < 40; step += step < 4 ? 1 : 12) {
			is_str(read_reply(rows[i].text, strlen(rows[i].text), step, &result), rows[i].shown, "a reply is read");
			is_int(result, rows[i].result, "cut anywhere");
		}
	read_reply("250 a\0b\r\n", 9, 9, &result);
	is_int(result, CLIENT_REPLY_READ, "a NUL is text");
	for (unsigned i = 0; i < 1000; i++)
		buffer_append_str(&endless, "250-and so on\r\n");
	read_reply(endless.data, endless.size, 100, &result);
	is_int(result, CLIENT_REPLY_BROKEN, "a reply without an end");
	buffer_reset(&endless);
	for (unsigned i = 0; i < 3000; i++)
		buffer_append_char(&endless, i < 4 ? "250 "[i] : 'x');
	read_reply(endless.data, endless.size, 100, &result);
	is_int(result, CLIENT_REPLY_BROKEN, "a line without an end");
	buffer_release(&endless);
}

static void check_dots(const char *data, size_t size, const char *sent, size_t sent_size)
{
	for (size_t step = 1; step < 9; step++) {
		struct buffer out = { 0 };
		struct dots dots;

		dots_init(&dots, &out);
		for (size_t at = 0; at < size; at += step)
			dots_write(&dots, data + at, size - at < step ? size - at : step);
		dots_end(&dots);
		is_mem(out.data, out.size, sent, sent_size, "mail data as it is sent");
		is_int(lenient_end(out.data, out.size), out.size, "nothing reads as the end but the end");
		buffer_release(&out);
	}
}

static void test_dots(void)
{
	static const struct {
		const char *data;
		size_t size;
		const char *sent;
		size_t sent_size;
	} nuls[] = {
#define ROW(data, sent) { data, sizeof(data) - 1, sent, sizeof(sent) - 1 }
		ROW("a\r\n\0.\r\nMAIL", "a\r\n\0..\r\nMAIL\r\n.\r\n"),
		ROW("\0\0.\0\r\n", "\0\0..\0\r\n.\r\n"), ROW("\0", "\0\r\n.\r\n"),
		ROW("a\r\0\n.\0\nb", "a\r\n\0\r\n..\0\r\nb\r\n.\r\n"),
		ROW("a\0.\r\n\0a.\r\n", "a\0.\r\n\0a.\r\n.\r\n"), ROW("\0\0", "\0\0\r\n.\r\n"),
#undef ROW
	};
	static const char *const rows[][2] = {
		{ "", ".\r\n" }, { "a", "a\r\n.\r\n" }, { "a\r\n", "a\r\n.\r\n" }, { ".", "..\r\n.\r\n" },
		{ ".\r\n", "..\r\n.\r\n" }, { "a\r\n.\r\nMAIL", "a\r\n..\r\nMAIL\r\n.\r\n" },
		{ "a\n.\nb", "a\r\n..\r\nb\r\n.\r\n" },
		{ "a\r.\rb", "a\r\n..\r\nb\r\n.\r\n" }, { "a\n.\r\nb", "a\r\n..\r\nb\r\n.\r\n" },
		{ "a\r\n.\nb\r", "a\r\n..\r\nb\r\n.\r\n" }, { "..a\r\n.b", "...a\r\n..b\r\n.\r\n" },
		{ "\r\n\r\n", "\r\n\r\n.\r\n" },
	};

	for (size_t i = 0; i < ARRAY_SIZE(rows); i++)
		check_dots(rows[i][0], strlen(rows[i][0]), rows[i][1], strlen(rows[i][1]));
	for (size_t i = 0; i < ARRAY_SIZE(nuls); i++)
		check_dots(nuls[i].data, nuls[i].size, nuls[i].sent, nuls[i].sent_size);
}

int main(void)
{
	test_hello();
	test_pipelined();
	test_too_many();
	test_early();
	test_lockstep();
	test_refused_in_advance();
	test_refused_and_ended();
	test_many();
	test_every_step();
	test_while_sending();
	test_needs();
	test_break_off();
	test_replies();
	test_dots();
	return done_testing();
}
