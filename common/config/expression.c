/* expression.c - reads an expression into the code of its machine, by recursive descent
 * SPDX-License-Identifier: MIT */
#include "common/config/expression.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/base/buffer.h"
#include "common/base/memory.h"
#include "common/base/text.h"
#include "common/config/expression_code.h"
#include "common/config/expression_token.h"

#define DEPTH_MAX 100
#define SHOWN_MAX 40

struct reader {
	const char *text;
	struct token token;		/* the one at hand */
	unsigned depth;
	unsigned height;		/* of the stack at this place, or more */
	struct expression *made;
	struct expression_error *error;
};

static bool read_expression(struct reader *reader);
static bool read_factor(struct reader *reader);

/* --- errors --- */

static unsigned column_of(const struct reader *reader, const char *at)
{
	unsigned column = 1;

	for (const char *c = reader->text; c < at; c++)
		column += ((unsigned char)*c & 0xc0) != 0x80;
	return column;
}

__attribute__((format(printf, 3, 4)))
static bool fail(struct reader *reader, const char *at, const char *format, ...)
{
	va_list args;

	reader->error->column = column_of(reader, at);
	va_start(args, format);
	vsnprintf(reader->error->text, sizeof(reader->error->text), format, args);
	va_end(args);
	return false;
}

static void append_token(struct buffer *out, const struct token *token)
{
	quoted(out, token->text, token->size < SHOWN_MAX ? token->size : SHOWN_MAX);
}

static bool fail_expecting(struct reader *reader, const char *what)
{
	const struct token *token = &reader->token;
	struct buffer shown = { 0 };

	if (token->kind == TOKEN_BAD)
		buffer_append_str(&shown, token->why);
	else if (token->kind == TOKEN_END)
		buffer_append_str(&shown, "the end");
	else
		append_token(&shown, token);
	fail(reader, token->text, "expected %s, not %s", what, buffer_str(&shown));
	buffer_release(&shown);
	return false;
}

/* --- words --- */

static void next(struct reader *reader)
{
	reader->token = token_read(reader->token.text + reader->token.size);
}

static bool is(const struct reader *reader, const char *word)
{
	const struct token *token = &reader->token;

	return (token->kind == TOKEN_NAME || token->kind == TOKEN_OPERATOR) && strlen(word) == token->size
		&& !memcmp(word, token->text, token->size);
}

static bool take(struct reader *reader, const char *word)
{
	if (!is(reader, word))
		return false;
	next(reader);
	return true;
}

/* --- code --- */

static struct instruction *emit(struct reader *reader, enum code code, const char *at, int index)
{
	struct expression *made = reader->made;
	struct instruction *instruction;

	made->code = xrealloc(made->code, made->code_count + 1, sizeof(made->code[0]));
	instruction = &made->code[made->code_count++];
	*instruction = (struct instruction){ .code = (unsigned char)code, .index = (short)index,
		.column = (unsigned short)column_of(reader, at) };
	return instruction;
}

/* The instruction `from` jumps to what is emitted next. */
static void land(struct reader *reader, unsigned from)
{
	reader->made->code[from].jump = (short)(reader->made->code_count - from - 1);
}

static bool push(struct reader *reader, const char *at)
{
	if (++reader->height <= EXPRESSION_STACK)
		return true;
	return fail(reader, at, "too much at a time: more than %d values wait for their operators", EXPRESSION_STACK);
}

static bool enter(struct reader *reader)
{
	if (++reader->depth <= DEPTH_MAX)
		return true;
	return fail(reader, reader->token.text, "nested more than %d times", DEPTH_MAX);
}

static bool leave(struct reader *reader)
{
	reader->depth--;
	return true;
}

/* --- operands --- */

static bool emit_constant(struct reader *reader, const char *at, const struct number *value)
{
	struct expression *made = reader->made;

	made->constants = xrealloc(made->constants, made->constant_count + 1, sizeof(made->constants[0]));
	made->constants[made->constant_count] = *value;
	emit(reader, CODE_CONSTANT, at, (int)made->constant_count++);
	return push(reader, at);
}

static double scan_real(const struct token *token)
{
	char digits[EXPRESSION_LENGTH_MAX + 1];
	size_t size = 0;

	for (size_t i = 0; i < token->size; i++) {
		if (token->text[i] != '_')
			digits[size++] = token->text[i];
	}
	digits[size] = '\0';
	return strtod(digits, NULL);
}

static bool read_number(struct reader *reader)
{
	const struct token token = reader->token;
	struct number value = { 0 };

	if (!token.base)
		number_set_real(&value, scan_real(&token));
	else if (!integer_scan(&value.whole, token.text, token.size, token.base))
		return fail(reader, token.text, "%s", number_too_large);
	next(reader);
	return emit_constant(reader, token.text, &value);
}

