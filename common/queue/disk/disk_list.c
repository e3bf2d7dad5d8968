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
#define LOOKED_MAX 4000		/* messages that one call reads */

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

struct unread {				/* messages that are there and cannot be opened */
	size_t count;
	char id[ID_SIZE];		/* the least */
	int error;
};

struct list_op {
	char after[ID_SIZE];
	const struct list_filter *filter;
	size_t max;
	struct disk_window *window;
	struct list_entry *entries;
	struct seen *seen;
	size_t count;
	char cursor[LIST_CURSOR_SIZE];
	struct now_view *owners;	/* looked at once, for the first that is leased */
	struct unread unread;
	int error;
	storage_list_fn *done;
	void *arg;
};

static void unread_add(struct unread *unread, const char *id, int error)
{
	if (error == ENOENT || (unread->count++ && memcmp(unread->id, id, ID_LENGTH) < 0))
		return;
	memcpy(unread->id, id, ID_SIZE);
	unread->error = error;
}

static void unread_reply(const struct unread *unread, struct reply *why)
{
	reply_set(why, 451, "4.3.0", "%zu message%s cannot be read, first %s: %s", unread->count, unread->count == 1 ? "" : "s",
		unread->id, strerror(unread->error));
}

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

static void find_owner(struct disk *disk, struct list_op *op, struct list_entry *entry)
{
	if (entry->place != PLACE_LEASED)
		return;
	if (!op->owners)
		op->owners = disk_owners(disk);
	disk_owner_of_entry(op->owners, entry);
}

static void seen_release(struct seen *seen)
{
	envelope_free(seen->envelope);
	message_state_release(&seen->known.state);
	json_decref(seen->known.meta);
	*seen = (struct seen){ 0 };
}

/* False with errno: it cannot be opened; ENOENT: it is gone. A damaged one is shown with what is known: id, size on disk,
 * and that it is damaged. */
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
	memcpy(seen->known.lease.id, id, ID_SIZE);
	meta = disk_meta_read(disk, &seen->known, &why);
	if (meta == META_DAMAGED || stored_read(fd, 0, false, &seen->envelope, &why) == STORED_DAMAGED)
		xstrset(&seen->known.state.held, "damaged");
	list_entry_describe(entry, id, seen->envelope, &seen->known.state);
	entry->due_in_ms = seen->known.due_ms - clock_wall_ms();
	if (seen->envelope)
		entry->size = content_size(&seen->envelope->content);
	else if (fstat(fd, &status) == 0)
		entry->size = (uint64_t)status.st_size;
	entry->place = place_of(fd, &seen->known, meta);
	fd_close(&fd);
	return true;
}

static void add_entry(struct disk *disk, struct list_op *op, const char *id)
{
	struct list_entry *entry = &op->entries[op->count];
	struct seen *seen = &op->seen[op->count];

	if (!read_entry(disk, id, entry, seen)) {
		unread_add(&op->unread, id, errno);
		return;
	}
	if (list_filter_matches(op->filter, entry)) {
		find_owner(disk, op, entry);
		op->count++;
		return;
	}
	seen_release(seen);
	*entry = (struct list_entry){ 0 };
}

static bool window_serves(const struct disk_window *window, const char *after)
{
	return *after && window->count && strcmp(after, window->after) >= 0 &&
		strcmp(after, window->ids[window->count - 1]) < 0;
}

static void list_work(struct disk *disk, void *arg)
{
	struct list_op *op = arg;
	struct disk_window *window = op->window;
	size_t at = 0;

	if (op->filter && op->filter->id) {
		if (id_is_valid(op->filter->id))
			add_entry(disk, op, op->filter->id);
		return;
	}
	if (!window_serves(window, op->after) && read_window(disk, window, op->after) < 0) {
		op->error = errno ? errno : EIO;
		return;
	}
	while (at < window->count && strcmp(window->ids[at], op->after) <= 0)
		at++;
	for (size_t looked = 0; at < window->count && op->count < op->max && looked < LOOKED_MAX; at++, looked++) {
		memcpy(op->cursor, window->ids[at], ID_SIZE);
		add_entry(disk, op, window->ids[at]);
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
		disk_look_reply(disk, disk->envelope_dir, op->error, &why);
	else if (op->unread.count)
		unread_reply(&op->unread, &why);
	op->done(op->arg, why.code ? &why : NULL, op->entries, op->count, op->cursor);
	reply_release(&why);
	for (size_t i = 0; i < op->count; i++)
		seen_release(&op->seen[i]);
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

	op->max = filter && filter->id ? 1 : max && max < BATCH_MAX ? max : BATCH_MAX;
	op->filter = filter;
	op->done = done;
	op->arg = arg;
	if (cursor && id_is_valid(cursor))
		memcpy(op->after, cursor, ID_SIZE);
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
	struct unread unread;
	int error;
	storage_info_fn *done;
	void *arg;
};

/* The envelope of a notification says its age; it is read only where that may be the greatest. */
static void count_age(struct queue_counts *counts, const char *id, int fd)
{
	int64_t now_ms = clock_wall_ms(), age_ms = now_ms - id_wall_ms(id);
	struct envelope *envelope = NULL;
	const char *why;

	if (age_ms > counts->oldest_age_ms && id_is_derived(id) &&
			stored_read(fd, 0, false, &envelope, &why) != STORED_DAMAGED && envelope)
		age_ms = now_ms - message_accepted_ms(id, envelope);
	if (age_ms < 0)
		age_ms = 0;		/* of a clock that was ahead */
	if (age_ms > counts->oldest_age_ms)
		counts->oldest_age_ms = age_ms;
	envelope_free(envelope);
}

static void count_one(struct disk *disk, const char *id, struct info_op *op)
{
	struct queue_counts *counts = &op->counts;
	char name[DISK_NAME_SIZE];
	struct stat status, meta;
	bool has_meta, leased;
	int fd;

	snprintf(name, sizeof(name), "%s.env", id);
	fd = openat(disk->envelope_fd, name, O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK);
	if (fd < 0) {
		unread_add(&op->unread, id, errno);
		return;
	}
	leased = ofd_is_locked(fd, 0, 1) == 1;
	if (fstat(fd, &status) == 0)
		counts->octets += (uint64_t)status.st_size;
	count_age(counts, id, fd);
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
			count_one(disk, id, op);
	closedir(directory);
}

static void info_done(struct disk *disk, void *arg)
{
	struct info_op *op = arg;
	struct reply why = { 0 };

	if (op->error)
		disk_look_reply(disk, disk->envelope_dir, op->error, &why);
	else if (op->unread.count)
		unread_reply(&op->unread, &why);
	op->done(op->arg, why.code ? &why : NULL, &op->counts);
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
