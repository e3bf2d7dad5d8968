/* expression_math.c - functions and constants of expressions: Python's own, and those of its math module
 * SPDX-License-Identifier: MIT */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>

#include "common/config/expression_code.h"

#define DECIMALS_MOST 323		/* places behind the point that a real number can have at all */
#define DECIMALS_LEAST (-3100)		/* beyond, any whole number we have is rounded to 0 */

static const char not_defined[] = "a value for which the function is not defined";
static const char infinite[] = "a result that is infinite";
static const char wants_whole[] = "an argument that has to be a whole number";
static const char wants_positive[] = "an argument that must not be negative";

/* The rule of all functions on real numbers: what has no value is an error, unless it came in. */
static const char *judge(double result, bool had_nan, bool had_infinity)
{
	if (isnan(result) && !had_nan)
		return not_defined;
	return isinf(result) && !had_infinity && !had_nan ? infinite : NULL;
}

static const char *call_one(const struct function *function, struct number *number)
{
	double value;
	const char *why = number_as_real(number, &value);

	if (why)
		return why;
	number_set_real(number, function->of_one(value));
	return judge(number->real, isnan(value), isinf(value));
}

static const char *call_two(const struct function *function, struct number *numbers)
{
	double a, b;
	const char *why = number_as_real(&numbers[0], &a);

	if (!why)
		why = number_as_real(&numbers[1], &b);
	if (why)
		return why;
	number_set_real(&numbers[0], function->of_two(a, b));
	return judge(numbers[0].real, isnan(a) || isnan(b), isinf(a) || isinf(b));
}

const char *function_call(const struct function *function, struct number *numbers, unsigned count)
{
	if (function->of_one)
		return call_one(function, numbers);
	if (function->of_two)
		return call_two(function, numbers);
	return function->of_numbers(numbers, count);
}

/* --- whole numbers of real ones --- */

static const char *to_whole(struct number *number, double rounded)
{
	if (!isfinite(rounded))
		return isnan(rounded) ? "what is not a number, which has no whole part"
			: "infinity, which has no whole part";
	number->is_real = false;
	integer_from_double(&number->whole, rounded);
	return NULL;
}

static const char *whole_by(struct number *number, double (*rounding)(double))
{
	return number->is_real ? to_whole(number, rounding(number->real)) : NULL;
}

static const char *floor_of(struct number *numbers, unsigned count)
{
	(void)count;
	return whole_by(numbers, floor);
}

static const char *ceil_of(struct number *numbers, unsigned count)
{
	(void)count;
	return whole_by(numbers, ceil);
}

static const char *trunc_of(struct number *numbers, unsigned count)
{
	(void)count;
	return whole_by(numbers, trunc);
}

static const char *int_of(struct number *numbers, unsigned count)
{
	if (!count)
		number_set_whole(numbers, 0);
	return whole_by(numbers, trunc);
}

static const char *float_of(struct number *numbers, unsigned count)
{
	double value = 0;
	const char *why = count ? number_as_real(numbers, &value) : NULL;

	number_set_real(numbers, value);
	return why;
}

static const char *abs_of(struct number *numbers, unsigned count)
{
	(void)count;
	if (numbers->is_real)
		numbers->real = fabs(numbers->real);
	else
		numbers->whole.negative = false;
	return NULL;
}

/* --- round --- */

/* `whole`, and something behind its point if `fraction`, to a multiple of 10^places, ties to the even one. */
static bool round_whole(struct integer *whole, unsigned places, bool fraction)
{
	struct integer ten, unit, quotient, rest, one;
	bool negative = whole->negative;
	int64_t exponent = places;
	int order;

	whole->negative = false;
	integer_set(&ten, 10);
	integer_set(&one, exponent);
	integer_power(&unit, &ten, &one);
	integer_divide(&quotient, &rest, whole, &unit);
	integer_add(&rest, &rest, &rest);
	order = integer_compare(&rest, &unit);
	if (order > 0 || (order == 0 && (fraction || (quotient.size && (quotient.limbs[0] & 1))))) {
		integer_set(&one, 1);
		integer_add(&quotient, &quotient, &one);
	}
	if (!integer_multiply(whole, &quotient, &unit))
		return false;
	whole->negative = negative && whole->size;
	return true;
}

