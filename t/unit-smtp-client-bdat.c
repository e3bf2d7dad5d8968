/* unit-smtp-client-bdat.c - mail data in chunks, and servers that leave, refuse or answer amid them
 * SPDX-License-Identifier: MIT
 * P1 P12 P15 P23 P24 */
#include "t/lib/tap.h"

#include "t/lib/client_transcript.h"

#define HELLO "EHLO mx.example\r\n"
#define MAIL "MAIL FROM:<s@example.org>\r\n"
#define RCPT(n) "RCPT TO:<r" #n "@example.net>\r\n"
#define GREETING "220 mx\r\n|250-mx\r\n250-CHUNKING\r\n250 PIPELINING\r\n|"
#define PLAIN "220 mx\r\n|250-mx\r\n250 CHUNKING\r\n|"
#define TWO MAIL RCPT(0) RCPT(1)
#define LAST "BDAT 9 LAST\r\n.\r\n.x\r\n\r\n"
#define OK3 "250 ok\r\n250 ok\r\n250 ok\r\n|"

/* Line ends are mended as for DATA, dots stay as they are. */
static const struct transcript_kind smtp = { { .ehlo_as = "mx.example" }, SMTP_TLS_NEVER, 2, ".\n.x\r\r", NULL };
static const struct transcript_kind lmtp = { { .ehlo_as = "mx.example", .lmtp = true }, SMTP_TLS_NEVER, 2, ".\n.x\r\r", NULL };
static const struct transcript_kind empty = { { .ehlo_as = "mx.example" }, SMTP_TLS_NEVER, 2, "", NULL };

static const struct transcript rows[] = {
	{ "taken", GREETING OK3 "250 taken\r\n", HELLO TWO LAST, "0: 250 2.0.0 taken\n1: 250 2.0.0 taken\ndone\n",
		SMTP_CLIENT_READY, 0 },
	{ "one by one", PLAIN "250 ok\r\n|550 no\r\n|250 ok\r\n|250 taken\r\n", HELLO TWO LAST,
		"0: 550 5.0.0 no\n1: 250 2.0.0 taken\ndone\n", SMTP_CLIENT_READY, 0 },
	{ "nobody is there for it", GREETING "250 ok\r\n550 a\r\n450 b\r\n|250 reset\r\n", HELLO TWO "RSET\r\n",
		"0: 550 5.0.0 a\n1: 450 4.0.0 b\ndone\n", SMTP_CLIENT_READY, 0 },
	{ "the sender is refused", GREETING "550 a\r\n503 b\r\n503 c\r\n", HELLO TWO, "0: 550 5.0.0 a\n1: 550 5.0.0 a\ndone\n",
		SMTP_CLIENT_READY, 0 },
	{ "refused", GREETING OK3 "554 5.6.0 no\r\n", HELLO TWO LAST, "0: 554 5.6.0 no\n1: 554 5.6.0 no\ndone\n",
		SMTP_CLIENT_READY, 0 },
	{ "421", GREETING OK3 "421 4.3.2 down\r\n", HELLO TWO LAST, "lost: 421 4.3.2 down\n", SMTP_CLIENT_ENDED, 421 },
	{ "354 is no answer", GREETING OK3 "354 go\r\n", HELLO TWO LAST, "in doubt: 451 4.5.0 Invalid reply to the message\n",
		SMTP_CLIENT_ENDED, 451 },
	{ "an answer before the data", GREETING "250 ok\r\n250 ok\r\n250 ok\r\n250 taken\r\n", HELLO TWO,
		"broken: 451 4.5.0 Unexpected reply: 250 taken\n", SMTP_CLIENT_ENDED, 451, true },
	{ "a refusal before the data", GREETING "250 ok\r\n250 ok\r\n250 ok\r\n554 no\r\n", HELLO TWO,
		"broken: 451 4.5.0 Unexpected reply: 554 no\n", SMTP_CLIENT_ENDED, 451, true },
	{ "421 before the data", GREETING "250 ok\r\n250 ok\r\n250 ok\r\n421 no\r\n", HELLO TWO,
		"lost: 421 4.0.0 no\n", SMTP_CLIENT_ENDED, 421, true },
};

static const struct transcript lmtp_rows[] = {
	{ "a reply for each", GREETING OK3 "250 taken\r\n450 4.2.2 full\r\n", "LHLO mx.example\r\n" TWO LAST,
		"0: 250 2.0.0 taken\n1: 450 4.2.2 full\ndone\n", SMTP_CLIENT_READY, 0 },
};

