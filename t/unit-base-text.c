/* unit-base-text.c - buffers, escaping, UTF-8, numbers, nearest names
 * SPDX-License-Identifier: MIT */
#include "common/base/buffer.h"
#include "common/base/memory.h"
#include "common/base/text.h"
#include "t/lib/tap.h"

static const char *as_quoted(struct buffer *out, const char *text, size_t size)
{
	buffer_reset(out);
	quoted(out, text, size);
	return buffer_str(out);
}

static const char *as_json(struct buffer *out, const char *text, size_t size)
{
	buffer_reset(out);
	json_escaped(out, text, size);
	return buffer_str(out);
}

#define QUOTED(literal) as_quoted(&out, literal, sizeof(literal) - 1)
#define JSON(literal) as_json(&out, literal, sizeof(literal) - 1)

static void test_buffer(void)
{
	struct buffer buffer = { 0 };
	char *taken;

	is_str(buffer_str(&buffer), "", "an all-zero buffer reads as an empty string");
	buffer_consume(&buffer, 0);
	buffer_reset(&buffer);
	buffer_append(&buffer, NULL, 0);
	is_int(buffer.size, 0, "nothing appended is nothing");
	for (int i = 0; i < 1000; i++)
		buffer_append_char(&buffer, (char)('a' + i % 26));
	is_int(buffer.size, 1000, "it grows");
	is_int(strlen(buffer.data), 1000, "and is ended by a NUL");
	buffer_consume(&buffer, 26 * 38);
	is_str(buffer.data, "abcdefghijkl", "consume drops the front");
	buffer_insert(&buffer, 0, "<", 1);
	buffer_insert(&buffer, 2, "--", 2);
	buffer_insert(&buffer, buffer.size, ">", 1);
	is_str(buffer.data, "<a--bcdefghijkl>", "insert at the front, in the middle and at the end");
	buffer_reset(&buffer);
	buffer_appendf(&buffer, "%s-%d", "x", 7);
	buffer_appendf(&buffer, "%*s", 500, "y");
	is_int(buffer.size, 503, "appendf grows to what it needs");
	is_int(buffer.data[502], 'y', "and loses nothing");
	taken = buffer_detach(&buffer);
	ok(buffer.data == NULL && buffer.capacity == 0, "detach hands the memory over");
	free(taken);
	taken = buffer_detach(&buffer);
	is_str(taken, "", "detach of an empty buffer is an empty string");
	free(taken);
	buffer_append(&buffer, "a\0b", 3);
	is_mem(buffer.data, buffer.size, "a\0b", 3, "octets may be NUL");
	buffer_release(&buffer);
	is_int(buffer.size, 0, "released is empty");
}

static void test_integers(void)
{
	static const int64_t numbers[] = { 0, 9, 10, -1, -10, 1234567890, INT64_MAX, INT64_MIN };
	struct buffer got = { 0 }, wanted = { 0 };

	for (size_t i = 0; i < ARRAY_SIZE(numbers); i++) {
		buffer_append_int(&got, numbers[i]);
		buffer_appendf(&wanted, "%jd", (intmax_t)numbers[i]);
	}
	is_str(buffer_str(&got), buffer_str(&wanted), "integers, the least and the greatest too");
	buffer_release(&got);
	buffer_release(&wanted);
}

static void test_memory(void)
{
	char *slot = NULL, *text;

	xstrset(&slot, "one");
	is_str(slot, "one", "xstrset sets");
	xstrset(&slot, slot + 1);
	is_str(slot, "ne", "from what it held too");
	xstrset(&slot, NULL);
	ok(slot == NULL, "and clears");
	text = xstrndup("abcdef", 3);
	is_str(text, "abc", "xstrndup cuts");
	free(text);
	text = xasprintf("%d/%s", 5, "five");
	is_str(text, "5/five", "xasprintf");
	free(text);
	free(xmalloc(0));
	free(xrealloc(NULL, 0, 8));
	text = xcalloc(4, 1);
	is_mem(text, 4, "\0\0\0\0", 4, "xcalloc clears");
	free(text);
}

