/* buffer.c - a growable run of octets
 * SPDX-License-Identifier: MIT */
#include "common/base/buffer.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/base/memory.h"

#define CAPACITY_FIRST 64

void buffer_init(struct buffer *buffer)
{
	*buffer = (struct buffer){ 0 };
}

void buffer_release(struct buffer *buffer)
{
	free(buffer->data);
	buffer_init(buffer);
}

void buffer_reset(struct buffer *buffer)
{
	buffer->size = 0;
	if (buffer->data)
		buffer->data[0] = '\0';
}

void buffer_reserve(struct buffer *buffer, size_t more)
{
	size_t wanted, capacity;

	if (more > SIZE_MAX / 2 - 1 - buffer->size)
		BUG("a buffer of %zu octets and %zu more", buffer->size, more);
	wanted = buffer->size + more + 1;
	if (wanted <= buffer->capacity)
		return;
	capacity = buffer->capacity ? buffer->capacity : CAPACITY_FIRST;
	while (capacity < wanted)
		capacity *= 2;
	buffer->data = xrealloc(buffer->data, capacity, 1);
	buffer->capacity = capacity;
	buffer->data[buffer->size] = '\0';
}

void buffer_append(struct buffer *buffer, const void *data, size_t size)
{
	buffer_reserve(buffer, size);
	if (size)
		memcpy(buffer->data + buffer->size, data, size);
	buffer->size += size;
	buffer->data[buffer->size] = '\0';
}

void buffer_append_char(struct buffer *buffer, char c)
{
	buffer_append(buffer, &c, 1);
}

void buffer_append_str(struct buffer *buffer, const char *text)
{
	buffer_append(buffer, text, strlen(text));
}

void buffer_append_int(struct buffer *buffer, int64_t number)
{
	char digits[20];
	size_t at = sizeof(digits);
	uint64_t rest = number < 0 ? -(uint64_t)number : (uint64_t)number;

	do
		digits[--at] = (char)('0' + rest % 10);
	while (rest /= 10);
	if (number < 0)
		digits[--at] = '-';
	buffer_append(buffer, digits + at, sizeof(digits) - at);
}

void buffer_appendf(struct buffer *buffer, const char *format, ...)
{
	va_list args;

	va_start(args, format);
	buffer_vappendf(buffer, format, args);
	va_end(args);
}

void buffer_vappendf(struct buffer *buffer, const char *format, va_list args)
{
	va_list again;
	size_t room;
	int size;

	va_copy(again, args);
	buffer_reserve(buffer, CAPACITY_FIRST);
	room = buffer->capacity - buffer->size;
	size = vsnprintf(buffer->data + buffer->size, room, format, args);
	if (size < 0)
		BUG("format %s", format);
	if ((size_t)size >= room) {
		buffer_reserve(buffer, (size_t)size);
		vsnprintf(buffer->data + buffer->size, (size_t)size + 1, format, again);
	}
	buffer->size += (size_t)size;
	va_end(again);
}

void buffer_insert(struct buffer *buffer, size_t at, const void *data, size_t size)
{
	if (at > buffer->size)
		BUG("insert at %zu of %zu", at, buffer->size);
	buffer_reserve(buffer, size);
	memmove(buffer->data + at + size, buffer->data + at, buffer->size - at + 1);
	if (size)
		memcpy(buffer->data + at, data, size);
	buffer->size += size;
}

void buffer_consume(struct buffer *buffer, size_t size)
{
	if (size > buffer->size)
		BUG("consume %zu of %zu", size, buffer->size);
	if (!size)
		return;
	buffer->size -= size;
	memmove(buffer->data, buffer->data + size, buffer->size + 1);
}

const char *buffer_str(const struct buffer *buffer)
{
	return buffer->data ? buffer->data : "";
}

char *buffer_detach(struct buffer *buffer)
{
	char *text = buffer->data ? buffer->data : xstrdup("");

	buffer_init(buffer);
	return text;
}
