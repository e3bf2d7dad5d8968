/* siphash.c - a hash that nobody without its key can make collide
 * SPDX-License-Identifier: MIT */
#include "common/base/siphash.h"

static uint64_t rotated(uint64_t value, unsigned bits)
{
	return value << bits | value >> (64 - bits);
}

static void rounds(uint64_t v[4], unsigned count)
{
	while (count--) {
		v[0] += v[1];
		v[2] += v[3];
		v[1] = rotated(v[1], 13) ^ v[0];
		v[3] = rotated(v[3], 16) ^ v[2];
		v[0] = rotated(v[0], 32) + v[3];
		v[2] += v[1];
		v[3] = rotated(v[3], 21) ^ v[0];
		v[1] = rotated(v[1], 17) ^ v[2];
		v[2] = rotated(v[2], 32);
	}
}

static uint64_t little_endian(const unsigned char *octets, size_t count)
{
	uint64_t value = 0;

	while (count--)
		value = value << 8 | octets[count];
	return value;
}

static void absorb(uint64_t v[4], uint64_t word)
{
	v[3] ^= word;
	rounds(v, 2);
	v[0] ^= word;
}

uint64_t siphash(const struct siphash_key *key, const void *data, size_t size)
{
	uint64_t v[4] = {
		key->halves[0] ^ 0x736f6d6570736575, key->halves[1] ^ 0x646f72616e646f6d,
		key->halves[0] ^ 0x6c7967656e657261, key->halves[1] ^ 0x7465646279746573
	};
	const unsigned char *octets = data;
	size_t at = 0;

	for (; size - at >= 8; at += 8)
		absorb(v, little_endian(octets + at, 8));
	absorb(v, little_endian(octets + at, size - at) | (uint64_t)size << 56);
	v[2] ^= 0xff;
	rounds(v, 4);
	return v[0] ^ v[1] ^ v[2] ^ v[3];
}
