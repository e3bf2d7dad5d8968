/* recycle.c - files that are used again
 * SPDX-License-Identifier: MIT */
#include "common/queue/disk/recycle.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "common/base/clock.h"
#include "common/base/fault.h"
#include "common/base/file.h"
#include "common/base/text.h"

#define LOOK_EVERY_MS 50
#define TRIES 8

struct slot {
	char name[8];
};

static struct slot slot_name(unsigned number)
{
	struct slot slot;

	snprintf(slot.name, sizeof(slot.name), "%04u", number % RECYCLE_SLOTS);
	return slot;
}

/* Called with the lock held. */
static void look(struct recycler *recycler, bool now)
{
	int64_t now_ms = clock_boot_ms();
	uint64_t number;
	DIR *directory;
	struct dirent *entry;
	int fd;

	if (!now && now_ms - recycler->looked_boot_ms < LOOK_EVERY_MS)
		return;
	recycler->looked_boot_ms = now_ms;
	fd = openat(recycler->free_fd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	directory = fd < 0 ? NULL : fdopendir(fd);
	if (!directory) {
		fd_close(&fd);
		return;
	}
	memset(recycler->used, 0, sizeof(recycler->used));
	while ((entry = readdir(directory)))
		if (strlen(entry->d_name) == 4 && parse_u64(entry->d_name, 4, RECYCLE_SLOTS - 1, &number))
			recycler->used[number] = 1;
	closedir(directory);
}

int recycler_open(struct recycler *recycler, int directory_fd, bool make)
{
	*recycler = (struct recycler){ .directory_fd = directory_fd, .free_fd = -1 };
	if (make && mkdirat(directory_fd, ".free", 0700) < 0 && errno != EEXIST)
		return -1;
	recycler->free_fd = openat(directory_fd, ".free", O_RDONLY | O_DIRECTORY | O_CLOEXEC | O_NOFOLLOW);
	if (recycler->free_fd < 0)
		return make ? -1 : 0;
	pthread_mutex_init(&recycler->lock, NULL);
	/* Processes begin at different places, so that they seldom want the same slot. */
	recycler->next_take = recycler->next_put = (unsigned)getpid() * 61 % RECYCLE_SLOTS;
	look(recycler, true);
	return 0;
}

void recycler_close(struct recycler *recycler)
{
	if (recycler->free_fd <= 0)
		return;
	fd_close(&recycler->free_fd);
	pthread_mutex_destroy(&recycler->lock);
}

/* The first slot from `start` on, and round again, that is believed to be used (1) or not (0); -1: none. Asked for
 * every message, and often in vain: memchr is quick. */
static int find(const struct recycler *recycler, unsigned start, int used)
{
	const unsigned char *slots = recycler->used, *found = memchr(slots + start, used, RECYCLE_SLOTS - start);

	if (!found)
		found = memchr(slots, used, start);
	return found ? (int)(found - slots) : -1;
}

/* The next slot that is believed to be `used` or not, which then is taken to be the other; -1: none. */
static int choose(struct recycler *recycler, bool used)
{
	unsigned *next = used ? &recycler->next_take : &recycler->next_put;
	int found;

	if (recycler->free_fd < 0)
		return -1;
	pthread_mutex_lock(&recycler->lock);
	found = find(recycler, *next, used);
	if (found < 0) {
		look(recycler, false);
		found = find(recycler, *next, used);
	}
	if (found >= 0) {
		recycler->used[found] = !used;
		*next = ((unsigned)found + 1) % RECYCLE_SLOTS;
	}
	pthread_mutex_unlock(&recycler->lock);
	return found;
}

/* A file whose removal is not durable yet is still locked: it goes back as it is. One that has another name, be it that
 * of a copy somebody made or of a message on a file system that lost half a rename, is left to that name. */
static int open_taken(struct recycler *recycler, const char *name, const char *slot, off_t *size)
{
	struct stat status;
	int fd = FAULT("disk.open", openat(recycler->directory_fd, name, O_RDWR | O_CLOEXEC | O_NOFOLLOW));
	bool known = fd >= 0 && fstat(fd, &status) == 0;

	if (known && status.st_nlink == 1 && ofd_is_locked(fd, 0, 1) == 0 && S_ISREG(status.st_mode)) {
		*size = status.st_size;
		return fd;
	}
	fd_close(&fd);
	if ((known && status.st_nlink > 1) ||
			renameat2(recycler->directory_fd, name, recycler->free_fd, slot, RENAME_NOREPLACE) < 0)
		unlinkat(recycler->directory_fd, name, 0);
	return -1;
}

/* What a dead process staged under the same name makes way. */
static int create(int directory_fd, const char *name)
{
	const int flags = O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW;
	int fd = FAULT("disk.open", openat(directory_fd, name, flags, 0600));

	if (fd >= 0 || errno != EEXIST || unlinkat(directory_fd, name, 0) < 0)
		return fd;
	return openat(directory_fd, name, flags, 0600);
}

int recycler_take(struct recycler *recycler, const char *name, off_t *size)
{
	for (unsigned tries = 0; tries < TRIES; tries++) {
		int number = choose(recycler, true), fd;
		struct slot slot = slot_name((unsigned)number);

		if (number < 0)
			break;
		if (renameat(recycler->free_fd, slot.name, recycler->directory_fd, name) < 0)
			continue;
		fd = open_taken(recycler, name, slot.name, size);
		if (fd >= 0)
			return fd;
	}
	*size = 0;
	return create(recycler->directory_fd, name);
}

int recycler_put(struct recycler *recycler, const char *name)
{
	for (unsigned tries = 0; tries < TRIES; tries++) {
		int number = choose(recycler, false);
		struct slot slot = slot_name((unsigned)number);

		if (number < 0)
			break;
		if (FAULT("disk.rename", renameat2(recycler->directory_fd, name, recycler->free_fd, slot.name,
				RENAME_NOREPLACE)) == 0)
			return 0;
		/* ENOENT too: it may be `.free` that is gone, and what is done with has to go. */
		if (errno != EEXIST)
			break;
	}
	return FAULT("disk.unlink", unlinkat(recycler->directory_fd, name, 0));
}
