/* integer.c - whole numbers far beyond 64 bits, exact, without allocation
 * SPDX-License-Identifier: MIT */
#include "common/config/integer.h"

#include <math.h>
#include <string.h>

#define RATIO_BITS 66			/* of a quotient from which a double is made: 53, and some to round by */

static void trim(struct integer *a)
{
	while (a->size && !a->limbs[a->size - 1])
		a->size--;
	if (!a->size)
		a->negative = false;
}

unsigned integer_bits(const struct integer *a)
{
	return a->size ? a->size * 32 - (unsigned)__builtin_clz(a->limbs[a->size - 1]) : 0;
}

void integer_set(struct integer *out, int64_t value)
{
	uint64_t magnitude = value < 0 ? -(uint64_t)value : (uint64_t)value;

	out->negative = value < 0;
	out->size = 2;
	out->limbs[0] = (uint32_t)magnitude;
	out->limbs[1] = (uint32_t)(magnitude >> 32);
	trim(out);
}

void integer_copy(struct integer *out, const struct integer *from)
{
	if (out == from)
		return;
	out->negative = from->negative;
	out->size = from->size;
	memcpy(out->limbs, from->limbs, from->size * sizeof(from->limbs[0]));
}

/* --- magnitudes --- */

static int compare_magnitudes(const struct integer *a, const struct integer *b)
{
	if (a->size != b->size)
		return a->size < b->size ? -1 : 1;
	for (unsigned i = a->size; i-- > 0;) {
		if (a->limbs[i] != b->limbs[i])
			return a->limbs[i] < b->limbs[i] ? -1 : 1;
	}
	return 0;
}

static void add_magnitudes(struct integer *out, const struct integer *a, const struct integer *b)
{
	unsigned a_size = a->size, b_size = b->size, size = a_size > b_size ? a_size : b_size;
	uint64_t carry = 0;

	for (unsigned i = 0; i < size; i++) {
		carry += (uint64_t)(i < a_size ? a->limbs[i] : 0) + (i < b_size ? b->limbs[i] : 0);
		out->limbs[i] = (uint32_t)carry;
		carry >>= 32;
	}
	out->limbs[size] = (uint32_t)carry;
	out->size = size + 1;
}

/* |a| >= |b| */
static void subtract_magnitudes(struct integer *out, const struct integer *a, const struct integer *b)
{
	unsigned a_size = a->size, b_size = b->size;
	int64_t borrow = 0;

	for (unsigned i = 0; i < a_size; i++) {
		borrow += (int64_t)a->limbs[i] - (i < b_size ? b->limbs[i] : 0);
		out->limbs[i] = (uint32_t)borrow;
		borrow >>= 32;
	}
	out->size = a_size;
}

/* a * by + more; for numbers that stay small enough */
static void scale(struct integer *a, uint32_t by, uint32_t more)
{
	uint64_t carry = more;

	for (unsigned i = 0; i < a->size; i++) {
		carry += (uint64_t)a->limbs[i] * by;
		a->limbs[i] = (uint32_t)carry;
		carry >>= 32;
	}
	a->limbs[a->size++] = (uint32_t)carry;
	trim(a);
}

static void shift_left(struct integer *out, const struct integer *a, unsigned bits)
{
	unsigned limbs = bits / 32, rest = bits % 32, size = a->size;
	bool negative = a->negative;

	for (unsigned i = size + 1; i-- > 0;) {
		uint64_t high = i < size ? a->limbs[i] : 0, low = i ? a->limbs[i - 1] : 0;

		out->limbs[i + limbs] = (uint32_t)(((high << 32 | low) << rest) >> 32);
	}
	memset(out->limbs, 0, limbs * sizeof(out->limbs[0]));
	out->size = size + limbs + 1;
	out->negative = negative;
	trim(out);
}

static void shift_right(struct integer *out, const struct integer *a, unsigned bits)
{
	unsigned limbs = bits / 32, rest = bits % 32, size = a->size > limbs ? a->size - limbs : 0;
	bool negative = a->negative;

	for (unsigned i = 0; i < size; i++) {
		uint64_t low = a->limbs[i + limbs], high = i + 1 < size ? a->limbs[i + limbs + 1] : 0;

		out->limbs[i] = (uint32_t)((high << 32 | low) >> rest);
	}
	out->size = size;
	out->negative = negative;
	trim(out);
}

/* --- arithmetic --- */

static bool add_signed(struct integer *out, const struct integer *a, const struct integer *b, bool b_negative)
{
	bool negative = a->negative;

	if (negative == b_negative) {
		add_magnitudes(out, a, b);
	} else if (compare_magnitudes(a, b) >= 0) {
		subtract_magnitudes(out, a, b);
	} else {
		subtract_magnitudes(out, b, a);
		negative = b_negative;
	}
	out->negative = negative;
	trim(out);
	return integer_bits(out) <= INTEGER_BITS_MAX;
}

bool integer_add(struct integer *out, const struct integer *a, const struct integer *b)
{
	return add_signed(out, a, b, b->negative);
}

bool integer_subtract(struct integer *out, const struct integer *a, const struct integer *b)
{
	return add_signed(out, a, b, !b->negative);
}

