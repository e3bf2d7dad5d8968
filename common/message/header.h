/* header.h - finding fields in a message's header, and adding some
 * SPDX-License-Identifier: MIT
 * Nothing here rewrites what came: octets not added by us pass unchanged. */
#ifndef SLIMTA_MESSAGE_HEADER_H
#define SLIMTA_MESSAGE_HEADER_H

#include <stdbool.h>
#include <stddef.h>

#include "common/message/content.h"

struct header_field {
	const char *name;	/* borrowed, without ":" */
	size_t name_size;
	const char *value;	/* behind ":", with folding and without the last CR LF */
	size_t value_size;
};

/* Walks the fields of text[0..size): *at starts at 0. False at the end of the header. */
bool header_next(const char *text, size_t size, size_t *at, struct header_field *);
bool header_has(const struct content *, const char *name);	/* any case; our own additions count */
/* Received and Delivered-To fields (RFC 5321 6.3). */
unsigned header_count_hops(const struct content *);

/* Adds "NAME: VALUE CR LF"; VALUE may be folded with CR LF and white space, else it is a BUG. */
void header_prepend(struct content *, const char *name, const char *value);
void header_append(struct content *, const char *name, const char *value);

#endif
