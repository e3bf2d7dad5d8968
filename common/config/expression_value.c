/* expression_value.c - operators of expressions on Python's whole and real numbers
 * SPDX-License-Identifier: MIT */
#include <math.h>

#include "common/base/memory.h"
#include "common/config/expression_code.h"

const char number_too_large[] = "a whole number of more than 10240 bits";
const char number_too_large_for_real[] = "a whole number too large for a real one";
static const char by_zero[] = "division by zero";
static const char overflow[] = "a result too large for a real number";

void number_set_real(struct number *number, double value)
{
	number->is_real = true;
	number->real = value;
}

void number_set_whole(struct number *number, int64_t value)
{
	number->is_real = false;
	integer_set(&number->whole, value);
}

const char *number_as_real(const struct number *number, double *out)
{
	*out = number->is_real ? number->real : integer_scaled(&number->whole, 0);
	return !number->is_real && isinf(*out) ? number_too_large_for_real : NULL;
}

bool number_is_true(const struct number *number)
{
	return number->is_real ? number->real != 0 : number->whole.size != 0;
}

/* Exact, whatever the sizes: the whole number is not made a real one. */
static int compare_mixed(const struct integer *whole, double real)
{
	struct integer truncated;
	double fraction;
	int order;

	if (isnan(real))
		return 2;
	if (isinf(real))
		return real > 0 ? -1 : 1;
	integer_from_double(&truncated, real);
	order = integer_compare(whole, &truncated);
	fraction = real - trunc(real);
	return order ? order : fraction > 0 ? -1 : fraction < 0 ? 1 : 0;
}

int number_compare(const struct number *a, const struct number *b)
{
	int order;

	if (!a->is_real && !b->is_real)
		return integer_compare(&a->whole, &b->whole);
	if (!a->is_real)
		return compare_mixed(&a->whole, b->real);
	if (!b->is_real) {
		order = compare_mixed(&b->whole, a->real);
		return order == 2 ? 2 : -order;
	}
	if (isnan(a->real) || isnan(b->real))
		return 2;
	return a->real < b->real ? -1 : a->real > b->real;
}

/* --- whole numbers --- */

static const char *operate_whole(enum code code, struct number *a, const struct number *b)
{
	bool fits = true;

	switch (code) {
	case CODE_ADD:
		fits = integer_add(&a->whole, &a->whole, &b->whole);
		break;
	case CODE_SUBTRACT:
		fits = integer_subtract(&a->whole, &a->whole, &b->whole);
		break;
	case CODE_MULTIPLY:
		fits = integer_multiply(&a->whole, &a->whole, &b->whole);
		break;
	case CODE_POWER:
		fits = integer_power(&a->whole, &a->whole, &b->whole);
		break;
	case CODE_FLOOR_DIVIDE:
		integer_divide(&a->whole, NULL, &a->whole, &b->whole);
		break;
	case CODE_MODULO:
		integer_divide(NULL, &a->whole, &a->whole, &b->whole);
		break;
	case CODE_DIVIDE:
		number_set_real(a, integer_ratio(&a->whole, &b->whole));
		return isinf(a->real) ? overflow : NULL;
	default:
		BUG("no operator has code %d", code);
	}
	return fits ? NULL : number_too_large;
}

/* --- real numbers --- */

/* The rest of a division has the sign of the divisor, and so has a rest of zero. */
static double modulo(double a, double b)
{
	double rest = fmod(a, b);

	if (rest == 0)
		return copysign(0.0, b);
	return (b < 0) != (rest < 0) ? rest + b : rest;
}

/* The rest is taken off before the division, so that no rounding lifts the quotient to the next whole number. */
static double floor_divide(double a, double b)
{
	double rest = fmod(a, b), quotient = (a - rest) / b, whole;

	if (rest != 0 && (b < 0) != (rest < 0))
		quotient -= 1;
	if (quotient == 0)
		return copysign(0.0, a / b);
	whole = floor(quotient);
	return quotient - whole > 0.5 ? whole + 1 : whole;
}

static const char *raise(double a, double b, double *out)
{
	if (a == 0 && b < 0 && isfinite(b))
		return by_zero;
	if (a < 0 && isfinite(a) && isfinite(b) && b != floor(b))
		return "a power that is a complex number";
	*out = pow(a, b);
	return isinf(*out) && isfinite(a) && isfinite(b) ? overflow : NULL;
}

static const char *operate_real(enum code code, double a, double b, double *out)
{
	switch (code) {
	case CODE_ADD:
		*out = a + b;
		return NULL;
	case CODE_SUBTRACT:
		*out = a - b;
		return NULL;
	case CODE_MULTIPLY:
		*out = a * b;
		return NULL;
	case CODE_POWER:
		return raise(a, b, out);
	case CODE_DIVIDE:
		*out = a / b;
		return NULL;
	case CODE_FLOOR_DIVIDE:
		*out = floor_divide(a, b);
		return NULL;
	case CODE_MODULO:
		*out = modulo(a, b);
		return NULL;
	default:
		BUG("no operator has code %d", code);
	}
}

const char *number_operate(enum code code, struct number *left, const struct number *right)
{
	bool divides = code == CODE_DIVIDE || code == CODE_FLOOR_DIVIDE || code == CODE_MODULO;
	bool inverts = code == CODE_POWER && !right->is_real && right->whole.negative;
	const char *why;
	double a, b;

	if (!left->is_real && !right->is_real && !inverts)
		return divides && !number_is_true(right) ? by_zero : operate_whole(code, left, right);
	why = number_as_real(left, &a);
	if (!why)
		why = number_as_real(right, &b);
	if (!why && divides && b == 0)
		why = by_zero;
	if (!why)
		why = operate_real(code, a, b, &left->real);
	left->is_real = true;
	return why;
}