bool integer_multiply(struct integer *out, const struct integer *a, const struct integer *b)
{
	struct integer product;

	/* A product has as many bits as its factors together, or one less. */
	if (integer_bits(a) + integer_bits(b) > INTEGER_BITS_MAX + 1)
		return false;
	product.negative = a->negative != b->negative;
	product.size = a->size + b->size;
	memset(product.limbs, 0, product.size * sizeof(product.limbs[0]));
	for (unsigned i = 0; i < a->size; i++) {
		uint64_t carry = 0;

		for (unsigned j = 0; j < b->size; j++) {
			carry += (uint64_t)a->limbs[i] * b->limbs[j] + product.limbs[i + j];
			product.limbs[i + j] = (uint32_t)carry;
			carry >>= 32;
		}
		product.limbs[i + b->size] = (uint32_t)carry;
	}
	trim(&product);
	integer_copy(out, &product);
	return integer_bits(out) <= INTEGER_BITS_MAX;
}

static bool power(struct integer *out, const struct integer *base, uint32_t exponent)
{
	struct integer result;

	integer_set(&result, 1);
	for (uint32_t bit = UINT32_C(1) << 31; bit; bit >>= 1) {
		if (!integer_multiply(&result, &result, &result)
				|| ((exponent & bit) && !integer_multiply(&result, &result, base)))
			return false;
	}
	integer_copy(out, &result);
	return true;
}

bool integer_power(struct integer *out, const struct integer *base, const struct integer *exponent)
{
	if (integer_bits(base) <= 1 && exponent->size) {
		/* 0 and 1 stay what they are; -1 changes its sign. */
		bool negative = base->negative && (exponent->limbs[0] & 1);

		integer_copy(out, base);
		out->negative = negative;
		return true;
	}
	if (exponent->size > 1)
		return false;
	return power(out, base, exponent->size ? exponent->limbs[0] : 0);
}

/* --- division --- */

/* The rest of a by one limb; `a` becomes the quotient. */
static uint32_t divide_by_limb(struct integer *a, uint32_t by)
{
	uint64_t rest = 0;

	for (unsigned i = a->size; i-- > 0;) {
		rest = rest << 32 | a->limbs[i];
		a->limbs[i] = (uint32_t)(rest / by);
		rest %= by;
	}
	trim(a);
	return (uint32_t)rest;
}

/* Takes digit * by off the limbs at `rest`; false if that was too much, by one `by`. */
static bool take_off(uint32_t *rest, const struct integer *by, uint64_t digit)
{
	uint64_t carry = 0;
	int64_t borrow = 0;

	for (unsigned i = 0; i <= by->size; i++) {
		carry += i < by->size ? digit * by->limbs[i] : 0;
		borrow += (int64_t)rest[i] - (int64_t)(uint32_t)carry;
		rest[i] = (uint32_t)borrow;
		carry >>= 32;
		borrow >>= 32;
	}
	return borrow == 0;
}

static void give_back(uint32_t *rest, const struct integer *by)
{
	uint64_t carry = 0;

	for (unsigned i = 0; i <= by->size; i++) {
		carry += (uint64_t)rest[i] + (i < by->size ? by->limbs[i] : 0);
		rest[i] = (uint32_t)carry;
		carry >>= 32;
	}
}

/* The digit of a quotient, at most one too large: guessed from the two highest limbs and mended by the third. */
static uint64_t guess(const uint32_t *rest, const struct integer *by)
{
	uint64_t high = (uint64_t)rest[by->size] << 32 | rest[by->size - 1];
	uint64_t first = by->limbs[by->size - 1], second = by->limbs[by->size - 2];
	uint64_t digit = high / first, left = high % first;

	while (digit > UINT32_MAX || digit * second > (left << 32 | rest[by->size - 2])) {
		digit--;
		left += first;
		if (left > UINT32_MAX)
			break;
	}
	return digit;
}

/* Schoolbook division of magnitudes, the divisor shifted so that its highest bit is set (Knuth, 4.3.1 D). */
static void divide_long(struct integer *quotient, struct integer *rest, const struct integer *a, const struct integer *by)
{
	unsigned shift = (unsigned)__builtin_clz(by->limbs[by->size - 1]);
	struct integer divisor;

	shift_left(&divisor, by, shift);
	shift_left(rest, a, shift);
	memset(rest->limbs + rest->size, 0, (a->size + 1 - rest->size) * sizeof(rest->limbs[0]));
	quotient->size = a->size - by->size + 1;
	for (unsigned i = quotient->size; i-- > 0;) {
		uint64_t digit = guess(rest->limbs + i, &divisor);

		if (!take_off(rest->limbs + i, &divisor, digit)) {
			digit--;
			give_back(rest->limbs + i, &divisor);
		}
		quotient->limbs[i] = (uint32_t)digit;
	}
	rest->size = by->size;
	trim(rest);
	shift_right(rest, rest, shift);
}

