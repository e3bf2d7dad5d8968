/* expression_token.c - the words of an expression, numbers written as Python has them
 * SPDX-License-Identifier: MIT */
#include "common/config/expression_token.h"

#include <ctype.h>
#include <string.h>

#include "common/base/memory.h"
#include "common/base/text.h"

static bool is_digit(char c, unsigned base)
{
	static const char digits[] = "0123456789abcdef";
	const char *found = c ? strchr(digits, tolower((unsigned char)c)) : NULL;

	return found && (unsigned)(found - digits) < base;
}

static bool is_word(char c)
{
	return isalnum((unsigned char)c) || c == '_' || (unsigned char)c >= 0x80;
}

/* Digits with a single _ between two of them. */
static const char *skip_digits(const char *at, unsigned base)
{
	while (is_digit(*at, base) || (*at == '_' && is_digit(at[-1], base) && is_digit(at[1], base)))
		at++;
	return at;
}

static unsigned base_of(const char *at)
{
	if (*at != '0')
		return 10;
	switch (at[1]) {
	case 'x': case 'X':
		return 16;
	case 'o': case 'O':
		return 8;
	case 'b': case 'B':
		return 2;
	default:
		return 10;
	}
}

/* What may follow a number at once, though it is a word. */
static bool is_keyword(const char *at)
{
	return text_has_prefix(at, "if") || text_has_prefix(at, "else") || text_has_prefix(at, "and")
		|| text_has_prefix(at, "or");
}

static const char *skip_fraction(const char *at, bool *real)
{
	const char *sign;

	if (*at == '.') {
		*real = true;
		at++;
		if (isdigit((unsigned char)*at))
			at = skip_digits(at, 10);
	}
	if (*at == 'e' || *at == 'E') {
		sign = at + 1 + (at[1] == '+' || at[1] == '-');
		if (isdigit((unsigned char)*sign)) {
			*real = true;
			at = skip_digits(sign, 10);
		}
	}
	return at;
}

static struct token read_number(const char *start)
{
	struct token token = { .kind = TOKEN_NUMBER, .text = start, .base = base_of(start) };
	const char *at;
	bool real = false;

	if (token.base == 10) {
		at = skip_digits(start, 10);
		if (*start == '0' && strspn(start, "0_") < (size_t)(at - start))
			token.why = "a number that begins with a zero";
		at = skip_fraction(at, &real);
	} else {
		token.text += 2 + (start[2] == '_');
		at = skip_digits(token.text, token.base);
		if (at == token.text)
			token.why = "a number without digits";
	}
	if (real) {
		token.base = 0;
		token.why = NULL;
	}
	if (is_word(*at) && !is_keyword(at))
		token.why = *at == 'j' || *at == 'J' ? "an imaginary number" : "a number that ends in other letters";
	if (token.why)
		token = (struct token){ .kind = TOKEN_BAD, .text = start, .why = token.why };
	token.size = (size_t)(at - token.text);
	return token;
}

struct token token_read(const char *at)
{
	static const char *const operators[] = {
		"**", "//", "==", "!=", "<=", ">=", "+", "-", "*", "/", "%", "(", ")", ",", "<", ">",
	};
	struct token token = { .kind = TOKEN_END };
	size_t length;

	at += strspn(at, " \t\r\n\f");
	token.text = at;
	if (!*at)
		return token;
	if (isdigit((unsigned char)*at) || (*at == '.' && isdigit((unsigned char)at[1])))
		return read_number(at);
	if (isalpha((unsigned char)*at) || *at == '_') {
		token.kind = TOKEN_NAME;
		while (is_word(at[token.size]))
			token.size++;
		return token;
	}
	token.kind = TOKEN_OPERATOR;
	for (size_t i = 0; i < ARRAY_SIZE(operators); i++) {
		token.size = strlen(operators[i]);
		if (!strncmp(operators[i], at, token.size))
			return token;
	}
	length = utf8_next(at, strlen(at), NULL);
	return (struct token){ .kind = TOKEN_BAD, .text = at, .size = length ? length : 1,
		.why = "a character without a meaning here" };
}
