/* limits.c - what clients hold now, counted over all processes of one machine
 * SPDX-License-Identifier: MIT
 * A key and its count are one word, so that a reader never sees the one without the other. */
#include "common/base/limits.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/random.h>
#include <sys/stat.h>
#include <unistd.h>

#include "common/base/fault.h"
#include "common/base/file.h"
#include "common/base/limits_private.h"
#include "common/base/memory.h"

#define LAYOUT_VERSION 1
#define SCOPE_MAX 256			/* octets of each part of a key that tell it from others */
static const char magic[8] = "slimtalm";

_Static_assert(sizeof(struct row_use) * 8 == ROW_PAGES, "a bit for each page");
_Static_assert(sizeof(struct held_row) == ROW_PAGES * LIMITS_PAGE, "rows begin on a page");
_Static_assert(sizeof(struct rate_table) % LIMITS_PAGE == 0, "so do tables");

/* ---- memory */

static size_t header_size(unsigned rows)
{
	size_t size = sizeof(struct limits_header) + rows * sizeof(struct row_use);

	return (size + LIMITS_PAGE - 1) / LIMITS_PAGE * LIMITS_PAGE;
}

static size_t size_for(unsigned rows)
{
	return header_size(rows) + RATE_TABLES * sizeof(struct rate_table) + rows * sizeof(struct held_row);
}

static struct limits *view(struct limits_header *header, unsigned rows, unsigned row, bool shared)
{
	struct limits *limits = xcalloc(1, sizeof(*limits));

	/* Kept beside the mapping: what another process may scribble there cannot lead us out of it. */
	limits->header = header;
	limits->rates = (void *)((char *)header + header_size(rows));
	limits->held = (void *)(limits->rates + RATE_TABLES);
	limits->size = size_for(rows);
	limits->rows = rows;
	limits->row = row;
	limits->secret = header->secret;
	limits->shared = shared;
	madvise(header, limits->size, MADV_DONTDUMP);
	return limits;
}

struct limits *limits_create(unsigned rows, int *fd)
{
	size_t size = size_for(rows);
	struct siphash_key secret;
	struct limits_header *header;
	int memory_fd = -1;

	if (rows == 0 || rows > LIMITS_ROWS_MAX) {
		errno = EINVAL;
		return NULL;
	}
	if (getrandom(&secret, sizeof(secret), 0) != sizeof(secret))
		return NULL;
	if (fd && (memory_fd = FAULT("limits.memfd", memfd_shared("slimta-limits", size))) < 0)
		return NULL;
	header = mmap(NULL, size, PROT_READ | PROT_WRITE,
		fd ? MAP_SHARED : MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, memory_fd, 0);
	if (header == MAP_FAILED) {
		fd_close(&memory_fd);
		return NULL;
	}
	memcpy(header->magic, magic, sizeof(magic));
	header->version = LAYOUT_VERSION;
	header->rows = rows;
	header->secret = secret;
	if (fd)
		*fd = memory_fd;
	return view(header, rows, fd ? LIMITS_NO_ROW : 0, fd != NULL);
}

static bool layout_is_ours(const struct limits_header *header, size_t size)
{
	return !memcmp(header->magic, magic, sizeof(magic)) && header->version == LAYOUT_VERSION &&
		header->rows && header->rows <= LIMITS_ROWS_MAX && size == size_for(header->rows);
}

struct limits *limits_attach(int fd, unsigned row)
{
	struct limits_header *header;
	struct stat status;
	int seals = fcntl(fd, F_GET_SEALS);
	unsigned rows;
	size_t size;

	if (fstat(fd, &status) < 0)
		return NULL;
	size = (size_t)status.st_size;
	if (seals < 0 || !(seals & F_SEAL_SHRINK) || size < sizeof(*header)) {
		errno = EPROTO;
		return NULL;
	}
	header = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	if (header == MAP_FAILED)
		return NULL;
	rows = header->rows;
	if (!layout_is_ours(header, size) || (row >= rows && row != LIMITS_NO_ROW)) {
		munmap(header, size);
		errno = EPROTO;
		return NULL;
	}
	return view(header, rows, row, true);
}

