/* xtext.c - the values of ENVID and ORCPT
 * SPDX-License-Identifier: MIT */
#include "common/message/xtext.h"

#include <ctype.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "common/base/buffer.h"
#include "common/base/text.h"

static const char hex_digits[] = "0123456789ABCDEF";

static bool is_xchar(unsigned char c)
{
	return c >= '!' && c <= '~' && c != '+' && c != '=';
}

void xtext_encode(struct buffer *out, const char *text, size_t size)
{
	for (size_t i = 0; i < size; i++) {
		unsigned char c = (unsigned char)text[i];

		if (is_xchar(c))
			buffer_append_char(out, text[i]);
		else
			buffer_appendf(out, "+%02X", c);
	}
}

static int upper_hex(char c)
{
	const char *digit = c ? strchr(hex_digits, c) : NULL;

	return digit ? (int)(digit - hex_digits) : -1;
}

/* Graphic or white space: RFC 3461 4.2 and 4.4. */
static bool is_reportable(int c)
{
	return (c >= ' ' && c <= '~') || c == '\t';
}

static bool append_xtext(struct buffer *out, const char *text, size_t size)
{
	for (size_t at = 0; at < size; at++) {
		int high, low;

		if (is_xchar((unsigned char)text[at])) {
			buffer_append_char(out, text[at]);
			continue;
		}
		if (text[at] != '+' || size - at < 3)
			return false;
		high = upper_hex(text[at + 1]);
		low = upper_hex(text[at + 2]);
		if (high < 0 || low < 0 || !is_reportable(high * 16 + low))
			return false;
		buffer_append_char(out, (char)(high * 16 + low));
		at += 2;
	}
	return true;
}

char *xtext_decode(const char *text, size_t size)
{
	struct buffer out = { 0 };

	if (append_xtext(&out, text, size))
		return buffer_detach(&out);
	buffer_release(&out);
	return NULL;
}

/* ---- the utf-8 address type */

static void append_utf8(struct buffer *out, uint32_t character)
{
	if (character < 0x80) {
		buffer_append_char(out, (char)character);
		return;
	}
	if (character < 0x800) {
		buffer_append_char(out, (char)(0xc0 | character >> 6));
	} else {
		if (character < 0x10000) {
			buffer_append_char(out, (char)(0xe0 | character >> 12));
		} else {
			buffer_append_char(out, (char)(0xf0 | character >> 18));
			buffer_append_char(out, (char)(0x80 | (character >> 12 & 0x3f)));
		}
		buffer_append_char(out, (char)(0x80 | (character >> 6 & 0x3f)));
	}
	buffer_append_char(out, (char)(0x80 | (character & 0x3f)));
}

/* What \x{} may stand for. The grammar has control characters too, but a mailbox has none. */
static bool is_embeddable(uint32_t character)
{
	if (character < 0x80)
		return character == ' ' || character == '+' || character == '=' ||
			character == '\\';
	return character >= 0xa0 && character <= 0x10ffff &&
		!(character >= 0xd800 && character <= 0xdfff);
}

/* "\x{HEX}": the octets it has, 0 if it is not well-formed. */
static size_t take_embedded(const char *text, size_t size, uint32_t *character)
{
	size_t at = 3;

	*character = 0;
	if (size < 4 || memcmp(text, "\\x{", 3) != 0 || text[at] == '0')
		return 0;
	while (at < size && at < 3 + 6 && isxdigit((unsigned char)text[at]))
		*character = *character << 4 |
			(uint32_t)upper_hex((char)toupper((unsigned char)text[at++]));
	if (at < 3 + 2 || at == size || text[at] != '}' || !is_embeddable(*character))
		return 0;
	return at + 1;
}

static bool append_unitext(struct buffer *out, const char *text, size_t size, bool utf8)
{
	uint32_t character;

	for (size_t at = 0, length; at < size; at += length) {
		if (text[at] == '\\') {
			length = take_embedded(text + at, size - at, &character);
			if (!length)
				return false;
			append_utf8(out, character);
			continue;
		}
		length = utf8_next(text + at, size - at, &character);
		if (!length)
			return false;
		if (character < 0x80 ? !is_xchar((unsigned char)character) :
				!utf8 || character < 0xa0)
			return false;
		buffer_append(out, text + at, length);
	}
	return size > 0;
}

void utf8_address_encode(struct buffer *out, const char *address, bool utf8)
{
	size_t size = strlen(address), length;
	uint32_t character;

	for (size_t at = 0; at < size; at += length) {
		length = utf8_next(address + at, size - at, &character);
		if (!length) {
			/* No address that was accepted has it. */
			character = 0xfffd;
			length = 1;
		}
		if (character < 0x80 ? is_xchar((unsigned char)character) && character != '\\' :
				utf8 && length > 1)
			buffer_append(out, address + at, length);
		else
			buffer_appendf(out, "\\x{%02X}", (unsigned)character);
	}
}

/* ---- ORCPT */

/* An atom of RFC 822, without "=", which no value of a parameter has. */
static size_t type_size(const char *text, size_t size)
{
	size_t at = 0;

	while (at < size && text[at] > ' ' && text[at] < 0x7f &&
			!strchr("()<>@,;:\\\".[]=", text[at]))
		at++;
	return at;
}

static bool is_utf8_type(const char *text, size_t size)
{
	return size == strlen("utf-8") && !strncasecmp(text, "utf-8", size);
}

char *orcpt_decode(const char *text, size_t size, bool utf8)
{
	struct buffer out = { 0 };
	size_t type = type_size(text, size);
	const char *address = text + type + 1;
	bool good;

	if (type == 0 || type == size || text[type] != ';')
		return NULL;
	buffer_append(&out, text, type + 1);
	if (is_utf8_type(text, type))
		good = append_unitext(&out, address, size - type - 1, utf8);
	else
		good = append_xtext(&out, address, size - type - 1);
	if (good)
		return buffer_detach(&out);
	buffer_release(&out);
	return NULL;
}

const char *orcpt_address(const char *orcpt)
{
	const char *end = strchr(orcpt, ';');

	return end ? end + 1 : NULL;
}

bool orcpt_is_utf8(const char *orcpt)
{
	return is_utf8_type(orcpt, strcspn(orcpt, ";"));
}

void orcpt_encode(struct buffer *out, const char *orcpt, bool utf8)
{
	const char *address = orcpt_address(orcpt);

	if (!address)
		return;
	buffer_append(out, orcpt, (size_t)(address - orcpt));
	if (orcpt_is_utf8(orcpt))
		utf8_address_encode(out, address, utf8);
	else
		xtext_encode(out, address, strlen(address));
}
