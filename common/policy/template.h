/* template.h - the replacement of a substitution: text, and references to groups of the pattern
 * SPDX-License-Identifier: MIT */
#ifndef SLIMTA_POLICY_TEMPLATE_H
#define SLIMTA_POLICY_TEMPLATE_H

#define PCRE2_CODE_UNIT_WIDTH 8
#include <pcre2.h>
#include <stddef.h>

/* Text, then a group. */
struct template_piece {
	char *text;
	size_t size;
	int group;			/* -1: none, the end */
};

struct template {
	struct template_piece *pieces;
	size_t count;
};

/* 0, or -1 with an owned *why. Releasable either way. */
int template_read(struct template *, const char *text, const pcre2_code *, char **why);
void template_release(struct template *);

#endif
