/* crc32c.c - CRC-32C by the processor's instruction, or by tables, eight octets a step
 * SPDX-License-Identifier: MIT */
#include "common/base/crc32c.h"

#include <pthread.h>
#include <string.h>

#define POLYNOMIAL_REVERSED 0x82f63b78u

typedef uint32_t crc_fn(uint32_t crc, const unsigned char *data, size_t size);

static uint32_t tables[8][256];
static crc_fn *chosen;
static pthread_once_t once = PTHREAD_ONCE_INIT;

static void fill_tables(void)
{
	for (unsigned octet = 0; octet < 256; octet++) {
		uint32_t crc = octet;

		for (int bit = 0; bit < 8; bit++)
			crc = crc & 1 ? (crc >> 1) ^ POLYNOMIAL_REVERSED : crc >> 1;
		tables[0][octet] = crc;
	}
	for (unsigned octet = 0; octet < 256; octet++)
		for (int i = 1; i < 8; i++)
			tables[i][octet] = (tables[i - 1][octet] >> 8) ^ tables[0][tables[i - 1][octet] & 0xff];
}

static uint32_t crc_by_tables(uint32_t crc, const unsigned char *data, size_t size)
{
	for (; size >= 8; data += 8, size -= 8) {
		uint32_t low = crc ^ ((uint32_t)data[0] | (uint32_t)data[1] << 8 | (uint32_t)data[2] << 16 |
			(uint32_t)data[3] << 24);

		crc = tables[7][low & 0xff] ^ tables[6][(low >> 8) & 0xff] ^ tables[5][(low >> 16) & 0xff] ^
			tables[4][low >> 24] ^ tables[3][data[4]] ^ tables[2][data[5]] ^ tables[1][data[6]] ^
			tables[0][data[7]];
	}
	for (; size; data++, size--)
		crc = (crc >> 8) ^ tables[0][(crc ^ *data) & 0xff];
	return crc;
}

#ifdef __x86_64__
__attribute__((target("sse4.2")))
static uint32_t crc_by_processor(uint32_t crc, const unsigned char *data, size_t size)
{
	uint64_t wide = crc;

	for (; size >= 8; data += 8, size -= 8) {
		uint64_t word;

		memcpy(&word, data, sizeof(word));
		wide = __builtin_ia32_crc32di(wide, word);
	}
	crc = (uint32_t)wide;
	for (; size; data++, size--)
		crc = __builtin_ia32_crc32qi(crc, *data);
	return crc;
}
#endif

static void choose(void)
{
	fill_tables();
	chosen = crc_by_tables;
#ifdef __x86_64__
	__builtin_cpu_init();
	if (__builtin_cpu_supports("sse4.2"))
		chosen = crc_by_processor;
#endif
}

uint32_t crc32c(uint32_t crc, const void *data, size_t size)
{
	pthread_once(&once, choose);
	return ~chosen(~crc, data, size);
}

uint32_t crc32c_by_tables(uint32_t crc, const void *data, size_t size)
{
	pthread_once(&once, choose);
	return ~crc_by_tables(~crc, data, size);
}
