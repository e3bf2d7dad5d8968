/* fnv.h - a quick hash, the same in every process; whoever chooses the text can make collisions
 * SPDX-License-Identifier: MIT */
#ifndef SLIMTA_BASE_FNV_H
#define SLIMTA_BASE_FNV_H

#include <stddef.h>
#include <stdint.h>

/* FNV-1a by Fowler, Noll and Vo, 32 bits. */
static inline uint32_t fnv1a(const char *text, size_t size)
{
	uint32_t value = 2166136261u;

	for (size_t i = 0; i < size; i++)
		value = (value ^ (unsigned char)text[i]) * 16777619u;
	return value;
}

#endif
