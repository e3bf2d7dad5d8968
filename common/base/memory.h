/* memory.h - allocation that aborts when memory is gone, and BUG()
 * SPDX-License-Identifier: MIT */
#ifndef SLIMTA_BASE_MEMORY_H
#define SLIMTA_BASE_MEMORY_H

#include <stdarg.h>
#include <stddef.h>

/* None of these returns NULL: out of memory aborts the process, its supervisor starts another and the
 * peer retries. Whatever a peer can make grow is therefore bounded by an option before it is allocated. */
void *xmalloc(size_t size) __attribute__((malloc, returns_nonnull));
void *xcalloc(size_t count, size_t size) __attribute__((malloc, returns_nonnull));
void *xrealloc(void *old, size_t count, size_t size) __attribute__((returns_nonnull));
/* Room for one item of `size` octets behind the `count` of an array that begins as NULL and grows by this alone: it
 * doubles when its count is a power of two, so that no capacity is kept and a million additions are twenty copies. The
 * count may be lowered at any time. */
void *xgrow(void *items, size_t count, size_t size) __attribute__((returns_nonnull));
char *xstrdup(const char *text) __attribute__((malloc, returns_nonnull));
char *xstrndup(const char *text, size_t size) __attribute__((malloc, returns_nonnull));
void *xmemdup(const void *data, size_t size) __attribute__((malloc, returns_nonnull));
char *xasprintf(const char *format, ...) __attribute__((format(printf, 1, 2), malloc, returns_nonnull));
char *xvasprintf(const char *format, va_list args) __attribute__((format(printf, 1, 0), malloc));

/* Replaces *slot by a copy of `text` (NULL: by NULL) and frees what it held. */
void xstrset(char **slot, const char *text);

#define ARRAY_SIZE(a) (sizeof(a) / sizeof((a)[0]))
#define CONTAINER_OF(pointer, type, member) ((type *)((char *)(pointer) - offsetof(type, member)))

/* For what no input can cause; never for input, files or system calls. Says where, then aborts. */
#define BUG(...) bug_at(__FILE__, __LINE__, __VA_ARGS__)
_Noreturn void bug_at(const char *file, int line, const char *format, ...)
	__attribute__((format(printf, 3, 4)));

#endif