static const char *round_real(struct number *number, int64_t decimals)
{
	double value = number->real;
	char text[DECIMALS_MOST + 320];

	if (!isfinite(value) || decimals > DECIMALS_MOST)
		return NULL;
	if (decimals >= 0) {
		/* Written and read again, it is rounded by its exact decimal value. */
		snprintf(text, sizeof(text), "%.*f", (int)decimals, value);
		number->real = strtod(text, NULL);
	} else if (decimals < -310) {
		number->real = copysign(0.0, value);
	} else {
		integer_from_double(&number->whole, value);
		round_whole(&number->whole, (unsigned)-decimals, value != trunc(value));
		number->real = copysign(integer_scaled(&number->whole, 0), value);
	}
	return isinf(number->real) ? "a rounded number that is too large" : NULL;
}

static const char *round_of(struct number *numbers, unsigned count)
{
	int64_t decimals = 0;

	if (count == 1)
		return whole_by(numbers, rint);
	if (numbers[1].is_real)
		return wants_whole;
	if (!integer_as_int64(&numbers[1].whole, &decimals))
		decimals = numbers[1].whole.negative ? INT32_MIN : INT32_MAX;
	if (numbers->is_real)
		return round_real(numbers, decimals);
	if (decimals < DECIMALS_LEAST)
		number_set_whole(numbers, 0);
	else if (decimals < 0 && !round_whole(&numbers->whole, (unsigned)-decimals, false))
		return number_too_large;
	return NULL;
}

/* --- choice --- */

static const char *choose(struct number *numbers, unsigned count, int wanted)
{
	unsigned best = 0;

	for (unsigned i = 1; i < count; i++) {
		if (number_compare(&numbers[i], &numbers[best]) == wanted)
			best = i;
	}
	if (best)
		numbers[0] = numbers[best];
	return NULL;
}

static const char *min_of(struct number *numbers, unsigned count)
{
	return choose(numbers, count, -1);
}

static const char *max_of(struct number *numbers, unsigned count)
{
	return choose(numbers, count, 1);
}

static const char *isnan_of(struct number *numbers, unsigned count)
{
	double value;
	const char *why = number_as_real(numbers, &value);

	(void)count;
	number_set_whole(numbers, isnan(value) != 0);
	return why;
}

static const char *isinf_of(struct number *numbers, unsigned count)
{
	double value;
	const char *why = number_as_real(numbers, &value);

	(void)count;
	number_set_whole(numbers, isinf(value) != 0);
	return why;
}

static const char *isfinite_of(struct number *numbers, unsigned count)
{
	double value;
	const char *why = number_as_real(numbers, &value);

	(void)count;
	number_set_whole(numbers, isfinite(value) != 0);
	return why;
}

static const char *isclose_of(struct number *numbers, unsigned count)
{
	double a, b, distance;
	const char *why = number_as_real(&numbers[0], &a);

	(void)count;
	if (!why)
		why = number_as_real(&numbers[1], &b);
	if (why)
		return why;
	distance = fabs(a - b);
	number_set_whole(numbers, a == b || (isfinite(a) && isfinite(b)
		&& (distance <= fabs(1e-9 * a) || distance <= fabs(1e-9 * b))));
	return NULL;
}

/* --- logarithms: of whole numbers beyond all real ones too --- */

