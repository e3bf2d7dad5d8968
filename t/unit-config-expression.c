/* unit-config-expression.c - expressions: values, schedules, errors and where they stand
 * SPDX-License-Identifier: MIT */
#include <math.h>

#include "common/base/memory.h"
#include "common/config/expression.h"
#include "t/lib/tap.h"

static double value_of(const char *text, int64_t x)
{
	struct expression_error error;
	struct expression *expression = expression_parse(text, &error);
	double value = NAN;

	if (!expression || expression_evaluate(expression, x, &value, &error) < 0)
		diag("%s: column %u: %s", text, error.column, error.text);
	expression_free(expression);
	return value;
}

static void test_values(void)
{
	static const struct {
		const char *text;
		double value;
	} rows[] = {
		{ "300", 300 }, { " ( 300 ) ", 300 }, { "1 +\n2", 3 }, { "-2**2", -4 }, { "2**-1", 0.5 }, { "2**3**2", 512 },
		{ "7//2", 3 }, { "-7//2", -4 }, { "7//-2.0", -4 }, { "-7%3", 2 }, { "7%-3", -2 }, { "-7.5%2", 0.5 },
		{ "7/2", 3.5 },
		{ "1_000", 1000 }, { "0x1F", 31 }, { "0o17", 15 }, { "0b11", 3 }, { "1e3", 1000 }, { ".5", .5 }, { "00", 0 },
		{ "1 < 2 < 3", 1 }, { "1 < 3 < 2", 0 }, { "3 > 2 == 2", 1 }, { "not 0 and 5", 5 }, { "0 or 7", 7 },
		{ "1/0 if False else 9", 9 }, { "True or 1/0", 1 }, { "0 > 1 > 1/0", 0 }, { "x if x > 4 else -x", 5 },
		{ "1if 1else 2", 1 }, { "round(2.5)", 2 }, { "round(-3.5)", -4 }, { "round(2.675, 2)", 2.67 },
		{ "round(1250, -2)", 1200 }, { "round(1350.0, -2)", 1400 }, { "int(-2.9)", -2 }, { "float(3) / 2", 1.5 },
		{ "min(3, 1.5, 2)", 1.5 }, { "max(1, 2,)", 2 }, { "abs(-4)", 4 }, { "floor(pi) + ceil(e) + trunc(tau)", 12 },
		{ "2**100 - (2**100 - 1)", 1 }, { "10**40 // 10**38", 100 }, { "(3**200 + 1) % 3**199", 1 },
		{ "2**53 + 1 == 9007199254740993.0", 0 }, { "min(2**5000, 86400)", 86400 }, { "10**400 / 10**399", 10 },
		{ "log(10**1000, 10) > 999.9", 1 }, { "isqrt(10**100) == 10**50", 1 }, { "factorial(20) // factorial(19)", 20 },
		{ "comb(10, 3)", 120 }, { "perm(5, 2)", 20 }, { "gcd(12, -18)", 6 }, { "lcm(4, 6)", 12 }, { "hypot(3, 4)", 5 },
		{ "hypot()", 0 }, { "isnan(nan) and isinf(inf)", 1 }, { "ldexp(3, 4)", 48 }, { "copysign(2, -0.0)", -2 },
		{ "copysign(2, 0 / -3)", -2 },
		{ "isclose(0.1 + 0.2, 0.3)", 1 }, { "ulp(1) == 2**-52", 1 }, { "gamma(5)", 24 }, { "round(cbrt(27))", 3 },
	};

	for (size_t i = 0; i < ARRAY_SIZE(rows); i++)
		ok(value_of(rows[i].text, 5) == rows[i].value, "%s", rows[i].text);
}

/* P5: attempts 1 to 1000, and what each schedule waits before them. */
static void test_schedules(void)
{
	static const struct {
		const char *text;
		double first[8];
		double last;		/* of attempt 1000 */
		bool rises;		/* or stays */
	} rows[] = {
		{ "300", { 300, 300, 300, 300, 300, 300, 300, 300 }, 300, true },
		{ "60 * x", { 60, 120, 180, 240, 300, 360, 420, 480 }, 60000, true },
		{ "min(60 * 2**x, 86400)", { 120, 240, 480, 960, 1920, 3840, 7680, 15360 }, 86400, true },
		{ "min(900 * 1.5**(x - 1), 14400)", { 900, 1350, 2025, 3037.5, 4556.25, 6834.375, 10251.5625, 14400 },
			14400, true },
		{ "60 if x < 3 else 600 if x < 6 else 3600", { 60, 60, 600, 600, 600, 3600, 3600, 3600 }, 3600, true },
		{ "max(0, 400 - 100 * x)", { 300, 200, 100, 0, 0, 0, 0, 0 }, 0, false },
		{ "floor(sqrt(x)) * 60", { 60, 60, 60, 120, 120, 120, 120, 120 }, 1860, true },
		{ "min(x**x, 3600)", { 1, 4, 27, 256, 3125, 3600, 3600, 3600 }, 3600, true },
		{ "(x % 2 + 1) * 30", { 60, 30, 60, 30, 60, 30, 60, 30 }, 30, false },
	};

	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		struct expression_error error;
		struct expression *expression = expression_parse(rows[i].text, &error);
		double before = 0, value = NAN;
		bool good = true;

		for (int64_t x = 1; x <= 1000 && expression; x++) {
			good &= expression_evaluate(expression, x, &value, &error) == 0 && isfinite(value) && value >= 0;
			good &= x > 8 || value == rows[i].first[x - 1];
			good &= !rows[i].rises || value >= before;
			before = value;
		}
		ok(good && value == rows[i].last, "the schedule %s", rows[i].text);
		expression_free(expression);
	}
}

