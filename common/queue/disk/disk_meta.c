/* disk_meta.c - ID.meta: what is known of a message beside its envelope; ID.mark: what an operator wants of it
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
#include "common/base/memory.h"
#include "common/queue/disk/disk.h"

#define META_MAX (64 * 1024 * 1024)
#define CLOCK_SLACK_SECONDS 60

char *disk_meta_text(const struct message_state *state, int64_t due_ms, const json_t *other)
{
	json_t *object = message_state_to_json(state, other);
	char *text;

	json_object_set_new(object, "version", json_integer(1));
	json_object_set_new(object, "due", json_integer(due_ms));
	text = json_dumps(object, JSON_COMPACT | JSON_SORT_KEYS);
	if (!text)
		BUG("a state that is no JSON");
	json_decref(object);
	return text;
}

/* The scan reads nothing but this time. */
static int set_due(int fd, int64_t due_ms)
{
	struct timespec times[2] = { { .tv_nsec = UTIME_OMIT }, { .tv_sec = DISK_HELD_SECONDS } };

	if (due_ms < DISK_HELD_SECONDS * 1000) {
		times[1].tv_sec = due_ms / 1000;
		times[1].tv_nsec = due_ms % 1000 * 1000000;
	} else if (due_ms != INT64_MAX) {
		times[1].tv_sec = DISK_HELD_SECONDS - 1;
	}
	return FAULT("disk.utimens", futimens(fd, times));
}

void disk_meta_drop_old(struct disk *disk, const char *id)
{
	char staged[DISK_NAME_SIZE];

	snprintf(staged, sizeof(staged), ".%s.meta.new", id);
	unlinkat(disk->meta_fd, staged, 0);
}

static int fill(int fd, const char *text, off_t old_size, int64_t due_ms)
{
	size_t size = strlen(text);

	if (FAULT("disk.write", fd_write_all(fd, text, size)) < 0)
		return -1;
	if (old_size > (off_t)size && FAULT("disk.ftruncate", ftruncate(fd, (off_t)size)) < 0)
		return -1;
	if (set_due(fd, due_ms) < 0)
		return -1;
	return FAULT("disk.fsync", fsync(fd));	/* fdatasync would leave the time behind */
}

/* An older meta changes places with the new one. 1: it did, and stands under the first name. */
static int place(struct disk *disk, const char *staged, const char *name)
{
	if (FAULT("disk.rename", renameat2(disk->meta_fd, staged, disk->meta_fd, name, RENAME_NOREPLACE)) == 0)
		return 0;
	if (errno != EEXIST ||
			FAULT("disk.rename", renameat2(disk->meta_fd, staged, disk->meta_fd, name, RENAME_EXCHANGE)) < 0)
		return -1;
	return 1;
}

void disk_meta_tidy(struct disk *disk, const char *id)
{
	char staged[DISK_NAME_SIZE];

	snprintf(staged, sizeof(staged), ".%s.meta.new", id);
	recycler_put(&disk->metas, staged);
}

int disk_meta_write(struct disk *disk, const char *id, const char *text, int64_t due_ms)
{
	char staged[DISK_NAME_SIZE], name[DISK_NAME_SIZE];
	off_t old_size;
	int fd, error, result;

	snprintf(staged, sizeof(staged), ".%s.meta.new", id);
	snprintf(name, sizeof(name), "%s.meta", id);
	fd = recycler_take(&disk->metas, staged, &old_size);
	if (fd < 0)
		return -1;
	result = fill(fd, text, old_size, due_ms);
	fd_close(&fd);
	if (result == 0)
		result = place(disk, staged, name);
	if (result >= 0)
		return result;
	error = errno;
	disk_meta_drop_old(disk, id);
	errno = error;
	return -1;
}

int disk_meta_remove(struct disk *disk, const char *id)
{
	char name[DISK_NAME_SIZE];

	snprintf(name, sizeof(name), "%s.meta", id);
	return recycler_put(&disk->metas, name) < 0 && errno != ENOENT ? -1 : 0;
}

static enum disk_meta_result parse(struct disk_lease *lease, const struct buffer *text, const char **why)
{
	json_t *object = json_loadb(text->data, text->size, 0, NULL);
	json_t *due = json_object_get(object, "due");
	enum disk_meta_result result = META_DAMAGED;

	*why = "not the JSON of a meta";
	if (json_is_integer(due) && message_state_from_json(&lease->state, object, why) == 0) {
		lease->due_ms = json_integer_value(due);
		lease->meta = json_incref(object);
		result = META_READ;
	}
	json_decref(object);
	return result;
}

