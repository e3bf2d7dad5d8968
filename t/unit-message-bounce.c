/* unit-message-bounce.c - who is to be notified, groups, originals that cannot be read
 * SPDX-License-Identifier: MIT
 * P18; what a notification looks like is tested from Python */
#include "t/lib/tap.h"

#include <errno.h>
#include <sys/mman.h>

#include "common/base/buffer.h"
#include "common/base/memory.h"
#include "common/message/bounce.h"
#include "common/message/quoted_printable.h"

static void test_wanted(void)
{
	static const struct {
		unsigned notify;
		const char *wanted;	/* failed, delayed, delivered, relayed */
		const char *what;
	} table[] = {
		{ 0, "yynn", "no NOTIFY: failure and delay" },
		{ NOTIFY_NEVER, "nnnn", "NEVER" },
		{ NOTIFY_SUCCESS, "nnyy", "SUCCESS" },
		{ NOTIFY_FAILURE, "ynnn", "FAILURE" },
		{ NOTIFY_DELAY, "nynn", "DELAY" },
		{ NOTIFY_SUCCESS | NOTIFY_FAILURE | NOTIFY_DELAY, "yyyy", "all of them" },
		{ NOTIFY_NEVER | NOTIFY_FAILURE, "nnnn", "NEVER beats all others" },
	};

	for (size_t i = 0; i < ARRAY_SIZE(table); i++) {
		struct recipient recipient = { .notify = table[i].notify };
		char got[5] = "";

		for (enum bounce_action action = BOUNCE_FAILED; action <= BOUNCE_RELAYED; action++)
			got[action] = bounce_is_wanted(&recipient, action) ? 'y' : 'n';
		is_str(got, table[i].wanted, table[i].what);
	}
}

static void test_groups(void)
{
	struct reply no = { 0 }, full = { 0 }, same = { 0 };
	struct bounce_result results[5];
	char order[16] = "";
	size_t size, count = 0;

	reply_set(&no, 550, "5.1.1", "no");
	reply_set(&same, 550, "5.1.1", "no");
	reply_set(&full, 452, "4.2.2", "full");
	for (size_t i = 0; i < 5; i++)
		results[i] = (struct bounce_result){ .index = 4 - i, .reply = i & 1 ? &no : &same };
	results[2].reply = &full;
	bounce_sort(results, 5);
	for (size_t at = 0; (size = bounce_group(results + at, 5 - at)) > 0; at += size, count++)
		for (size_t i = at; i < at + size; i++)
			snprintf(order + strlen(order), 4, "%zu%s", results[i].index,
				i + 1 < at + size ? "" : " ");
	is_str(order, "2 0134 ", "groups by reply, sorted by index");
	is_int(count, 2, "two of them");
	bounce_sort(results, 0);
	is_int(bounce_group(results, 0), 0, "nothing is no group");
	reply_release(&no);
	reply_release(&full);
	reply_release(&same);
}

/* A file that is shorter than it was. */
static void test_unreadable(void)
{
	struct bounce_options options = { .hostname = "mx.example", .size_limit_bytes = 1000 };
	struct envelope *original = envelope_new(), *made;
	struct bounce_result result = { .action = BOUNCE_FAILED };
	struct reply no = { 0 };

	reply_set(&no, 550, "5.1.1", "no");
	result.reply = &no;
	original->sender = xstrdup("a@b.example");
	envelope_add_recipient(original, "c@d.example");
	buffer_append_str(&original->content.memory, "A: b\r\n\r\n");
	original->content.fd = memfd_create("short", MFD_CLOEXEC);
	original->content.fd_size = 10;
	content_finish(&original->content);
	errno = 0;
	made = bounce_new(original, &result, 1, &options);
	ok(!made && errno == EIO, "an original that cannot be read is not bounced without it");
	envelope_free(made);
	original->ret = 'H';
	made = bounce_new(original, &result, 1, &options);
	ok(made && made->content.header_size > 0, "its header is in memory");
	ok(made && id_is_derived(made->id), "the notification's id is derived");
	envelope_free(made);
	reply_release(&no);
	envelope_free(original);
}

#define DIGITS "123456789-123456789-123456789-123456789-123456789-123456789-123456789-123"

static void test_quoted_printable(void)
{
	static const struct {
		const char *data, *encoded;
	} table[] = {
		{ "", "" },
		{ "a b=c\r\n", "a b=3Dc\r\n" },
		{ "a \r\nb\t\r\n c ", "a=20\r\nb=09\r\n c=20" },
		{ "a\rb\nc\n\r\n", "a=0Db=0Ac=0A\r\n" },
		{ "\xc3\xa4", "=C3=A4" },
		{ DIGITS "45", DIGITS "45" },
		{ DIGITS "456", DIGITS "45=\r\n6" },
		{ DIGITS "=", DIGITS "=\r\n=3D" },
	};

	for (size_t i = 0; i < ARRAY_SIZE(table); i++) {
		struct buffer out = { 0 };

		quoted_printable_encode(&out, table[i].data, strlen(table[i].data));
		is_str(buffer_str(&out), table[i].encoded, "quoted-printable");
		buffer_release(&out);
	}
}

int main(void)
{
	test_wanted();
	test_groups();
	test_unreadable();
	test_quoted_printable();
	return done_testing();
}
