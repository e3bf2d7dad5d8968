/* unit-smtp-bdat.c - mail data in chunks: every phase, every cut, and no octet of a chunk is ever a command
 * SPDX-License-Identifier: MIT
 * S5 S6 P8 P9 P15 */
#include "t/lib/tap.h"

#include "t/lib/smtp_harness.h"

#define EHLO "EHLO c\r\n"
#define MAIL "MAIL FROM:<a@b.example>\r\n"
#define RCPT "RCPT TO:<c@d.example>\r\n"
#define BEGIN EHLO MAIL RCPT
#define TEN "0123456789"
#define HUNDRED TEN TEN TEN TEN TEN TEN TEN TEN TEN TEN

/* `codes`: of all replies behind the banner. `content`: of the message taken; NULL: none is. */
static const struct {
	const char *what, *input, *codes, *content;
} table[] = {
	{ "one chunk", BEGIN "BDAT 5 LAST\r\nab\r\nc", "250 250 250 250", "ab\r\nc" },
	{ "two, CR LF across them", BEGIN "BDAT 3\r\nab\rBDAT 2 last\r\n\nc", "250 250 250 250 250", "ab\r\nc" },
	{ "no dot is an end", BEGIN "BDAT 10 LAST\r\n.\r\n..\r\n.a.", "250 250 250 250", ".\r\n..\r\n.a." },
	{ "an empty last one", BEGIN "BDAT 2\r\nabBDAT 0 LAST\r\n", "250 250 250 250 250", "ab" },
	{ "an empty first one", BEGIN "BDAT 0\r\nBDAT 2 LAST\r\nab", "250 250 250 250 250", "ab" },
	{ "an empty message", BEGIN "BDAT 0 LAST\r\n", "250 250 250 250", "" },
	{ "more spaces", BEGIN "bdat 2  LAST  \r\nab", "250 250 250 250", "ab" },
	{ "what looks like commands", BEGIN "BDAT 12 LAST\r\nQUIT\r\nQUIT\r\nNOOP\r\n",
		"250 250 250 250 250", "QUIT\r\nQUIT\r\n" },
	{ "two messages", BEGIN "BDAT 1 LAST\r\na" MAIL RCPT "BDAT 1 LAST\r\nb", "250 250 250 250 250 250 250", "b" },
	{ "a hundred octets", BEGIN "BDAT 50\r\n" TEN TEN TEN TEN TEN "BDAT 50 LAST\r\n" TEN TEN TEN TEN TEN,
		"250 250 250 250 250", HUNDRED },
	{ "one octet too many", BEGIN "BDAT 101 LAST\r\n" HUNDRED "xNOOP\r\n", "250 250 250 552 250", NULL },
	{ "one too many in the last", BEGIN "BDAT 100\r\n" HUNDRED "BDAT 1 LAST\r\nxNOOP\r\n",
		"250 250 250 250 552 250", NULL },
	{ "chunks behind one that is too large",
		BEGIN "BDAT 101\r\n" HUNDRED "xBDAT 6\r\nQUIT\r\nBDAT 6 LAST\r\nQUIT\r\nNOOP\r\n",
		"250 250 250 552 552 552 250", NULL },
	{ "chunks behind another command behind that", BEGIN "BDAT 101\r\n" HUNDRED "xNOOP\r\nBDAT 6 LAST\r\nQUIT\r\n",
		"250 250 250 552 250 503", NULL },
	{ "a bare LF", BEGIN "BDAT 3 LAST\r\na\nbNOOP\r\n", "250 250 250 550 250", NULL },
	{ "a bare CR at the end", BEGIN "BDAT 2 LAST\r\na\rNOOP\r\n", "250 250 250 550 250", NULL },
	{ "a CR at the end of a chunk", BEGIN "BDAT 2\r\na\rBDAT 1 LAST\r\nb", "250 250 250 250 550", NULL },
	{ "a chunk behind a bare LF", BEGIN "BDAT 3\r\na\nbBDAT 6 LAST\r\nQUIT\r\n" MAIL, "250 250 250 550 550 250", NULL },
	{ "before EHLO", "BDAT 6 LAST\r\nQUIT\r\nNOOP\r\n", "503 250", NULL },
	{ "before MAIL", EHLO "BDAT 6\r\nQUIT\r\nNOOP\r\n", "250 503 250", NULL },
	{ "before RCPT", EHLO MAIL "BDAT 6 LAST\r\nQUIT\r\n" RCPT, "250 250 503 250", NULL },
	{ "behind LAST", BEGIN "BDAT 0 LAST\r\nBDAT 6 LAST\r\nQUIT\r\n", "250 250 250 250 503", "" },
	{ "behind HELO", "HELO c\r\n" MAIL RCPT "BDAT 6 LAST\r\nQUIT\r\nNOOP\r\n", "250 250 250 503 250", NULL },
	{ "an empty one in a wrong place", EHLO "BDAT 0\r\nNOOP\r\n", "250 503 250", NULL },
	{ "other commands between chunks", BEGIN "BDAT 1\r\na" MAIL RCPT "DATA\r\nNOOP\r\nVRFY x\r\nBDAT 1 LAST\r\nb",
		"250 250 250 250 503 503 503 250 252 250", "ab" },
	{ "RSET between chunks", BEGIN "BDAT 1\r\naRSET\r\nBDAT 6 LAST\r\nQUIT\r\n" MAIL,
		"250 250 250 250 250 503 250", NULL },
	{ "EHLO between chunks", BEGIN "BDAT 1\r\na" EHLO "BDAT 6 LAST\r\nQUIT\r\n", "250 250 250 250 250 503", NULL },
	{ "QUIT between chunks", BEGIN "BDAT 1\r\naQUIT\r\n", "250 250 250 250 221", NULL },
	{ "no size", BEGIN "BDAT\r\nNOOP\r\n", "250 250 250 501", NULL },
	{ "a word for a size", BEGIN "BDAT LAST\r\nNOOP\r\n", "250 250 250 501", NULL },
	{ "a negative size", BEGIN "BDAT -1 LAST\r\nNOOP\r\n", "250 250 250 501", NULL },
	{ "a size with a sign", BEGIN "BDAT +6 LAST\r\nNOOP\r\n", "250 250 250 501", NULL },
	{ "a hexadecimal size", BEGIN "BDAT 0x6 LAST\r\nNOOP\r\n", "250 250 250 501", NULL },
	{ "a size of 21 digits", BEGIN "BDAT 000000000000000000006 LAST\r\nNOOP\r\n", "250 250 250 501", NULL },
	{ "a size of 20 nines", BEGIN "BDAT 99999999999999999999 LAST\r\nNOOP\r\n", "250 250 250 552", NULL },
	{ "2^64 - 1", BEGIN "BDAT 18446744073709551615\r\nNOOP\r\n", "250 250 250 552", NULL },
	{ "that in a wrong place", EHLO "BDAT 9223372036854775807\r\nNOOP\r\n", "250 552", NULL },
	{ "another word than LAST", BEGIN "BDAT 6 LATE\r\nNOOP\r\n", "250 250 250 501", NULL },
	{ "more behind LAST", BEGIN "BDAT 6 LAST x\r\nNOOP\r\n", "250 250 250 501", NULL },
	{ "a tab", BEGIN "BDAT 6\tLAST\r\nNOOP\r\n", "250 250 250 501", NULL },
	{ "a bare LF in the command", BEGIN "BDAT 6\nNOOP\r\nNOOP\r\n", "250 250 250 501", NULL },
	{ "a bare CR in the command", BEGIN "BDAT 6\rNOOP\r\nNOOP\r\n", "250 250 250 501", NULL },
	{ "a command in a wrong place that is none", "BDAT six\r\nNOOP\r\n", "501", NULL },
};

