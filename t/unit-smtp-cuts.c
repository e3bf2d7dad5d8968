/* unit-smtp-cuts.c - every parser of what peers send, with every beginning of every seed of the fuzzers
 * SPDX-License-Identifier: MIT
 * P9 P12. Each beginning is a copy of exactly its size, so that a sanitizer sees what is read beyond it. */
#include <dirent.h>
#include <stdlib.h>

#include "t/lib/tap.h"

#include "common/base/memory.h"
#include "common/base/text.h"
#include "common/message/address.h"
#include "common/message/header.h"
#include "common/message/quoted_printable.h"
#include "common/message/stored.h"
#include "common/message/xtext.h"
#include "common/smtp/client_offer.h"
#include "common/smtp/client_reply.h"
#include "common/smtp/dots.h"
#include "common/smtp/reader.h"
#include "common/smtp/verbs.h"
#include "t/lib/lenient.h"
#include "t/lib/smtp_harness.h"

#define CORPUS "t/fuzz/corpus"
#define SEED_MAX 1100

static bool parse_commands(const char *data, size_t size)
{
	struct reader reader = { 0 };
	size_t at = 0, line = 0, taken;
	enum reader_result result = READER_LINE;

	while (at < size && result == READER_LINE) {
		verb_find(data + at, size - at);
		result = reader_next(&reader, data + at, size - at, READER_LINE_MAX, &line, &taken);
		if (taken > size - at || (result == READER_LINE && line + 2 != taken))
			return false;
		at += taken;
	}
	return true;
}

static void drop(void *arg, const char *data, size_t size)
{
	*(size_t *)arg += data || !size ? size : 0;
}

static bool parse_data(const char *data, size_t size)
{
	bool good = true;

	for (unsigned how = 0; how < 4; how++) {
		struct newline newline;
		size_t out = 0;

		newline_init(&newline, how & 1, how & 2);
		good &= newline_feed(&newline, data, size, drop, &out) <= size && out <= 2 * size;
	}
	return good;
}

static bool send_data(const char *data, size_t size)
{
	struct buffer out = { 0 };
	struct dots dots;
	bool good;

	dots_init(&dots, &out);
	dots_write(&dots, data, size);
	dots_end(&dots);
	good = lenient_end(out.data, out.size) == out.size;
	buffer_release(&out);
	return good;
}

static bool parse_reply(const char *data, size_t size)
{
	struct client_reply reader = { 0 };
	struct client_offer offer = { 0 };
	struct reply reply = { 0 };
	size_t taken;
	bool read = client_reply_next(&reader, data, size, &taken) == CLIENT_REPLY_READ;

	if (read) {
		client_reply_get(&reader, &reply);
		client_offer_read(&offer, buffer_str(&reader.text));
	}
	reply_release(&reply);
	client_reply_reset(&reader);
	return taken <= size && (!read || taken > 3);
}

static bool parse_header(const char *data, size_t size)
{
	struct header_field field;
	size_t at = 0;
	bool good = true;

	while (header_next(data, size, &at, &field))
		good &= at <= size && field.value + field.value_size <= data + size;
	return good;
}

static bool parse_address(const char *data, size_t size)
{
	bool good = true;

	for (unsigned how = 0; how < 4; how++) {
		enum address_kind kind = how & 1 ? ADDRESS_FORWARD_PATH : ADDRESS_REVERSE_PATH;
		char *address = NULL;
		const char *why;
		long taken = address_parse_path(data, size, kind, how & 2, &address, &why);

		good &= taken < 0 ? !address : (size_t)taken <= size && address_is_mailbox(address, kind, how & 2);
		free(address);
	}
	address_is_ehlo_name(data, size);
	return good;
}

static bool parse_xtext(const char *data, size_t size)
{
	char *texts[] = { xtext_decode(data, size), orcpt_decode(data, size, false), orcpt_decode(data, size, true) };
	bool good = true;

	for (unsigned i = 0; i < ARRAY_SIZE(texts); i++) {
		good &= !texts[i] || !strpbrk(texts[i], "\r\n\x1b\x7f");
		free(texts[i]);
	}
	return good;
}

static bool show_text(const char *data, size_t size)
{
	struct buffer out = { 0 };
	bool good;

	quoted(&out, data, size);
	escaped(&out, data, size);
	json_escaped(&out, data, size);
	good = !out.size || !memchr(out.data, '\n', out.size);
	quoted_printable_encode(&out, data, size);
	buffer_release(&out);
	return good;
}

static bool read_stored(const char *data, size_t size)
{
	struct envelope *envelope = NULL;
	struct stored_extent extent;
	const char *why;

	if (stored_decode(data, size, &envelope, &why) == STORED_OK)
		envelope_free(envelope);
	if (stored_decode_head(data, size, true, &envelope, &extent, &why) == STORED_OK)
		envelope_free(envelope);
	return true;
}

