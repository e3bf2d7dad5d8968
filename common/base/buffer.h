/* buffer.h - a growable run of octets
 * SPDX-License-Identifier: MIT */
#ifndef SLIMTA_BASE_BUFFER_H
#define SLIMTA_BASE_BUFFER_H

#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

/* `data` holds `size` octets and is followed by a NUL that does not count, once anything was appended.
 * An all-zero buffer is valid and empty; it owns no memory until then. */
struct buffer {
	char *data;
	size_t size;
	size_t capacity;
};

void buffer_init(struct buffer *);
void buffer_release(struct buffer *);		/* frees; the buffer is empty and usable again */
void buffer_reset(struct buffer *);		/* empties, keeps the memory */

void buffer_reserve(struct buffer *, size_t more);	/* room for `more` octets behind `size` */
void buffer_append(struct buffer *, const void *data, size_t size);
void buffer_append_char(struct buffer *, char c);
void buffer_append_str(struct buffer *, const char *text);
void buffer_append_int(struct buffer *, int64_t number);	/* in decimal */
void buffer_appendf(struct buffer *, const char *format, ...) __attribute__((format(printf, 2, 3)));
void buffer_vappendf(struct buffer *, const char *format, va_list) __attribute__((format(printf, 2, 0)));
void buffer_insert(struct buffer *, size_t at, const void *data, size_t size);
void buffer_consume(struct buffer *, size_t size);	/* drops the first `size` octets */

/* The text held, "" when nothing is; borrowed until the next change. */
const char *buffer_str(const struct buffer *);
/* Hands the memory over as a NUL-terminated string to be freed; the buffer is empty afterwards. */
char *buffer_detach(struct buffer *);

#endif
