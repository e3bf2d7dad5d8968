/* sasl_prepare.h - names and passwords as SCRAM compares them: SASLprep (RFC 4013, of RFC 3454)
 * SPDX-License-Identifier: MIT */
#ifndef SLIMTA_SMTP_SASL_PREPARE_H
#define SLIMTA_SMTP_SASL_PREPARE_H

#include "common/base/buffer.h"

/* Appends `text`, which is UTF-8, prepared. It is known what becomes of ASCII, the letters and signs of Latin, Greek and
 * Cyrillic script that stand for themselves, kana, Han and Hangul; text with others, or with control characters, is appended
 * as it is. */
void sasl_prepare(struct buffer *out, const char *text);

#endif