enum disk_meta_result disk_meta_read(struct disk *disk, struct disk_lease *lease, const char **why)
{
	char name[DISK_NAME_SIZE];
	struct buffer text = { 0 };
	struct stat status;
	enum disk_meta_result result = META_FAILED;
	int fd;

	snprintf(name, sizeof(name), "%s.meta", lease->lease.id);
	fd = FAULT("disk.open", openat(disk->meta_fd, name, O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK));
	if (fd < 0)
		return errno == ENOENT ? META_NONE : META_FAILED;
	if (FAULT("disk.read", fd_read_all(fd, &text, META_MAX)) == 0)
		result = parse(lease, &text, why);
	lease->clock_was_ahead = fstat(fd, &status) == 0 && disk_clock_was_ahead(&status);
	buffer_release(&text);
	fd_close(&fd);
	return result;
}

bool disk_clock_was_ahead(const struct stat *meta)
{
	return meta->st_ctim.tv_sec > clock_wall_ms() / 1000 + CLOCK_SLACK_SECONDS;
}

/* A meta that cannot be read is left as it is, for somebody to look at: only its time says that it is held. */
int disk_hold_damaged_meta(struct disk *disk, const char *id)
{
	char name[DISK_NAME_SIZE];
	int fd, result;

	snprintf(name, sizeof(name), "%s.meta", id);
	fd = openat(disk->meta_fd, name, O_WRONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK);
	if (fd < 0)
		return -1;
	result = set_due(fd, INT64_MAX);
	if (result == 0)
		result = FAULT("disk.fsync", fsync(fd));
	fd_close(&fd);
	return result;
}

int disk_hold(struct disk *disk, struct disk_lease *lease, const char *reason)
{
	char *text;
	int result;

	xstrset(&lease->state.held, reason);
	text = disk_meta_text(&lease->state, lease->due_ms, lease->meta);
	result = disk_meta_write(disk, lease->lease.id, text, INT64_MAX);
	free(text);
	if (result < 0)
		return -1;
	if (disk_sync_directory(disk->meta_fd) < 0) {
		disk_meta_drop_old(disk, lease->lease.id);
		return -1;
	}
	if (result == 1)
		disk_meta_tidy(disk, lease->lease.id);
	return 0;
}

static const char *const mark_names[] = { [MARK_DISCARD] = "discard" };

bool disk_mark_read(struct disk *disk, const char *id, enum mark *mark)
{
	char name[DISK_NAME_SIZE], text[16] = "";
	ssize_t size = -1;
	int fd;

	snprintf(name, sizeof(name), "%s.mark", id);
	fd = openat(disk->meta_fd, name, O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK);
	if (fd >= 0)
		size = read(fd, text, sizeof(text) - 1);
	fd_close(&fd);
	if (size <= 0 || strcmp(text, "discard\n") != 0)
		return false;
	*mark = MARK_DISCARD;
	return true;
}

int disk_mark_write(struct disk *disk, int env_fd, const char *id, enum mark mark)
{
	char staged[DISK_NAME_SIZE], name[DISK_NAME_SIZE], text[32];
	int fd, result = -1, locked = ofd_lock(env_fd, 1, 1, true);

	if (locked != 1) {
		errno = locked == 0 ? EBUSY : errno;
		return -1;
	}
	snprintf(staged, sizeof(staged), ".%s.mark.new", id);
	snprintf(name, sizeof(name), "%s.mark", id);
	snprintf(text, sizeof(text), "%s\n", mark_names[mark]);
	fd = FAULT("disk.open", openat(disk->meta_fd, staged, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC | O_NOFOLLOW, 0600));
	if (fd >= 0 && FAULT("disk.write", fd_write_all(fd, text, strlen(text))) == 0 &&
			FAULT("disk.fsync", fdatasync(fd)) == 0)
		result = FAULT("disk.rename", renameat(disk->meta_fd, staged, disk->meta_fd, name));
	if (result < 0)
		unlinkat(disk->meta_fd, staged, 0);
	fd_close(&fd);
	ofd_unlock(env_fd, 1, 1);
	return result;
}

void disk_mark_remove(struct disk *disk, const char *id)
{
	char name[DISK_NAME_SIZE];

	snprintf(name, sizeof(name), "%s.mark", id);
	unlinkat(disk->meta_fd, name, 0);
}
