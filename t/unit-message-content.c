/* unit-message-content.c - the header's place in a message, fields found and added
 * SPDX-License-Identifier: MIT */
#include <errno.h>
#include <sys/mman.h>
#include <unistd.h>

#include "common/base/file.h"
#include "common/base/memory.h"
#include "common/message/header.h"
#include "t/lib/tap.h"

static void fill(struct content *content, const void *octets, size_t size)
{
	content_init(content);
	buffer_append(&content->memory, octets, size);
	content_finish(content);
}

static char *whole(const struct content *content, size_t *size)
{
	char *octets;

	*size = (size_t)content_size(content);
	octets = xmalloc(*size + 1);
	if (content_read(content, 0, octets, *size) != (long)*size)
		BUG("not read");
	octets[*size] = '\0';
	return octets;
}

static const struct {
	const char *octets;
	const char *with;	/* P: 1 before, A: 2 behind the header */
	const char *what;
} cases[] = {
	{ "S: x\r\nT: y\r\n\r\nbody\r\n", "P: 1\r\nS: x\r\nT: y\r\nA: 2\r\n\r\nbody\r\n", "header and body" },
	{ "S: x\r\n fold: ed\r\n\tmore\r\n\r\n", "P: 1\r\nS: x\r\n fold: ed\r\n\tmore\r\nA: 2\r\n\r\n", "a folded field" },
	{ "S: x\r\n", "P: 1\r\nS: x\r\nA: 2\r\n", "a header alone" },
	{ "S: x", "P: 1\r\nA: 2\r\nS: x", "a header without a line end" },
	{ "S: x\r\nT: y", "P: 1\r\nS: x\r\nA: 2\r\nT: y", "a last field without a line end" },
	{ "\r\nbody\r\n", "P: 1\r\nA: 2\r\n\r\nbody\r\n", "a body alone, its empty line is there" },
	{ "hello\r\nworld\r\n", "P: 1\r\nA: 2\r\n\r\nhello\r\nworld\r\n", "a body alone" },
	{ " S: x\r\n\r\n", "P: 1\r\nA: 2\r\n\r\n S: x\r\n\r\n", "a first line that would continue ours" },
	{ "From a@b Mon Nov 22\r\nS: x\r\n\r\n", "P: 1\r\nA: 2\r\n\r\nFrom a@b Mon Nov 22\r\nS: x\r\n\r\n", "a line of mbox" },
	{ ": x\r\n\r\n", "P: 1\r\nA: 2\r\n\r\n: x\r\n\r\n", "a field without a name" },
	{ "S: x\r\nhello\r\n\r\nbody", "P: 1\r\nS: x\r\nA: 2\r\nhello\r\n\r\nbody", "a line that is no field ends it" },
	{ "S : x\r\n\r\n", "P: 1\r\nS : x\r\nA: 2\r\n\r\n", "the obsolete space before the colon" },
	{ "S:x\n\nbody\n", "P: 1\r\nS:x\nA: 2\r\n\nbody\n", "lines that end in LF alone" },
	{ "", "P: 1\r\nA: 2\r\n", "nothing at all" },
	{ "S:\r\n \r\n\r\n", "P: 1\r\nS:\r\n \r\nA: 2\r\n\r\n", "an empty value, folded" },
};

static void test_places(void)
{
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		struct content content;
		size_t size;
		char *octets;

		fill(&content, cases[i].octets, strlen(cases[i].octets));
		octets = whole(&content, &size);
		is_str(octets, cases[i].octets, "unchanged without additions");
		free(octets);
		header_prepend(&content, "P", "1");
		header_append(&content, "A", "2");
		octets = whole(&content, &size);
		is_str(octets, cases[i].with, cases[i].what);
		free(octets);
		content_release(&content);
	}
}

/* Whatever the cut: what is added stands in the header, and what came is all there, in order. */
static void test_cut_at_every_byte(void)
{
	static const char message[] = "Received: a\r\n\tb\r\nS : x\r\nno field\r\n\r\nX: in the body\r\n\r\n";
	bool unchanged = true, found = true;

	for (size_t from = 0; from < sizeof(message); from++) {
		for (size_t size = 0; size < sizeof(message) - from; size++) {
			char *copy = xmemdup(message + from, size), *octets, *inside;
			struct content content;
			size_t all, head;

			fill(&content, copy, size);
			header_prepend(&content, "P", "1");
			header_append(&content, "A", "2");
			octets = whole(&content, &all);
			found &= !strncmp(octets, "P: 1\r\n", 6) && header_has(&content, "p") && header_has(&content, "a");
			inside = strstr(octets, "A: 2\r\n");
			head = content.header_size;
			unchanged &= inside && head <= size && !memcmp(octets + 6, copy, head) &&
				!memcmp(octets + all - (size - head), copy + head, size - head);
			content_release(&content);
			free(octets);
			free(copy);
		}
	}
	ok(unchanged, "cut at any byte, all that came is there unchanged");
	ok(found, "and what was added is found");
}

