/* now.c - a worker's own `.now` file: made, written, taken away
 * SPDX-License-Identifier: MIT */
#include "common/queue/now.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "common/base/clock.h"
#include "common/base/fault.h"
#include "common/base/file.h"
#include "common/base/memory.h"
#include "common/queue/now_file.h"

#define FILES_MAX 10000
#define TRIES_MAX 100			/* a file may go away between open and lock, as often as workers come and go */

struct now {
	struct now_header *header;	/* mapped */
	struct now_row *rows;
	uint32_t count;
	uint32_t *free_rows, free_count;	/* the last is the next */
	char *path;
	unsigned number;
	int fd;
};

bool now_has_name(int fd, const char *path, struct stat *status)
{
	struct stat named;

	return fstat(fd, status) == 0 && S_ISREG(status->st_mode) && lstat(path, &named) == 0 &&
		named.st_ino == status->st_ino && named.st_dev == status->st_dev;
}

void now_boot_id(char out[48])
{
	struct buffer text = { 0 };

	out[0] = '\0';
	if (file_read("/proc/sys/kernel/random/boot_id", &text, 64) == 0 && text.size)
		snprintf(out, 48, "%.*s", (int)strcspn(buffer_str(&text), "\n"), buffer_str(&text));
	buffer_release(&text);
}

/* ---- making it */

/* What cannot be opened, and is there: a link, a directory, a file of another user. */
static bool is_in_the_way(const char *path)
{
	struct stat status;
	int why = errno;
	bool there = (why == ELOOP || why == EISDIR || why == ENXIO || why == EACCES) && lstat(path, &status) == 0;

	errno = why;
	return there;
}

/* 1: ours, and nothing stands in it; 0: it is another's; -1 with errno. */
static int take_file(const char *path, int *fd)
{
	struct stat status;

	for (int i = 0; i < TRIES_MAX; i++) {
		int locked;

		*fd = FAULT("now.open", open(path, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK, 0600));
		if (*fd < 0)
			return is_in_the_way(path) ? 0 : -1;
		/* Anything but a file is no more ours than another's file is. */
		locked = fstat(*fd, &status) == 0 && S_ISREG(status.st_mode) ?
			FAULT("now.lock", ofd_lock(*fd, 0, 1, true)) : 0;
		if (locked == 1 && now_has_name(*fd, path, &status)) {
			if (!status.st_size)
				return 1;
			locked = 0;	/* a dead one's, for who sees to it */
		}
		fd_close(fd);
		if (locked <= 0)
			return locked;
	}
	return 0;
}

static int allocate(int fd, size_t size)
{
	int error = posix_fallocate(fd, 0, (off_t)size);

	errno = error;
	return error ? -1 : 0;
}

static void *map(int fd, size_t size)
{
	/* Its room is taken now: a page that finds none when it is written to would end the process. */
	if (FAULT("now.allocate", allocate(fd, size)) < 0)
		return MAP_FAILED;
	return mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
}

static void introduce(struct now_header *header, const struct now_keeper *keeper, uint32_t rows)
{
	header->version = NOW_VERSION;
	header->rows = rows;
	header->pid = getpid();
	header->started_ms = clock_wall_ms();
	now_boot_id(header->boot);
	snprintf(header->program, sizeof(header->program), "%s", keeper->program);
	snprintf(header->host, sizeof(header->host), "%s", keeper->host);
	atomic_store(&header->magic, NOW_MAGIC);
}

static struct now *begin(char *path, unsigned number, int fd, const struct now_keeper *keeper, uint32_t rows)
{
	void *mapped = map(fd, now_size(rows));
	struct now *now;

	if (mapped == MAP_FAILED) {
		int why = errno;

		unlink(path);
		errno = why;
		return NULL;
	}
	now = xcalloc(1, sizeof(*now));
	*now = (struct now){ .header = mapped, .rows = (struct now_row *)((char *)mapped + sizeof(struct now_header)),
		.count = rows, .path = path, .number = number, .fd = fd, .free_count = rows,
		.free_rows = xcalloc(rows, sizeof(uint32_t)) };
	for (uint32_t i = 0; i < rows; i++)
		now->free_rows[i] = rows - 1 - i;
	introduce(now->header, keeper, rows);
	return now;
}

struct now *now_open(const char *runtime_dir, const char *queue, const struct now_keeper *keeper, unsigned rows)
{
	uint32_t count = rows < 1 ? 1 : rows < NOW_ROWS_MAX ? rows : NOW_ROWS_MAX;

	for (unsigned number = 0; number < FILES_MAX; number++) {
		char *path = xasprintf("%s/%s-%u.now", runtime_dir, queue, number);
		int fd, taken = take_file(path, &fd);
		struct now *now = taken == 1 ? begin(path, number, fd, keeper, count) : NULL;

		if (now)
			return now;
		if (taken == 1)
			fd_close(&fd);
		free(path);
		if (taken)
			return NULL;
	}
	errno = EMFILE;
	return NULL;
}

/* Before the lock ends, so that nobody takes a file that is going away. */
void now_close(struct now *now)
{
	if (!now)
		return;
	unlink(now->path);
	munmap(now->header, now_size(now->count));
	fd_close(&now->fd);
	free(now->free_rows);
	free(now->path);
	free(now);
}

unsigned now_number(const struct now *now)
{
	return now->number;
}

/* ---- rows */

uint32_t now_hold(struct now *now, const char *id)
{
	struct now_row *row;
	uint64_t words[4] = { 0 };
	int64_t now_ms = clock_wall_ms();
	uint32_t number;

	if (!now || !now->free_count)
		return NOW_NO_ROW;
	number = now->free_rows[--now->free_count];
	row = &now->rows[number];
	atomic_fetch_add(&row->generation, 1);
	memcpy(words, id, ID_LENGTH);
	for (unsigned i = 0; i < 4; i++)
		atomic_store_explicit(&row->id[i], words[i], memory_order_relaxed);
	atomic_store_explicit(&row->claimed_ms, now_ms, memory_order_relaxed);
	atomic_store_explicit(&row->phase_ms, now_ms, memory_order_relaxed);
	atomic_store_explicit(&row->in_line, 0, memory_order_relaxed);
	atomic_store(&row->phase, NOW_CLAIMED);
	return number;
}

/* In a line a message is claimed for readers who know of no lines: they are right that it has not begun. */
void now_reach(struct now *now, uint32_t number, enum lease_phase phase)
{
	static const enum now_phase written[] = {
		[LEASE_CLAIMED] = NOW_CLAIMED, [LEASE_IN_LINE] = NOW_CLAIMED, [LEASE_BEGUN] = NOW_BEGUN,
		[LEASE_PAST_THE_DOT] = NOW_PAST_THE_DOT,
	};
	struct now_row *row;

	if (!now || number >= now->count)
		return;
	row = &now->rows[number];
	atomic_store_explicit(&row->phase_ms, clock_wall_ms(), memory_order_relaxed);
	atomic_store_explicit(&row->in_line, phase == LEASE_IN_LINE, memory_order_relaxed);
	atomic_store(&row->phase, written[phase]);
}

void now_release(struct now *now, uint32_t number)
{
	if (!now || number >= now->count)
		return;
	atomic_store(&now->rows[number].phase, NOW_FREE);
	now->free_rows[now->free_count++] = number;
}