static const struct transcript empty_rows[] = {
	{ "an empty message", GREETING OK3 "250 taken\r\n", HELLO TWO "BDAT 0 LAST\r\n",
		"0: 250 2.0.0 taken\n1: 250 2.0.0 taken\ndone\n", SMTP_CLIENT_READY, 0 },
};

/* ---- messages of several chunks */

#define PIECE 20000		/* two of them make a chunk */

static struct client_harness h;
static char piece[PIECE + 1];

static void open_chunks(const char *greeting, bool lmtp_too)
{
	client_harness_init(&h, 2);
	h.settings.lmtp = lmtp_too;
	client_harness_renew(&h, SMTP_TLS_NEVER);
	client_harness_hear(&h, greeting);
	client_harness_begin(&h);
	for (unsigned i = 0; i < 3; i++)
		client_harness_hear(&h, "250 ok\r\n");
	is_int(smtp_client_state(h.client), SMTP_CLIENT_SENDING, "chunks are wanted");
	buffer_reset(&h.out);
}

/* Gives pieces as an owner does, while they are wanted; how many. */
static unsigned give(unsigned most)
{
	unsigned given = 0;

	for (; given < most && smtp_client_state(h.client) == SMTP_CLIENT_SENDING; given++)
		smtp_client_data(h.client, piece, PIECE);
	return given;
}

/* Reads what is sent as a server does: chunks and their octets; -1: that is not what came. */
static int count_chunks(const struct buffer *out, size_t *octets, bool *ended)
{
	const char *at = buffer_str(out), *end = at + out->size;
	int count = 0;

	*octets = 0;
	*ended = false;
	while (at < end) {
		char *behind;
		size_t size;

		if (*ended || strncmp(at, "BDAT ", 5) != 0)
			return -1;
		size = strtoul(at + 5, &behind, 10);
		*ended = strncmp(behind, " LAST\r\n", 7) == 0;
		behind += *ended ? 7 : 2;
		if (size > (size_t)(end - behind) || (!*ended && size < 32768))
			return -1;
		*octets += size;
		at = behind + size;
		count++;
	}
	return count;
}

static void close_chunks(const char *results, enum smtp_client_state state, const char *what)
{
	is_str(buffer_str(&h.results), results, what);
	is_int(smtp_client_state(h.client), state, "and the connection is as it should be");
	client_harness_release(&h);
}

static void end_data(void)
{
	smtp_client_data_end(h.client);
	h.data_ended = smtp_client_dot_sent(h.client);
}

static const char greeting[] = "220 mx\r\n250-mx\r\n250-CHUNKING\r\n250 PIPELINING\r\n";
static const char plain[] = "220 mx\r\n250-mx\r\n250 CHUNKING\r\n";

static void test_large(void)
{
	size_t octets;
	bool ended;

	open_chunks(greeting, false);
	is_int(smtp_client_timeout_ms(h.client), 60000, "with the time of data");
	is_int(give(9), 9, "all of it at once");
	is_int(count_chunks(&h.out, &octets, &ended), 4, "goes out in chunks");
	is_int(octets, 8 * PIECE, "of what is whole");
	ok(!ended, "the end is kept until it is asked for");
	end_data();
	is_int(count_chunks(&h.out, &octets, &ended), 5, "it is the last chunk");
	is_int(octets, 9 * PIECE, "that makes it all");
	ok(ended, "and says so");
	client_harness_hear(&h, "250 1\r\n250 2\r\n250 3\r\n250 4\r\n");
	is_int(h.settled, 0, "before its reply nothing is said of the message");
	client_harness_hear(&h, "250 5\r\n");
	close_chunks("0: 250 2.0.0 5\n1: 250 2.0.0 5\ndone\n", SMTP_CLIENT_READY, "then it is");
}

