/* disk_list.c - list and info: readings of the directory in bounded memory
 * SPDX-License-Identifier: MIT
 * The directory has no order. One reading gathers the WINDOW least ids behind the cursor; the calls that follow take
 * theirs from there. */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "common/base/clock.h"
#include "common/base/fault.h"
#include "common/base/file.h"
#include "common/base/memory.h"
#include "common/message/stored.h"
#include "common/queue/disk/disk.h"

#define WINDOW 16384
#define BATCH_MAX 1000

struct disk_window {
	char after[ID_SIZE];		/* the cursor it was read for */
	char (*ids)[ID_SIZE];		/* ascending once the reading is done; a heap with the greatest first before */
	size_t count;
	bool more;
};

struct seen {				/* what an entry points into */
	struct envelope *envelope;
	struct disk_lease known;
};

struct list_op {
	char after[ID_SIZE], only[ID_SIZE];
	size_t max;
	struct disk_window *window;
	struct list_entry *entries;
	struct seen *seen;
	size_t count;
	char cursor[LIST_CURSOR_SIZE];
	struct now_view *owners;	/* looked at once, for the first that is leased */
	int error;
	storage_list_fn *done;
	void *arg;
};

static int greater_down(const void *a, const void *b)
{
	return memcmp(a, b, ID_LENGTH);
}

static void swap(char a[ID_SIZE], char b[ID_SIZE])
{
	char kept[ID_SIZE];

	memcpy(kept, a, ID_SIZE);
	memcpy(a, b, ID_SIZE);
	memcpy(b, kept, ID_SIZE);
}

static void sift_down(struct disk_window *window)
{
	size_t at = 0, child;

	while ((child = 2 * at + 1) < window->count) {
		if (child + 1 < window->count && memcmp(window->ids[child + 1], window->ids[child], ID_LENGTH) > 0)
			child++;
		if (memcmp(window->ids[at], window->ids[child], ID_LENGTH) >= 0)
			break;
		swap(window->ids[at], window->ids[child]);
		at = child;
	}
}

/* Keeps the least WINDOW of all that are offered. */
static void offer(struct disk_window *window, const char *id)
{
	size_t at;

	if (window->count == WINDOW) {
		window->more = true;
		if (memcmp(id, window->ids[0], ID_LENGTH) < 0) {
			memcpy(window->ids[0], id, ID_SIZE);
			sift_down(window);
		}
		return;
	}
	at = window->count++;
	memcpy(window->ids[at], id, ID_SIZE);
	for (; at && memcmp(window->ids[at], window->ids[(at - 1) / 2], ID_LENGTH) > 0; at = (at - 1) / 2)
		swap(window->ids[at], window->ids[(at - 1) / 2]);
}

static DIR *open_envelopes(struct disk *disk)
{
	int fd = FAULT("disk.open", openat(disk->envelope_fd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC));
	DIR *directory = fd < 0 ? NULL : fdopendir(fd);

	if (!directory)
		fd_close(&fd);
	return directory;
}

static int read_window(struct disk *disk, struct disk_window *window, const char *after)
{
	DIR *directory = open_envelopes(disk);
	struct dirent *entry;
	char id[ID_SIZE];

	if (!directory)
		return -1;
	memcpy(window->after, after, ID_SIZE);
	window->count = 0;
	window->more = false;
	errno = 0;
	while ((entry = readdir(directory)))
		if (disk_name_id(entry->d_name, ".env", id) && strcmp(id, after) > 0)
			offer(window, id);
	closedir(directory);
	qsort(window->ids, window->count, ID_SIZE, greater_down);
	return errno ? -1 : 0;
}

static enum message_place place_of(int fd, const struct disk_lease *known, enum disk_meta_result meta)
{
	if (known->state.held)
		return PLACE_HELD;
	if (ofd_is_locked(fd, 0, 1) == 1)
		return PLACE_LEASED;
	return meta == META_READ ? PLACE_DEFERRED : PLACE_NEW;
}