/* The codes of the replies behind the banner, with spaces; of 3yz and multi-line ones each once. */
static void codes_of(const struct buffer *out, struct buffer *codes)
{
	const char *at = strchr(buffer_str(out), '\n');

	buffer_reset(codes);
	for (at = at ? at + 1 : ""; *at; at = strchr(at, '\n') + 1) {
		if (at[3] == ' ')
			buffer_appendf(codes, "%s%.3s", codes->size ? " " : "", at);
	}
}

static bool row_holds(size_t row, size_t step, struct buffer *codes)
{
	struct harness h;
	bool good;

	harness_init(&h);
	harness_open(&h);
	harness_send(&h, table[row].input, strlen(table[row].input), step);
	codes_of(&h.out, codes);
	good = strcmp(buffer_str(codes), table[row].codes) == 0 && !h.taken == !table[row].content;
	if (h.taken && table[row].content)
		good = good && strcmp(buffer_str(&h.taken->content.memory), table[row].content) == 0;
	if (strstr(table[row].codes, "501") || strstr(table[row].codes, "221"))
		good = good && session_state(h.session) >= SESSION_CLOSING;
	harness_close(&h);
	return good;
}

static void test_table(void)
{
	struct buffer codes = { 0 };

	for (size_t row = 0; row < ARRAY_SIZE(table); row++) {
		size_t size = strlen(table[row].input), step = 1;

		while (step <= size && row_holds(row, step, &codes))
			step++;
		ok(step > size, "%s", table[row].what);
		if (step <= size)
			diag("in steps of %zu: %s", step, buffer_str(&codes));
	}
	buffer_release(&codes);
}

