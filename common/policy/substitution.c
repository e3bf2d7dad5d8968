/* substitution.c - replaces what a pattern matches, as Python's re.subn does
 * SPDX-License-Identifier: MIT */
#include "common/policy/substitution.h"

#include <ctype.h>
#include <stdlib.h>
#include <string.h>

#include "common/base/buffer.h"
#include "common/base/memory.h"
#include "common/policy/pattern.h"
#include "common/policy/template.h"

/* Of all searches of one text. */
#define MATCHES_MAX 1000

struct substitution {
	struct pattern pattern;
	struct template template;
};

struct substitution *substitution_new(const char *pattern, const char *replacement, bool *in_replacement, char **why)
{
	struct substitution *substitution = xcalloc(1, sizeof(*substitution));

	*in_replacement = false;
	if (pattern_init(&substitution->pattern, pattern, why) < 0) {
		substitution_free(substitution);
		return NULL;
	}
	if (template_read(&substitution->template, replacement, substitution->pattern.code, why) == 0)
		return substitution;
	*in_replacement = true;
	substitution_free(substitution);
	return NULL;
}

void substitution_free(struct substitution *substitution)
{
	if (!substitution)
		return;
	template_release(&substitution->template);
	pattern_release(&substitution->pattern);
	free(substitution);
}

/* --- running --- */

static void expand(const struct substitution *substitution, const char *text, struct buffer *out)
{
	const PCRE2_SIZE *ends = pcre2_get_ovector_pointer(substitution->pattern.match);
	const struct template *template = &substitution->template;

	for (size_t i = 0; i < template->count && out->size <= SUBSTITUTION_MAX; i++) {
		const struct template_piece *piece = &template->pieces[i];
		const PCRE2_SIZE *group = ends + 2 * (piece->group < 0 ? 0 : piece->group);

		buffer_append(out, piece->text, piece->size);
		if (piece->group >= 0 && group[0] != PCRE2_UNSET && group[1] > group[0])
			buffer_append(out, text + group[0], group[1] - group[0]);
	}
}

int substitution_run(const struct substitution *substitution, const char *text, size_t size, struct buffer *out)
{
	PCRE2_SIZE *ends = pcre2_get_ovector_pointer(substitution->pattern.match);
	size_t at = 0;			/* what is before went to `out` */
	uint32_t options = 0;
	int count = 0, found;

	buffer_reset(out);
	while ((found = pattern_search(&substitution->pattern, text, size, at, options)) > 0) {
		/* \K in a lookahead can put the start behind the end, or before what was replaced. */
		if (++count > MATCHES_MAX || ends[0] > ends[1] || ends[0] < at)
			return -1;
		buffer_append(out, text + at, ends[0] - at);
		expand(substitution, text, out);
		if (out->size > SUBSTITUTION_MAX)
			return -1;
		at = ends[1];
		/* Behind an empty match comes no empty one at the same place. */
		options = ends[0] == ends[1] ? PCRE2_NOTEMPTY_ATSTART : 0;
	}
	if (found < 0)
		return -1;
	buffer_append(out, text + at, size - at);
	return count;
}
