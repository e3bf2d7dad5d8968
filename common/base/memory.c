/* memory.c - allocation that aborts when memory is gone, and BUG()
 * SPDX-License-Identifier: MIT */
#include "common/base/memory.h"

#include <errno.h>
#include <poll.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* A full pipe behind stderr must not keep a process that is about to abort: better no word than that. */
static void last_words(const char *text, size_t size)
{
	struct pollfd stderr_poll = { .fd = STDERR_FILENO, .events = POLLOUT };

	if (poll(&stderr_poll, 1, 0) == 1 && (stderr_poll.revents & POLLOUT))
		if (write(STDERR_FILENO, text, size) < 0)
			return;
}

void bug_at(const char *file, int line, const char *format, ...)
{
	char text[1024];
	va_list args;
	int size, more;

	size = snprintf(text, sizeof(text), "%s:%d: ", file, line);
	if (size < 0 || (size_t)size >= sizeof(text) - 1)
		size = 0;
	va_start(args, format);
	more = vsnprintf(text + size, sizeof(text) - (size_t)size, format, args);
	va_end(args);
	if (more > 0)
		size += more;
	if ((size_t)size > sizeof(text) - 1)
		size = sizeof(text) - 1;
	text[size++] = '\n';
	last_words(text, (size_t)size);
	abort();
}

static _Noreturn void out_of_memory(size_t size)
{
	char text[64];
	int length = snprintf(text, sizeof(text), "out of memory: %zu octets\n", size);

	if (length > 0)
		last_words(text, (size_t)length);
	abort();
}

void *xmalloc(size_t size)
{
	void *memory = malloc(size ? size : 1);

	if (!memory)
		out_of_memory(size);
	return memory;
}

void *xcalloc(size_t count, size_t size)
{
	void *memory = calloc(count ? count : 1, size ? size : 1);

	if (!memory)
		out_of_memory(size);
	return memory;
}

void *xrealloc(void *old, size_t count, size_t size)
{
	size_t total;
	void *memory;

	if (__builtin_mul_overflow(count, size, &total))
		out_of_memory(SIZE_MAX);
	memory = realloc(old, total ? total : 1);
	if (!memory)
		out_of_memory(total);
	return memory;
}

void *xgrow(void *items, size_t count, size_t size)
{
	if (count & (count - 1))
		return items;
	if (count > SIZE_MAX / 2)
		out_of_memory(SIZE_MAX);
	return xrealloc(items, count ? count * 2 : 1, size);
}

char *xstrdup(const char *text)
{
	return xmemdup(text, strlen(text) + 1);
}

char *xstrndup(const char *text, size_t size)
{
	size_t length = strnlen(text, size);
	char *copy = xmalloc(length + 1);

	memcpy(copy, text, length);
	copy[length] = '\0';
	return copy;
}

void *xmemdup(const void *data, size_t size)
{
	void *copy = xmalloc(size);

	if (size)
		memcpy(copy, data, size);
	return copy;
}

char *xasprintf(const char *format, ...)
{
	va_list args;
	char *text;

	va_start(args, format);
	text = xvasprintf(format, args);
	va_end(args);
	return text;
}

char *xvasprintf(const char *format, va_list args)
{
	char *text;

	if (vasprintf(&text, format, args) < 0)
		out_of_memory(0);
	return text;
}

void xstrset(char **slot, const char *text)
{
	char *copy = text ? xstrdup(text) : NULL;

	free(*slot);
	*slot = copy;
}