static void test_window(void)
{
	size_t octets;
	bool ended;

	open_chunks(plain, false);
	is_int(give(9), 3, "without PIPELINING one chunk goes out");
	is_int(smtp_client_state(h.client), SMTP_CLIENT_WAITING, "and its reply is awaited");
	is_int(count_chunks(&h.out, &octets, &ended), 1, "so it is");
	client_harness_hear(&h, "250 ok\r\n");
	is_int(give(9), 2, "then the next");
	client_harness_hear(&h, "250 ok\r\n");
	end_data();
	is_int(count_chunks(&h.out, &octets, &ended), 1, "then the last");
	client_harness_hear(&h, "250 taken\r\n");
	close_chunks("0: 250 2.0.0 taken\n1: 250 2.0.0 taken\ndone\n", SMTP_CLIENT_READY, "and all is taken");

	open_chunks(greeting, false);
	ok(give(1000) < 140, "to a server that never answers not all goes");
	is_int(count_chunks(&h.out, &octets, &ended), 64, "but so many chunks");
	smtp_client_data(h.client, piece, PIECE);
	end_data();
	is_int(count_chunks(&h.out, &octets, &ended), 65, "nothing is lost of what an owner gives nevertheless");
	for (unsigned i = 0; i < 65; i++)
		client_harness_hear(&h, "250 ok\r\n");
	close_chunks("0: 250 2.0.0 ok\n1: 250 2.0.0 ok\ndone\n", SMTP_CLIENT_READY, "and it is taken");
}

/* At every chunk: refused, gone, 421, nonsense, silence; with its end sent and without. */
static void test_every_chunk(void)
{
	static const struct {
		const char *said, *result, *doubt, *sent;
		enum smtp_client_state state;
	} cases[] = {
		{ "552 5.3.4 large\r\n", "0: 552 5.3.4 large\n1: 552 5.3.4 large\ndone\n", NULL, "RSET\r\n",
			SMTP_CLIENT_WAITING },
		{ "421 4.3.2 down\r\n", "lost: 421 4.3.2 down\n", NULL, "", SMTP_CLIENT_ENDED },
		{ NULL, "lost: 451 4.4.2 Connection lost: gone\n", "in doubt: 451 4.4.2 Connection lost: gone\n", "",
			SMTP_CLIENT_ENDED },
		{ "what\r\n", "broken: 451 4.5.0 Invalid reply to BDAT\n", "in doubt: 451 4.5.0 Invalid reply to BDAT\n", "",
			SMTP_CLIENT_ENDED },
		{ "354 go\r\n", "broken: 451 4.5.0 Invalid reply to BDAT\n", "in doubt: 451 4.5.0 Invalid reply to BDAT\n", "",
			SMTP_CLIENT_ENDED },
		{ "", "broken: 421 4.4.2 Connection timed out\n", "in doubt: 421 4.4.2 Connection timed out\n", "",
			SMTP_CLIENT_ENDED },
	};

	for (size_t i = 0; i < ARRAY_SIZE(cases); i++)
		for (unsigned answered = 0; answered < 4; answered++)
			for (unsigned with_end = 0; with_end < 2; with_end++) {
				open_chunks(greeting, false);
				give(9);
				if (with_end)
					end_data();
				for (unsigned n = 0; n < answered; n++)
					client_harness_hear(&h, "250 ok\r\n");
				buffer_reset(&h.out);
				if (!cases[i].said)
					smtp_client_lost(h.client, "gone");
				else if (!*cases[i].said)
					smtp_client_timed_out(h.client);
				else
					is_str(client_harness_hear(&h, cases[i].said), cases[i].sent, "what is sent then");
				close_chunks(with_end && cases[i].doubt ? cases[i].doubt : cases[i].result, cases[i].state,
					"a chunk without its reply");
			}
}

/* What is behind a refused chunk is answered, too; it says nothing of any message. */
static void test_behind_refused(void)
{
	static const char *const behind[] = { "503 no\r\n", "250 ok\r\n", "554 no\r\n" };

	for (size_t i = 0; i < ARRAY_SIZE(behind); i++) {
		open_chunks(greeting, false);
		give(9);
		end_data();
		client_harness_hear(&h, "250 ok\r\n452 4.3.1 full\r\n");
		is_str(buffer_str(&h.results), "0: 452 4.3.1 full\n1: 452 4.3.1 full\ndone\n", "refused");
		for (unsigned n = 0; n < 3; n++) {
			is_int(smtp_client_state(h.client), SMTP_CLIENT_WAITING, "its other chunks are waited for");
			client_harness_hear(&h, behind[i]);
		}
		client_harness_hear(&h, "250 reset\r\n");
		is_int(h.settled, 2, "nobody is settled again");
		is_int(smtp_client_state(h.client), SMTP_CLIENT_READY, "then it takes the next message");
		is_int(client_harness_begin(&h), 0, "which begins");
		is_str(buffer_str(&h.out), TWO, "anew");
		client_harness_release(&h);
	}
	open_chunks(greeting, true);
	give(9);
	end_data();
	client_harness_hear(&h, "452 4.3.1 full\r\n");
	close_chunks("0: 452 4.3.1 full\n1: 452 4.3.1 full\ndone\n", SMTP_CLIENT_ENDED,
		"LMTP: nobody knows how many replies will come");
}