static void describe(struct list_entry *entry, const struct seen *seen, int64_t now_ms)
{
	const struct message_state *state = &seen->known.state;
	const struct envelope *envelope = seen->envelope;

	entry->age_ms = now_ms - id_wall_ms(entry->id);
	entry->attempts = state->attempts;
	entry->due_in_ms = seen->known.due_ms - now_ms;
	entry->held = state->held;
	entry->last = state->last_count ? &state->last[state->last_count - 1].reply : NULL;
	if (!envelope)
		return;
	memcpy(entry->origin, envelope->origin, ID_SIZE);
	entry->sender = envelope->sender;
	entry->recipients = envelope->recipients;
	entry->recipient_count = envelope->recipient_count;
	entry->size = content_size(&envelope->content);
}

static void find_owner(struct disk *disk, struct list_op *op, struct list_entry *entry)
{
	if (entry->place != PLACE_LEASED)
		return;
	if (!op->owners)
		op->owners = disk_owners(disk);
	disk_owner_of_entry(op->owners, entry);
}

/* False: it is gone. A damaged one is shown with what is known: id, size on disk, and that it is damaged. */
static bool read_entry(struct disk *disk, const char *id, struct list_entry *entry, struct seen *seen)
{
	char name[DISK_NAME_SIZE];
	const char *why;
	enum disk_meta_result meta;
	struct stat status;
	int fd;

	snprintf(name, sizeof(name), "%s.env", id);
	fd = FAULT("disk.open", openat(disk->envelope_fd, name, O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK));
	if (fd < 0)
		return false;
	memcpy(entry->id, id, ID_SIZE);
	memcpy(seen->known.lease.id, id, ID_SIZE);
	entry->sender = "";
	if (fstat(fd, &status) == 0)
		entry->size = (uint64_t)status.st_size;
	meta = disk_meta_read(disk, &seen->known, &why);
	if (meta == META_DAMAGED || stored_read(fd, 0, false, &seen->envelope, &why) == STORED_DAMAGED)
		xstrset(&seen->known.state.held, "damaged");
	entry->place = place_of(fd, &seen->known, meta);
	describe(entry, seen, clock_wall_ms());
	fd_close(&fd);
	return true;
}

static void list_work(struct disk *disk, void *arg)
{
	struct list_op *op = arg;
	struct disk_window *window = op->window;
	size_t at = 0;

	if (*op->only) {
		op->count = read_entry(disk, op->only, &op->entries[0], &op->seen[0]);
		find_owner(disk, op, &op->entries[0]);
		return;
	}
	if ((!window->count || strcmp(op->after, window->after) < 0 || !*op->after ||
		    (strcmp(op->after, window->ids[window->count - 1]) >= 0)) &&
			read_window(disk, window, op->after) < 0) {
		op->error = errno ? errno : EIO;
		return;
	}
	while (at < window->count && strcmp(window->ids[at], op->after) <= 0)
		at++;
	for (; at < window->count && op->count < op->max; at++) {
		memcpy(op->cursor, window->ids[at], ID_SIZE);
		if (!read_entry(disk, window->ids[at], &op->entries[op->count], &op->seen[op->count]))
			continue;
		find_owner(disk, op, &op->entries[op->count++]);
	}
	if (at == window->count && !window->more)
		op->cursor[0] = '\0';
}

static void list_done(struct disk *disk, void *arg)
{
	struct list_op *op = arg;
	struct reply why = { 0 };

	if (disk->window) {
		free(op->window->ids);
		free(op->window);
	} else {
		disk->window = op->window;
	}
	if (op->error)
		disk_error_reply(op->error, &why);
	op->done(op->arg, op->error ? &why : NULL, op->entries, op->count, op->cursor);
	reply_release(&why);
	for (size_t i = 0; i < op->max; i++) {
		envelope_free(op->seen[i].envelope);
		message_state_release(&op->seen[i].known.state);
		json_decref(op->seen[i].known.meta);
	}
	now_view_free(op->owners);
	free(op->seen);
	free(op->entries);
	free(op);
}

