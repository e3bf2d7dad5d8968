/* fuzz-substitution.c - whatever pattern, replacement and text: a bounded result in bounded time, or a reason
 * SPDX-License-Identifier: MIT
 * The input is the three, divided by line ends. */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "common/base/buffer.h"
#include "common/base/memory.h"
#include "common/policy/substitution.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check(const struct substitution *substitution, const char *text)
{
	struct buffer out = { 0 };
	int count = substitution_run(substitution, text, strlen(text), &out);

	if (count > 0 && out.size > SUBSTITUTION_MAX + strlen(text))
		BUG("%zu octets came out", out.size);
	if (count == 0 && (out.size != strlen(text) || memcmp(buffer_str(&out), text, out.size) != 0))
		BUG("another text, though nothing was found");
	buffer_release(&out);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	char *copy = xstrndup((const char *)data, size), *rest = copy;
	const char *pattern = strsep(&rest, "\n"), *replacement = rest ? strsep(&rest, "\n") : "";
	struct substitution *substitution;
	bool in_replacement;
	char *why = NULL;

	if (size > 1000) {
		free(copy);
		return -1;
	}
	substitution = substitution_new(pattern, replacement, &in_replacement, &why);
	if (!substitution != !!why)
		BUG("a reason in spite of success, or none without");
	if (substitution)
		check(substitution, rest ? rest : "");
	substitution_free(substitution);
	free(why);
	free(copy);
	return 0;
}
