/* values.c - the readers behind option rows, one a type
 * SPDX-License-Identifier: MIT */
#include "common/config/values.h"

#include <errno.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>

#include "common/base/buffer.h"
#include "common/base/memory.h"
#include "common/config/scalar.h"

#define MAX_TIME_MS (INT64_C(200) * 365 * 86400 * 1000)
#define MAX_SIZE (INT64_C(1) << 60)
#define MAX_SHOWN 80	/* octets of a wrong value in an error */

struct unit {
	char letter;
	int64_t factor;
};
static const struct unit time_units[] = {
	{ 'd', 86400000 }, { 'h', 3600000 }, { 'm', 60000 }, { 's', 1000 }, { 0 }
};
static const struct unit size_units[] = {
	{ 'T', INT64_C(1) << 40 }, { 'G', 1 << 30 }, { 'M', 1 << 20 }, { 'K', 1 << 10 }, { 0 }
};

void option_expected(const struct config_node *node, const char *what, struct config_errors *errors)
{
	static const char *const kinds[] = {
		[CONFIG_NULL] = "nothing", [CONFIG_LIST] = "a list", [CONFIG_MAP] = "a map"
	};
	struct buffer shown = { 0 };

	if (node->broken)
		return;
	if (node->kind != CONFIG_SCALAR)
		buffer_append_str(&shown, kinds[node->kind]);
	else if (strlen(node->text) > MAX_SHOWN)
		buffer_append_str(&shown, "a long text");
	else
		config_show(&shown, node->text);
	config_error_at_value(errors, node, "expected %s, not %s", what, buffer_str(&shown));
	buffer_release(&shown);
}

void option_missing(const struct config_node *map, const char *name, const char *what, struct config_errors *errors)
{
	struct config_node missing = *map;	/* stands where its map does, with a path of its own */

	missing.parent = (struct config_node *)map;
	missing.key = name;
	config_error_at(errors, &missing, "required, but not given: expected %s", what);
}

/* --- numbers --- */

/* The shortest way to write a time or size: 1500 ms as 1.5s, 65536 as 64K. */
static void append_unit(struct buffer *out, int64_t value, const struct unit *units)
{
	for (; units->letter; units++) {
		if (value && value % units->factor == 0) {
			buffer_appendf(out, "%lld%c", (long long)(value / units->factor), units->letter);
			return;
		}
	}
	buffer_appendf(out, "%lld", (long long)value);
}

static void append_value(struct buffer *out, enum option_type type, int64_t value)
{
	if (type == OPTION_TIME && value % 1000)
		buffer_appendf(out, "%gs", (double)value / 1000);
	else if (type == OPTION_UINT)
		buffer_appendf(out, "%lld", (long long)value);
	else
		append_unit(out, value, type == OPTION_TIME ? time_units : size_units);
}

static void describe_number(struct buffer *out, enum option_type type, int64_t min, int64_t max, bool or_zero)
{
	buffer_append_str(out, or_zero ? "0 (none) or " : "");
	buffer_append_str(out, type == OPTION_UINT ? "a number" : type == OPTION_SIZE
		? "a size such as 10K, 5M or 1G" : "a time such as 30, 10s, 5m, 2h or 1d");
	if (!min && !max)
		return;
	if (type != OPTION_UINT)
		buffer_append_char(out, ',');
	buffer_append_str(out, " from ");
	append_value(out, type, min);
	if (max != INT64_MAX) {
		buffer_append_str(out, " to ");
		append_value(out, type, max);
	}
}

/* A number with a letter behind it, in octets or milliseconds. Fractions only of times. */
static bool read_with_unit(const char *text, const struct unit *units, bool fractions, int64_t *out)
{
	char *copy = xstrdup(text);
	size_t size = strlen(copy);
	int64_t integer;
	double real = 0;
	bool good = false;

	while (size && units->letter && units->letter != copy[size - 1]
			&& (fractions || (units->letter | 0x20) != copy[size - 1]))
		units++;
	if (size && units->letter) {
		copy[size - 1] = '\0';
		if (scalar_int(copy, &integer) && !errno) {
			real = (double)integer;
			good = true;
		} else {
			good = fractions && scalar_float(copy, &real);
		}
		real *= (double)units->factor;
		good = good && real >= 0 && real < 9e18;
		*out = good ? (int64_t)(real + 0.5) : 0;
	}
	free(copy);
	return good;
}

