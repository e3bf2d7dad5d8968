/* errors.c - what is wrong with a configuration, gathered and then said in file order
 * SPDX-License-Identifier: MIT */
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include "common/base/buffer.h"
#include "common/base/memory.h"
#include "common/base/text.h"
#include "common/config/check.h"
#include "common/config/node.h"

/* A file that is wrong throughout is not helped by more lines than these. */
#define MAX_ERRORS 1000

void config_errors_append(struct config_errors *errors, const struct config_error *error)
{
	struct config_error *copy;

	if (errors->count >= MAX_ERRORS) {
		errors->error_count += !error->warning;
		return;
	}
	errors->items = xrealloc(errors->items, errors->count + 1, sizeof(*errors->items));
	copy = &errors->items[errors->count++];
	*copy = *error;
	copy->file = xstrdup(error->file);
	copy->path = xstrdup(error->path ? error->path : "");
	copy->text = xstrdup(error->text);
	errors->error_count += !error->warning;
}

void config_errors_release(struct config_errors *errors)
{
	for (size_t i = 0; i < errors->count; i++) {
		free(errors->items[i].file);
		free(errors->items[i].path);
		free(errors->items[i].text);
	}
	free(errors->items);
	memset(errors, 0, sizeof(*errors));
}

void config_error_add(struct config_errors *errors, const struct config_source *source, unsigned line,
	unsigned column, const char *path, const char *text)
{
	config_errors_append(errors, &(struct config_error){
		.file = source->name, .file_index = source->index, .line = line, .column = column,
		.path = (char *)path, .text = (char *)text,
	});
}

__attribute__((format(printf, 5, 0)))
static void add_at(struct config_errors *errors, const struct config_node *node, bool warning, bool at_value,
	const char *format, va_list args)
{
	struct buffer path = { 0 };
	char *text = xvasprintf(format, args);

	config_path(node, &path);
	config_errors_append(errors, &(struct config_error){
		.file = (char *)(node->file ? node->file : ""),
		.file_index = node->source ? node->source->index : 0,
		.line = at_value ? node->line : node->key_line,
		.column = at_value ? node->column : node->key_column,
		.warning = warning, .path = (char *)buffer_str(&path), .text = text,
	});
	buffer_release(&path);
	free(text);
}

void config_error_at(struct config_errors *errors, const struct config_node *node, const char *format, ...)
{
	va_list args;

	va_start(args, format);
	add_at(errors, node, false, false, format, args);
	va_end(args);
}

void config_warning_at(struct config_errors *errors, const struct config_node *node, const char *format, ...)
{
	va_list args;

	va_start(args, format);
	add_at(errors, node, true, false, format, args);
	va_end(args);
}

void config_error_at_value(struct config_errors *errors, const struct config_node *node, const char *format, ...)
{
	va_list args;

	va_start(args, format);
	add_at(errors, node, false, true, format, args);
	va_end(args);
}

static int compare_places(const void *left, const void *right)
{
	const struct config_error *a = left, *b = right;
	int order;

	if (a->file_index != b->file_index)
		return a->file_index < b->file_index ? -1 : 1;
	if ((order = strcmp(a->file, b->file)))
		return order;
	if (a->line != b->line)
		return a->line < b->line ? -1 : 1;
	if (a->column != b->column)
		return a->column < b->column ? -1 : 1;
	if ((order = strcmp(a->path, b->path)))
		return order;
	return strcmp(a->text, b->text);
}

static void print_error(const struct config_error *error, struct buffer *out)
{
	buffer_append_str(out, error->file);
	if (error->line)
		buffer_appendf(out, ":%u:%u", error->line, error->column);
	buffer_append_str(out, ": ");
	if (*error->path)
		buffer_appendf(out, "%s: ", error->path);
	buffer_appendf(out, "%s%s\n", error->warning ? "warning: " : "", error->text);
}

void config_errors_print(struct config_errors *errors, struct buffer *out)
{
	if (errors->count)
		qsort(errors->items, errors->count, sizeof(*errors->items), compare_places);
	for (size_t i = 0; i < errors->count; i++) {
		if (i == 0 || compare_places(&errors->items[i - 1], &errors->items[i]) != 0)
			print_error(&errors->items[i], out);
	}
}

void config_show(struct buffer *out, const char *text)
{
	buffer_append_char(out, '"');
	json_escaped(out, text, strlen(text));
	buffer_append_char(out, '"');
}

static void put_field(struct buffer *out, const char *text)
{
	buffer_append_char(out, '\t');
	for (; *text; text++) {
		if (*text == '\t' || *text == '\n' || *text == '\\')
			buffer_appendf(out, "\\%c", *text == '\t' ? 't' : *text == '\n' ? 'n' : '\\');
		else
			buffer_append_char(out, *text);
	}
}

void config_errors_format(const struct config_errors *errors, struct buffer *out)
{
	for (size_t i = 0; i < errors->count; i++) {
		const struct config_error *error = &errors->items[i];

		buffer_appendf(out, "%s\t%u\t%u\t%u", error->warning ? "warning" : "error", error->file_index,
			error->line, error->column);
		put_field(out, error->file);
		put_field(out, error->path);
		put_field(out, error->text);
		buffer_append_char(out, '\n');
	}
}

/* Takes the field up to a tab or the end of the line; NULL if a backslash stands alone. */
static char *take_field(const char **at, const char *end)
{
	struct buffer field = { 0 };
	const char *p = *at;

	buffer_reserve(&field, 1);
	for (; p < end && *p != '\t'; p++) {
		if (*p != '\\') {
			buffer_append_char(&field, *p);
			continue;
		}
		if (++p == end || !strchr("tn\\", *p) || !*p) {
			buffer_release(&field);
			return NULL;
		}
		buffer_append_char(&field, *p == 't' ? '\t' : *p == 'n' ? '\n' : '\\');
	}
	*at = p < end ? p + 1 : end;
	return field.size ? buffer_detach(&field) : (buffer_release(&field), xstrdup(""));
}

static bool number_of(const char *text, unsigned *out)
{
	uint64_t number;

	if (!text || !parse_u64(text, strlen(text), UINT32_MAX, &number))
		return false;
	*out = (unsigned)number;
	return true;
}

static int parse_line(struct config_errors *errors, const char *at, const char *end)
{
	char *fields[7] = { NULL };
	struct config_error error = { 0 };
	bool good = true;

	for (size_t i = 0; i < ARRAY_SIZE(fields); i++) {
		fields[i] = take_field(&at, end);
		good = good && fields[i];
	}
	good = good && at == end && number_of(fields[1], &error.file_index) && number_of(fields[2], &error.line)
		&& number_of(fields[3], &error.column);
	if (good) {
		error.warning = strcmp(fields[0], "warning") == 0;
		error.file = fields[4];
		error.path = fields[5];
		error.text = fields[6];
		config_errors_append(errors, &error);
	}
	for (size_t i = 0; i < ARRAY_SIZE(fields); i++)
		free(fields[i]);
	return good ? 0 : -1;
}

int config_errors_parse(struct config_errors *errors, const char *text, size_t size)
{
	const char *end = text + size;

	while (text < end) {
		const char *line_end = memchr(text, '\n', (size_t)(end - text));

		if (!line_end || parse_line(errors, text, line_end) < 0)
			return -1;
		text = line_end + 1;
	}
	return 0;
}