static const char *logarithm(const struct number *number, double (*log_of)(double), double *out)
{
	double value;

	if (number_as_real(number, &value) && !number->whole.negative) {
		long bits = integer_bits(&number->whole);

		*out = log_of(integer_scaled(&number->whole, -bits)) + log_of(2) * (double)bits;
		return NULL;
	}
	if (value <= 0)
		return not_defined;
	*out = log_of(value);
	return NULL;
}

static const char *log_of(struct number *numbers, unsigned count)
{
	double value, base = 1;
	const char *why = logarithm(&numbers[0], log, &value);

	if (!why && count == 2)
		why = logarithm(&numbers[1], log, &base);
	if (!why && base == 0)
		why = "division by zero";
	number_set_real(numbers, why ? 0 : count == 2 ? value / base : value);
	return why;
}

static const char *log2_of(struct number *numbers, unsigned count)
{
	double value = 0;
	const char *why = logarithm(numbers, log2, &value);

	(void)count;
	number_set_real(numbers, value);
	return why;
}

static const char *log10_of(struct number *numbers, unsigned count)
{
	double value = 0;
	const char *why = logarithm(numbers, log10, &value);

	(void)count;
	number_set_real(numbers, value);
	return why;
}

/* --- real numbers --- */

/* As in Python, the one function that may give what is infinite for what is not. */
static const char *degrees_of(struct number *numbers, unsigned count)
{
	double value;
	const char *why = number_as_real(numbers, &value);

	(void)count;
	number_set_real(numbers, value * (180.0 / M_PI));
	return why;
}

static double radians(double x)
{
	return x * (M_PI / 180.0);
}

/* nextafter gives what it is asked for, be that infinite; so does ulp. */
static const char *nextafter_of(struct number *numbers, unsigned count)
{
	double a, b;
	const char *why = number_as_real(&numbers[0], &a);

	(void)count;
	if (!why)
		why = number_as_real(&numbers[1], &b);
	if (!why)
		number_set_real(numbers, nextafter(a, b));
	return why;
}

static const char *ulp_of(struct number *numbers, unsigned count)
{
	double value;
	const char *why = number_as_real(numbers, &value);

	(void)count;
	value = fabs(value);
	if (isinf(nextafter(value, INFINITY)) && isfinite(value))
		value -= nextafter(value, 0);
	else if (isfinite(value))
		value = nextafter(value, INFINITY) - value;
	number_set_real(numbers, value);
	return why;
}

static const char *ldexp_of(struct number *numbers, unsigned count)
{
	double value;
	int64_t exponent;
	const char *why = number_as_real(&numbers[0], &value);

	(void)count;
	if (!why && numbers[1].is_real)
		why = wants_whole;
	if (why)
		return why;
	if (!integer_as_int64(&numbers[1].whole, &exponent) || exponent > 10000 || exponent < -10000)
		exponent = numbers[1].whole.negative ? -10000 : 10000;
	number_set_real(numbers, ldexp(value, (int)exponent));
	return judge(numbers->real, isnan(value), isinf(value));
}

static const char *hypot_of(struct number *numbers, unsigned count)
{
	double values[EXPRESSION_STACK], largest = 0;
	bool had_nan = false;
	long double sum = 0;
	const char *why = NULL;

	for (unsigned i = 0; i < count && !why; i++) {
		why = number_as_real(&numbers[i], &values[i]);
		had_nan |= isnan(values[i]);
		largest = fmax(largest, fabs(values[i]));
	}
	if (why)
		return why;
	if (isinf(largest) || (!had_nan && largest == 0)) {
		number_set_real(numbers, largest);
		return NULL;
	}
	for (unsigned i = 0; i < count; i++)
		sum += (long double)values[i] / largest * ((long double)values[i] / largest);
	number_set_real(numbers, had_nan ? NAN : (double)(largest * sqrtl(sum)));
	return judge(numbers->real, had_nan, false);
}

/* --- whole numbers --- */