static void test_fields(void)
{
	struct content content;
	struct header_field field;
	const char *text = "Received: one\r\n two\r\nreceived:three\r\nDELIVERED-TO: x\r\nDate : y\r\n\r\nDate: z\r\n";
	size_t at = 0;

	fill(&content, text, strlen(text));
	is_int(header_count_hops(&content), 3, "hops in any case");
	ok(header_has(&content, "date") && !header_has(&content, "dat") && !header_has(&content, "dates"), "whole names");
	ok(header_next(text, strlen(text), &at, &field), "the first field");
	is_mem(field.name, field.name_size, "Received", 8, "its name");
	is_mem(field.value, field.value_size, " one\r\n two", 10, "its value with folding");
	header_prepend(&content, "Received", "zero\r\n\tfolded");
	header_append(&content, "Message-Id", "<a@b>");
	is_int(header_count_hops(&content), 4, "ours count");
	ok(header_has(&content, "message-id"), "behind the header too");
	content_release(&content);
	at = 0;
	ok(!header_next("", 0, &at, &field) && at == 0, "no field in nothing");
}

static void test_spooled(void)
{
	static const char message[] = "S: x\r\n\r\nthe body goes on in a file";
	size_t kept = 10, size;
	int fd = memfd_create("spool", MFD_CLOEXEC);
	struct content content, copy;
	char *octets, part[4];
	bool same = true;

	if (fd_write_all(fd, "skipped", 7) < 0 || fd_write_all(fd, message + kept, sizeof(message) - 1 - kept) < 0)
		BUG("not written");
	content_init(&content);
	buffer_append(&content.memory, message, kept);
	content.fd = fd;
	content.fd_offset = 7;
	content.fd_size = sizeof(message) - 1 - kept;
	content_finish(&content);
	is_int(content_copy(&copy, &content), 0, "copied");
	header_prepend(&content, "P", "1");
	octets = whole(&content, &size);
	is_str(octets, "P: 1\r\nS: x\r\n\r\nthe body goes on in a file", "memory and file are one");
	for (uint64_t offset = 0; offset <= size + 2; offset++) {
		long got = content_read(&content, offset, part, sizeof(part));
		size_t wanted = offset >= size ? 0 : size - offset < sizeof(part) ? size - offset : sizeof(part);

		same &= got == (long)wanted && !memcmp(part, octets + (offset > size ? size : offset), wanted);
	}
	ok(same, "read from every offset, over every border");
	free(octets);
	content_release(&content);
	octets = whole(&copy, &size);
	is_str(octets, message, "the copy is independent");
	free(octets);
	if (ftruncate(copy.fd, 8) == 0)
		BUG("a descriptor for reading alone was expected");
	copy.fd_size += 1;
	is_int(content_read(&copy, 12, part, sizeof(part)), 4, "before the end");
	is_int(content_read(&copy, sizeof(message) - 1, part, sizeof(part)), -1, "a file that is too short is an error");
	is_int(errno, EIO, "EIO");
	close(copy.fd);
	is_int(content_copy(&content, &copy), -1, "a file that is closed cannot be copied");
	copy.fd = -1;
	content_release(&copy);
}

static void test_large_header(void)
{
	struct content content;
	struct buffer octets = { 0 };
	size_t last_field = 0;

	while (octets.size < CONTENT_HEADER_MAX + 1000) {
		if (octets.size < CONTENT_HEADER_MAX)
			last_field = octets.size;
		buffer_appendf(&octets, "X-Number: %zu\r\n\tand more\r\n", octets.size);
	}
	fill(&content, octets.data, octets.size);
	is_int(content.header_size, last_field, "a header beyond the limit ends before the field that passes it");
	content_release(&content);
	buffer_reset(&octets);
	buffer_append_str(&octets, "X: ");
	while (octets.size < CONTENT_HEADER_MAX + 1000)
		buffer_append_str(&octets, "long ");
	fill(&content, octets.data, octets.size);
	ok(content.header_size == 0 && !content.needs_separator, "one endless field: added fields go before it");
	content_release(&content);
	buffer_release(&octets);
}

int main(void)
{
	test_places();
	test_cut_at_every_byte();
	test_fields();
	test_spooled();
	test_large_header();
	return done_testing();
}
