/* scalar.c - what a plain scalar of YAML 1.1 stands for
 * SPDX-License-Identifier: MIT */
#include "common/config/scalar.h"

#include <errno.h>
#include <math.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include "common/base/buffer.h"
#include "common/base/memory.h"

static bool is_one_of(const char *text, const char *const *words)
{
	for (; *words; words++) {
		if (strcmp(text, *words) == 0)
			return true;
	}
	return false;
}

bool scalar_is_null(const char *text)
{
	static const char *const words[] = { "", "~", "null", "Null", "NULL", NULL };

	return is_one_of(text, words);
}

bool scalar_bool(const char *text, bool *out)
{
	static const char *const yes[] = {
		"yes", "Yes", "YES", "true", "True", "TRUE", "on", "On", "ON", NULL
	};
	static const char *const no[] = {
		"no", "No", "NO", "false", "False", "FALSE", "off", "Off", "OFF", NULL
	};

	*out = is_one_of(text, yes);
	return *out || is_one_of(text, no);
}

/* -1 if `c` is no digit of that base. */
static int digit_of(char c, int base)
{
	int digit = c >= '0' && c <= '9' ? c - '0' : c >= 'a' && c <= 'f' ? c - 'a' + 10
		: c >= 'A' && c <= 'F' ? c - 'A' + 10 : 99;

	return digit < base ? digit : -1;
}

static void push_digit(uint64_t *value, uint64_t base, uint64_t digit)
{
	if (*value > ((uint64_t)INT64_MAX - digit) / base) {
		errno = ERANGE;
		*value = INT64_MAX;
	} else if (*value != INT64_MAX || !errno) {
		*value = *value * base + digit;
	}
}

/* Digits and underscores up to the end. */
static bool read_digits(const char *text, int base, uint64_t *value)
{
	bool any = false;

	for (; *text; text++) {
		int digit = digit_of(*text, base);

		if (digit < 0 && *text != '_')
			return false;
		if (digit >= 0) {
			push_digit(value, (uint64_t)base, (uint64_t)digit);
			any = true;
		}
	}
	return any;
}

/* What follows the first part of a number in base 60: groups of one or two digits below 60; `text` is at
 * the first colon. Moves behind them. */
static bool read_sixtieths(const char **text, uint64_t *value)
{
	while (**text == ':') {
		int first = digit_of((*text)[1], 10), second;

		if (first < 0)
			return false;
		second = digit_of((*text)[2], 10);
		if (second >= 0 && first > 5)
			return false;
		push_digit(value, 60, (uint64_t)(second < 0 ? first : first * 10 + second));
		*text += second < 0 ? 2 : 3;
	}
	return true;
}

static bool read_decimal(const char *text, uint64_t *value)
{
	const char *colon = strchr(text, ':');
	char *head;
	bool good;

	if (digit_of(*text, 10) < 1)
		return false;
	if (!colon)
		return read_digits(text, 10, value);
	head = xstrndup(text, (size_t)(colon - text));
	good = read_digits(head, 10, value) && read_sixtieths(&colon, value) && !*colon;
	free(head);
	return good;
}

bool scalar_int(const char *text, int64_t *out)
{
	bool negative = *text == '-', good;
	uint64_t value = 0;

	errno = 0;
	text += *text == '-' || *text == '+';
	if (strcmp(text, "0") == 0)
		good = true;
	else if (text[0] == '0' && text[1] == 'b')
		good = read_digits(text + 2, 2, &value);
	else if (text[0] == '0' && text[1] == 'x')
		good = read_digits(text + 2, 16, &value);
	else if (text[0] == '0')
		good = text[1] && read_digits(text, 8, &value);
	else
		good = read_decimal(text, &value);
	*out = negative ? -(int64_t)value : (int64_t)value;
	return good;
}

/* The shape [0-9][0-9_]* . [0-9_]* with an exponent that has a sign, or base 60 before the point. */
static bool has_float_shape(const char *text)
{
	uint64_t unused = 0;
	bool sixty = false;

	if (digit_of(*text, 10) >= 0) {
		text += strspn(text, "0123456789_");
		if (*text == ':') {
			sixty = true;
			if (!read_sixtieths(&text, &unused))
				return false;
		}
		if (*text++ != '.')
			return false;
	} else if (*text++ != '.' || digit_of(*text, 10) < 0) {
		return false;
	}
	text += strspn(text, "0123456789_");
	if (!sixty && (*text == 'e' || *text == 'E')) {
		if ((text[1] != '-' && text[1] != '+') || digit_of(text[2], 10) < 0)
			return false;
		text += 2;
		text += strspn(text, "0123456789");
	}
	return !*text;
}

static double float_value(const char *text)
{
	struct buffer digits = { 0 };
	double value = 0;

	buffer_append_str(&digits, "");
	for (; *text; text++) {
		if (*text == ':') {
			value = (value + strtod(buffer_str(&digits), NULL)) * 60;
			buffer_reset(&digits);
		} else if (*text != '_') {
			buffer_append_char(&digits, *text);
		}
	}
	value += strtod(buffer_str(&digits), NULL);
	buffer_release(&digits);
	return value;
}

bool scalar_float(const char *text, double *out)
{
	static const char *const nans[] = { ".nan", ".NaN", ".NAN", NULL };
	static const char *const infinities[] = { ".inf", ".Inf", ".INF", NULL };
	const char *digits = text + (*text == '-' || *text == '+');
	double value;

	if (is_one_of(text, nans)) {
		*out = NAN;
		return true;
	}
	if (is_one_of(digits, infinities))
		value = INFINITY;
	else if (has_float_shape(digits) && (digits == text || *digits != '.'))
		value = float_value(digits);
	else
		return false;
	*out = *text == '-' ? -value : value;
	return true;
}

enum scalar_type scalar_type(const char *text)
{
	int64_t integer;
	double real;
	bool truth;

	if (scalar_is_null(text))
		return SCALAR_NULL;
	if (scalar_bool(text, &truth))
		return SCALAR_BOOL;
	if (scalar_float(text, &real))
		return SCALAR_FLOAT;
	if (scalar_int(text, &integer))
		return SCALAR_INT;
	return SCALAR_TEXT;
}
