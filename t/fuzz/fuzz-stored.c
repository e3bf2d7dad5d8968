/* fuzz-stored.c - the stored form: as it came, and as JSON behind a first line that fits it
 * SPDX-License-Identifier: MIT */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "common/base/crc32c.h"
#include "common/base/memory.h"
#include "common/message/stored.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static char *json_of(const struct envelope *envelope)
{
	json_t *json = envelope_to_json(envelope);
	char *text = json_dumps(json, JSON_COMPACT);

	json_decref(json);
	return text;
}

/* What was taken once is written and taken again, and stays the same. */
static void round_trip(struct envelope *envelope)
{
	struct buffer file = { 0 };
	struct envelope *back = NULL;
	uint64_t size = content_size(&envelope->content);
	const char *why;
	char *one, *two;

	if (stored_encode(envelope, &file) < 0)
		BUG("not encoded");
	buffer_reserve(&file, size);
	if (content_read(&envelope->content, 0, file.data + file.size, size) != (long)size)
		BUG("not read");
	file.size += size;
	if (stored_decode(file.data, file.size, &back, &why) != STORED_OK)
		BUG("not taken again: %s", why);
	one = json_of(envelope);
	two = json_of(back);
	if (strcmp(one, two) || content_size(&back->content) != size)
		BUG("not the same");
	free(one);
	free(two);
	envelope_free(back);
	buffer_release(&file);
}

static void decode(const void *data, size_t size)
{
	struct envelope *envelope = NULL;
	const char *why = NULL;

	if (stored_decode(data, size, &envelope, &why) == STORED_OK) {
		round_trip(envelope);
		envelope_free(envelope);
	} else if (envelope || !why) {
		BUG("refused without a reason");
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	const uint8_t *end = memchr(data, '\n', size);
	struct buffer file = { 0 };

	decode(data, size);
	if (end) {
		buffer_appendf(&file, "slimta 1 %zu %zu %08x\n", (size_t)(end - data), size - (size_t)(end - data) - 1,
			(unsigned)crc32c(0, data, size));
		buffer_append(&file, data, size);
		decode(file.data, file.size);
		buffer_release(&file);
	}
	return 0;
}