static bool says_count(struct reader *reader, const struct token *name, const struct function *function, unsigned count)
{
	const char *how = function->least == function->most ? "" : count < function->least ? "at least " : "at most ";
	unsigned wanted = count < function->least ? function->least : function->most;

	if (count >= function->least && (count <= function->most || function->most == ANY_COUNT))
		return true;
	return fail(reader, name->text, "%s takes %s%u argument%s, not %u", function->name, how, wanted,
		wanted == 1 ? "" : "s", count);
}

/* The name was read; its parenthesis is at hand. */
static bool read_call(struct reader *reader, const struct token *name, int index)
{
	const struct function *function = &expression_functions[index];
	unsigned count = 0;

	if (!take(reader, "("))
		return fail(reader, name->text, "%s is a function: expected ( behind it", function->name);
	while (!is(reader, ")")) {
		if (!read_expression(reader))
			return false;
		count++;
		if (!take(reader, ",") && !is(reader, ")"))
			return fail_expecting(reader, "an operator, \",\" or \")\"");
	}
	next(reader);
	if (!says_count(reader, name, function, count) || (!count && !push(reader, name->text)))
		return false;
	emit(reader, CODE_CALL, name->text, index)->count = (unsigned char)count;
	reader->height -= count ? count - 1 : 0;
	return true;
}

static bool fail_unknown(struct reader *reader, const struct token *name)
{
	const char *names[100] = { "x", "True", "False", "if", "else", "and", "or", "not" }, *near;
	char *text = xstrndup(name->text, name->size);
	struct buffer shown = { 0 };
	size_t count = 8;

	for (size_t i = 0; expression_functions[i].name && count < ARRAY_SIZE(names); i++)
		names[count++] = expression_functions[i].name;
	near = nearest_name(text, names, count);
	append_token(&shown, name);
	if (near)
		fail(reader, name->text, "unknown name %s (did you mean \"%s\"?)", buffer_str(&shown), near);
	else
		fail(reader, name->text, "unknown name %s", buffer_str(&shown));
	buffer_release(&shown);
	free(text);
	return false;
}

static bool token_has(const struct token *token, const char *name)
{
	return strlen(name) == token->size && !memcmp(name, token->text, token->size);
}

static bool read_name(struct reader *reader)
{
	const struct token name = reader->token;
	struct number value = { 0 };

	next(reader);
	if (token_has(&name, "x")) {
		emit(reader, CODE_X, name.text, 0);
		return push(reader, name.text);
	}
	if (token_has(&name, "True") || token_has(&name, "False")) {
		number_set_whole(&value, *name.text == 'T');
		return emit_constant(reader, name.text, &value);
	}
	for (int i = 0; expression_constants[i].name; i++) {
		if (token_has(&name, expression_constants[i].name)) {
			number_set_real(&value, expression_constants[i].value);
			return emit_constant(reader, name.text, &value);
		}
	}
	for (int i = 0; expression_functions[i].name; i++) {
		if (token_has(&name, expression_functions[i].name))
			return read_call(reader, &name, i);
	}
	return fail_unknown(reader, &name);
}

static bool read_operand(struct reader *reader)
{
	static const char *const keywords[] = { "if", "else", "and", "or", "not" };

	for (size_t i = 0; i < ARRAY_SIZE(keywords); i++) {
		if (is(reader, keywords[i]))
			return fail_expecting(reader, "a number, a name or \"(\"");
	}
	if (reader->token.kind == TOKEN_NUMBER)
		return read_number(reader);
	if (reader->token.kind == TOKEN_NAME)
		return read_name(reader);
	if (!take(reader, "("))
		return fail_expecting(reader, "a number, a name or \"(\"");
	if (!read_expression(reader))
		return false;
	return take(reader, ")") || fail_expecting(reader, "an operator or \")\"");
}

/* --- operators, those that bind tightest first --- */

/* Reads the right operand by `read` and emits the operator that was at hand. */
static bool read_right(struct reader *reader, enum code code, bool (*read)(struct reader *))
{
	const char *at = reader->token.text;

	next(reader);
	if (!read(reader))
		return false;
	emit(reader, code, at, 0);
	reader->height--;
	return true;
}

static bool read_power(struct reader *reader)
{
	if (!read_operand(reader))
		return false;
	return !is(reader, "**") || read_right(reader, CODE_POWER, read_factor);
}

static bool read_factor(struct reader *reader)
{
	const char *at = reader->token.text;

	if (!enter(reader))
		return false;
	if (take(reader, "-")) {
		if (!read_factor(reader))
			return false;
		emit(reader, CODE_NEGATE, at, 0);
	} else if (take(reader, "+") ? !read_factor(reader) : !read_power(reader)) {
		return false;
	}
	return leave(reader);
}

static bool read_term(struct reader *reader)
{
	bool good = read_factor(reader);

	while (good) {
		if (is(reader, "*"))
			good = read_right(reader, CODE_MULTIPLY, read_factor);
		else if (is(reader, "/"))
			good = read_right(reader, CODE_DIVIDE, read_factor);
		else if (is(reader, "//"))
			good = read_right(reader, CODE_FLOOR_DIVIDE, read_factor);
		else if (is(reader, "%"))
			good = read_right(reader, CODE_MODULO, read_factor);
		else
			break;
	}
	return good;
}

