/* sasl_prepare.c - names and passwords as SCRAM compares them: SASLprep (RFC 4013, of RFC 3454)
 * SPDX-License-Identifier: MIT
 * Only characters of Unicode 3.2 that no normalization joins with those beside them, nor turns, but as told here. */
#include "common/smtp/sasl_prepare.h"

#include <stdbool.h>
#include <stdint.h>
#include <string.h>

#include "common/base/memory.h"
#include "common/base/text.h"

struct range {
	uint32_t first, last;
};

static const struct range unchanged[] = {
	{ 0x20, 0x7e }, { 0xa1, 0xa7 }, { 0xa9, 0xa9 }, { 0xab, 0xac }, { 0xae, 0xae }, { 0xb0, 0xb1 }, { 0xb6, 0xb7 },
	{ 0xbb, 0xbb }, { 0xbf, 0x131 }, { 0x134, 0x13e }, { 0x141, 0x148 }, { 0x14a, 0x17e }, { 0x386, 0x386 },
	{ 0x388, 0x38a }, { 0x38c, 0x38c }, { 0x38e, 0x3a1 }, { 0x3a3, 0x3ce }, { 0x400, 0x481 }, { 0x48a, 0x4ce },
	{ 0x4d0, 0x4f5 }, { 0x1e00, 0x1e99 }, { 0x1ea0, 0x1ef9 }, { 0x2012, 0x2015 }, { 0x2018, 0x2022 },
	{ 0x2030, 0x2030 }, { 0x2039, 0x203a }, { 0x20ac, 0x20ac }, { 0x3041, 0x3094 }, { 0x30a1, 0x30fa },
	{ 0x30fc, 0x30fc }, { 0x4e00, 0x9fa5 }, { 0xac00, 0xd7a3 },
};

static const struct {
	uint32_t from;
	const char *to;
} mapped[] = {
	{ 0xa0, " " }, { 0xa8, " \xcc\x88" }, { 0xaa, "a" }, { 0xad, "" }, { 0xaf, " \xcc\x84" }, { 0xb2, "2" }, { 0xb3, "3" },
	{ 0xb4, " \xcc\x81" }, { 0xb5, "\xce\xbc" }, { 0xb8, " \xcc\xa7" }, { 0xb9, "1" }, { 0xba, "o" },
	{ 0xbc, "1\xe2\x81\x84" "4" }, { 0xbd, "1\xe2\x81\x84" "2" }, { 0xbe, "3\xe2\x81\x84" "4" }, { 0x132, "IJ" },
	{ 0x133, "ij" }, { 0x13f, "L\xc2\xb7" }, { 0x140, "l\xc2\xb7" }, { 0x149, "\xca\xbcn" }, { 0x17f, "s" },
	{ 0x200c, "" }, { 0x200d, "" }, { 0x202f, " " }, { 0x205f, " " }, { 0x2060, "" }, { 0x3000, " " }, { 0xfeff, "" },
};

static bool is_unchanged(uint32_t c)
{
	for (size_t i = 0; i < ARRAY_SIZE(unchanged); i++)
		if (c >= unchanged[i].first && c <= unchanged[i].last)
			return true;
	return false;
}

static bool append_mapped(struct buffer *out, uint32_t c)
{
	if (c >= 0xff01 && c <= 0xff5e) {		/* the wide forms of ASCII */
		buffer_append_char(out, (char)(c - 0xfee0));
		return true;
	}
	for (size_t i = 0; i < ARRAY_SIZE(mapped); i++) {
		if (mapped[i].from == c) {
			buffer_append_str(out, mapped[i].to);
			return true;
		}
	}
	return false;
}

static bool append_prepared(struct buffer *out, const char *text, size_t size)
{
	uint32_t c;
	size_t length;

	for (size_t i = 0; i < size; i += length) {
		length = utf8_next(text + i, size - i, &c);
		if (!length)
			return false;
		if (is_unchanged(c))
			buffer_append(out, text + i, length);
		else if (!append_mapped(out, c))
			return false;
	}
	return true;
}

void sasl_prepare(struct buffer *out, const char *text)
{
	size_t size = strlen(text), before = out->size;

	buffer_reserve(out, 3 * size + 1);	/* so that no copy of a secret stays behind */
	if (append_prepared(out, text, size))
		return;
	out->size = before;
	buffer_append(out, text, size);
}