static void test_replies(void)
{
	struct harness h;

	harness_init(&h);
	harness_open(&h);
	ok(strstr(harness_say(&h, BEGIN), "\r\n250-CHUNKING\r\n"), "CHUNKING is offered");
	is_str(harness_say(&h, "BDAT 3\r\n"), "", "nothing is said before the octets are there");
	is_str(harness_say(&h, "a\r\n"), "250 2.0.0 3 octets received\r\n", "then how many they were");
	ok(strstr(harness_say(&h, "BDAT 0 LAST\r\n"), "250 2.6.0 Message accepted for delivery; "),
		"the last is as DATA's end");
	is_str(harness_say(&h, "BDAT 1 LAST\r\n"), "", "one in a wrong place is taken first");
	is_str(harness_say(&h, "x"), "503 5.5.1 Bad sequence of commands\r\n", "and answered then");
	is_str(harness_say(&h, "BDAT 1 FIRST\r\n"),
		"501 5.5.4 Syntax: BDAT SIZE [LAST]; nobody knows where its octets end\r\n",
		"what cannot be read ends the session");
	harness_close(&h);
	harness_init(&h);
	h.settings.extensions &= ~(unsigned)EXTENSION_CHUNKING;
	harness_open(&h);
	ok(!strstr(harness_say(&h, BEGIN), "CHUNKING"), "not offered");
	is_str(harness_say(&h, "BDAT 6 LAST\r\nQUIT\r\nNOOP\r\n"), "502 5.5.1 Command not implemented\r\n250 2.0.0 Ok\r\n",
		"its octets are no commands even so");
	harness_close(&h);
}

/* What was in the pipeline behind a refused chunk is no fault of the client's. */
static void test_errors(void)
{
	struct harness h;

	harness_init(&h);
	h.settings.max_errors = 2;
	harness_open(&h);
	harness_say(&h, BEGIN "BDAT 3\r\na\nb");
	for (unsigned i = 0; i < 20; i++)
		harness_say(&h, "BDAT 6\r\nQUIT\r\n");
	is_int(atoi(buffer_str(&h.out)), 550, "chunks behind a refused one are no errors");
	harness_say(&h, "RSET\r\nBDAT 1\r\nxBDAT 1\r\nx");
	is_int(session_state(h.session), SESSION_READING, "elsewhere they are");
	is_int(atoi(harness_say(&h, "BDAT 1\r\nx")), 421, "and the third ends it");
	harness_close(&h);
}

static void test_normalized(void)
{
	struct harness h;

	harness_init(&h);
	h.settings.normalize_newlines = true;
	harness_open(&h);
	harness_say(&h, BEGIN "BDAT 4\r\na\nb\rBDAT 3 LAST\r\n\n.\r");
	is_str(buffer_str(&h.taken->content.memory), "a\r\nb\r\n.\r\n", "each line ends with CR LF, also the last");
	harness_close(&h);
}

/* Too large without a dot in sight: the session ends with its one 552. */
static void test_without_end(void)
{
	static const char *const how[] = { "DATA\r\n", "BDAT 1600\r\n" };

	for (size_t i = 0; i < ARRAY_SIZE(how); i++) {
		struct harness h;
		unsigned lines = 0;

		harness_init(&h);
		harness_open(&h);
		harness_say(&h, BEGIN);
		harness_say(&h, how[i]);
		buffer_reset(&h.out);
		for (; lines < 200 && session_state(h.session) == SESSION_READING; lines++)
			harness_send(&h, "MAIL FROM:<x@y.example>\r\n", 25, 25);
		if (i == 0)
			ok(lines == 65, "the session ends behind 16 times as much as may be (%u lines)", lines);
		else
			ok(lines == 200, "a chunk that is not larger is read to its end");
		is_int(strtol(buffer_str(&h.out), NULL, 10), 552, "with one 552");
		harness_close(&h);
	}
}

int main(void)
{
	harness_quiet("unit-smtp-bdat");
	test_table();
	test_replies();
	test_errors();
	test_normalized();
	test_without_end();
	return done_testing();
}