static bool read_number(enum option_type type, const char *text, int64_t *out)
{
	double real;

	if (scalar_int(text, out)) {
		if (type == OPTION_TIME && *out <= MAX_TIME_MS)
			*out *= 1000;
		return true;
	}
	if (type == OPTION_TIME && scalar_float(text, &real) && real >= 0 && real * 1000 < 9e18) {
		*out = (int64_t)(real * 1000 + 0.5);
		return true;
	}
	if (type == OPTION_UINT)
		return false;
	return read_with_unit(text, type == OPTION_TIME ? time_units : size_units, type == OPTION_TIME, out);
}

static int read_in_range(const struct config_node *node, enum option_type type, int64_t min, int64_t max,
	bool or_zero, int64_t *out, struct config_errors *errors)
{
	int64_t least = min, most = max;
	struct buffer what = { 0 };

	if (!min && !max)
		most = type == OPTION_UINT ? UINT_MAX : type == OPTION_TIME ? MAX_TIME_MS : MAX_SIZE;
	if (node->kind == CONFIG_SCALAR && read_number(type, node->text, out)
			&& ((*out >= least && *out <= most) || (or_zero && *out == 0)))
		return 0;
	describe_number(&what, type, min, max, or_zero && min > 0);
	option_expected(node, buffer_str(&what), errors);
	buffer_release(&what);
	return -1;
}

int option_read_uint(const struct config_node *node, unsigned min, unsigned max, unsigned *out,
	struct config_errors *errors)
{
	int64_t value;

	if (read_in_range(node, OPTION_UINT, min, max, false, &value, errors) < 0)
		return -1;
	*out = (unsigned)value;
	return 0;
}

int option_read_size(const struct config_node *node, uint64_t *out, struct config_errors *errors)
{
	int64_t value;

	if (read_in_range(node, OPTION_SIZE, 0, 0, false, &value, errors) < 0)
		return -1;
	*out = (uint64_t)value;
	return 0;
}

int option_read_time(const struct config_node *node, int64_t *out_ms, struct config_errors *errors)
{
	return read_in_range(node, OPTION_TIME, 0, 0, false, out_ms, errors);
}

int option_read_bool(const struct config_node *node, bool *out, struct config_errors *errors)
{
	if (node->kind == CONFIG_SCALAR && !node->quoted && scalar_bool(node->text, out))
		return 0;
	option_expected(node, node->quoted ? "yes or no, without quotes" : "yes or no", errors);
	return -1;
}

/* --- text --- */

static int read_text(const struct config_node *node, const char *what, char **out, struct config_errors *errors)
{
	if (node->kind == CONFIG_SCALAR) {
		*out = xstrdup(node->text);
		return 0;
	}
	option_expected(node, what, errors);
	return -1;
}

static int read_choice(const struct option *row, const struct config_node *node, unsigned *out,
	struct config_errors *errors)
{
	struct buffer text = { 0 };
	size_t count = 0;

	for (; node->kind == CONFIG_SCALAR && row->choices[count]; count++) {
		if (strcmp(row->choices[count], node->text) == 0) {
			*out = (unsigned)count;
			return 0;
		}
	}
	if (node->kind == CONFIG_SCALAR) {
		option_describe(row, &text);
		buffer_append_str(&text, ", not ");
		config_show(&text, node->text);
		option_suggest(&text, node->text, row->choices, count);
		config_error_at_value(errors, node, "expected %s", buffer_str(&text));
	} else {
		option_describe(row, &text);
		option_expected(node, buffer_str(&text), errors);
	}
	buffer_release(&text);
	return -1;
}

static int read_texts(const struct config_node *node, struct strings *out, struct config_errors *errors)
{
	int result = 0;

	if (node->kind == CONFIG_SCALAR) {
		strings_add(out, node->text);
		return 0;
	}
	if (node->kind != CONFIG_LIST) {
		option_expected(node, "a list", errors);
		return -1;
	}
	for (size_t i = 0; i < node->count; i++) {
		if (node->items[i]->kind == CONFIG_SCALAR) {
			strings_add(out, node->items[i]->text);
		} else {
			option_expected(node->items[i], "text", errors);
			result = -1;
		}
	}
	return result;
}

static int read_pairs(const struct config_node *node, struct option_pairs *out, struct config_errors *errors)
{
	int result = 0;

	if (node->kind == CONFIG_NULL)
		return 0;
	if (node->kind != CONFIG_MAP) {
		option_expected(node, "a map", errors);
		return -1;
	}
	out->keys = xcalloc(node->count + 1, sizeof(*out->keys));
	out->values = xcalloc(node->count + 1, sizeof(*out->values));
	for (size_t i = 0; i < node->count; i++) {
		char *value;

		if (read_text(node->items[i], "text", &value, errors) < 0) {
			result = -1;
			continue;
		}
		out->keys[out->count] = xstrdup(node->items[i]->key);
		out->values[out->count++] = value;
	}
	return result;
}

