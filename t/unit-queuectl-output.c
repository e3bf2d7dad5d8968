/* unit-queuectl-output.c - how slimta-queuectl writes values, above all those that strangers chose
 * SPDX-License-Identifier: MIT */
#include "common/base/buffer.h"
#include "common/base/memory.h"
#include "queuectl/output.h"
#include "t/lib/tap.h"

static void test_durations(void)
{
	static const struct { int64_t ms; const char *text; } all[] = {
		{ -5, "now" }, { 0, "now" }, { 1, "1s" }, { 1000, "1s" }, { 59999, "1m" }, { 60000, "1m" }, { 61000, "1m1s" },
		{ 3600000, "1h" }, { 5400000, "1h30m" }, { 86400000, "1d" }, { 90000000, "1d1h" }, { 86460000, "1d" },
		{ INT64_MAX, "106751991167d7h" },
	};
	char text[SHORT_SIZE];

	for (size_t i = 0; i < ARRAY_SIZE(all); i++)
		is_str(short_duration(text, all[i].ms), all[i].text, "a duration");
}

static void test_octets(void)
{
	static const struct { uint64_t octets; const char *text; } all[] = {
		{ 0, "0" }, { 1023, "1023" }, { 1024, "1.0K" }, { 1536, "1.5K" }, { 10240, "10K" }, { 1048575, "1.0M" },
		{ 5 << 20, "5.0M" }, { UINT64_MAX, "16E" },
	};
	char text[SHORT_SIZE];

	for (size_t i = 0; i < ARRAY_SIZE(all); i++)
		is_str(short_octets(text, all[i].octets), all[i].text, "a number of octets");
}

static void test_numbers(void)
{
	static const struct { uint64_t number; const char *text; } all[] = {
		{ 0, "0" }, { 999, "999" }, { 1000, "1,000" }, { 123456, "123,456" }, { 1234567, "1,234,567" },
		{ UINT64_MAX, "18,446,744,073,709,551,615" },
	};
	char text[SHORT_SIZE];

	for (size_t i = 0; i < ARRAY_SIZE(all); i++)
		is_str(grouped_number(text, all[i].number), all[i].text, "a number");
}

static void test_text(void)
{
	static const char *const hostile[] = {
		"\x1b[2J", "a\rb", "a\nb", "\xc2\x9b""31m", "\x7f", "\xff\xfe", "\xe2\x80\xae""moc", "\xe2\x81\xa6x",
	};
	struct buffer out = { 0 };
	struct reply reply = { 0 };
	json_t *string;

	for (size_t i = 0; i < ARRAY_SIZE(hostile); i++) {
		bool clean = true;

		buffer_reset(&out);
		put_address(&out, hostile[i]);
		for (size_t j = 0; j < out.size; j++)
			clean = clean && out.data[j] >= ' ' && out.data[j] < 0x7f;
		ok(clean, "nothing of it acts on a terminal");
	}
	buffer_reset(&out);
	put_address(&out, "\xc3\xbc@example.net");
	is_str(buffer_str(&out), "<\xc3\xbc@example.net>", "other characters are shown");
	buffer_reset(&out);
	put_column(&out, "m\xc3\xbcnchen", 9);
	put_column(&out, "\x1b", 2);
	put_column(&out, "", 1);
	is_str(buffer_str(&out), "m\xc3\xbcnchen  \\x1B ", "a column has so many characters, or more");
	buffer_reset(&out);
	put_address(&out, NULL);
	is_str(buffer_str(&out), "<>", "no sender");
	buffer_reset(&out);
	reply_set(&reply, 550, "5.1.1", "no\nsuch");
	put_reply(&out, &reply);
	is_str(buffer_str(&out), "550 5.1.1 no / such", "a reply is one line");
	string = json_text("\xff");
	is_str(json_string_value(string), "\\xFF", "text that is none is still a string");
	json_decref(string);
	string = json_text(NULL);
	ok(json_is_null(string), "nothing is null");
	json_decref(string);
	reply_release(&reply);
	buffer_release(&out);
}

static void test_owners(void)
{
	struct buffer text = { 0 };

	put_owner(&text, NULL, LEASE_BEGUN, 1, 1);
	is_str(buffer_str(&text), "", "nobody");
	put_owner(&text, "mx/slimta-worker[1]\x1b", LEASE_PHASE_UNKNOWN, -1, -1);
	is_str(buffer_str(&text), " by mx/slimta-worker[1]\\x1B", "somebody");
	buffer_reset(&text);
	put_owner(&text, "o", LEASE_PAST_THE_DOT, 14000, 12000);
	is_str(buffer_str(&text), " by o for 14s, past the dot for 12s", "all that is known");
	buffer_reset(&text);
	put_owner(&text, "o", LEASE_CLAIMED, 0, 0);
	is_str(buffer_str(&text), " by o, claimed", "just now");
	buffer_reset(&text);
	put_owner(&text, "o", LEASE_IN_LINE, 3000, 2000);
	is_str(buffer_str(&text), " by o for 3s, in line for 2s", "in its relay's line");
	buffer_release(&text);
}

int main(void)
{
	test_owners();
	test_durations();
	test_octets();
	test_numbers();
	test_text();
	return done_testing();
}
