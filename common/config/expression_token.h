/* expression_token.h - the words of an expression
 * SPDX-License-Identifier: MIT */
#ifndef SLIMTA_CONFIG_EXPRESSION_TOKEN_H
#define SLIMTA_CONFIG_EXPRESSION_TOKEN_H

#include <stddef.h>

enum token_kind { TOKEN_END, TOKEN_NUMBER, TOKEN_NAME, TOKEN_OPERATOR, TOKEN_BAD };

struct token {
	enum token_kind kind;
	const char *text;
	size_t size;
	unsigned base;			/* of a whole number; 0: a real one */
	const char *why;		/* BAD: what is wrong with it */
};

/* The first token at `at`, spaces and line ends before it skipped. */
struct token token_read(const char *at);

#endif
