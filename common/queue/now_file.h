/* now_file.h - what a `.now` file looks like: a header, then rows
 * SPDX-License-Identifier: MIT
 * In the byte order of the host, which alone reads it. */
#ifndef SLIMTA_QUEUE_NOW_FILE_H
#define SLIMTA_QUEUE_NOW_FILE_H

#include <dirent.h>
#include <stdatomic.h>
#include <sys/stat.h>

#include "common/queue/now.h"

#define NOW_MAGIC 0x77306e6174e6c73ULL
#define NOW_VERSION 1

struct now_header {
	_Atomic uint64_t magic;		/* the last that is written */
	uint32_t version, rows;
	int64_t pid, started_ms;	/* wall clock */
	char boot[48];			/* the kernel's id of this boot, "" = not known */
	char program[32];
	char host[256];
	char spare[144];
};

/* `phase` is free while the id is changed, and `generation` another afterwards: a row that is read twice the same,
 * and not free, is whole. */
struct now_row {
	_Atomic uint32_t generation, phase;
	_Atomic int64_t claimed_ms, phase_ms;
	_Atomic uint64_t id[4];		/* 26 characters, the rest is zero */
	_Atomic uint32_t in_line;	/* of one that is claimed; who does not know it leaves it 0 */
	uint32_t spare;
};
enum now_phase { NOW_FREE, NOW_CLAIMED, NOW_BEGUN, NOW_PAST_THE_DOT };

_Static_assert(sizeof(struct now_header) == 512, "no holes");
_Static_assert(sizeof(struct now_row) == 64, "no holes");

static inline size_t now_size(uint32_t rows)
{
	return sizeof(struct now_header) + rows * sizeof(struct now_row);
}

/* The kernel's id of this boot; "" if it cannot be had. */
void now_boot_id(char out[48]);
/* N of "QUEUE-N.now"; -1: another name. */
long now_name_number(const char *name, const char *queue);
/* The name still leads to what is open there, a file. */
bool now_has_name(int fd, const char *path, struct stat *status);

#endif
