/* macros.h - the values that a command's arguments are made of
 * SPDX-License-Identifier: MIT
 * A template is text with {sender} and the like; `{{` and `}}` are braces. It becomes exactly one argument,
 * whatever the values hold: there is no shell. */
#ifndef SLIMTA_WORKER_MACROS_H
#define SLIMTA_WORKER_MACROS_H

#include <stdbool.h>
#include <stddef.h>

#include "common/message/envelope.h"

enum macro {
	MACRO_SENDER,
	MACRO_RECIPIENT,
	MACRO_MESSAGE_ID,
	MACRO_CLIENT_IP,
	MACRO_CLIENT_HOST,
	MACRO_CLIENT_EHLO,
	MACRO_CLIENT_PROTOCOL,
	MACRO_CLIENT_AUTH,
	MACRO_COUNT
};
const char *macro_name(enum macro);

/* Longest value that is passed to a command; every address and name of an envelope is far below. */
#define MACRO_MAX 4096

/* Borrowed texts; NULL is empty. */
struct macros {
	const char *values[MACRO_COUNT];
};
void macros_from_envelope(struct macros *, const struct envelope *, size_t recipient);
/* False for a value with a control character (CR, LF and the rest) or longer than MACRO_MAX; *which names it. */
bool macros_are_clean(const struct macros *, enum macro *which);

struct template;

/* NULL with *why (owned): an unknown field, with the nearest known one, or a brace that is never closed. */
struct template *template_parse(const char *text, char **why);
void template_free(struct template *);		/* NULL is fine */
char *template_expand(const struct template *, const struct macros *);	/* owned */
bool template_is_constant(const struct template *);
bool template_uses(const struct template *, enum macro);
/* True if the argument begins with a value, so that a peer decides its first character. */
bool template_begins_with_value(const struct template *);

#endif