static void test_break_off(void)
{
	open_chunks(greeting, false);
	give(9);
	smtp_client_break_off(h.client, NULL);
	is_int(h.out.size, 0, "the rest of a chunk is not sent, and nothing that could be taken for it");
	close_chunks("broken off\n", SMTP_CLIENT_ENDED, "broken off amid chunks");
	open_chunks(greeting, false);
	give(3);
	end_data();
	smtp_client_break_off(h.client, NULL);
	client_harness_hear(&h, "250 ok\r\n250 ok\r\n");
	close_chunks("0: 250 2.0.0 ok\n1: 250 2.0.0 ok\ndone\n", SMTP_CLIENT_READY, "behind the last it is too late");
}

/* Sends data[0..size) in pieces of any size; gives what was sent of it, behind its header or before its end. */
static void send_in_pieces(const char *offer, const char *data, size_t size, struct buffer *sent)
{
	client_harness_init(&h, 1);
	client_harness_hear(&h, offer);
	client_harness_begin(&h);
	client_harness_hear(&h, "250 ok\r\n250 ok\r\n");
	if (smtp_client_state(h.client) != SMTP_CLIENT_SENDING)
		client_harness_hear(&h, "354 go\r\n");
	buffer_reset(&h.out);
	for (size_t at = 0, more; at < size; at += more) {
		more = 1 + (size_t)random() % 5;
		more = more < size - at ? more : size - at;
		smtp_client_data(h.client, data + at, more);
	}
	end_data();
	buffer_reset(sent);
	buffer_append(sent, h.out.data, h.out.size);
	client_harness_release(&h);
}

/* A reader of RFC 5321 4.5.2 takes the same from both. */
static void test_same_as_data(void)
{
	struct buffer dotted = { 0 }, chunk = { 0 }, plain_text = { 0 };
	bool same = true;

	srandom(1);
	for (unsigned turn = 0; turn < 3000 && same; turn++) {
		char data[24];
		size_t size = (size_t)random() % sizeof(data), header;

		for (size_t i = 0; i < size; i++)
			data[i] = "ab..\r\r\n\n"[random() % 8];
		send_in_pieces("220 mx\r\n250-mx\r\n250 PIPELINING\r\n", data, size, &dotted);
		send_in_pieces(greeting, data, size, &chunk);
		header = strcspn(buffer_str(&chunk), "\n") + 1;
		buffer_reset(&plain_text);
		for (const char *at = buffer_str(&dotted); strcmp(at, ".\r\n") != 0; at += strcspn(at, "\n") + 1) {
			const char *line = at + (*at == '.');

			buffer_append(&plain_text, line, strcspn(line, "\n") + 1);
		}
		same = chunk.size - header == plain_text.size &&
			memcmp(buffer_str(&chunk) + header, buffer_str(&plain_text), plain_text.size) == 0;
	}
	ok(same, "any data is the same by BDAT as by DATA");
	buffer_release(&dotted);
	buffer_release(&chunk);
	buffer_release(&plain_text);
}

int main(void)
{
	memset(piece, 'x', PIECE);
	for (unsigned i = 0; i < PIECE; i += 100)
		piece[i + 98] = '\r', piece[i + 99] = '\n';
	for (size_t i = 0; i < ARRAY_SIZE(rows); i++)
		transcript_check(&smtp, &rows[i]);
	for (size_t i = 0; i < ARRAY_SIZE(lmtp_rows); i++)
		transcript_check(&lmtp, &lmtp_rows[i]);
	for (size_t i = 0; i < ARRAY_SIZE(empty_rows); i++)
		transcript_check(&empty, &empty_rows[i]);
	test_large();
	test_window();
	test_every_chunk();
	test_behind_refused();
	test_break_off();
	test_same_as_data();
	return done_testing();
}
