/* unit-net-idn.c - domains as the DNS has them
 * SPDX-License-Identifier: MIT */
#include "t/lib/tap.h"

#include "common/net/idn.h"

static const char *convert(const char *domain)
{
	static char *ascii;

	free(ascii);
	ascii = idn_to_ascii(domain);
	return ascii ? ascii : "(none)";
}

int main(void)
{
	static const char *const cases[][3] = {
		{ "Example.NET", "example.net", "lower case" }, { "example.net.", "example.net", "no dot at the end" },
		{ "_a-b.c", "_a-b.c", "what hosts have" }, { "xn--MNCHEN-3ya.de", "xn--mnchen-3ya.de", "A-labels stay" },
		{ "xn--nonsense-.de", "xn--nonsense-.de", "also those that are none: the DNS knows" },
		{ "münchen.de", "xn--mnchen-3ya.de", "U-labels" }, { "MÜNCHEN.de", "xn--mnchen-3ya.de", "of any case" },
		{ "mu\u0308nchen.de", "xn--mnchen-3ya.de", "in any form" }, { "faß.de", "xn--fa-hia.de", "nontransitional" },
		{ "例え。テスト", "xn--r8jz45g.xn--zckzah", "with a dot of another writing" },
		{ "", "(none)", "empty" }, { ".", "(none)", "the root" }, { "a..b", "(none)", "an empty label" },
		{ ".a", "(none)", "at the start" },
		{ "a b", "(none)", "a space" }, { "a\\046b", "(none)", "an escape" }, { "[192.0.2.1]", "(none)", "a literal" },
		{ "\xff.de", "(none)", "not UTF-8" }, { "\u2028.de", "(none)", "what no label has" },
		{ "xn--a-\u00fc.de", "(none)", "both at once" },
	};
	char name[300];

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++)
		is_str(convert(cases[i][0]), cases[i][1], cases[i][2]);
	memset(name, 'a', sizeof(name));
	name[63] = '\0';
	is_str(convert(name), name, "63 octets are a label");
	name[63] = 'a';
	name[64] = '\0';
	is_str(convert(name), "(none)", "64 are not");
	for (size_t i = 0; i < 254; i++)
		name[i] = i % 2 ? '.' : 'a';
	name[253] = '\0';
	is_str(convert(name), name, "253 are a domain");
	name[253] = '.';
	name[254] = 'a';
	name[255] = '\0';
	is_str(convert(name), "(none)", "255 are not");
	return done_testing();
}
