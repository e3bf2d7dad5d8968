/* counters.c - counters of all processes of one machine in shared memory
 * SPDX-License-Identifier: MIT
 * Layout: a header of one cache line, then rows of whole cache lines, so that no two processes write the
 * same line. The memfd is sealed against changing its size: no reader can be made to touch what is gone. */
#include "common/base/counters.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "common/base/fault.h"
#include "common/base/file.h"
#include "common/base/memory.h"

#define CACHE_LINE 64
#define LAYOUT_VERSION 1
#define ROWS_MAX 65536
#define PER_ROW_MAX 4096
static const char magic[8] = "slimtacn";

struct header {
	char magic[8];
	uint32_t version;
	uint32_t rows;			/* the master's counted */
	uint32_t per_row;		/* counters, by whoever made it */
	uint32_t row_size;		/* octets */
	char padding[CACHE_LINE - 24];
};
_Static_assert(sizeof(struct header) == CACHE_LINE, "the header is one cache line");

struct counters {
	struct header *header;
	size_t size;
	unsigned rows, per_row, row, row_size;
};

static const struct {
	const char *name, *text;
	int is_gauge;
} infos[COUNTER_COUNT] = {
#define TOTAL_INFO(id, name, text) { name, text, 0 },
#define GAUGE_INFO(id, name, text) { name, text, 1 },
	COUNTER_LIST(TOTAL_INFO, GAUGE_INFO)
};

static uint64_t *slot(const struct counters *counters, unsigned row, enum counter which)
{
	char *rows = (char *)counters->header + sizeof(struct header);

	return (uint64_t *)(void *)(rows + (size_t)row * counters->row_size) + which;
}

static uint64_t load(const struct counters *counters, unsigned row, enum counter which)
{
	return __atomic_load_n(slot(counters, row, which), __ATOMIC_RELAXED);
}

static struct counters *view(struct header *header, size_t size, unsigned row)
{
	struct counters *counters = xcalloc(1, sizeof(*counters));

	/* Kept beside the mapping: what another process may scribble there cannot lead us out of it. */
	counters->header = header;
	counters->size = size;
	counters->rows = header->rows;
	counters->per_row = header->per_row;
	counters->row_size = header->row_size;
	counters->row = row;
	return counters;
}

struct counters *counters_create(unsigned rows, int *fd)
{
	size_t row_size = (COUNTER_COUNT * sizeof(uint64_t) + CACHE_LINE - 1) / CACHE_LINE * CACHE_LINE;
	size_t size = sizeof(struct header) + (rows + (size_t)1) * row_size;
	int memory_fd = -1;
	struct header *header;

	if (rows >= ROWS_MAX) {
		errno = EINVAL;
		return NULL;
	}
	if (fd && (memory_fd = FAULT("counters.memfd", memfd_shared("slimta-counters", size))) < 0)
		return NULL;
	header = mmap(NULL, size, PROT_READ | PROT_WRITE, fd ? MAP_SHARED : MAP_PRIVATE | MAP_ANONYMOUS,
		memory_fd, 0);
	if (header == MAP_FAILED) {
		fd_close(&memory_fd);
		return NULL;
	}
	memcpy(header->magic, magic, sizeof(magic));
	header->version = LAYOUT_VERSION;
	header->rows = rows + 1;
	header->per_row = COUNTER_COUNT;
	header->row_size = (uint32_t)row_size;
	if (fd)
		*fd = memory_fd;
	return view(header, size, rows);
}

static int layout_is_ours(const struct header *header, size_t size, unsigned row)
{
	return !memcmp(header->magic, magic, sizeof(magic)) && header->version == LAYOUT_VERSION &&
		header->rows <= ROWS_MAX && row < header->rows && header->per_row <= PER_ROW_MAX &&
		header->row_size % sizeof(uint64_t) == 0 && header->row_size <= PER_ROW_MAX * sizeof(uint64_t) &&
		header->row_size >= header->per_row * sizeof(uint64_t) &&
		size >= sizeof(*header) + (size_t)header->rows * header->row_size;
}

struct counters *counters_attach(int fd, unsigned row)
{
	struct header *header;
	struct stat status;
	int seals = fcntl(fd, F_GET_SEALS);
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
	if (!layout_is_ours(header, size, row)) {
		munmap(header, size);
		errno = EPROTO;
		return NULL;
	}
	return view(header, size, row);
}

void counters_free(struct counters *counters)
{
	if (!counters)
		return;
	munmap(counters->header, counters->size);
	free(counters);
}

/* An atomic addition, for the threads of the one process that writes this row. */
void counter_add(struct counters *counters, enum counter which, int64_t amount)
{
	if (counters && which < counters->per_row)
		__atomic_fetch_add(slot(counters, counters->row, which), (uint64_t)amount, __ATOMIC_RELAXED);
}

uint64_t counter_sum(const struct counters *counters, enum counter which)
{
	uint64_t sum = 0;

	if (!counters || which >= counters->per_row)
		return 0;
	for (unsigned row = 0; row < counters->rows; row++)
		sum += load(counters, row, which);
	return counter_is_gauge(which) && (int64_t)sum < 0 ? 0 : sum;
}

uint64_t counter_of_row(const struct counters *counters, unsigned row, enum counter which)
{
	if (!counters || which >= counters->per_row || row >= counters->rows)
		return 0;
	return load(counters, row, which);
}

void counters_retire(struct counters *counters, unsigned row)
{
	if (!counters || row == counters->row || row >= counters->rows)
		return;
	for (unsigned which = 0; which < COUNTER_COUNT && which < counters->per_row; which++) {
		uint64_t left = __atomic_exchange_n(slot(counters, row, which), 0, __ATOMIC_RELAXED);

		if (!counter_is_gauge(which))
			counter_add(counters, which, (int64_t)left);
	}
}

unsigned counters_rows(const struct counters *counters)
{
	return counters ? counters->rows : 0;
}

const char *counter_name(enum counter which)
{
	return infos[which].name;
}

const char *counter_text(enum counter which)
{
	return infos[which].text;
}

int counter_is_gauge(enum counter which)
{
	return infos[which].is_gauge;
}
