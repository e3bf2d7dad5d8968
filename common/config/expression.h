/* expression.h - arithmetic over x as Python has it, for values of slimta.conf
 * SPDX-License-Identifier: MIT
 * Python 3's operators + - * / // % **, comparisons (chained too), and, or, not, a if c else b; numbers with
 * whole ones apart from real ones, True and False; min max abs round int float; of the math module what takes
 * numbers and gives one. Values are those of Python; where that cannot be, it is an error: whole numbers end
 * at 10,240 bits, keyword arguments, complex numbers and bit operators are not known. */
#ifndef SLIMTA_CONFIG_EXPRESSION_H
#define SLIMTA_CONFIG_EXPRESSION_H

#include <stdint.h>

#define EXPRESSION_LENGTH_MAX 1000

struct expression_error {
	unsigned column;		/* of the text, in characters, from 1 */
	char text[160];			/* what was expected there */
};

struct expression;

/* Owned; NULL with an error: syntax, names, numbers of arguments, limits of length and depth. */
struct expression *expression_parse(const char *text, struct expression_error *error);
void expression_free(struct expression *);		/* NULL is fine */

/* The value as a real number, which may be infinite or not a number. Allocates nothing. 0, or -1 with an error:
 * what raises an exception in Python (division by zero, domain, overflow), or is too large for us. */
int expression_evaluate(const struct expression *, int64_t x, double *out, struct expression_error *error);

#endif
