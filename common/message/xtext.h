/* xtext.h - the values of ENVID and ORCPT (RFC 3461 4), and the utf-8 address type (RFC 6533 3)
 * SPDX-License-Identifier: MIT */
#ifndef SLIMTA_MESSAGE_XTEXT_H
#define SLIMTA_MESSAGE_XTEXT_H

#include <stdbool.h>
#include <stddef.h>

struct buffer;

/* Lengths of whole parameters (RFC 3461 5.4): "ENVID=...", "ORCPT=...". */
#define XTEXT_ENVID_MAX 100
#define XTEXT_ORCPT_MAX 500

/* Appends `text` as xtext: +HH for "+", "=", and what is not printable ASCII. */
void xtext_encode(struct buffer *out, const char *text, size_t size);
/* The text that xtext stands for (owned), or NULL: it is no xtext, or what it stands for is not
 * printable US-ASCII and white space (as +00 or +0D), which no notification could report. */
char *xtext_decode(const char *text, size_t size);

/* "type;address" of an ORCPT parameter, owned, with the address decoded: by RFC 6533 where the type
 * is utf-8 (characters beyond ASCII that are not escaped only with `utf8`), else as xtext. NULL if
 * it is none; the address need not be one of its type. */
char *orcpt_decode(const char *text, size_t size, bool utf8);
/* The way back; `utf8`: characters beyond ASCII stand as they are. */
void orcpt_encode(struct buffer *out, const char *orcpt, bool utf8);
/* The address of "type;address", NULL if there is no ";"; borrowed. */
const char *orcpt_address(const char *orcpt);
bool orcpt_is_utf8(const char *orcpt);		/* of the type utf-8, in any case */

/* Appends an address in the form utf-8-addr-xtext: \x{HEX} for what is not ASCII, and for "\", "+",
 * "=" and space. With `utf8` in the form utf-8-addr-unitext: only those of ASCII are escaped. */
void utf8_address_encode(struct buffer *out, const char *address, bool utf8);

#endif