static bool read_sum(struct reader *reader)
{
	bool good = read_term(reader);

	while (good) {
		if (is(reader, "+"))
			good = read_right(reader, CODE_ADD, read_term);
		else if (is(reader, "-"))
			good = read_right(reader, CODE_SUBTRACT, read_term);
		else
			break;
	}
	return good;
}

/* CODE_CHAIN stands for none. */
static enum code comparison_at(const struct reader *reader)
{
	static const char *const names[] = { "==", "!=", "<", "<=", ">", ">=" };

	for (int i = 0; i < (int)ARRAY_SIZE(names); i++) {
		if (is(reader, names[i]))
			return CODE_EQUAL + i;
	}
	return CODE_CHAIN;
}

static bool read_comparison(struct reader *reader)
{
	unsigned start = reader->made->code_count;
	enum code code;

	if (!read_sum(reader))
		return false;
	while ((code = comparison_at(reader)) != CODE_CHAIN) {
		const char *at = reader->token.text;

		next(reader);
		if (!read_sum(reader))
			return false;
		if (comparison_at(reader) != CODE_CHAIN)
			emit(reader, CODE_CHAIN, at, code);
		else
			emit(reader, code, at, 0);
		reader->height--;
	}
	/* Those within the operands have their jumps already. */
	for (unsigned i = start; i < reader->made->code_count; i++) {
		if (reader->made->code[i].code == CODE_CHAIN && !reader->made->code[i].jump)
			land(reader, i);
	}
	return true;
}

static bool read_inversion(struct reader *reader)
{
	const char *at = reader->token.text;

	if (!take(reader, "not"))
		return read_comparison(reader);
	if (!enter(reader) || !read_inversion(reader))
		return false;
	emit(reader, CODE_NOT, at, 0);
	return leave(reader);
}

static bool read_logical(struct reader *reader, const char *word, enum code code, bool (*read)(struct reader *))
{
	if (!read(reader))
		return false;
	while (is(reader, word)) {
		unsigned from = reader->made->code_count;

		emit(reader, code, reader->token.text, 0);
		reader->height--;
		next(reader);
		if (!read(reader))
			return false;
		land(reader, from);
	}
	return true;
}

static bool read_and(struct reader *reader)
{
	return read_logical(reader, "and", CODE_AND, read_inversion);
}

static bool read_or(struct reader *reader)
{
	return read_logical(reader, "or", CODE_OR, read_and);
}

/* Changes [a][b] from `start` to [b][a]: the condition stands behind the value and runs before it. */
static void swap_code(struct expression *made, unsigned start, unsigned middle)
{
	size_t first = middle - start, second = made->code_count - middle;
	struct instruction *copy = xmemdup(made->code + start, first * sizeof(*copy));

	memmove(made->code + start, made->code + middle, second * sizeof(*copy));
	memcpy(made->code + start + second, copy, first * sizeof(*copy));
	free(copy);
}

/* "if" was taken: the value it chooses stands from `start`. */
static bool read_condition(struct reader *reader, unsigned start, const char *at)
{
	unsigned middle = reader->made->code_count, from;

	if (!read_or(reader))
		return false;
	if (!is(reader, "else"))
		return fail_expecting(reader, "an operator or \"else\"");
	emit(reader, CODE_UNLESS, at, 0)->jump = (short)(middle - start + 1);
	swap_code(reader->made, start, middle);
	from = reader->made->code_count;
	emit(reader, CODE_JUMP, at, 0);
	next(reader);
	reader->height -= 2;
	if (!read_expression(reader))
		return false;
	land(reader, from);
	return true;
}

static bool read_expression(struct reader *reader)
{
	unsigned start = reader->made->code_count;
	const char *at;

	if (!enter(reader) || !read_or(reader))
		return false;
	at = reader->token.text;
	if (take(reader, "if") && !read_condition(reader, start, at))
		return false;
	return leave(reader);
}

/* --- the whole --- */

struct expression *expression_parse(const char *text, struct expression_error *error)
{
	struct reader reader = { .text = text, .made = xcalloc(1, sizeof(*reader.made)), .error = error };
	bool good;

	if (strlen(text) > EXPRESSION_LENGTH_MAX) {
		reader.text = text + EXPRESSION_LENGTH_MAX;
		good = fail(&reader, reader.text, "longer than %d octets", EXPRESSION_LENGTH_MAX);
	} else {
		reader.token = token_read(text);
		good = read_expression(&reader);
		if (good && reader.token.kind != TOKEN_END)
			good = fail_expecting(&reader, "an operator or the end");
	}
	if (good)
		return reader.made;
	expression_free(reader.made);
	return NULL;
}

void expression_free(struct expression *expression)
{
	if (!expression)
		return;
	free(expression->code);
	free(expression->constants);
	free(expression);
}
