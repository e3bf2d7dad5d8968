/* siphash.h - a hash that nobody without its key can make collide
 * SPDX-License-Identifier: MIT */
#ifndef SLIMTA_BASE_SIPHASH_H
#define SLIMTA_BASE_SIPHASH_H

#include <stddef.h>
#include <stdint.h>

struct siphash_key {
	uint64_t halves[2];		/* of 16 octets, little-endian */
};

/* SipHash-2-4 by Aumasson and Bernstein. */
uint64_t siphash(const struct siphash_key *, const void *data, size_t size);

#endif
