/* unit-message-reply.c - replies: cleaned, logged, on the wire, as JSON
 * SPDX-License-Identifier: MIT */
#include "common/base/buffer.h"
#include "common/base/memory.h"
#include "common/base/text.h"
#include "common/message/reply.h"
#include "t/lib/tap.h"

static struct buffer out;

static const char *logged(const struct reply *reply)
{
	buffer_reset(&out);
	reply_append(reply, &out);
	return buffer_str(&out);
}

static const char *wire(const struct reply *reply, bool plain)
{
	buffer_reset(&out);
	reply_append_wire(reply, plain, &out);
	return buffer_str(&out);
}

static void test_set(void)
{
	struct reply reply = { 0 };

	ok(reply_is_none(&reply), "all zero is none");
	reply_set(&reply, 250, "2.1.0", "Sender <%s> Ok", "a@b");
	is_str(logged(&reply), "250 2.1.0 Sender <a@b> Ok", "code, status, text");
	ok(reply_is_success(&reply) && !reply_is_transient(&reply) && !reply_is_permanent(&reply), "a success");
	reply_set(&reply, 451, NULL, "%s again", reply.text);
	is_str(logged(&reply), "451 4.0.0 Sender <a@b> Ok again", "from its own text; X.0.0 without a status");
	ok(reply_is_transient(&reply), "transient");
	reply_set(&reply, 550, "4.1.1", "550 says it");
	is_str(logged(&reply), "550 5.1.1 550 says it", "the code decides the class");
	ok(reply_is_permanent(&reply), "permanent");
	reply_set(&reply, 354, NULL, "Start");
	is_str(logged(&reply), "354 Start", "3yz has no status");
	reply_set(&reply, 421, "4.x.2", "%s", "");
	is_str(logged(&reply), "421 4.0.0", "a status that is none; no text");
	reply_set(&reply, 550, "5.1000.1", "x");
	is_int(reply.subject, 0, "a subject of four digits is none");
	reply_release(&reply);
	ok(reply_is_none(&reply), "released is none");
}

static void test_clean(void)
{
	struct reply reply = { 0 };
	char *big = xmalloc(20000);
	bool bounded = true;

	reply_set(&reply, 250, NULL, "%s", "one\r\ntwo\rthree\x01\x1b[m\x7f\tfour\n\r\n");
	is_str(reply.text, "one\ntwo three  [m  four", "control characters go, lines stay, the end is tidy");
	is_str(logged(&reply), "250 2.0.0 one / two three  [m  four", "one line for the log");
	reply_set(&reply, 250, NULL, "%s", "a\xff" "b\xc2\x85" "c\xc3\xbc");
	is_str(reply.text, "a\xef\xbf\xbd" "b c\xc3\xbc", "not UTF-8, a C1 control, UTF-8");
	for (size_t size = 8180; size < 8200; size++) {
		memset(big, 'x', size);
		memcpy(big + size, "\xe2\x82\xac\xe2\x82\xac", 7);
		reply_set(&reply, 250, NULL, "%s", big);
		bounded &= strlen(reply.text) <= 8192 && utf8_is_valid(reply.text, strlen(reply.text));
	}
	ok(bounded, "cut at 8 KB, never within a character");
	free(big);
	reply_release(&reply);
}

