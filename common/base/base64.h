/* base64.h - base64 without line breaks (RFC 4648 section 4)
 * SPDX-License-Identifier: MIT */
#ifndef SLIMTA_BASE_BASE64_H
#define SLIMTA_BASE_BASE64_H

#include <stdbool.h>
#include <stddef.h>

struct buffer;

void base64_append(struct buffer *out, const void *data, size_t size);
/* Appends what text[0..size) stands for. False, and nothing is appended, if that is not base64 as it has to be: whole
 * groups of four, padded, the bits that are left over zero, nothing else in it. */
bool base64_decode(struct buffer *out, const char *text, size_t size);

#endif
