/* substitute.c - substitutions as the policy forward makes them, for comparisons
 * SPDX-License-Identifier: MIT
 * In: ["PATTERN", "REPLACEMENT", "TEXT"] a line. Out: [COUNT, "RESULT"], or "ERROR". */
#include <jansson.h>
#include <stdlib.h>
#include <string.h>

#include "common/base/buffer.h"
#include "common/policy/substitution.h"

static json_t *answer(const char *pattern, const char *replacement, const char *text)
{
	struct buffer out = { 0 };
	bool in_replacement;
	char *why = NULL;
	struct substitution *substitution = substitution_new(pattern, replacement, &in_replacement, &why);
	json_t *result = json_string(why);
	int count;

	if (substitution) {
		count = substitution_run(substitution, text, strlen(text), &out);
		result = json_pack("[is%]", count, buffer_str(&out), out.size);
	}
	substitution_free(substitution);
	buffer_release(&out);
	free(why);
	return result;
}

int main(void)
{
	char line[65536];

	while (fgets(line, sizeof(line), stdin)) {
		const char *pattern, *replacement, *text;
		json_t *in = json_loads(line, 0, NULL), *out;

		if (json_unpack(in, "[sss]", &pattern, &replacement, &text) < 0)
			return 1;
		out = answer(pattern, replacement, text);
		json_dumpf(out, stdout, JSON_COMPACT | JSON_ENCODE_ANY);
		putchar('\n');
		json_decref(in);
		json_decref(out);
	}
	return 0;
}
