/* unit-message-xtext.c - xtext and ORCPT, both ways, cut at every octet
 * SPDX-License-Identifier: MIT
 * P22 */
#include "t/lib/tap.h"

#include "common/base/buffer.h"
#include "common/base/memory.h"
#include "common/message/xtext.h"

static const struct {
	const char *xtext, *text;	/* NULL: refused */
} table[] = {
	{ "", "" },
	{ "QQ314159", "QQ314159" },
	{ "a+20b", "a b" },
	{ "a+09b", "a\tb" },
	{ "+2B+3D", "+=" },
	{ "+41bc", "Abc" },
	{ "~!\\\"(),:;<>@[]", "~!\\\"(),:;<>@[]" },
	{ "+00", NULL },
	{ "a+00b", NULL },
	{ "+0D", NULL },
	{ "+0A", NULL },
	{ "+7F", NULL },
	{ "+80", NULL },
	{ "+C3+A4", NULL },
	{ "+", NULL },
	{ "+2", NULL },
	{ "+2b", NULL },
	{ "+G0", NULL },
	{ "+-1", NULL },
	{ "a=b", NULL },
	{ "a b", NULL },
	{ "a\tb", NULL },
	{ "a\x7f", NULL },
	{ "\xc3\xa4", NULL },
};

static const struct {
	const char *value;
	const char *with, *without;	/* decoded on an edge with SMTPUTF8, and on one without */
} orcpts[] = {
	{ "rfc822;Bob@Example.COM", "rfc822;Bob@Example.COM", "rfc822;Bob@Example.COM" },
	{ "RFC822;a+2Bb@x", "RFC822;a+b@x", "RFC822;a+b@x" },
	{ "rfc822;", "rfc822;", "rfc822;" },
	{ "rfc822;a;b", "rfc822;a;b", "rfc822;a;b" },
	{ "x400;/C+3DDE/", "x400;/C=DE/", "x400;/C=DE/" },
	{ "rfc822;a+00b", NULL, NULL },
	{ "rfc822;a+0Ab", NULL, NULL },
	{ "rfc822;\xc3\xa4@x", NULL, NULL },
	{ "rfc822", NULL, NULL },
	{ ";a@b", NULL, NULL },
	{ "rfc 822;a", NULL, NULL },
	{ "rfc.822;a", NULL, NULL },
	{ "a=b;c", NULL, NULL },
	{ "a+b;c", "a+b;c", "a+b;c" },
	{ "", NULL, NULL },
	{ "utf-8;a@b", "utf-8;a@b", "utf-8;a@b" },
	{ "UTF-8;\xc3\xa4@b", "UTF-8;\xc3\xa4@b", NULL },
	{ "utf-8;\\x{E4}@b", "utf-8;\xc3\xa4@b", "utf-8;\xc3\xa4@b" },
	{ "utf-8;\\x{e4}", "utf-8;\xc3\xa4", "utf-8;\xc3\xa4" },
	{ "utf-8;\\x{20}\\x{2B}\\x{3D}\\x{5C}", "utf-8; +=\\", "utf-8; +=\\" },
	{ "utf-8;\\x{6C34}", "utf-8;\xe6\xb0\xb4", "utf-8;\xe6\xb0\xb4" },
	{ "utf-8;\\x{1F4E7}", "utf-8;\xf0\x9f\x93\xa7", "utf-8;\xf0\x9f\x93\xa7" },
	{ "utf-8;\\x{10FFFD}", "utf-8;\xf4\x8f\xbf\xbd", "utf-8;\xf4\x8f\xbf\xbd" },
	{ "utf-8;", NULL, NULL },
	{ "utf-8;a+20b", NULL, NULL },
	{ "utf-8;\\", NULL, NULL },
	{ "utf-8;\\y{E4}", NULL, NULL },
	{ "utf-8;\\x{}", NULL, NULL },
	{ "utf-8;\\x{E}", NULL, NULL },
	{ "utf-8;\\x{E4", NULL, NULL },
	{ "utf-8;\\x{0E4}", NULL, NULL },
	{ "utf-8;\\x{41}", NULL, NULL },
	{ "utf-8;\\x{0A}", NULL, NULL },
	{ "utf-8;\\x{7F}", NULL, NULL },
	{ "utf-8;\\x{85}", NULL, NULL },
	{ "utf-8;\\x{D800}", NULL, NULL },
	{ "utf-8;\\x{110000}", NULL, NULL },
	{ "utf-8;\\x{1000000}", NULL, NULL },
	{ "utf-8;\xc3", NULL, NULL },
	{ "utf-8;\xc2\x85", NULL, NULL },
	{ "utf-8;\xed\xa0\x80", NULL, NULL },
};