static void expect_error(const char *text, unsigned column, const char *wanted)
{
	struct expression_error error = { 0 };
	struct expression *expression = expression_parse(text, &error);
	double value;

	if (expression && expression_evaluate(expression, 5, &value, &error) == 0)
		diag("it is %g", value);
	if (!ok(error.column == column && !strcmp(error.text, wanted), "%.40s: %s", text, wanted))
		diag("column %u: %s", error.column, error.text);
	expression_free(expression);
}

static void test_errors(void)
{
	expect_error("", 1, "expected a number, a name or \"(\", not the end");
	expect_error("1 +", 4, "expected a number, a name or \"(\", not the end");
	expect_error("1 2", 3, "expected an operator or the end, not 2");
	expect_error("(1", 3, "expected an operator or \")\", not the end");
	expect_error("1 if 2", 7, "expected an operator or \"else\", not the end");
	expect_error("y + 1", 1, "unknown name y (did you mean \"x\"?)");
	expect_error("1 + flor(x)", 5, "unknown name flor (did you mean \"floor\"?)");
	expect_error("__import__('os')", 1, "unknown name __import__");
	expect_error("min", 1, "min is a function: expected ( behind it");
	expect_error("min(x)", 1, "min takes at least 2 arguments, not 1");
	expect_error("sqrt(x, 2)", 1, "sqrt takes 1 argument, not 2");
	expect_error("round(x, ndigits=1)", 10, "unknown name ndigits");
	expect_error("1 << 2", 4, "expected a number, a name or \"(\", not <");
	expect_error("012", 1, "expected a number, a name or \"(\", not a number that begins with a zero");
	expect_error("1__0", 1, "expected a number, a name or \"(\", not a number that ends in other letters");
	expect_error("2j", 1, "expected a number, a name or \"(\", not an imaginary number");
	expect_error("é", 1, "expected a number, a name or \"(\", not a character without a meaning here");
	expect_error("(x) + (é)", 8, "expected a number, a name or \"(\", not a character without a meaning here");
}

static void test_arithmetic_errors(void)
{
	expect_error("60 / (x - 5)", 4, "division by zero");
	expect_error("60 // (x - 5.0)", 4, "division by zero");
	expect_error("0 ** -1", 3, "division by zero");
	expect_error("log(x, 1)", 1, "division by zero");
	expect_error("sqrt(-x)", 1, "a value for which the function is not defined");
	expect_error("exp(1000)", 1, "a result that is infinite");
	expect_error("10.0 ** 400", 6, "a result too large for a real number");
	expect_error("(-8) ** 0.5", 6, "a power that is a complex number");
	expect_error("2 ** 2 ** 20", 3, "a whole number of more than 10240 bits");
	expect_error("2 ** 5000 * 1.0", 11, "a whole number too large for a real one");
	expect_error("int(inf)", 1, "infinity, which has no whole part");
	expect_error("int(nan)", 1, "what is not a number, which has no whole part");
	expect_error("gcd(1.5, 2)", 1, "an argument that has to be a whole number");
	expect_error("factorial(-1)", 1, "an argument that must not be negative");
}

static void test_limits(void)
{
	char text[EXPRESSION_LENGTH_MAX + 2];

	memset(text, '1', sizeof(text) - 1);
	text[sizeof(text) - 1] = '\0';
	expect_error(text, 1, "longer than 1000 octets");
	text[sizeof(text) - 2] = '\0';
	expect_error(text, 1, "a whole number too large for a real one");
	memset(text, '(', 500);
	text[500] = '\0';
	expect_error(text, 51, "nested more than 100 times");
	memset(text, '-', 500);
	expect_error(text, 100, "nested more than 100 times");
	snprintf(text, sizeof(text), "max(");
	for (size_t size = 4; size < 400; size += 2)
		memcpy(text + size, "1,", 3);
	expect_error(text, 133, "too much at a time: more than 64 values wait for their operators");
}

int main(void)
{
	test_values();
	test_schedules();
	test_errors();
	test_arithmetic_errors();
	test_limits();
	return done_testing();
}
