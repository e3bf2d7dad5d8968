/* quoted_printable.h - the transfer encoding of RFC 2045 6.7
 * SPDX-License-Identifier: MIT */
#ifndef SLIMTA_MESSAGE_QUOTED_PRINTABLE_H
#define SLIMTA_MESSAGE_QUOTED_PRINTABLE_H

#include <stddef.h>

struct buffer;

/* Appends the octets, encoded: lines of at most 76, CR LF as a line's end, CR and LF alone as
 * octets like any other. Decoding gives exactly what came. */
void quoted_printable_encode(struct buffer *out, const char *data, size_t size);

#endif