static void test_tables(void)
{
	for (size_t i = 0; i < ARRAY_SIZE(table); i++) {
		char *text = xtext_decode(table[i].xtext, strlen(table[i].xtext));

		is_str(text, table[i].text, table[i].xtext[0] ? table[i].xtext : "(nothing)");
		free(text);
	}
	for (size_t i = 0; i < ARRAY_SIZE(orcpts); i++) {
		char *with = orcpt_decode(orcpts[i].value, strlen(orcpts[i].value), true);
		char *without = orcpt_decode(orcpts[i].value, strlen(orcpts[i].value), false);

		is_str(with, orcpts[i].with, orcpts[i].value[0] ? orcpts[i].value : "(nothing)");
		is_str(without, orcpts[i].without, "and without SMTPUTF8");
		free(with);
		free(without);
	}
}

static void test_round_trip(void)
{
	struct buffer out = { 0 };
	char text[128], *back;
	size_t size = 0;

	for (int c = ' '; c <= '~'; c++)
		text[size++] = (char)c;
	text[size] = '\0';
	xtext_encode(&out, text, size);
	ok(!strpbrk(buffer_str(&out), " ="), "nothing unescaped is sent");
	ok(strstr(buffer_str(&out), "+2B") && strstr(buffer_str(&out), "+3D"),
		"nor a plus that is one");
	back = xtext_decode(out.data, out.size);
	is_str(back, text, "and all of printable ASCII comes back");
	free(back);
	buffer_reset(&out);
	xtext_encode(&out, "\xc3\xa4\0\r\n", 5);
	is_str(buffer_str(&out), "+C3+A4+00+0D+0A", "what may not be sent is escaped, too");
	buffer_release(&out);
}

static void check_orcpt(const char *orcpt, bool utf8, const char *wanted)
{
	struct buffer out = { 0 };
	char *back;

	orcpt_encode(&out, orcpt, utf8);
	is_str(buffer_str(&out), wanted, "ORCPT as it is sent");
	back = orcpt_decode(buffer_str(&out), out.size, utf8);
	is_str(back, orcpt, "and as it is read");
	free(back);
	buffer_release(&out);
}

static void test_orcpt(void)
{
	struct buffer out = { 0 };

	check_orcpt("rfc822;a+b c=@x", true, "rfc822;a+2Bb+20c+3D@x");
	check_orcpt("Utf-8;\xc3\xa4+b=\\ @x", true,
		"Utf-8;\xc3\xa4\\x{2B}b\\x{3D}\\x{5C}\\x{20}@x");
	check_orcpt("utf-8;\xc3\xa4\xe6\xb0\xb4\xf0\x9f\x93\xa7", false,
		"utf-8;\\x{E4}\\x{6C34}\\x{1F4E7}");
	utf8_address_encode(&out, "a\xff", true);
	is_str(buffer_str(&out), "a\\x{FFFD}", "what is not UTF-8 is U+FFFD");
	ok(!orcpt_address("rfc822") && !strcmp(orcpt_address("a;b;c"), "b;c"),
		"the address is behind the first ;");
	ok(orcpt_is_utf8("UTF-8;x") && !orcpt_is_utf8("utf-80;x") &&
		!orcpt_is_utf8("rfc822;utf-8;"), "its type");
	buffer_reset(&out);
	orcpt_encode(&out, "none", true);
	is_str(buffer_str(&out), "", "what is no ORCPT is not sent");
	buffer_release(&out);
}

/* A copy of its own size: the sanitizer sees a read beyond its end. */
static void test_cuts(void)
{
	unsigned tried = 0;

	for (size_t i = 0; i < ARRAY_SIZE(orcpts) + ARRAY_SIZE(table); i++) {
		const char *text = i < ARRAY_SIZE(orcpts) ? orcpts[i].value :
			table[i - ARRAY_SIZE(orcpts)].xtext;

		for (size_t size = 1; size <= strlen(text); size++, tried++) {
			char *cut = xmemdup(text, size);

			free(xtext_decode(cut, size));
			free(orcpt_decode(cut, size, true));
			free(orcpt_decode(cut, size, false));
			free(cut);
		}
	}
	ok(tried > 400, "%u beginnings of values are read", tried);
}

int main(void)
{
	test_tables();
	test_round_trip();
	test_orcpt();
	test_cuts();
	return done_testing();
}
