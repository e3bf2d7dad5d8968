/* pattern.c - regular expressions of slimta.conf
 * SPDX-License-Identifier: MIT */
#include "common/policy/pattern.h"

#include <stdlib.h>
#include <string.h>

#include "common/base/buffer.h"
#include "common/base/memory.h"

/* Steps of one search, and its memory: a pattern that explodes on an address may not hold up the loop. */
#define MATCH_LIMIT 50000
#define HEAP_LIMIT_KIB 4096

/* PCRE2 10.42 looks for the last letter that is needed behind a first one that only a lookahead needs: (?=b)a?b is
 * not found in "b" unless these searches are off. */
#define OPTIONS (PCRE2_UTF | PCRE2_UCP | PCRE2_MATCH_INVALID_UTF | PCRE2_NEVER_BACKSLASH_C | PCRE2_NO_START_OPTIMIZE)

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

int pattern_init(struct pattern *pattern, const char *text, char **why)
{
	*pattern = (struct pattern){ .code = compile(text, why) };
	if (!pattern->code)
		return -1;
	pattern->context = pcre2_match_context_create(NULL);
	pattern->match = pcre2_match_data_create_from_pattern(pattern->code, NULL);
	if (!pattern->context || !pattern->match)
		BUG("no match context");
	pcre2_set_match_limit(pattern->context, MATCH_LIMIT);
	pcre2_set_heap_limit(pattern->context, HEAP_LIMIT_KIB);
	return 0;
}

void pattern_release(struct pattern *pattern)
{
	pcre2_match_data_free(pattern->match);
	pcre2_match_context_free(pattern->context);
	pcre2_code_free(pattern->code);
	*pattern = (struct pattern){ 0 };
}

int pattern_search(const struct pattern *pattern, const char *text, size_t size, size_t at, uint32_t options)
{
	int found = pcre2_match(pattern->code, (PCRE2_SPTR)text, size, at, options, pattern->match, pattern->context);

	return found > 0 ? 1 : found == PCRE2_ERROR_NOMATCH ? 0 : -1;
}

int pattern_matches(const struct pattern *pattern, const char *text)
{
	return pattern_search(pattern, text, strlen(text), 0, PCRE2_ANCHORED);
}