/* A command that was cut, and the end of its line; what follows BDAT is not there. */
static bool run_command(const char *before, const char *command, size_t size)
{
	char *line = xmalloc(size + 2);
	struct harness h;
	unsigned replies = 0;
	bool good;

	memcpy(line, command, size);
	memcpy(line + size, "\r\n", 2);
	harness_init(&h);
	harness_open(&h);
	harness_say(&h, before);
	buffer_reset(&h.out);
	good = session_input(h.session, line, size + 2) == size + 2;
	for (const char *at = buffer_str(&h.out); *at; at = strchr(at, '\n') + 1)
		replies += at[3] == ' ';
	good = good && (replies == 1 || (!replies && session_is_receiving(h.session)));
	harness_close(&h);
	free(line);
	return good;
}

static void test_commands(void)
{
	static const struct {
		const char *before, *command;
	} rows[] = {
		{ "", "EHLO [IPv6:2001:db8::1]" }, { "", "EHLO mx.example.org" }, { "", "HELO b\xc3\xbc\x63her" },
		{ "EHLO c\r\n", "MAIL FROM:<a@b.example> SIZE=50 BODY=8BITMIME SMTPUTF8 RET=HDRS ENVID=a+2Bb+3D" },
		{ "EHLO c\r\n", "mail from: <@x.example,@y:\"a\\\" b\"@[IPv6:::1]> body=7bit Size=100 " },
		{ "EHLO c\r\n", "MAIL FROM:<\xc3\xa4@\xc3\xa4.example> SMTPUTF8 SIZE=18446744073709551615" },
		{ "EHLO c\r\nMAIL FROM:<>\r\n", "RCPT TO:<c@d.example> NOTIFY=SUCCESS,FAILURE,DELAY ORCPT=rfc822;a+2Bb@c" },
		{ "EHLO c\r\nMAIL FROM:<>\r\n", "RCPT TO:<Postmaster> ORCPT=utf-8;\\x{E4}\xc3\xa4@x NOTIFY=NEVER" },
		{ "EHLO c\r\nMAIL FROM:<>\r\nRCPT TO:<a@b>\r\n", "BDAT 18446744073709551615 LAST" },
		{ "EHLO c\r\nMAIL FROM:<>\r\nRCPT TO:<a@b>\r\n", "BDAT 00000000000000000060  last " },
		{ "EHLO c\r\nMAIL FROM:<>\r\nRCPT TO:<a@b>\r\n", "DATA x" },
		{ "", "VRFY <a@b>" }, { "", "AUTH PLAIN AGEAYg==" }, { "", "STARTTLS" }, { "", "CONNECT x:25 HTTP/1.1" },
	};
	unsigned bad = 0, tried = 0;

	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		for (size_t cut = 0; cut <= strlen(rows[i].command); cut++, tried++) {
			if (run_command(rows[i].before, rows[i].command, cut))
				continue;
			bad++;
			diag("%.*s", (int)cut, rows[i].command);
		}
	}
	is_int(bad, 0, "each beginning of a command has one reply");
	ok(tried > 400, "%u of them", tried);
}

static const struct {
	const char *what;
	bool (*parse)(const char *data, size_t size);
} parsers[] = {
	{ "commands", parse_commands }, { "mail data", parse_data }, { "mail data to send", send_data },
	{ "replies", parse_reply }, { "headers", parse_header }, { "addresses", parse_address }, { "xtext", parse_xtext },
	{ "text to show", show_text }, { "stored messages", read_stored },
};
static unsigned wrong[ARRAY_SIZE(parsers)];

static void feed(const char *name, const char *data, size_t size)
{
	for (size_t cut = 0; cut <= size; cut++) {
		char *copy = xmemdup(data, cut);

		for (size_t i = 0; i < ARRAY_SIZE(parsers); i++) {
			if (parsers[i].parse(copy, cut))
				continue;
			if (!wrong[i]++)
				diag("%s: %zu octets of %s", parsers[i].what, cut, name);
		}
		free(copy);
	}
}

static unsigned feed_folder(const char *folder)
{
	DIR *dir = opendir(folder);
	struct dirent *entry;
	unsigned count = 0;

	while (dir && (entry = readdir(dir))) {
		char *path = xasprintf("%s/%s", folder, entry->d_name), seed[SEED_MAX];
		FILE *file = entry->d_name[0] == '.' ? NULL : fopen(path, "r");

		if (file) {
			feed(path, seed, fread(seed, 1, sizeof(seed), file));
			fclose(file);
			count++;
		}
		free(path);
	}
	if (dir)
		closedir(dir);
	return count;
}

int main(void)
{
	static const char *const folders[] = { "session", "data", "smtp-reply", "header", "address", "xtext", "stored" };

	for (size_t i = 0; i < ARRAY_SIZE(folders); i++) {
		char *path = xasprintf(CORPUS "/%s", folders[i]);

		ok(feed_folder(path) > 2, "there are seeds in %s", path);
		free(path);
	}
	for (size_t i = 0; i < ARRAY_SIZE(parsers); i++)
		is_int(wrong[i], 0, parsers[i].what);
	harness_quiet("unit-smtp-cuts");
	test_commands();
	return done_testing();
}