static void test_quoted(void)
{
	struct buffer out = { 0 };

	is_str(QUOTED("plain@example.org"), "plain@example.org", "bare where no quotes are needed");
	is_str(QUOTED(""), "\"\"", "empty text is seen");
	is_str(QUOTED("a b"), "\"a b\"", "a space");
	is_str(QUOTED("a=b"), "\"a=b\"", "an equals sign");
	is_str(QUOTED("a\"b\\"), "\"a\\\"b\\\\\"", "quote and backslash");
	is_str(QUOTED("a\r\nb\tc"), "\"a\\r\\nb\\tc\"", "line ends and tab");
	is_str(QUOTED("\0\1\x1b[31m\x7f"), "\"\\x00\\x01\\x1B[31m\\x7F\"", "control characters");
	is_str(QUOTED("gr\xc3\xbc\xc3\x9f"), "gr\xc3\xbc\xc3\x9f", "UTF-8 stays");
	is_str(QUOTED("\xf0\x9f\x93\xa7"), "\xf0\x9f\x93\xa7", "of four octets too");
	is_str(QUOTED("\xff\xc3"), "\"\\xFF\\xC3\"", "what is not UTF-8 does not");
	is_str(QUOTED("\xc2\x9b" "31m"), "\"\\xC2\\x9B31m\"", "nor does a C1 control");
	is_str(QUOTED("a\xe2\x80\xa8" "b\xe2\x80\xae" "c"), "\"a\\xE2\\x80\\xA8b\\xE2\\x80\\xAE" "c\"",
		"nor a line separator or an override of direction");
	buffer_reset(&out);
	escaped(&out, "say \"hi\"\n\\", 10);
	is_str(out.data, "say \"hi\"\\n\\\\", "escaped() leaves spaces and quotes");
	is_str(JSON("a\"\\\n\x01/\x7f"), "a\\\"\\\\\\n\\u0001/\\u007f", "JSON escapes");
	is_str(JSON("x\xff\xfey"), "x\xef\xbf\xbd\xef\xbf\xbdy", "JSON has U+FFFD for what is not UTF-8");
	is_str(JSON("\xe2\x80\xa9"), "\\u2029", "JSON escapes separators of lines");
	buffer_release(&out);
}

/* Each octet of ASCII between two that are plain, by the rules in other words. */
static void test_every_ascii(void)
{
	struct buffer out = { 0 };
	bool quoted_right = true, json_right = true;

	for (unsigned char c = 0; c < 0x80; c++) {
		bool control = c < ' ' || c == 0x7f, marked = c == '"' || c == '\\';
		char text[3] = { 'x', (char)c, 'y' }, *form, *wanted;

		form = c == '\n' ? xstrdup("\\n") : c == '\r' ? xstrdup("\\r") : c == '\t' ? xstrdup("\\t")
			: control ? xasprintf("\\x%02X", c) : xasprintf("%s%c", marked ? "\\" : "", c);
		wanted = strlen(form) > 1 || c == ' ' || c == '=' ? xasprintf("\"x%sy\"", form) : xasprintf("x%sy", form);
		quoted_right &= !strcmp(as_quoted(&out, text, 3), wanted);
		free(form);
		free(wanted);
		wanted = c == '\n' ? xstrdup("x\\ny") : control ? xasprintf("x\\u%04xy", c)
			: xasprintf("x%s%cy", marked ? "\\" : "", c);
		json_right &= !strcmp(as_json(&out, text, 3), wanted);
		free(wanted);
	}
	ok(quoted_right, "every octet of ASCII, quoted where that is needed");
	ok(json_right, "and in JSON");
	buffer_release(&out);
}

