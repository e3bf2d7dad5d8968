/* disk_lock.c - taking one message: its lock, and what has to be looked at again under it
 * SPDX-License-Identifier: MIT */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "common/base/clock.h"
#include "common/base/fault.h"
#include "common/base/file.h"
#include "common/base/log.h"
#include "common/base/memory.h"
#include "common/message/stored.h"
#include "common/queue/disk/disk.h"

#define AGAIN_MS 60000		/* after an error of the system */
#define MARKED_AGAIN_MS 1000
#define FOREIGN_MS 300000	/* another slimta may know what to do with it */

/* Between open and lock the file may have been removed, or even hold another message by now. */
static int check_name(struct disk *disk, const char *name, dev_t device, ino_t inode)
{
	struct stat named;

	if (fstatat(disk->envelope_fd, name, &named, AT_SYMLINK_NOFOLLOW) < 0)
		return -1;
	if (named.st_ino == inode && named.st_dev == device)
		return 0;
	errno = ENOENT;
	return -1;
}

static int check_file(struct disk *disk, int fd, const char *name, struct stat *opened)
{
	if (fstat(fd, opened) < 0)
		return -1;
	if (S_ISREG(opened->st_mode))
		return check_name(disk, name, opened->st_dev, opened->st_ino);
	errno = EINVAL;
	return -1;
}

int disk_lock_env(struct disk *disk, const char *id, bool briefly, struct stat *opened)
{
	char name[DISK_NAME_SIZE];
	int fd, locked;

	snprintf(name, sizeof(name), "%s.env", id);
	fd = FAULT("disk.open", openat(disk->envelope_fd, name, O_RDWR | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK));
	if (fd < 0)
		return -1;
	if (briefly)
		ofd_lock(fd, 2, 1, true);
	locked = FAULT("disk.lock", ofd_lock(fd, 0, 1, true));
	if (locked == 1 && check_file(disk, fd, name, opened) == 0)
		return fd;
	if (locked == 0)
		errno = !briefly && ofd_is_locked(fd, 2, 1) == 1 ? EAGAIN : EBUSY;
	fd_close(&fd);
	return -1;
}

bool disk_has_name(struct disk *disk, const struct disk_lease *lease)
{
	char name[DISK_NAME_SIZE];

	snprintf(name, sizeof(name), "%s.env", lease->lease.id);
	return check_name(disk, name, lease->device, lease->inode) == 0 || errno != ENOENT;
}

struct disk_lease *disk_lease_new(const char *id, int fd, const struct stat *opened)
{
	struct disk_lease *lease = xcalloc(1, sizeof(*lease));

	memcpy(lease->lease.id, id, ID_SIZE);
	lease->fd = fd;
	lease->device = opened->st_dev;
	lease->inode = opened->st_ino;
	lease->size = (uint64_t)opened->st_size;
	return lease;
}

void disk_lease_free(struct disk_lease *lease)
{
	if (!lease)
		return;
	fd_close(&lease->fd);
	envelope_free(lease->envelope);
	message_state_release(&lease->state);
	json_decref(lease->meta);
	free(lease);
}

void disk_lease_cut(struct disk *disk, const struct disk_lease *lease)
{
	if (lease->size > RECYCLE_SIZE_MAX && FAULT("disk.ftruncate", ftruncate(lease->fd, 0)) < 0)
		disk_log_error(disk, "cut to zero", lease->lease.id, errno);
}

/* The env goes first and durably, so that what is left of a crash is the mark, to be obeyed again; of an id that has
 * to be known for longer it says so before. */
static enum disk_take take_away(struct disk *disk, struct disk_lease *lease, const char *event, int64_t *due_ms)
{
	char name[DISK_NAME_SIZE];
	const char *id = lease->lease.id;

	snprintf(name, sizeof(name), "%s.env", id);
	if (disk_finish(disk, lease) < 0 || recycler_put(&disk->envelopes, name) < 0 ||
			disk_sync_directory(disk->envelope_fd) < 0) {
		disk_log_error(disk, "take away", id, errno);
		*due_ms = clock_wall_ms() + AGAIN_MS;
		return TAKE_FAILED;
	}
	finished_add(disk->finished, id);
	disk_lease_cut(disk, lease);
	if (!lease->finished)
		disk_meta_remove(disk, id);
	disk_mark_remove(disk, id);
	log_info("queue", event, LOG_TEXT("id", id), LOG_TEXT("queue", disk->storage.context.queue));
	return TAKE_GONE;
}

static enum disk_take set_aside(struct disk *disk, struct disk_lease *lease, const char *why, int64_t *due_ms)
{
	log_error("queue", "damaged message held", LOG_TEXT("id", lease->lease.id),
		LOG_TEXT("queue", disk->storage.context.queue), LOG_TEXT("why", why));
	if (disk_hold(disk, lease, "damaged") == 0)
		return TAKE_HELD;
	disk_log_error(disk, "hold", lease->lease.id, errno);
	*due_ms = clock_wall_ms() + AGAIN_MS;
	return TAKE_FAILED;
}

/* What was asked while somebody had it is obeyed, durably, before anybody delivers it. */
static enum disk_take obey(struct disk *disk, struct disk_lease *lease, int64_t *due_ms)
{
	uint64_t before = lease->marks;

