/* fuzz-text.c - whatever text comes, what is written of it is one printable line
 * SPDX-License-Identifier: MIT */
#include <jansson.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "common/base/buffer.h"
#include "common/base/memory.h"
#include "common/base/text.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check_line(const struct buffer *out)
{
	if (!utf8_is_valid(buffer_str(out), out->size))
		BUG("not UTF-8");
	for (size_t i = 0; i < out->size; i++)
		if ((unsigned char)out->data[i] < 0x20 || out->data[i] == 0x7f)
			BUG("a control character");
}

/* A quoted token ends where it says: a quote inside is behind a backslash. */
static void check_token(const struct buffer *out)
{
	size_t at = 1;

	if (!out->size)
		BUG("no token");
	if (out->data[0] != '"') {
		if (strpbrk(out->data, " \"\\="))
			BUG("a bare token that is none");
		return;
	}
	while (at < out->size && out->data[at] != '"')
		at += out->data[at] == '\\' ? 2 : 1;
	if (at != out->size - 1)
		BUG("the quotes end within");
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static const char *const names[] = { "max_size", "recipient_domain_split", "queue" };
	const char *text = (const char *)data;
	struct buffer out = { 0 };
	json_t *json;
	char *name;

	quoted(&out, text, size);
	check_line(&out);
	check_token(&out);
	buffer_reset(&out);
	escaped(&out, text, size);
	check_line(&out);
	buffer_reset(&out);
	buffer_append_str(&out, "[\"");
	json_escaped(&out, text, size);
	buffer_append_str(&out, "\"]");
	check_line(&out);
	json = json_loadb(out.data, out.size, JSON_ALLOW_NUL, NULL);
	if (!json)
		BUG("not JSON");
	if (utf8_is_valid(text, size)) {
		const json_t *back = json_array_get(json, 0);

		if (json_string_length(back) != size || memcmp(json_string_value(back), text, size))
			BUG("JSON of another text");
	}
	json_decref(json);
	if (utf8_cut(text, size) > size)
		BUG("cut beyond the end");
	name = xstrndup(text, size);
	nearest_name(name, names, ARRAY_SIZE(names));
	free(name);
	buffer_release(&out);
	return 0;
}