static void no_work(struct disk *disk, void *arg)
{
	(void)disk;
	((struct list_op *)arg)->error = EIO;
}

void disk_list(struct storage *storage, const struct list_filter *filter, const char *cursor, size_t max,
	storage_list_fn *done, void *arg)
{
	struct disk *disk = (struct disk *)storage;
	struct list_op *op = xcalloc(1, sizeof(*op));

	op->max = max && max < BATCH_MAX ? max : BATCH_MAX;
	op->done = done;
	op->arg = arg;
	if (cursor && id_is_valid(cursor))
		memcpy(op->after, cursor, ID_SIZE);
	if (filter && filter->id && id_is_valid(filter->id))
		memcpy(op->only, filter->id, ID_SIZE);
	op->entries = xcalloc(op->max, sizeof(*op->entries));
	op->seen = xcalloc(op->max, sizeof(*op->seen));
	op->window = disk->window;
	disk->window = NULL;
	if (!op->window) {
		op->window = xcalloc(1, sizeof(*op->window));
		op->window->ids = xcalloc(WINDOW, ID_SIZE);
	}
	disk_run(disk, disk->is_open ? list_work : no_work, list_done, op);
}

void disk_window_free(struct disk *disk)
{
	if (disk->window)
		free(disk->window->ids);
	free(disk->window);
	disk->window = NULL;
}

struct info_op {
	struct queue_counts counts;
	int error;
	storage_info_fn *done;
	void *arg;
};

static void count_one(struct disk *disk, const char *id, struct queue_counts *counts)
{
	char name[DISK_NAME_SIZE];
	struct stat status, meta;
	bool has_meta, leased;
	int64_t age_ms = clock_wall_ms() - id_wall_ms(id);
	int fd;

	snprintf(name, sizeof(name), "%s.env", id);
	fd = openat(disk->envelope_fd, name, O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK);
	if (fd < 0)
		return;
	leased = ofd_is_locked(fd, 0, 1) == 1;
	if (fstat(fd, &status) == 0)
		counts->octets += (uint64_t)status.st_size;
	fd_close(&fd);
	snprintf(name, sizeof(name), "%s.meta", id);
	has_meta = fstatat(disk->meta_fd, name, &meta, AT_SYMLINK_NOFOLLOW) == 0;
	if (has_meta && meta.st_mtim.tv_sec >= DISK_HELD_SECONDS)
		counts->held++;
	else if (leased)
		counts->leased++;
	else if (has_meta)
		counts->deferred++;
	else
		counts->fresh++;
	if (age_ms > counts->oldest_age_ms)
		counts->oldest_age_ms = age_ms;
}

static void info_work(struct disk *disk, void *arg)
{
	struct info_op *op = arg;
	DIR *directory = disk->is_open ? open_envelopes(disk) : NULL;
	struct dirent *entry;
	char id[ID_SIZE];

	op->counts.oldest_age_ms = -1;
	if (!directory) {
		op->error = EIO;
		return;
	}
	while ((entry = readdir(directory)))
		if (disk_name_id(entry->d_name, ".env", id))
			count_one(disk, id, &op->counts);
	closedir(directory);
}

static void info_done(struct disk *disk, void *arg)
{
	struct info_op *op = arg;
	struct reply why = { 0 };

	(void)disk;
	if (op->error)
		disk_error_reply(op->error, &why);
	op->done(op->arg, op->error ? &why : NULL, &op->counts);
	reply_release(&why);
	free(op);
}

void disk_info(struct storage *storage, storage_info_fn *done, void *arg)
{
	struct info_op *op = xcalloc(1, sizeof(*op));

	op->done = done;
	op->arg = arg;
	disk_run((struct disk *)storage, info_work, info_done, op);
}
