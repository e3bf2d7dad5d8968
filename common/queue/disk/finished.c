/* finished.c - ids of messages that were removed lately
 * SPDX-License-Identifier: MIT */
#include "common/queue/disk/finished.h"

#include <fcntl.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "common/base/clock.h"
#include "common/base/fault.h"
#include "common/base/file.h"
#include "common/base/fnv.h"
#include "common/base/memory.h"
#include "common/queue/storage.h"

#define SETS 8192
#define WAYS 8

/* `time_ms` is zero while the id is being changed, so a reader that sees it twice the same has a whole id. */
struct entry {
	_Atomic int64_t time_ms;
	char id[32];
};

struct finished {
	struct entry *entries;		/* SETS * WAYS */
	bool shared;
};

#define TABLE_SIZE (SETS * WAYS * sizeof(struct entry))

static struct entry *set_of(const struct finished *finished, const char *id)
{
	uint32_t value = fnv1a(id, ID_LENGTH);

	return &finished->entries[(value ^ value >> 16) % SETS * WAYS];
}

static struct entry *map_file(const char *path, bool make)
{
	int fd = open(path, O_RDWR | (make ? O_CREAT : 0) | O_CLOEXEC | O_NOFOLLOW, 0600);
	struct stat status;
	void *map = MAP_FAILED;

	if (fd < 0)
		return NULL;
	/* Its room is taken now: a page that finds none when it is written to would end the process. */
	if (fstat(fd, &status) == 0 && S_ISREG(status.st_mode) &&
			(status.st_size == (off_t)TABLE_SIZE || ftruncate(fd, (off_t)TABLE_SIZE) == 0) &&
			FAULT("finished.allocate", fallocate(fd, 0, 0, (off_t)TABLE_SIZE)) == 0)
		map = mmap(NULL, TABLE_SIZE, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	fd_close(&fd);
	return map == MAP_FAILED ? NULL : map;
}

struct finished *finished_open(const char *path, bool make)
{
	struct finished *finished = xcalloc(1, sizeof(*finished));

	finished->entries = path ? map_file(path, make) : NULL;
	finished->shared = finished->entries != NULL;
	if (!finished->shared)
		finished->entries = xcalloc(SETS * WAYS, sizeof(struct entry));
	return finished;
}

void finished_close(struct finished *finished)
{
	if (!finished)
		return;
	if (finished->shared)
		munmap(finished->entries, TABLE_SIZE);
	else
		free(finished->entries);
	free(finished);
}

void finished_add(struct finished *finished, const char *id)
{
	struct entry *set = set_of(finished, id), *oldest = set;

	for (unsigned i = 1; i < WAYS; i++)
		if (atomic_load(&set[i].time_ms) < atomic_load(&oldest->time_ms))
			oldest = &set[i];
	atomic_store(&oldest->time_ms, 0);
	memcpy(oldest->id, id, ID_SIZE);
	atomic_store(&oldest->time_ms, clock_boot_ms());
}

bool finished_has(const struct finished *finished, const char *id)
{
	struct entry *set = set_of(finished, id);
	int64_t now_ms = clock_boot_ms();

	for (unsigned i = 0; i < WAYS; i++) {
		int64_t time_ms = atomic_load(&set[i].time_ms);

		/* A time after now is of an earlier boot. */
		if (time_ms <= 0 || time_ms > now_ms || now_ms - time_ms > FINISHED_KEPT_MS)
			continue;
		if (memcmp(set[i].id, id, ID_LENGTH) == 0 && atomic_load(&set[i].time_ms) == time_ms)
			return true;
	}
	return false;
}