void limits_free(struct limits *limits)
{
	if (!limits)
		return;
	munmap(limits->header, limits->size);
	free(limits);
}

uint64_t limits_key(const struct limits *limits, enum limits_kind kind, const char *scope, const void *who, size_t size)
{
	unsigned char text[4 + 2 * SCOPE_MAX] = { (unsigned char)kind };
	size_t scope_size = strnlen(scope, SCOPE_MAX);
	uint64_t key;

	/* The sizes keep a scope's end and a client's beginning apart. */
	text[1] = (unsigned char)scope_size;
	text[2] = (unsigned char)(scope_size >> 8);
	memcpy(text + 3, scope, scope_size);
	if (size > SCOPE_MAX) {
		key = siphash(&limits->secret, who, size);
		memcpy(text + 3 + scope_size, &key, sizeof(key));
		size = sizeof(key);
	} else if (size) {
		memcpy(text + 3 + scope_size, who, size);
	}
	key = siphash(&limits->secret, text, 3 + scope_size + size);
	return key ? key : 1;
}

/* ---- what is held: 40 bits of the key and 24 of a count */

#define COUNT_BITS 24
#define COUNT_MASK ((UINT64_C(1) << COUNT_BITS) - 1)

static uint64_t tag_of(uint64_t key)
{
	return key & ~COUNT_MASK;
}

/* Two buckets, of which the second follows from the first and the tag. */
static void buckets_of(uint64_t key, unsigned buckets[2])
{
	uint64_t mixed = (key >> COUNT_BITS) * UINT64_C(0x9e3779b97f4a7c15);

	buckets[0] = (unsigned)(key % HELD_BUCKETS);
	buckets[1] = (unsigned)((key ^ (mixed >> 40 | 1)) % HELD_BUCKETS);
}

static unsigned page_of(unsigned bucket)
{
	return (unsigned)(bucket * HELD_PLACES * sizeof(uint64_t) / LIMITS_PAGE);
}

static uint64_t load(const uint64_t *place)
{
	return __atomic_load_n(place, __ATOMIC_RELAXED);
}

static bool is_used(const struct limits *limits, unsigned row, unsigned bucket)
{
	unsigned page = page_of(bucket);

	return load(&limits->header->use[row].pages[page / 64]) >> page % 64 & 1;
}

/* Before the first count: were we to end between the two, the master would look for it. */
static void mark_used(struct limits *limits, unsigned bucket)
{
	uint32_t *used = &limits->header->rows_used, before = __atomic_load_n(used, __ATOMIC_RELAXED);
	unsigned page = page_of(bucket);

	while (before <= limits->row && !__atomic_compare_exchange_n(used, &before, limits->row + 1, false,
			__ATOMIC_RELEASE, __ATOMIC_RELAXED))
		;
	if (!is_used(limits, limits->row, bucket))
		__atomic_fetch_or(&limits->header->use[limits->row].pages[page / 64], UINT64_C(1) << page % 64,
			__ATOMIC_RELEASE);
}

/* The place of a tag in one bucket; NULL where it has none. */
static uint64_t *find_in(const struct limits *limits, unsigned row, unsigned bucket, uint64_t tag)
{
	uint64_t *places = limits->held[row].places[bucket];

	for (unsigned i = 0; i < HELD_PLACES; i++) {
		uint64_t place = load(&places[i]);

		if ((place & COUNT_MASK) && tag_of(place) == tag)
			return &places[i];
	}
	return NULL;
}