	switch (disk_marks_obey(disk, lease, false)) {
	case OBEYED_NOTHING:
		return TAKE_OURS;
	case OBEYED_DISCARD:
		return take_away(disk, lease, "discarded", due_ms);
	case OBEYED:
		if (lease->marks == before || disk_meta_keep(disk, lease) == 0) {
			disk_marks_tidy(disk, lease);
			return TAKE_OURS;
		}
		disk_log_error(disk, "obey the marks", lease->lease.id, errno);
		/* fall through */
	case OBEYED_FAILED:
		break;
	}
	*due_ms = clock_wall_ms() + AGAIN_MS;
	return TAKE_FAILED;
}

static enum disk_take damaged_meta(struct disk *disk, struct disk_lease *lease, const char *why, int64_t *due_ms)
{
	const char *id = lease->lease.id;

	if (disk_marks_obey(disk, lease, false) == OBEYED_DISCARD)
		return take_away(disk, lease, "discarded", due_ms);
	log_error("queue", "damaged meta, message held", LOG_TEXT("id", id),
		LOG_TEXT("queue", disk->storage.context.queue), LOG_TEXT("why", why));
	disk_hold_damaged_meta(disk, id);
	disk_marks_tidy(disk, lease);
	return TAKE_HELD;
}

static enum disk_take read_meta(struct disk *disk, struct disk_lease *lease, bool forced, int64_t *due_ms)
{
	const char *id = lease->lease.id, *why;
	enum disk_take result;

	switch (disk_meta_read(disk, lease, &why)) {
	case META_NONE:
		break;
	case META_FAILED:
		disk_log_error(disk, "read the meta", id, errno);
		*due_ms = clock_wall_ms() + AGAIN_MS;
		return TAKE_FAILED;
	case META_DAMAGED:
		return damaged_meta(disk, lease, why, due_ms);
	case META_READ:
		if (lease->finished)
			return take_away(disk, lease, "removal completed", due_ms);
		break;
	}
	result = obey(disk, lease, due_ms);
	if (result != TAKE_OURS)
		return result;
	*due_ms = lease->due_ms;
	if (!forced && lease->state.held)
		return TAKE_HELD;
	/* The scan knows due times by a file's time, which may be coarser than ours. */
	return !forced && lease->due_ms > clock_wall_ms() + 10 ? TAKE_LATER : TAKE_OURS;
}

static enum disk_take read_envelope(struct disk *disk, struct disk_lease *lease, int64_t *due_ms)
{
	const char *id = lease->lease.id, *why = NULL;
	bool small = lease->size <= DISK_MEMORY_MAX;

	*due_ms = clock_wall_ms() + AGAIN_MS;
	switch (FAULT("disk.read", (int)stored_read(lease->fd, DISK_MEMORY_MAX, small, &lease->envelope, &why))) {
	case STORED_OK:
		break;
	case STORED_DAMAGED:
		return set_aside(disk, lease, why, due_ms);
	case STORED_FOREIGN:
		log_warn("queue", "left to another version", LOG_TEXT("id", id), LOG_TEXT("why", why));
		*due_ms = clock_wall_ms() + FOREIGN_MS;
		return TAKE_FAILED;
	default:
		disk_log_error(disk, "read", id, errno);
		return TAKE_FAILED;
	}
	if (strcmp(lease->envelope->id, id) != 0)
		return set_aside(disk, lease, "holds another id than its name", due_ms);
	if (!small) {
		/* Its sum is checked when it is asked for, not while others wait. */
		envelope_free(lease->envelope);
		lease->envelope = NULL;
	}
	return TAKE_OURS;
}

static enum disk_take failed_open(struct disk *disk, const char *id, int64_t *due_ms)
{
	if (errno == EBUSY)
		return TAKE_BUSY;
	if (errno == EAGAIN) {
		*due_ms = clock_wall_ms() + MARKED_AGAIN_MS;
		return TAKE_LATER;
	}
	if (errno == ENOENT)
		return TAKE_GONE;
	disk_log_error(disk, "open", id, errno);
	*due_ms = clock_wall_ms() + AGAIN_MS;
	return TAKE_FAILED;
}

enum disk_take disk_take(struct disk *disk, const char *id, bool forced, struct disk_lease **taken, int64_t *due_ms)
{
	struct stat opened = { 0 };
	int fd = disk_lock_env(disk, id, false, &opened);
	struct disk_lease *lease = disk_lease_new(id, fd, &opened);
	enum disk_take result;

	result = lease->fd < 0 ? failed_open(disk, id, due_ms) : read_meta(disk, lease, forced, due_ms);
	if (result == TAKE_OURS)
		result = read_envelope(disk, lease, due_ms);
	if (result == TAKE_OURS) {
		lease->lease.lease_ms = INT64_MAX;
		lease->lease.suspect = lease->state.suspect;
		*taken = lease;
		return result;
	}
	disk_lease_free(lease);
	/* Who asked for something while we looked found it locked, and left it to us. */
	if ((result == TAKE_HELD || result == TAKE_LATER) && disk_mark_stands(disk, id)) {
		*due_ms = clock_wall_ms() + MARKED_AGAIN_MS;
		result = TAKE_LATER;
	}
	return result;
}
