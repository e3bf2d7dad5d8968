/* substitution.h - replaces what a pattern matches, as Python's re.subn does
 * SPDX-License-Identifier: MIT
 * The pattern is searched for anywhere, as often as it is there, an empty match beside another one included (Python
 * 3.7 and later). In the replacement \1 to \99, \g<1> and \g<NAME> are what a group matched (nothing, if it took no
 * part), \a \b \f \n \r \t \v \\, \0, \012 and \101 characters; other letters behind \ are errors, other
 * characters stay with it. Patterns are PCRE2's: Unicode, no lookbehind limits of Python's. */
#ifndef SLIMTA_POLICY_SUBSTITUTION_H
#define SLIMTA_POLICY_SUBSTITUTION_H

#include <stdbool.h>
#include <stddef.h>

struct buffer;
struct substitution;

/* Owned; NULL with an owned *why, and whether the replacement is at fault and not the pattern. */
struct substitution *substitution_new(const char *pattern, const char *replacement, bool *in_replacement, char **why);
void substitution_free(struct substitution *);		/* NULL is fine */

/* How often it was replaced, and if that is not 0, the result in `out` (which is emptied first). -1: the pattern
 * takes too long on this text, or the result is larger than SUBSTITUTION_MAX. */
#define SUBSTITUTION_MAX 4096
int substitution_run(const struct substitution *, const char *text, size_t size, struct buffer *out);

#endif
