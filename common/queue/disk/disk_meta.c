/* disk_meta.c - ID.meta: what is known of a message beside its envelope
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

char *disk_meta_text(const struct disk_lease *lease)
{
	json_t *object = message_state_to_json(&lease->state, lease->meta);
	char *text;

	json_object_set_new(object, "version", json_integer(1));
	json_object_set_new(object, "due", json_integer(lease->due_ms));
	if (lease->marks)
		json_object_set_new(object, "marks", json_integer((json_int_t)lease->marks));
	if (lease->finished)
		json_object_set_new(object, "finished", json_true());
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

int64_t disk_meta_time(const struct disk_lease *lease)
{
	return lease->state.held ? INT64_MAX : lease->due_ms;
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

/* Whoever was told that it failed does it again, and must not find it done. */
void disk_meta_revert(struct disk *disk, const char *id, bool replaced)
{
	char staged[DISK_NAME_SIZE], name[DISK_NAME_SIZE];

	snprintf(staged, sizeof(staged), ".%s.meta.new", id);
	snprintf(name, sizeof(name), "%s.meta", id);
	if (replaced && renameat2(disk->meta_fd, staged, disk->meta_fd, name, RENAME_EXCHANGE) < 0)
		disk_log_error(disk, "put the old meta back", id, errno);
	unlinkat(disk->meta_fd, replaced ? staged : name, 0);
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
	unlinkat(disk->meta_fd, staged, 0);	/* what could not be synced is not used again */
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
	const json_t *due = json_object_get(object, "due"), *marks = json_object_get(object, "marks");
	enum disk_meta_result result = META_DAMAGED;

	*why = "not the JSON of a meta";
	if (json_is_integer(due) && message_state_from_json(&lease->state, object, why) == 0) {
		lease->due_ms = json_integer_value(due);
		lease->marks = json_integer_value(marks) > 0 ? (uint64_t)json_integer_value(marks) : 0;
		lease->finished = json_is_true(json_object_get(object, "finished"));
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

	/* Its id is of the future where the clock was set back. */
	lease->due_ms = id_wall_ms(lease->lease.id) < clock_wall_ms() ? id_wall_ms(lease->lease.id) : clock_wall_ms();
	snprintf(name, sizeof(name), "%s.meta", lease->lease.id);
	fd = FAULT("disk.open", openat(disk->meta_fd, name, O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK));
	if (fd < 0)
		return errno == ENOENT ? META_NONE : META_FAILED;
	if (FAULT("disk.read", fd_read_all(fd, &text, META_MAX)) == 0)
		result = parse(lease, &text, why);
	/* It was written at a time that is still to come: what it says of the due time means nothing. */
	if (result == META_READ && fstat(fd, &status) == 0 && disk_clock_was_ahead(&status) &&
			lease->due_ms > clock_wall_ms())
		lease->due_ms = clock_wall_ms();
	buffer_release(&text);
	fd_close(&fd);
	return result;
}

static int read_alone(struct disk *disk, const char *id, struct disk_lease *seen)
{
	const char *unused;
	enum disk_meta_result result;

	memset(seen, 0, sizeof(*seen));
	memcpy(seen->lease.id, id, ID_SIZE);
	result = disk_meta_read(disk, seen, &unused);
	message_state_release(&seen->state);
	json_decref(seen->meta);
	return result == META_FAILED ? -1 : 0;
}

int disk_meta_marks(struct disk *disk, const char *id, uint64_t *marks)
{
	struct disk_lease seen;
	int result = read_alone(disk, id, &seen);

	*marks = seen.marks;
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

int disk_meta_keep(struct disk *disk, struct disk_lease *lease)
{
	char *text = disk_meta_text(lease);
	int result = disk_meta_write(disk, lease->lease.id, text, disk_meta_time(lease));

	free(text);
	if (result < 0)
		return -1;
	if (disk_sync_directory(disk->meta_fd) < 0) {
		int error = errno;

		disk_meta_revert(disk, lease->lease.id, result == 1);
		errno = error;
		return -1;
	}
	if (result == 1)
		disk_meta_tidy(disk, lease->lease.id);
	if (!lease->meta)
		lease->meta = json_object();	/* there is one from now on */
	return 0;
}

int disk_finish(struct disk *disk, struct disk_lease *lease)
{
	if (lease->finished || !id_is_derived(lease->lease.id))
		return 0;
	lease->finished = true;
	return disk_meta_keep(disk, lease);
}

bool disk_is_finished(struct disk *disk, const char *id)
{
	struct disk_lease seen;

	return finished_has(disk->finished, id) ||
		(id_is_derived(id) && read_alone(disk, id, &seen) == 0 && seen.finished);
}

int disk_hold(struct disk *disk, struct disk_lease *lease, const char *reason)
{
	xstrset(&lease->state.held, reason);
	return disk_meta_keep(disk, lease);
}