/* No cut of hostile text may give an octet that ends a line or is not UTF-8. */
static void test_cut_at_every_byte(void)
{
	static const char hostile[] = "a\n2026-11-22 info x: \"\\\xf0\x9f\x93\xa7\xed\xa0\x80\xc0\xaf\xe2\x80\xa8\x1b]0;\x07"
		"\xf4\x90\x80\x80\xf8\x88\x80\x80\x80\xc3\xbc\r\0\x9b=end";
	struct buffer out = { 0 };
	bool clean = true, matched = true;

	for (size_t from = 0; from < sizeof(hostile); from++) {
		for (size_t size = 0; size <= sizeof(hostile) - from; size++) {
			/* A copy of just that size, so that a sanitizer sees every octet read beyond. */
			char *copy = xmemdup(hostile + from, size);

			as_quoted(&out, copy, size);
			clean &= utf8_is_valid(out.data, out.size) && !memchr(out.data, '\n', out.size) &&
				!memchr(out.data, '\r', out.size) && !memchr(out.data, 27, out.size);
			matched &= out.data[0] != '"' || (out.size >= 2 && out.data[out.size - 1] == '"');
			as_json(&out, copy, size);
			clean &= utf8_is_valid(buffer_str(&out), out.size) && !memchr(buffer_str(&out), '\n', out.size);
			clean &= utf8_cut(copy, size) <= size;
			free(copy);
		}
	}
	ok(clean, "hostile text cut anywhere comes out as one printable line of UTF-8");
	ok(matched, "and a quote that was opened is closed");
	buffer_release(&out);
}

static void test_utf8(void)
{
	static const struct {
		const char *text;
		bool valid;
	} cases[] = {
		{ "", true }, { "abc", true }, { "\x7f", true }, { "\xc2\x80", true }, { "\xdf\xbf", true },
		{ "\xe0\xa0\x80", true }, { "\xed\x9f\xbf", true }, { "\xee\x80\x80", true },
		{ "\xef\xbf\xbf", true }, { "\xf0\x90\x80\x80", true }, { "\xf4\x8f\xbf\xbf", true },
		{ "\x80", false }, { "\xc0\x80", false }, { "\xc1\xbf", false }, { "\xc2", false },
		{ "\xc2\x41", false }, { "\xe0\x9f\xbf", false }, { "\xed\xa0\x80", false },
		{ "\xed\xbf\xbf", false }, { "\xe2\x82", false }, { "\xf0\x8f\xbf\xbf", false },
		{ "\xf4\x90\x80\x80", false }, { "\xf5\x80\x80\x80", false }, { "\xfe", false },
		{ "\xf0\x9f\x93", false }, { "a\xe2\x82\xac" "b\xe2\x28\xa1", false },
	};
	uint32_t character = 0;
	bool good = true;

	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		bool valid = utf8_is_valid(cases[i].text, strlen(cases[i].text));

		if (valid != cases[i].valid)
			diag("case %zu", i);
		good &= valid == cases[i].valid;
	}
	ok(good, "%zu forms right and wrong", ARRAY_SIZE(cases));
	is_int(utf8_next("\xe2\x82\xac", 3, &character), 3, "the euro sign has three octets");
	is_int(character, 0x20ac, "and is U+20AC");
	is_int(utf8_cut("a\xe2\x82\xac", 4), 4, "a whole character is not cut off");
	is_int(utf8_cut("a\xe2\x82\xac", 3), 1, "a half one is");
	is_int(utf8_cut("a\xe2\x82\xac", 2), 1, "after one octet too");
	is_int(utf8_cut("\x80\x80\x80\x80\x80", 5), 5, "what is no UTF-8 is left alone");
}

static void test_numbers(void)
{
	uint64_t value = 7;

	ok(parse_u64("0", 1, 10, &value) && value == 0, "0");
	ok(parse_u64("18446744073709551615", 20, UINT64_MAX, &value) && value == UINT64_MAX, "2^64 - 1");
	ok(!parse_u64("18446744073709551616", 20, UINT64_MAX, &value), "2^64 is too large");
	ok(!parse_u64("99999999999999999999999", 23, UINT64_MAX, &value), "as is anything longer");
	ok(!parse_u64("11", 2, 10, &value), "beyond the limit");
	ok(!parse_u64("", 0, 10, &value), "nothing is no number");
	ok(!parse_u64("+1", 2, 10, &value) && !parse_u64(" 1", 2, 10, &value) && !parse_u64("1x", 2, 10, &value),
		"signs, spaces and letters are none");
	is_int(value, UINT64_MAX, "a refusal leaves the result alone");
}

