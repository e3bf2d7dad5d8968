/* fuzz-header.c - where a header ends, its fields, and that additions leave the rest as it was
 * SPDX-License-Identifier: MIT */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "common/base/memory.h"
#include "common/message/header.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void walk(const char *text, size_t size)
{
	struct header_field field;
	size_t at = 0, before = 0;

	while (header_next(text, size, &at, &field)) {
		if (at <= before || at > size || field.name < text || !field.name_size ||
				field.value + field.value_size > text + at)
			BUG("a field outside of its text");
		before = at;
	}
}

static char *whole(const struct content *content, size_t *size)
{
	char *octets;

	*size = content_size(content);
	octets = xmalloc(*size);
	if (content_read(content, 0, octets, *size) != (long)*size)
		BUG("not read");
	return octets;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	char *copy = xmemdup(data, size), *octets;
	struct content content;
	size_t all, head;

	content_init(&content);
	buffer_append(&content.memory, copy, size);
	content_finish(&content);
	head = content.header_size;
	walk(copy, size);
	header_count_hops(&content);
	header_prepend(&content, "X-First", "1");
	header_append(&content, "X-Last", "2");
	octets = whole(&content, &all);
	if (head > size || all < size || memcmp(octets + strlen("X-First: 1\r\n"), copy, head) ||
			memcmp(octets + all - (size - head), copy + head, size - head))
		BUG("what came was changed");
	if (!header_has(&content, "x-first") || !header_has(&content, "x-last"))
		BUG("what was added is not there");
	content_release(&content);
	/* Read anew, the additions stand in the header. */
	content_init(&content);
	buffer_append(&content.memory, octets, all);
	content_finish(&content);
	if (!header_has(&content, "X-First") || !header_has(&content, "X-Last"))
		BUG("what was added is not in the header");
	content_release(&content);
	free(octets);
	free(copy);
	return 0;
}
