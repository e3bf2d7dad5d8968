/* unit-message-address.c - paths, domains, names of EHLO
 * SPDX-License-Identifier: MIT */
#include "common/base/memory.h"
#include "common/message/address.h"
#include "t/lib/tap.h"

#define L64 "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef"
#define L63 "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcde"

/* `mailbox` NULL: refused. */
struct path {
	const char *text;
	enum address_kind kind;
	bool utf8;
	const char *mailbox;
};
#define F ADDRESS_FORWARD_PATH
#define R ADDRESS_REVERSE_PATH
static const struct path paths[] = {
	{ "<a@b>", F, false, "a@b" },
	{ "<user.name+tag@example.org>", R, false, "user.name+tag@example.org" },
	{ "<!#$%&'*+-/=?^_`{|}~@x.y>", F, false, "!#$%&'*+-/=?^_`{|}~@x.y" },
	{ "<>", R, false, "" },
	{ "<>", F, false, NULL },
	{ "<Postmaster>", F, false, "Postmaster" },
	{ "<postMASTER>", F, false, "postMASTER" },
	{ "<postmaster>", R, false, NULL },
	{ "<postmasters>", F, false, NULL },
	{ "<postmaster@x>", F, false, "postmaster@x" },
	{ "<@one.example,@two.example:a@b>", F, false, "a@b" },
	{ "<@one:a@b>", R, false, "a@b" },
	{ "<@one a@b>", F, false, NULL },
	{ "<@one,two:a@b>", F, false, NULL },
	{ "<@:a@b>", F, false, NULL },
	{ "<\"quoted local\"@b>", F, false, "\"quoted local\"@b" },
	{ "<\"a@b>c\\\"d\\\\\"@b>", F, false, "\"a@b>c\\\"d\\\\\"@b" },
	{ "<\"\"@b>", F, false, "\"\"@b" },
	{ "<\"open@b>", F, false, NULL },
	{ "<\"a\r\nb\"@c>", F, false, NULL },
	{ "<\"a\\\rb\"@c>", F, false, NULL },
	{ "<a@[192.0.2.1]>", F, false, "a@[192.0.2.1]" },
	{ "<a@[IPv6:2001:db8::1]>", F, false, "a@[IPv6:2001:db8::1]" },
	{ "<a@[ipv6:::1]>", F, false, "a@[ipv6:::1]" },
	{ "<a@[192.0.2.300]>", F, false, NULL },
	{ "<a@[2001:db8::1]>", F, false, NULL },
	{ "<a@[IPv6:192.0.2.1]>", F, false, NULL },
	{ "<a@[192.0.2.1>", F, false, NULL },
	{ "<a@[]>", F, false, NULL },
	{ "<a@my_host.example>", F, false, "a@my_host.example" },
	{ "<a@-x.example>", F, false, NULL },
	{ "<a@x-.example>", F, false, NULL },
	{ "<a@x..example>", F, false, NULL },
	{ "<a@.example>", F, false, NULL },
	{ "<a@example.>", F, false, NULL },
	{ "<a@>", F, false, NULL },
	{ "<@b>", F, false, NULL },
	{ "<a>", F, false, NULL },
	{ "<.a@b>", F, false, NULL },
	{ "<a.@b>", F, false, NULL },
	{ "<a..b@c>", F, false, NULL },
	{ "<a b@c>", F, false, NULL },
	{ "<a@b c>", F, false, NULL },
	{ "< a@b>", F, false, NULL },
	{ "<a@b >", F, false, NULL },
	{ "<a@b@c>", F, false, NULL },
	{ "<a@b", F, false, NULL },
	{ "a@b", F, false, NULL },
	{ "", F, false, NULL },
	{ "<", F, false, NULL },
	{ "<a\t@b>", F, false, NULL },
	{ "<a\x7f@b>", F, false, NULL },
	{ "<a\x01@b>", F, false, NULL },
	{ "<;cmd;@x>", F, false, NULL },
	{ "<gr\xc3\xbc\xc3\x9f" "e@b\xc3\xbc" "cher.example>", F, true, "gr\xc3\xbc\xc3\x9f" "e@b\xc3\xbc" "cher.example" },
	{ "<\"\xc3\xbc \"@b>", F, true, "\"\xc3\xbc \"@b" },
	{ "<\xc3\xbc@b>", F, false, NULL },
	{ "<a@\xc3\xbc>", F, false, NULL },
	{ "<\xff@b>", F, true, NULL },
	{ "<a\xc3@b>", F, true, NULL },
	{ "<a\xed\xa0\x80@b>", F, true, NULL },
	{ "<a\xc2\x85@b>", F, true, NULL },
	{ "<" L64 "@b>", F, false, L64 "@b" },
	{ "<" L64 "x@b>", F, false, NULL },
	{ "<a@" L63 ".example>", F, false, "a@" L63 ".example" },
	{ "<a@" L64 ".example>", F, false, NULL },
	{ "<a@" L63 "." L63 "." L63 "." L63 ">", F, false, NULL },
	{ "<a@" L63 "." L63 "." L63 ".0123456789abcdef0123456789abcdef0123456789abcdef0123456789ab>", F, false,
		"a@" L63 "." L63 "." L63 ".0123456789abcdef0123456789abcdef0123456789abcdef0123456789ab" },
	{ "<ab@" L63 "." L63 "." L63 ".0123456789abcdef0123456789abcdef0123456789abcdef0123456789ab>", F, false, NULL },
};

