/* expression_run.c - the machine that evaluates expressions
 * SPDX-License-Identifier: MIT */
#include <stdio.h>

#include "common/base/memory.h"
#include "common/config/expression_code.h"

struct machine {
	const struct expression *expression;
	int64_t x;
	unsigned height;			/* values on the stack */
	struct number stack[EXPRESSION_STACK];
};

static void negate(struct number *number)
{
	if (number->is_real)
		number->real = -number->real;
	else
		number->whole.negative = !number->whole.negative && number->whole.size;
}

static bool holds(enum code comparison, const struct number *left, const struct number *right)
{
	int order = number_compare(left, right);

	switch (comparison) {
	case CODE_EQUAL:
		return order == 0;
	case CODE_UNEQUAL:
		return order != 0;
	case CODE_LESS:
		return order == -1;
	case CODE_LESS_EQUAL:
		return order == -1 || order == 0;
	case CODE_GREATER:
		return order == 1;
	default:
		return order == 1 || order == 0;
	}
}

static bool is_jump(enum code code)
{
	return code >= CODE_CHAIN;
}

static struct number *push(struct machine *machine)
{
	return &machine->stack[machine->height++];
}

/* The compiler puts a value there before it asks for one. */
static struct number *top_of(struct machine *machine)
{
	if (!machine->height)
		BUG("an expression takes a value of an empty stack");
	return &machine->stack[machine->height - 1];
}

/* Whether it jumps. */
static bool decide(struct machine *machine, const struct instruction *instruction)
{
	struct number *top = top_of(machine);
	bool goes_on;

	switch ((enum code)instruction->code) {
	case CODE_CHAIN:
		machine->height--;
		goes_on = holds((enum code)instruction->index, top - 1, top);
		if (goes_on)
			top[-1] = *top;
		else
			number_set_whole(top - 1, 0);
		return !goes_on;
	case CODE_UNLESS:
		machine->height--;
		return !number_is_true(top);
	case CODE_AND:
	case CODE_OR:
		goes_on = number_is_true(top) == (instruction->code == CODE_AND);
		machine->height -= goes_on;
		return !goes_on;
	default:
		return true;
	}
}

static const char *call(struct machine *machine, const struct instruction *instruction)
{
	machine->height -= instruction->count;
	return function_call(&expression_functions[instruction->index], push(machine), instruction->count);
}

static const char *calculate(struct machine *machine, const struct instruction *instruction)
{
	struct number *top;
	enum code code = instruction->code;

	switch (code) {
	case CODE_CONSTANT:
		*push(machine) = machine->expression->constants[instruction->index];
		return NULL;
	case CODE_X:
		number_set_whole(push(machine), machine->x);
		return NULL;
	case CODE_CALL:
		return call(machine, instruction);
	case CODE_NEGATE:
		negate(top_of(machine));
		return NULL;
	case CODE_NOT:
		top = top_of(machine);
		number_set_whole(top, !number_is_true(top));
		return NULL;
	default:
		top = top_of(machine);
		machine->height--;
		if (code < CODE_EQUAL)
			return number_operate(code, top - 1, top);
		number_set_whole(top - 1, holds(code, top - 1, top));
		return NULL;
	}
}

int expression_evaluate(const struct expression *expression, int64_t x, double *out, struct expression_error *error)
{
	struct machine machine;
	const struct instruction *instruction = NULL;
	const char *why = NULL;

	machine.expression = expression;
	machine.x = x;
	machine.height = 0;
	for (unsigned at = 0; at < expression->code_count && !why; at++) {
		instruction = &expression->code[at];
		if (!is_jump(instruction->code))
			why = calculate(&machine, instruction);
		else if (decide(&machine, instruction))
			at += (unsigned)instruction->jump;
	}
	if (!why)
		why = number_as_real(top_of(&machine), out);
	if (!why)
		return 0;
	error->column = instruction ? instruction->column : 0;
	snprintf(error->text, sizeof(error->text), "%s", why);
	return -1;
}
