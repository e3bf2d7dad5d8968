/* text.h - strings: escaping, numbers, nearest name
 * SPDX-License-Identifier: MIT */
#ifndef SLIMTA_BASE_TEXT_H
#define SLIMTA_BASE_TEXT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct buffer;

/* Appends `text` so that it is one printable token of a line: bare if it needs no quotes, else in double
 * quotes with \" \\ \r \n \t and \xHH. Valid UTF-8 stays, but for control characters, line separators and
 * the marks that turn the direction of writing. Whatever came from a peer passes here. */
void quoted(struct buffer *out, const char *text, size_t size);
/* The same without the quotes, and quotes and spaces as they are: for text that is the whole rest of a line. */
void escaped(struct buffer *out, const char *text, size_t size);
/* Appends the inside of a JSON string: text that is not UTF-8 comes out as U+FFFD. */
void json_escaped(struct buffer *out, const char *text, size_t size);

bool utf8_is_valid(const char *text, size_t size);	/* RFC 3629: no surrogates, no overlong forms */
/* Octets of the character at text[0..size), 0 if there is none or what stands there is not UTF-8; its code
 * point in *character, if that is not NULL. */
size_t utf8_next(const char *text, size_t size, uint32_t *character);
/* The largest size up to `size` that does not cut a character of valid UTF-8. */
size_t utf8_cut(const char *text, size_t size);
bool text_is_ascii(const char *text, size_t size);
void text_lower(char *text);				/* the letters of ASCII */
bool text_has_prefix(const char *text, const char *prefix);
bool text_has_suffix(const char *text, const char *suffix);

/* Decimal digits only, the whole of text[0..size); false beyond `max` or when empty. */
bool parse_u64(const char *text, size_t size, uint64_t max, uint64_t *out);

/* The nearest of `count` names within a third of the length of `name` (at least 1, at most 3 edits; case
 * and `-` for `_` count as none), or the one that has the same words between its `_` in another order; NULL
 * if none is near. */
const char *nearest_name(const char *name, const char *const *names, size_t count);

/* Where `name` stands in a table, which may have holes (NULL); `count`: nowhere. A NULL name stands nowhere. */
size_t name_index(const char *name, const char *const *names, size_t count);

/* A list of owned strings; all-zero is valid and empty. */
struct strings {
	char **items;
	size_t count;
};
void strings_add(struct strings *, const char *text);
void strings_release(struct strings *);
bool strings_contain(const struct strings *, const char *text);

#endif