static void test_paths(void)
{
	for (size_t i = 0; i < ARRAY_SIZE(paths); i++) {
		const struct path *path = &paths[i];
		size_t size = strlen(path->text);
		const char *why = NULL;
		char *address = NULL;
		long taken = address_parse_path(path->text, size, path->kind, path->utf8, &address, &why);

		if (path->mailbox) {
			ok(taken == (long)size && !strcmp(address, path->mailbox), "path %zu is taken", i);
			if (taken < 0)
				diag("%s: %s", path->text, why);
		} else {
			ok(taken == -1 && !address && why && !strncmp(why, "expected ", 9), "path %zu is refused: %s", i,
				why ? why : "?");
		}
		free(address);
	}
}

/* A path cut anywhere is refused, as is what is none; one with anything behind it is taken without that, and nothing
 * beyond the end is read (the copies are exact, for a sanitizer). */
static void test_cut_at_every_byte(void)
{
	bool refused = true, exact = true;

	for (size_t i = 0; i < ARRAY_SIZE(paths); i++) {
		const struct path *path = &paths[i];
		size_t size = strlen(path->text);
		const char *why;
		char *address, *more;

		for (size_t cut = 0; cut + (path->mailbox != NULL) <= size; cut++) {
			char *copy = xmemdup(path->text, cut);

			address = NULL;
			refused &= address_parse_path(copy, cut, path->kind, path->utf8, &address, &why) == -1 && !address;
			address_is_ehlo_name(copy, cut);
			free(copy);
		}
		if (!path->mailbox)
			continue;
		more = xasprintf("%s SIZE=1>", path->text);
		exact &= address_parse_path(more, strlen(more), path->kind, path->utf8, &address, &why) == (long)size;
		free(address);
		free(more);
	}
	ok(refused, "a path cut at any byte is refused");
	ok(exact, "what stands behind it is left");
}

static void test_mailboxes(void)
{
	static const char *const not[] = { "a@b> SIZE=1 <c@d", "a@b>", "<a@b>", "a@b, c@d", "a b@c", "@x:a@b", "a\r\n@b",
		"a@b\r\nDATA", "a", "a@b ", " a@b", "\"a@b", "a\"b\"@c" };
	bool all = true;

	for (size_t i = 0; i < ARRAY_SIZE(paths); i++)
		if (paths[i].mailbox && paths[i].text[1] != '@')
			all &= address_is_mailbox(paths[i].mailbox, paths[i].kind, paths[i].utf8);
	ok(all, "each of these is a mailbox");
	for (size_t i = 0; i < ARRAY_SIZE(not); i++)
		ok(!address_is_mailbox(not[i], ADDRESS_REVERSE_PATH, true) &&
			!address_is_mailbox(not[i], ADDRESS_FORWARD_PATH, true), "and none is %zu", i);
	ok(address_is_mailbox("", R, false) && !address_is_mailbox("", F, true), "nobody sends, but gets nothing");
	ok(address_is_mailbox("\xc3\xbc@b", F, true) && !address_is_mailbox("\xc3\xbc@b", F, false), "beyond ASCII");
	ok(!address_is_mailbox("a@" L63 "." L63 "." L63 "." L63, F, true), "none is too long");
}

static void test_parts(void)
{
	static const char *const names[] = { "mx.example.org", "localhost", "my_host", "[192.0.2.1]", "[IPv6:::1]" };
	static const char *const not_names[] = { "", "a b", "a..b", "-a", "[1.2.3]", "a@b", "a\r", "<a>",
		"\xff", "a.", "b\xc3\xbc\x63her" };
	bool good = true, bad = true;

	is_str(address_domain("a@b.example"), "b.example", "the domain");
	is_str(address_domain("\"a@b\"@c"), "c", "behind the last @");
	ok(address_domain("postmaster") == NULL, "none without @");
	ok(address_is_ascii("a@b") && !address_is_ascii("\xc3\xbc@b"), "ASCII or not");
	ok(address_is_postmaster("PostMaster") && !address_is_postmaster("postmaster@b"), "postmaster alone");
	for (size_t i = 0; i < ARRAY_SIZE(names); i++)
		good &= address_is_ehlo_name(names[i], strlen(names[i]));
	for (size_t i = 0; i < ARRAY_SIZE(not_names); i++)
		bad &= !address_is_ehlo_name(not_names[i], strlen(not_names[i]));
	ok(good, "names for EHLO");
	ok(bad, "and what is none");
}

int main(void)
{
	test_paths();
	test_cut_at_every_byte();
	test_mailboxes();
	test_parts();
	return done_testing();
}
