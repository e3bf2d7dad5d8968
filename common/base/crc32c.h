/* crc32c.h - CRC-32C (Castagnoli, RFC 3720 appendix B.4), by the processor where it can
 * SPDX-License-Identifier: MIT */
#ifndef SLIMTA_BASE_CRC32C_H
#define SLIMTA_BASE_CRC32C_H

#include <stddef.h>
#include <stdint.h>

/* Continues `crc` (0 at the start) over data; "123456789" gives 0xe3069283. */
uint32_t crc32c(uint32_t crc, const void *data, size_t size);
/* The same without the processor's instruction, so that a test compares the two wherever it runs. */
uint32_t crc32c_by_tables(uint32_t crc, const void *data, size_t size);

#endif