static void divide_magnitudes(struct integer *quotient, struct integer *rest, const struct integer *a,
	const struct integer *by)
{
	quotient->negative = rest->negative = false;
	if (compare_magnitudes(a, by) < 0) {
		quotient->size = 0;
		integer_copy(rest, a);
	} else if (by->size == 1) {
		integer_copy(quotient, a);
		rest->limbs[0] = divide_by_limb(quotient, by->limbs[0]);
		rest->size = 1;
	} else {
		divide_long(quotient, rest, a, by);
	}
	trim(quotient);
	trim(rest);
}

void integer_divide(struct integer *quotient, struct integer *rest, const struct integer *a, const struct integer *by)
{
	struct integer q, r, one;
	bool negative = a->negative != by->negative;

	divide_magnitudes(&q, &r, a, by);
	q.negative = negative && q.size;
	r.negative = a->negative && r.size;
	if (r.size && negative) {
		integer_set(&one, 1);
		integer_subtract(&q, &q, &one);
		integer_add(&r, &r, by);
	}
	if (quotient)
		integer_copy(quotient, &q);
	if (rest)
		integer_copy(rest, &r);
}

void integer_root(struct integer *out, const struct integer *a)
{
	struct integer root, next;

	if (!a->size) {
		integer_set(out, 0);
		return;
	}
	integer_set(&root, 1);
	shift_left(&root, &root, (integer_bits(a) + 1) / 2);
	/* Newton's steps fall until they are there. */
	for (;;) {
		integer_divide(&next, NULL, a, &root);
		integer_add(&next, &next, &root);
		shift_right(&next, &next, 1);
		if (compare_magnitudes(&next, &root) >= 0)
			break;
		integer_copy(&root, &next);
	}
	integer_copy(out, &root);
}

/* --- to and from other kinds --- */

int integer_compare(const struct integer *a, const struct integer *b)
{
	if (a->negative != b->negative)
		return a->negative ? -1 : 1;
	return a->negative ? compare_magnitudes(b, a) : compare_magnitudes(a, b);
}

bool integer_scan(struct integer *out, const char *digits, size_t size, unsigned base)
{
	integer_set(out, 0);
	for (size_t i = 0; i < size; i++) {
		unsigned char c = (unsigned char)digits[i];

		if (c == '_')
			continue;
		scale(out, base, c <= '9' ? c - (unsigned)'0' : (c | 0x20u) - 'a' + 10);
		if (integer_bits(out) > INTEGER_BITS_MAX)
			return false;
	}
	return true;
}

bool integer_as_int64(const struct integer *a, int64_t *out)
{
	uint64_t magnitude = 0;

	if (integer_bits(a) > 63)
		return false;
	for (unsigned i = a->size; i-- > 0;)
		magnitude = magnitude << 32 | a->limbs[i];
	*out = a->negative ? -(int64_t)magnitude : (int64_t)magnitude;
	return true;
}

void integer_from_double(struct integer *out, double finite)
{
	int exponent;
	double mantissa = frexp(trunc(finite), &exponent);

	integer_set(out, (int64_t)ldexp(mantissa, 63));
	if (exponent >= 63)
		shift_left(out, out, (unsigned)exponent - 63);
	else
		shift_right(out, out, (unsigned)(63 - exponent));
}

static bool has_bits_below(const struct integer *a, unsigned bit)
{
	for (unsigned i = 0; i < bit / 32; i++) {
		if (a->limbs[i])
			return true;
	}
	return bit % 32 && (a->limbs[bit / 32] & ((UINT32_C(1) << bit % 32) - 1));
}

double integer_scaled(const struct integer *a, long exponent)
{
	long bits = integer_bits(a), precision = bits + exponent + 1074;
	unsigned drop;
	struct integer kept;
	uint64_t mantissa = 0;
	bool half;

	if (precision < 0 || !bits)
		return a->negative ? -0.0 : 0.0;
	if (precision > 53)
		precision = 53;
	drop = bits > precision ? (unsigned)(bits - precision) : 0;
	shift_right(&kept, a, drop);
	for (unsigned i = kept.size; i-- > 0;)
		mantissa = mantissa << 32 | kept.limbs[i];
	half = drop && (a->limbs[(drop - 1) / 32] >> ((drop - 1) % 32) & 1);
	if (half && ((mantissa & 1) || has_bits_below(a, drop - 1)))
		mantissa++;
	return ldexp(a->negative ? -(double)mantissa : (double)mantissa, (int)(exponent + (long)drop));
}

double integer_ratio(const struct integer *a, const struct integer *by)
{
	long shift = (long)integer_bits(by) - (long)integer_bits(a) + RATIO_BITS;
	struct integer wide, quotient, rest;

	if (!a->size)
		return by->negative ? -0.0 : 0.0;
	if (shift >= 0) {
		shift_left(&wide, a, (unsigned)shift);
		divide_magnitudes(&quotient, &rest, &wide, by);
	} else {
		shift_left(&wide, by, (unsigned)-shift);
		divide_magnitudes(&quotient, &rest, a, &wide);
	}
	/* What is left only has to be seen when it comes to rounding. */
	if (rest.size && quotient.size)
		quotient.limbs[0] |= 1;
	quotient.negative = a->negative != by->negative;
	return integer_scaled(&quotient, -shift);
}