static const char *all_whole(const struct number *numbers, unsigned count, bool positive)
{
	for (unsigned i = 0; i < count; i++) {
		if (numbers[i].is_real)
			return wants_whole;
		if (positive && numbers[i].whole.negative)
			return wants_positive;
	}
	return NULL;
}

static void greatest_divisor(struct integer *a, struct integer b)
{
	struct integer rest;

	while (b.size) {
		integer_divide(NULL, &rest, a, &b);
		integer_copy(a, &b);
		integer_copy(&b, &rest);
	}
	a->negative = false;
}

static const char *gcd_of(struct number *numbers, unsigned count)
{
	const char *why = all_whole(numbers, count, false);

	if (why)
		return why;
	if (!count)
		number_set_whole(numbers, 0);
	numbers->whole.negative = false;
	for (unsigned i = 1; i < count; i++)
		greatest_divisor(&numbers->whole, numbers[i].whole);
	return NULL;
}

static const char *lcm_of(struct number *numbers, unsigned count)
{
	const char *why = all_whole(numbers, count, false);
	struct integer divisor;

	if (why)
		return why;
	if (!count)
		number_set_whole(numbers, 1);
	for (unsigned i = 1; i < count; i++) {
		integer_copy(&divisor, &numbers->whole);
		greatest_divisor(&divisor, numbers[i].whole);
		if (divisor.size)
			integer_divide(&numbers->whole, NULL, &numbers->whole, &divisor);
		if (!integer_multiply(&numbers->whole, &numbers->whole, &numbers[i].whole))
			return number_too_large;
	}
	numbers->whole.negative = false;
	return NULL;
}

static const char *isqrt_of(struct number *numbers, unsigned count)
{
	const char *why = all_whole(numbers, count, true);

	if (!why)
		integer_root(&numbers->whole, &numbers->whole);
	return why;
}

/* n (n - 1) ... of `factors` factors, divided by factorial of `factors` if `divide`. Each factor but the last
 * two at least doubles a product, so what has many is too large soon. */
static const char *falling(struct integer *n, const struct integer *factors, bool divide)
{
	struct integer product, one, step;
	int64_t count;

	if (!integer_as_int64(factors, &count) || count > INTEGER_BITS_MAX + 2)
		return number_too_large;
	integer_set(&one, 1);
	integer_set(&product, 1);
	for (int64_t i = 1; i <= count; i++) {
		if (!integer_multiply(&product, &product, n))
			return number_too_large;
		integer_set(&step, i);
		if (divide)
			integer_divide(&product, NULL, &product, &step);
		integer_subtract(n, n, &one);
	}
	integer_copy(n, &product);
	return NULL;
}

static const char *factorial_of(struct number *numbers, unsigned count)
{
	const char *why = all_whole(numbers, count, true);
	struct integer factors;

	if (why)
		return why;
	integer_copy(&factors, &numbers->whole);
	return falling(&numbers->whole, &factors, false);
}

static const char *perm_of(struct number *numbers, unsigned count)
{
	const char *why = all_whole(numbers, count, true);

	if (why || count == 1)
		return why ? why : factorial_of(numbers, 1);
	if (integer_compare(&numbers[1].whole, &numbers[0].whole) <= 0)
		return falling(&numbers[0].whole, &numbers[1].whole, false);
	number_set_whole(numbers, 0);
	return NULL;
}

static const char *comb_of(struct number *numbers, unsigned count)
{
	const char *why = all_whole(numbers, count, true);
	struct integer others;

	if (why)
		return why;
	if (integer_compare(&numbers[1].whole, &numbers[0].whole) > 0) {
		number_set_whole(numbers, 0);
		return NULL;
	}
	integer_subtract(&others, &numbers[0].whole, &numbers[1].whole);
	if (integer_compare(&others, &numbers[1].whole) > 0)
		integer_copy(&others, &numbers[1].whole);
	return falling(&numbers[0].whole, &others, true);
}