static void test_wire(void)
{
	struct reply reply = { 0 };
	char words[1200];
	bool fits = true;
	size_t lines = 0;

	reply_set(&reply, 250, "2.1.5", "Ok");
	is_str(wire(&reply, false), "250 2.1.5 Ok\r\n", "with status");
	is_str(wire(&reply, true), "250 Ok\r\n", "plain");
	reply_set(&reply, 250, NULL, "mx Hello\nSIZE 1\nDSN");
	is_str(wire(&reply, true), "250-mx Hello\r\n250-SIZE 1\r\n250 DSN\r\n", "several lines, as EHLO has");
	reply_set(&reply, 550, "5.7.1", "No\n\nReally");
	is_str(wire(&reply, false), "550-5.7.1 No\r\n550-5.7.1\r\n550 5.7.1 Really\r\n", "the status on each");
	is_str(wire(&reply, true), "550-No\r\n550-\r\n550 Really\r\n", "an empty line, plain");
	reply_set(&reply, 250, NULL, "%s", "");
	is_str(wire(&reply, false), "250 2.0.0\r\n", "no text");
	is_str(wire(&reply, true), "250\r\n", "nothing but the code");
	reply_set(&reply, 354, NULL, "Go");
	is_str(wire(&reply, false), "354 Go\r\n", "3yz never has a status");
	for (size_t i = 0; i < sizeof(words) - 1; i++)
		words[i] = i % 7 == 6 ? ' ' : 'w';
	words[sizeof(words) - 1] = '\0';
	reply_set(&reply, 554, "5.6.0", "%s", words);
	for (const char *line = wire(&reply, false); *line; lines++) {
		size_t size = strcspn(line, "\n") + 1;

		fits &= size <= 512 && !strncmp(line + 3, line[size] ? "-5.6.0 w" : " 5.6.0 w", 8);
		line += size;
	}
	ok(fits, "long text is broken into lines of at most 512 octets, at words");
	is_int(lines, 3, "into as few as needed");
	reply_release(&reply);
}

static void test_copies(void)
{
	struct reply a = { 0 }, b = { 0 };

	ok(reply_equal(&a, &b), "none equals none");
	reply_set(&a, 450, "4.2.0", "busy");
	ok(!reply_equal(&a, &b), "but nothing else");
	reply_copy(&b, &a);
	ok(reply_equal(&a, &b) && a.text != b.text, "a copy equals and is its own");
	reply_set(&b, 450, "4.2.1", "busy");
	ok(!reply_equal(&a, &b), "the status counts");
	reply_move(&b, &a);
	ok(reply_is_none(&a) && b.detail == 0, "moved is none");
	reply_move(&b, &b);
	is_str(b.text, "busy", "moved to itself is itself");
	reply_release(&a);
	reply_release(&b);
}

static void test_json(void)
{
	static const char *const wrong[] = {
		"{}", "[]", "{\"code\":199}", "{\"code\":600}", "{\"code\":\"250\"}", "{\"code\":250.5}", "{\"code\":-1}"
	};
	struct reply reply = { 0 }, back = { 0 };
	json_t *json;
	char *text;
	bool refused = true;

	reply_set(&reply, 250, "2.1.0", "Gr\xc3\xbc\xc3\x9f\xff\n\"dich\"");
	json = reply_to_json(&reply);
	ok(json != NULL, "any text can be written");
	text = json_dumps(json, JSON_COMPACT);
	is_str(text, "{\"code\":250,\"status\":\"2.1.0\",\"text\":\"Gr\xc3\xbc\xc3\x9f\xef\xbf\xbd\\n\\\"dich\\\"\"}", "as JSON");
	is_int(reply_from_json(&back, json), 0, "and back");
	ok(reply_equal(&reply, &back), "the same");
	json_decref(json);
	free(text);
	for (size_t i = 0; i < ARRAY_SIZE(wrong); i++) {
		json = json_loads(wrong[i], 0, NULL);
		refused &= reply_from_json(&back, json) == -1;
		json_decref(json);
	}
	ok(refused && reply_equal(&reply, &back), "what is none is refused and changes nothing");
	json = json_loads("{\"code\":450,\"status\":7,\"text\":null}", 0, NULL);
	is_int(reply_from_json(&back, json), 0, "a code is enough");
	is_str(logged(&back), "450 4.0.0", "the rest is nothing");
	json_decref(json);
	reply_release(&reply);
	reply_release(&back);
}

int main(void)
{
	test_set();
	test_clean();
	test_wire();
	test_copies();
	test_json();
	buffer_release(&out);
	return done_testing();
}