static int read_path(const struct config_node *node, char **out, struct config_errors *errors)
{
	if (node->kind != CONFIG_SCALAR) {
		option_expected(node, "a path", errors);
		return -1;
	}
	*out = option_expand_path(node, node->text, errors);
	return *out ? 0 : -1;
}

static int read_reference(const struct config_node *node, const char *kind, char **out,
	struct config_errors *errors)
{
	if (!option_check_reference(node, kind, errors))
		return -1;
	*out = xstrdup(node->text);
	return 0;
}

int option_read_value(const struct option *row, const struct config_node *node, void *field,
	struct config_errors *errors)
{
	int64_t value;

	switch (row->type) {
	case OPTION_BOOL:
		return option_read_bool(node, field, errors);
	case OPTION_UINT:
	case OPTION_SIZE:
	case OPTION_TIME:
		if (read_in_range(node, row->type, row->min, row->max, row->any_of_zero, &value, errors) < 0)
			return -1;
		if (row->type == OPTION_UINT)
			*(unsigned *)field = (unsigned)value;
		else
			*(int64_t *)field = value;
		return 0;
	case OPTION_TEXT:
		return read_text(node, "text", field, errors);
	case OPTION_PATH:
		return read_path(node, field, errors);
	case OPTION_CHOICE:
		return read_choice(row, node, field, errors);
	case OPTION_TEXTS:
		return read_texts(node, field, errors);
	case OPTION_QUEUE:
		return read_reference(node, "queue", field, errors);
	case OPTION_RELAY:
		return read_reference(node, "relay", field, errors);
	case OPTION_PAIRS:
		return read_pairs(node, field, errors);
	case OPTION_NODE:
		*(const struct config_node **)field = node;
		return 0;
	case OPTION_SECTION:
	case OPTION_SECTIONS:
	case OPTION_IGNORED:
	case OPTION_END:
		break;
	}
	BUG("option %s has no type that can be read here", row->name);
}

/* --- words --- */

static void join_choices(const struct option *row, const char *between, struct buffer *out)
{
	for (size_t i = 0; row->choices[i]; i++) {
		buffer_append_str(out, i ? between : "");
		buffer_append_str(out, row->choices[i]);
	}
}

void option_describe(const struct option *row, struct buffer *out)
{
	static const char *const words[] = {
		[OPTION_BOOL] = "yes or no", [OPTION_TEXT] = "text", [OPTION_PATH] = "a path",
		[OPTION_TEXTS] = "a list", [OPTION_QUEUE] = "the name of a queue",
		[OPTION_RELAY] = "the name of a relay", [OPTION_SECTION] = "a map",
		[OPTION_SECTIONS] = "a map or a list of maps", [OPTION_PAIRS] = "a map", [OPTION_NODE] = "a value",
	};

	if (row->type == OPTION_CHOICE) {
		buffer_append_str(out, "one of ");
		join_choices(row, ", ", out);
	} else if (row->type == OPTION_UINT || row->type == OPTION_SIZE || row->type == OPTION_TIME) {
		describe_number(out, row->type, row->min, row->max, row->any_of_zero && row->min > 0);
	} else {
		buffer_append_str(out, words[row->type]);
	}
}

void option_type_name(const struct option *row, struct buffer *out)
{
	static const char *const words[] = {
		[OPTION_BOOL] = "bool", [OPTION_UINT] = "number", [OPTION_SIZE] = "size", [OPTION_TIME] = "time",
		[OPTION_TEXT] = "text", [OPTION_PATH] = "path", [OPTION_TEXTS] = "list", [OPTION_QUEUE] = "queue",
		[OPTION_RELAY] = "relay", [OPTION_SECTION] = "map", [OPTION_SECTIONS] = "maps",
		[OPTION_PAIRS] = "map", [OPTION_NODE] = "value",
	};

	if (row->type == OPTION_CHOICE)
		join_choices(row, "|", out);
	else
		buffer_append_str(out, words[row->type]);
}

void option_suggest(struct buffer *out, const char *name, const char *const *names, size_t count)
{
	const char *near = nearest_name(name, names, count);

	if (near)
		buffer_appendf(out, " (did you mean \"%s\"?)", near);
}