const struct function expression_functions[] = {
	{ "abs", 1, 1, .of_numbers = abs_of },
	{ "acos", 1, 1, .of_one = acos },
	{ "acosh", 1, 1, .of_one = acosh },
	{ "asin", 1, 1, .of_one = asin },
	{ "asinh", 1, 1, .of_one = asinh },
	{ "atan", 1, 1, .of_one = atan },
	{ "atan2", 2, 2, .of_two = atan2 },
	{ "atanh", 1, 1, .of_one = atanh },
	{ "cbrt", 1, 1, .of_one = cbrt },
	{ "ceil", 1, 1, .of_numbers = ceil_of },
	{ "comb", 2, 2, .of_numbers = comb_of },
	{ "copysign", 2, 2, .of_two = copysign },
	{ "cos", 1, 1, .of_one = cos },
	{ "cosh", 1, 1, .of_one = cosh },
	{ "degrees", 1, 1, .of_numbers = degrees_of },
	{ "erf", 1, 1, .of_one = erf },
	{ "erfc", 1, 1, .of_one = erfc },
	{ "exp", 1, 1, .of_one = exp },
	{ "exp2", 1, 1, .of_one = exp2 },
	{ "expm1", 1, 1, .of_one = expm1 },
	{ "fabs", 1, 1, .of_one = fabs },
	{ "factorial", 1, 1, .of_numbers = factorial_of },
	{ "float", 0, 1, .of_numbers = float_of },
	{ "floor", 1, 1, .of_numbers = floor_of },
	{ "fmod", 2, 2, .of_two = fmod },
	{ "gamma", 1, 1, .of_one = tgamma },
	{ "gcd", 0, ANY_COUNT, .of_numbers = gcd_of },
	{ "hypot", 0, ANY_COUNT, .of_numbers = hypot_of },
	{ "int", 0, 1, .of_numbers = int_of },
	{ "isclose", 2, 2, .of_numbers = isclose_of },
	{ "isfinite", 1, 1, .of_numbers = isfinite_of },
	{ "isinf", 1, 1, .of_numbers = isinf_of },
	{ "isnan", 1, 1, .of_numbers = isnan_of },
	{ "isqrt", 1, 1, .of_numbers = isqrt_of },
	{ "lcm", 0, ANY_COUNT, .of_numbers = lcm_of },
	{ "ldexp", 2, 2, .of_numbers = ldexp_of },
	{ "lgamma", 1, 1, .of_one = lgamma },
	{ "log", 1, 2, .of_numbers = log_of },
	{ "log10", 1, 1, .of_numbers = log10_of },
	{ "log1p", 1, 1, .of_one = log1p },
	{ "log2", 1, 1, .of_numbers = log2_of },
	{ "max", 2, ANY_COUNT, .of_numbers = max_of },
	{ "min", 2, ANY_COUNT, .of_numbers = min_of },
	{ "nextafter", 2, 2, .of_numbers = nextafter_of },
	{ "perm", 1, 2, .of_numbers = perm_of },
	{ "pow", 2, 2, .of_two = pow },
	{ "radians", 1, 1, .of_one = radians },
	{ "remainder", 2, 2, .of_two = remainder },
	{ "round", 1, 2, .of_numbers = round_of },
	{ "sin", 1, 1, .of_one = sin },
	{ "sinh", 1, 1, .of_one = sinh },
	{ "sqrt", 1, 1, .of_one = sqrt },
	{ "tan", 1, 1, .of_one = tan },
	{ "tanh", 1, 1, .of_one = tanh },
	{ "trunc", 1, 1, .of_numbers = trunc_of },
	{ "ulp", 1, 1, .of_numbers = ulp_of },
	{ NULL }
};

const struct constant expression_constants[] = {
	{ "e", M_E },
	{ "inf", INFINITY },
	{ "nan", NAN },
	{ "pi", M_PI },
	{ "tau", 2 * M_PI },
	{ NULL }
};
