/* expression_code.h - what the reader of expressions makes and their machine runs
 * SPDX-License-Identifier: MIT
 * A stack machine: an instruction takes its operands from the top and leaves its result there. */
#ifndef SLIMTA_CONFIG_EXPRESSION_CODE_H
#define SLIMTA_CONFIG_EXPRESSION_CODE_H

#include <stdbool.h>

#include "common/config/expression.h"
#include "common/config/integer.h"

struct number {
	bool is_real;
	double real;
	struct integer whole;		/* unless is_real; True and False are 1 and 0 */
};

enum code {
	CODE_CONSTANT,			/* index: of the constant */
	CODE_X,
	CODE_CALL,			/* index: of the function; count: of arguments */
	CODE_NEGATE, CODE_NOT,
	CODE_ADD, CODE_SUBTRACT, CODE_MULTIPLY, CODE_DIVIDE, CODE_FLOOR_DIVIDE, CODE_MODULO, CODE_POWER,
	CODE_EQUAL, CODE_UNEQUAL, CODE_LESS, CODE_LESS_EQUAL, CODE_GREATER, CODE_GREATER_EQUAL,
	CODE_CHAIN,			/* index: a comparison; true: leaves the right operand; false: False, jumps */
	CODE_JUMP,
	CODE_UNLESS,			/* takes the top; jumps if it is false */
	CODE_AND, CODE_OR,		/* jumps with the top left if it decides, else takes it */
};

struct instruction {
	unsigned char code, count;
	unsigned short column;
	short index;
	short jump;			/* instructions to skip behind this one */
};

#define EXPRESSION_STACK 64

struct expression {
	struct instruction *code;
	unsigned code_count;
	struct number *constants;
	unsigned constant_count;
};

/* In expression_value.c. They give NULL, or what was wrong. */
const char *number_operate(enum code, struct number *left_and_result, const struct number *right);
/* -1, 0, 1, or 2: not to be ordered. */
int number_compare(const struct number *, const struct number *);
bool number_is_true(const struct number *);
void number_set_real(struct number *, double);
void number_set_whole(struct number *, int64_t);
const char *number_as_real(const struct number *, double *out);
extern const char number_too_large[], number_too_large_for_real[];

/* In expression_math.c. */
#define ANY_COUNT 255
struct function {
	const char *name;
	unsigned char least, most;	/* arguments; most ANY_COUNT: any number */
	/* Exactly one of these. */
	double (*of_one)(double);
	double (*of_two)(double, double);
	/* Takes the arguments and leaves the result in the first place, which is there even if there are none. */
	const char *(*of_numbers)(struct number *numbers, unsigned count);
};
extern const struct function expression_functions[];	/* ends with a NULL name */
const char *function_call(const struct function *, struct number *numbers, unsigned count);
struct constant {
	const char *name;
	double value;
};
extern const struct constant expression_constants[];	/* ends with a NULL name */

#endif