static uint64_t *find_own(const struct limits *limits, uint64_t key)
{
	unsigned buckets[2];

	buckets_of(key, buckets);
	for (unsigned i = 0; i < 2; i++) {
		uint64_t *place = is_used(limits, limits->row, buckets[i]) ?
			find_in(limits, limits->row, buckets[i], tag_of(key)) : NULL;

		if (place)
			return place;
	}
	return NULL;
}

static unsigned count_free(const uint64_t *places, unsigned *first)
{
	unsigned count = 0;

	for (unsigned i = HELD_PLACES; i-- > 0;) {
		if (load(&places[i]) & COUNT_MASK)
			continue;
		*first = i;
		count++;
	}
	return count;
}

/* In the emptier one of its buckets, which fills a row to four fifths before one has no place. */
static uint64_t *find_free(struct limits *limits, uint64_t key)
{
	unsigned buckets[2], best = 0, most = 0, at = 0;

	buckets_of(key, buckets);
	for (unsigned i = 0; i < 2; i++) {
		unsigned first = 0, count = is_used(limits, limits->row, buckets[i]) ?
			count_free(limits->held[limits->row].places[buckets[i]], &first) : HELD_PLACES;

		if (count <= most)
			continue;
		most = count;
		best = buckets[i];
		at = first;
	}
	if (!most)
		return NULL;
	mark_used(limits, best);
	return &limits->held[limits->row].places[best][at];
}

bool limits_hold(struct limits *limits, uint64_t key)
{
	uint64_t *place;

	if (limits->row >= limits->rows)
		return false;
	place = find_own(limits, key);
	if (!place)
		place = find_free(limits, key);
	if (!place || (load(place) & COUNT_MASK) == COUNT_MASK)
		return false;
	__atomic_store_n(place, tag_of(key) | ((load(place) & COUNT_MASK) + 1), __ATOMIC_RELAXED);
	/* Of two who hold the last one at the same time each must see the other. */
	__atomic_thread_fence(__ATOMIC_SEQ_CST);
	return true;
}

void limits_release(struct limits *limits, uint64_t key)
{
	uint64_t *place = limits->row < limits->rows ? find_own(limits, key) : NULL;
	uint64_t before = place ? load(place) : 0;

	if (place)
		__atomic_store_n(place, (before & COUNT_MASK) > 1 ? before - 1 : 0, __ATOMIC_RELEASE);
}

uint64_t limits_held(const struct limits *limits, uint64_t key)
{
	unsigned rows = __atomic_load_n(&limits->header->rows_used, __ATOMIC_ACQUIRE), buckets[2];
	uint64_t sum = 0;

	buckets_of(key, buckets);
	for (unsigned row = 0; row < rows && row < limits->rows; row++) {
		for (unsigned i = 0; i < 2; i++) {
			const uint64_t *place = is_used(limits, row, buckets[i]) ?
				find_in(limits, row, buckets[i], tag_of(key)) : NULL;

			sum += place ? load(place) & COUNT_MASK : 0;
		}
	}
	return sum;
}

/* ---- the end of a child */

static void clear(struct limits *limits, unsigned row)
{
	struct held_row *held = &limits->held[row];

	/* Gives the memory back too. */
	if (limits->shared && madvise(held, sizeof(*held), MADV_REMOVE) == 0)
		return;
	for (unsigned bucket = 0; bucket < HELD_BUCKETS; bucket++) {
		if (is_used(limits, row, bucket))
			memset(held->places[bucket], 0, sizeof(held->places[bucket]));
	}
}

void limits_retire(struct limits *limits, unsigned row)
{
	struct row_use *use;
	uint64_t any = 0;

	if (!limits || row >= limits->rows || row == limits->row)
		return;
	use = &limits->header->use[row];
	for (size_t i = 0; i < ROW_PAGES / 64; i++)
		any |= load(&use->pages[i]);
	if (!any)
		return;
	clear(limits, row);
	for (size_t i = 0; i < ROW_PAGES / 64; i++)
		__atomic_store_n(&use->pages[i], 0, __ATOMIC_RELEASE);
}
