/* integer.h - whole numbers far beyond 64 bits, exact, without allocation
 * SPDX-License-Identifier: MIT
 * What Python does with its integers, up to a size at which the answer is no. */
#ifndef SLIMTA_CONFIG_INTEGER_H
#define SLIMTA_CONFIG_INTEGER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define INTEGER_BITS_MAX 10240
#define INTEGER_LIMBS (INTEGER_BITS_MAX / 32 + 4)

struct integer {
	bool negative;
	unsigned size;			/* limbs in use; 0: zero, and not negative */
	uint32_t limbs[INTEGER_LIMBS];	/* least significant first */
};

/* Results may stand where an operand stood. False: the result has more than INTEGER_BITS_MAX bits, and what
 * is in `out` has no meaning. */
void integer_set(struct integer *out, int64_t value);
void integer_copy(struct integer *out, const struct integer *);
bool integer_scan(struct integer *out, const char *digits, size_t size, unsigned base);	/* valid digits, and _ */
bool integer_add(struct integer *out, const struct integer *, const struct integer *);
bool integer_subtract(struct integer *out, const struct integer *, const struct integer *);
bool integer_multiply(struct integer *out, const struct integer *, const struct integer *);
bool integer_power(struct integer *out, const struct integer *base, const struct integer *exponent); /* not negative */
/* Rounds down, the rest has the divisor's sign. The divisor is not 0; either result may be NULL. */
void integer_divide(struct integer *quotient, struct integer *rest, const struct integer *, const struct integer *by);
void integer_root(struct integer *out, const struct integer *);	/* square root of what is not negative, rounded down */
int integer_compare(const struct integer *, const struct integer *);	/* below, at or above 0 */

unsigned integer_bits(const struct integer *);		/* of the magnitude */
bool integer_as_int64(const struct integer *, int64_t *out);	/* false: too large for it */
void integer_from_double(struct integer *out, double finite);	/* towards zero */
/* The nearest double of value * 2^exponent, ties to even; infinite beyond the largest. */
double integer_scaled(const struct integer *, long exponent);
/* The nearest double of the true quotient; infinite beyond the largest. The divisor is not 0. */
double integer_ratio(const struct integer *, const struct integer *by);

#endif
