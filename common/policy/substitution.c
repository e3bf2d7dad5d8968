/* substitution.c - replaces what a pattern matches, as Python's re.subn does
 * SPDX-License-Identifier: MIT */
#include "common/policy/substitution.h"

#include <ctype.h>
#include <stdlib.h>
#include <string.h>

#include "common/base/buffer.h"
#include "common/base/memory.h"
#include "common/policy/template.h"

/* Steps of one search, and its memory: a pattern that explodes on an address may not hold up the loop. */
#define MATCH_LIMIT 50000
#define HEAP_LIMIT_KIB 4096
/* Of all searches of one text. */
#define MATCHES_MAX 1000

/* PCRE2 10.42 looks for the last letter that is needed behind a first one that only a lookahead needs: (?=b)a?b is
 * not found in "b" unless these searches are off. */
#define OPTIONS (PCRE2_UTF | PCRE2_UCP | PCRE2_MATCH_INVALID_UTF | PCRE2_NEVER_BACKSLASH_C | PCRE2_NO_START_OPTIMIZE)

struct substitution {
	pcre2_code *code;
	pcre2_match_context *context;
	pcre2_match_data *match;
	struct template template;
};

/* --- the pattern --- */

/* Behind the "]" of a set that begins at `at`. */
static const char *skip_set(const char *at)
{
	at += at[1] == '^' ? 2 : 1;
	at += *at == ']';
	while (*at && *at != ']')
		at += *at == '\\' && at[1] ? 2 : 1;
	return *at ? at + 1 : at;
}

/* {,3} is {0,3} to Python, and plain text to PCRE2 before 10.43. */
static char *translated(const char *pattern)
{
	struct buffer out = { 0 };

	for (const char *at = pattern, *next; *at; at = next) {
		next = at + 1;
		if (*at == '\\' && at[1])
			next++;
		else if (*at == '[')
			next = skip_set(at);
		buffer_append(&out, at, (size_t)(next - at));
		if (*at == '{' && at[1] == ',' && at[2 + strspn(at + 2, "0123456789")] == '}')
			buffer_append_char(&out, '0');
	}
	buffer_append_str(&out, "");
	return buffer_detach(&out);
}

static pcre2_code *compile(const char *text, char **why)
{
	pcre2_compile_context *context = pcre2_compile_context_create(NULL);
	char *pattern = translated(text);
	PCRE2_UCHAR message[256];
	PCRE2_SIZE at;
	pcre2_code *code;
	int error;

	if (!context)
		BUG("no compile context");
	pcre2_set_newline(context, PCRE2_NEWLINE_LF);
	pcre2_set_parens_nest_limit(context, 100);
	code = pcre2_compile((PCRE2_SPTR)pattern, PCRE2_ZERO_TERMINATED, OPTIONS, &error, &at, context);
	pcre2_compile_context_free(context);
	free(pattern);
	if (code)
		return code;
	pcre2_get_error_message(error, message, sizeof(message));
	*why = xasprintf("character %zu of the pattern: %s", (size_t)at + 1, (const char *)message);
	return NULL;
}

struct substitution *substitution_new(const char *pattern, const char *replacement, bool *in_replacement, char **why)
{
	pcre2_code *code = compile(pattern, why);
	struct substitution *substitution;

	*in_replacement = false;
	if (!code)
		return NULL;
	substitution = xcalloc(1, sizeof(*substitution));
	substitution->code = code;
	substitution->context = pcre2_match_context_create(NULL);
	substitution->match = pcre2_match_data_create_from_pattern(code, NULL);
	if (!substitution->context || !substitution->match)
		BUG("no match context");
	pcre2_set_match_limit(substitution->context, MATCH_LIMIT);
	pcre2_set_heap_limit(substitution->context, HEAP_LIMIT_KIB);
	if (template_read(&substitution->template, replacement, code, why) == 0)
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
	pcre2_match_data_free(substitution->match);
	pcre2_match_context_free(substitution->context);
	pcre2_code_free(substitution->code);
	free(substitution);
}

/* --- running --- */

static void expand(const struct substitution *substitution, const char *text, struct buffer *out)
{
	const PCRE2_SIZE *ends = pcre2_get_ovector_pointer(substitution->match);
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
	PCRE2_SIZE *ends = pcre2_get_ovector_pointer(substitution->match);
	size_t at = 0;			/* what is before went to `out` */
	uint32_t options = 0;
	int count = 0, found;

	buffer_reset(out);
	while ((found = pcre2_match(substitution->code, (PCRE2_SPTR)text, size, at, options, substitution->match,
			substitution->context)) > 0) {
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
	if (found != PCRE2_ERROR_NOMATCH)
		return -1;
	buffer_append(out, text + at, size - at);
	return count;
}
