/* limits_private.h - what the parts of limits share: the layout of their memory
 * SPDX-License-Identifier: MIT
 * A header, a table of rates for each kind that has them, the rows. All begin on a page. */
#ifndef SLIMTA_BASE_LIMITS_PRIVATE_H
#define SLIMTA_BASE_LIMITS_PRIVATE_H

#include "common/base/limits.h"
#include "common/base/siphash.h"

#define LIMITS_PAGE 4096
#define LIMITS_ROWS_MAX 65536
/* Of a row: buckets of one cache line. A place is the tag of a key and how often it is held. */
#define HELD_BUCKETS 8192
#define HELD_PLACES 8
#define ROW_PAGES (HELD_BUCKETS * HELD_PLACES * sizeof(uint64_t) / LIMITS_PAGE)
/* Of a table of rates, the same. */
#define RATE_BUCKETS 16384
#define RATE_PLACES 4
#define RATE_TABLES 2

struct rate_place {
	uint64_t key;			/* 0: none yet */
	uint64_t state;
};

struct rate_table {
	struct rate_place places[RATE_BUCKETS][RATE_PLACES];
};

struct held_row {
	uint64_t places[HELD_BUCKETS][HELD_PLACES];
};

/* What a row's child has written to; nobody else need look, and have the kernel find memory for it. */
struct row_use {
	uint64_t pages[ROW_PAGES / 64];
};

struct limits_header {
	char magic[8];
	uint32_t version;
	uint32_t rows;
	struct siphash_key secret;
	uint32_t rows_used;		/* none at or above it was ever written */
	uint32_t padding;
	struct row_use use[];
};

struct limits {
	struct limits_header *header;
	struct rate_table *rates;	/* RATE_TABLES of them */
	struct held_row *held;		/* `rows` of them */
	size_t size;
	unsigned rows, row;
	struct siphash_key secret;
	bool shared;
};

#endif