static void test_nearest(void)
{
	static const char *const names[] = { "max_size", "max_errors", "queue", "relay", "recipient_domain_split",
		"recipient_split", "force_mx", "user" };
	size_t count = ARRAY_SIZE(names);
	char long_name[100];

	is_str(nearest_name("max_siez", names, count), "max_size", "two swapped letters");
	is_str(nearest_name("maxsize", names, count), "max_size", "one left out");
	is_str(nearest_name("Max-Size", names, count), "max_size", "another way to write it");
	is_str(nearest_name("quue", names, count), "queue", "a short one");
	is_str(nearest_name("usr", names, count), "user", "a very short one");
	is_str(nearest_name("split_recipient_domain", names, count), "recipient_domain_split",
		"the same words in another order");
	is_str(nearest_name("split_recipients", names, count), NULL, "but not other words");
	is_str(nearest_name("xy", names, count), NULL, "nothing near");
	is_str(nearest_name("", names, count), NULL, "nothing asked");
	is_str(nearest_name("queue", names, 0), NULL, "nothing to choose from");
	memset(long_name, 'q', sizeof(long_name));
	long_name[sizeof(long_name) - 1] = '\0';
	is_str(nearest_name(long_name, names, count), NULL, "a name beyond any bound");
}

static void test_strings(void)
{
	struct strings strings = { 0 };

	ok(!strings_contain(&strings, "a"), "an empty list");
	strings_add(&strings, "a");
	strings_add(&strings, "bc");
	ok(strings_contain(&strings, "bc") && !strings_contain(&strings, "b"), "whole strings are compared");
	strings_release(&strings);
	is_int(strings.count, 0, "released is empty");
	ok(text_has_prefix("abc", "ab") && !text_has_prefix("a", "ab") && text_has_prefix("a", ""), "prefix");
	ok(text_has_suffix("abc", "bc") && !text_has_suffix("c", "bc") && text_has_suffix("a", ""), "suffix");
	ok(text_is_ascii("a\0\x7f", 3) && !text_is_ascii("\x80", 1), "ASCII");
}

/* Every size up to some steps of eight, at every alignment, with the one octet that is none at each place in it and
 * just outside. */
static void test_ascii(void)
{
	unsigned char around[64];
	char *at;
	bool plain = true, found = true;

	for (size_t start = 1; start <= 8; start++)
		for (size_t size = 0; size <= 40; size++) {
			memset(around, 0xff, sizeof(around));
			at = memset(around + start, 0x7f, size);
			plain &= text_is_ascii(at, size);
			for (size_t i = 0; i < size; i++) {
				at[i] = i % 2 ? (char)0x80 : (char)0xff;
				found &= !text_is_ascii(at, size);
				at[i] = 0;
			}
			plain &= text_is_ascii(at, size);
		}
	ok(plain, "ASCII of every size and alignment, whatever stands around it");
	ok(found, "one octet that is not, at every place");
	at = memset(xcalloc(1, 13), 'a', 13);
	ok(text_is_ascii(at, 13), "no octet behind it is read");
	free(at);
}

static void test_names(void)
{
	char mixed[] = "@AZ[`{-09 \xc3\x84";
	static const char *const names[] = { NULL, "one", "two", NULL, "four" };

	is_int(name_index("one", names, ARRAY_SIZE(names)), 1, "a name is found");
	is_int(name_index("four", names, ARRAY_SIZE(names)), 4, "also behind a hole");
	is_int(name_index("three", names, ARRAY_SIZE(names)), 5, "what is none is nowhere");
	is_int(name_index("four", names, 4), 4, "nor is one behind the end");
	is_int(name_index(NULL, names, ARRAY_SIZE(names)), 5, "no name is no hole");
	text_lower(mixed);
	is_str(mixed, "@az[`{-09 \xc3\x84", "the letters of ASCII are made small");
}

int main(void)
{
	test_buffer();
	test_integers();
	test_memory();
	test_quoted();
	test_every_ascii();
	test_cut_at_every_byte();
	test_utf8();
	test_numbers();
	test_nearest();
	test_strings();
	test_ascii();
	test_names();
	return done_testing();
}
