/* pattern.h - regular expressions of slimta.conf, which no text may keep busy for long
 * SPDX-License-Identifier: MIT
 * As Python has them, as far as PCRE2 is the same: Unicode, {,3} is {0,3}. */
#ifndef SLIMTA_POLICY_PATTERN_H
#define SLIMTA_POLICY_PATTERN_H

#define PCRE2_CODE_UNIT_WIDTH 8
#include <pcre2.h>
#include <stdbool.h>
#include <stddef.h>

struct pattern {
	pcre2_code *code;
	pcre2_match_context *context;
	pcre2_match_data *match;	/* of the last search */
};

/* 0, or -1 with an owned *why. */
int pattern_init(struct pattern *, const char *text, char **why);
void pattern_release(struct pattern *);		/* also of what is all zero */

/* Searches from text[at] on with PCRE2's options for a match. 1: found; 0: not; -1: it takes too long on this text. */
int pattern_search(const struct pattern *, const char *text, size_t size, size_t at, uint32_t options);
/* Whether it matches at the start, as Python's re.match. */
int pattern_matches(const struct pattern *, const char *text);

#endif
