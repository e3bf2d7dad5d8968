/* template.c - the replacement of a substitution: text, and references to groups of the pattern
 * SPDX-License-Identifier: MIT */
#include "common/policy/template.h"

#include <ctype.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "common/base/buffer.h"
#include "common/base/memory.h"
#include "common/base/text.h"

#define NAME_MAX_SIZE 32		/* what PCRE2 takes */

struct reader {
	struct template *template;
	const pcre2_code *code;
	uint32_t groups;
	const char *text, *at;
	struct buffer literal;		/* since the last group */
	char *why;
};

static bool fail(struct reader *reader, const char *at, const char *what, const char *shown, size_t size)
{
	struct buffer out = { 0 };

	buffer_appendf(&out, "character %zu of the replacement: %s", (size_t)(at - reader->text) + 1, what);
	if (size) {
		buffer_append_char(&out, ' ');
		quoted(&out, shown, size);
	}
	reader->why = buffer_detach(&out);
	return false;
}

static void end_piece(struct reader *reader, int group)
{
	struct template *template = reader->template;
	struct template_piece piece = { .size = reader->literal.size, .group = group };

	/* It may hold a NUL. */
	piece.text = buffer_detach(&reader->literal);
	template->pieces = xrealloc(template->pieces, template->count + 1, sizeof(template->pieces[0]));
	template->pieces[template->count++] = piece;
}

static bool refer(struct reader *reader, const char *at, uint64_t group, const char *shown, size_t size)
{
	if (group > reader->groups)
		return fail(reader, at, "the pattern has no group", shown, size);
	end_piece(reader, (int)group);
	return true;
}

/* Up to 377 octal: those above ASCII are the characters of Latin-1. */
static void append_character(struct reader *reader, unsigned code)
{
	if (code >= 0x80) {
		buffer_append_char(&reader->literal, (char)(0xc0 | code >> 6));
		code = 0x80 | (code & 0x3f);
	}
	buffer_append_char(&reader->literal, (char)code);
}

static bool is_octal(char c)
{
	return c >= '0' && c <= '7';
}

/* Behind "\": a digit. "\0" and three octal digits are characters, others are groups of one or two digits. */
static bool read_digits(struct reader *reader)
{
	const char *digits = reader->at;
	unsigned code = 0, size = 0;

	if (*digits != '0' && !(is_octal(digits[0]) && is_octal(digits[1]) && is_octal(digits[2]))) {
		size = isdigit((unsigned char)digits[1]) ? 2 : 1;
		reader->at += size;
		return refer(reader, digits - 1, strtoul((char[]){ digits[0], size == 2 ? digits[1] : '\0', '\0' }, NULL, 10),
			digits, size);
	}
	while (size < 3 && is_octal(digits[size]))
		code = code * 8 + (unsigned)(digits[size++] - '0');
	if (code > 0377)
		return fail(reader, digits - 1, "a character beyond \\377", NULL, 0);
	reader->at += size;
	append_character(reader, code);
	return true;
}

/* Behind "\g". */
static bool read_name(struct reader *reader)
{
	const char *name = reader->at + 1, *end = *reader->at == '<' ? strchr(name, '>') : NULL;
	char text[NAME_MAX_SIZE + 1] = "";
	uint64_t group;
	int number;

	if (!end || end == name)
		return fail(reader, reader->at - 2, "expected a group as in \\g<1> or \\g<NAME>", NULL, 0);
	reader->at = end + 1;
	if (parse_u64(name, (size_t)(end - name), UINT32_MAX, &group))
		return refer(reader, name, group, name, (size_t)(end - name));
	if (end - name <= NAME_MAX_SIZE)
		memcpy(text, name, (size_t)(end - name));
	number = *text ? pcre2_substring_number_from_name(reader->code, (PCRE2_SPTR)text) : -1;
	return refer(reader, name, number < 0 ? UINT64_MAX : (uint64_t)number, name, (size_t)(end - name));
}

/* At "\". */
static bool read_escape(struct reader *reader)
{
	static const char letters[] = "abfnrtv\\", meant[] = "\a\b\f\n\r\t\v\\";
	char c = *++reader->at;
	const char *known = c ? strchr(letters, c) : NULL;

	if (!c)
		return fail(reader, reader->at - 1, "a \\ at the end", NULL, 0);
	if (isdigit((unsigned char)c))
		return read_digits(reader);
	reader->at++;
	if (c == 'g')
		return read_name(reader);
	if (known)
		buffer_append_char(&reader->literal, meant[known - letters]);
	else if (isalpha((unsigned char)c))
		return fail(reader, reader->at - 2, "an escape without a meaning:", reader->at - 2, 2);
	else
		buffer_append(&reader->literal, reader->at - 2, 2);
	return true;
}

int template_read(struct template *template, const char *text, const pcre2_code *code, char **why)
{
	struct reader reader = { .template = template, .code = code, .text = text, .at = text };
	bool good = true;

	pcre2_pattern_info(code, PCRE2_INFO_CAPTURECOUNT, &reader.groups);
	while (good && *reader.at) {
		size_t plain = strcspn(reader.at, "\\");

		buffer_append(&reader.literal, reader.at, plain);
		reader.at += plain;
		if (*reader.at)
			good = read_escape(&reader);
	}
	if (good)
		end_piece(&reader, -1);
	buffer_release(&reader.literal);
	*why = reader.why;
	return good ? 0 : -1;
}

void template_release(struct template *template)
{
	for (size_t i = 0; i < template->count; i++)
		free(template->pieces[i].text);
	free(template->pieces);
	*template = (struct template){ 0 };
}
