/* lenient.h - the laxest server that ever read mail data: what ends it for anybody ends it here
 * SPDX-License-Identifier: MIT */
#ifndef SLIMTA_T_LENIENT_H
#define SLIMTA_T_LENIENT_H

#include <stddef.h>

/* Octets up to the end of the first line that is a dot, 0 if none is. Any CR and any LF ends a line, NUL is nothing,
 * nor is white space behind the dot. */
static inline size_t lenient_end(const char *data, size_t size)
{
	for (size_t at = 0; at < size; at++) {
		while (at < size && !data[at])
			at++;
		if (at < size && data[at] == '.') {
			do
				at++;
			while (at < size && (!data[at] || data[at] == ' ' || data[at] == '\t'));
			if (at < size && data[at] == '\r')
				return at + 1 < size && data[at + 1] == '\n' ? at + 2 : at + 1;
			if (at < size && data[at] == '\n')
				return at + 1;
		}
		while (at < size && data[at] != '\r' && data[at] != '\n')
			at++;
	}
	return 0;
}

#endif
