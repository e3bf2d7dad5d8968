/* disk_scan.c - the scanner's reading of the directories, in slices off the loop
 * SPDX-License-Identifier: MIT
 * Metas first, by their time alone, then the names of envelopes: one without a meta is new. What an event told since
 * the scan began is newer than what the scan saw. */
#include <dirent.h>
#include <errno.h>
#include <event2/event.h>
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
#include "common/base/text.h"
#include "common/queue/disk/disk.h"

#define SLICE 1024
#define AGAIN_MS 1000
#define STALE_NEW_SECONDS 86400
#define STALE_META_SECONDS 3600
#define STALE_FINISHED_SECONDS (FINISHED_DERIVED_KEPT_MS / 1000)
#define LOOK_NOW INT64_MIN		/* as a due time: something was asked of it */

enum phase { PHASE_METAS, PHASE_ENVELOPES, PHASE_END };

struct disk_scan {
	uint32_t number;
	bool running, stopped;
	bool again;			/* a batch was completed: what it made visible may have been passed by */
	bool batches, unbatched;	/* this reading has found batch files; the last whole one found none */
	enum phase phase;
	DIR *directory;			/* the thread's while a slice runs */
	struct due_item *items;		/* SLICE of them */
	size_t count;
	bool at_end;
	struct event *timer;
};

static bool is_stale(int directory_fd, const char *name, int64_t seconds)
{
	struct stat status;

	/* The time of a meta's data is when it is due: its change is told by the other. */
	return fstatat(directory_fd, name, &status, AT_SYMLINK_NOFOLLOW) == 0 && S_ISREG(status.st_mode) &&
		status.st_ctim.tv_sec + seconds < clock_wall_ms() / 1000;
}

static bool has_envelope(struct disk *disk, const char *id)
{
	char name[DISK_NAME_SIZE];

	snprintf(name, sizeof(name), "%s.env", id);
	return faccessat(disk->envelope_fd, name, F_OK, AT_SYMLINK_NOFOLLOW) == 0;
}

static void sweep(struct disk *disk, int directory_fd, const char *name, int64_t seconds)
{
	if (!is_stale(directory_fd, name, seconds) || unlinkat(directory_fd, name, 0) < 0)
		return;
	log_info("queue", "left-over removed", LOG_TEXT("queue", disk->storage.context.queue), LOG_TEXT("file", name));
}

/* Whoever had the message when it was asked may be gone: who claims it now sees to it. */
static void see_mark(struct disk_scan *scan, struct due_item *item)
{
	item->due_ms = LOOK_NOW;
	item->tried = true;
	scan->count++;
}

static void see_meta(struct disk *disk, struct disk_scan *scan, const char *name)
{
	struct due_item *item = &scan->items[scan->count];
	struct stat status;

	if (text_has_suffix(name, ".new")) {
		sweep(disk, disk->meta_fd, name, STALE_NEW_SECONDS);
	} else if (disk_name_id(name, ".mark", item->id)) {
		if (!has_envelope(disk, item->id))
			sweep(disk, disk->meta_fd, name, STALE_META_SECONDS);
		else
			see_mark(scan, item);
	} else if (disk_name_id(name, ".meta", item->id)) {
		if (!has_envelope(disk, item->id)) {
			sweep(disk, disk->meta_fd, name,
				id_is_derived(item->id) ? STALE_FINISHED_SECONDS : STALE_META_SECONDS);
		} else if (fstatat(disk->meta_fd, name, &status, AT_SYMLINK_NOFOLLOW) == 0) {
			item->due_ms = status.st_mtim.tv_sec * 1000LL + status.st_mtim.tv_nsec / 1000000;
			if (item->due_ms < DISK_HELD_SECONDS * 1000 && disk_clock_was_ahead(&status))
				item->due_ms = clock_wall_ms();
			item->tried = true;
			scan->count++;
		}
	}
}

static void see_envelope(struct disk *disk, struct disk_scan *scan, const char *name)
{
	struct due_item *item = &scan->items[scan->count];
	int64_t now_ms = clock_wall_ms();

	if (disk_name_id(name, ".env", item->id)) {
		/* Its id is of the future where the clock was set back. */
		item->due_ms = id_wall_ms(item->id) < now_ms ? id_wall_ms(item->id) : now_ms;
		item->tried = false;
		scan->count++;
	} else if (name[0] == '.' && text_has_suffix(name, ".batch")) {
		scan->batches = true;
		scan->again = disk_complete_batch(disk, name) || scan->again;
	} else if (name[0] == '.' && text_has_suffix(name, ".new") && scan->unbatched) {
		/* None is a copy that a batch file still has to make visible. */
		sweep(disk, disk->envelope_fd, name, STALE_NEW_SECONDS);
	}
}

static DIR *open_directory(int directory_fd)
{
	int fd = FAULT("disk.open", openat(directory_fd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC));
	DIR *directory = fd < 0 ? NULL : fdopendir(fd);

	if (!directory)
		fd_close(&fd);
	return directory;
}

static void slice_work(struct disk *disk, void *arg)
{
	struct disk_scan *scan = arg;
	bool metas = scan->phase == PHASE_METAS;
	struct dirent *entry = NULL;
	int error = 0;

	scan->count = 0;
	if (!scan->directory)
		scan->directory = open_directory(metas ? disk->meta_fd : disk->envelope_fd);
	errno = scan->directory ? 0 : errno;
	for (unsigned i = 0; scan->directory && i < SLICE && (entry = readdir(scan->directory)); i++) {
		(metas ? see_meta : see_envelope)(disk, scan, entry->d_name);
		errno = 0;
	}
	error = errno;
	scan->at_end = !entry;
	if (!scan->at_end)
		return;
	if (error)
		disk_log_error(disk, "read the directory", NULL, error);
	if (scan->directory)
		closedir(scan->directory);
	scan->directory = NULL;
	/* Half a reading must not make the rest forgotten. */
	if (error)
		scan->phase = PHASE_END;
}

static void merge(struct disk *disk, const struct disk_scan *scan, const struct due_item *item)
{
	struct due_entry *entry = due_add(&disk->due, item->id);
	int64_t now_ms = clock_wall_ms();
	bool known_by_meta = entry->seen == scan->number && item->due_ms != LOOK_NOW;

	entry->seen = scan->number;
	if (known_by_meta || entry->changed == scan->number || entry->state == DUE_TAKEN)
		return;
	if (item->due_ms <= now_ms && item->due_ms != LOOK_NOW && entry->aside)
		return;
	if (item->due_ms == LOOK_NOW)
		due_wait(&disk->due, entry, now_ms, true, now_ms);
	else if (item->due_ms >= DISK_HELD_SECONDS * 1000)
		due_park(&disk->due, entry);
	else if (entry->state != DUE_WAITING || entry->node.key != item->due_ms)
		due_wait(&disk->due, entry, item->due_ms, item->tried, now_ms);
}

static void forget_unseen(struct due_table *table, struct due_entry *entry, void *arg)
{
	const struct disk_scan *scan = arg;

	if (entry->seen != scan->number && entry->changed != scan->number && entry->state != DUE_TAKEN)
		due_drop(table, entry);
}

static void schedule(struct disk_scan *scan, int64_t delay_ms)
{
	struct timeval delay = { .tv_sec = delay_ms / 1000, .tv_usec = delay_ms % 1000 * 1000 };

	event_add(scan->timer, &delay);
}

static void slice_done(struct disk *disk, void *arg)
{
	struct disk_scan *scan = arg;
	bool whole = scan->phase == PHASE_ENVELOPES && scan->at_end;

	if (scan->stopped) {
		if (scan->directory)
			closedir(scan->directory);
		scan->directory = NULL;
		scan->running = false;
		return;
	}
	for (size_t i = 0; i < scan->count; i++)
		merge(disk, scan, &scan->items[i]);
	if (scan->count)
		disk_share_dispatch(disk);
	if (scan->at_end && scan->phase == PHASE_METAS) {
		scan->phase = PHASE_ENVELOPES;
		scan->at_end = false;
	}
	if (!scan->at_end) {
		disk_run(disk, slice_work, slice_done, scan);
		return;
	}
	scan->running = false;
	if (whole) {
		scan->unbatched = !scan->batches;
		due_each(&disk->due, forget_unseen, scan);
	}
	log_debug("queue", "scanned", LOG_TEXT("queue", disk->storage.context.queue),
		LOG_INT("messages", disk->due.count));
	schedule(scan, scan->again ? AGAIN_MS : disk->scan_interval_ms);
}

static void begin(struct disk *disk)
{
	struct disk_scan *scan = disk->scan;

	scan->number++;
	scan->running = true;
	scan->again = scan->at_end = scan->batches = false;
	scan->phase = PHASE_METAS;
	disk_run(disk, slice_work, slice_done, scan);
}

static void on_timer(evutil_socket_t fd, short what, void *arg)
{
	struct disk *disk = arg;

	(void)fd;
	(void)what;
	if (!disk->scan->stopped && !disk->scan->running)
		begin(disk);
}

uint32_t disk_scan_number(const struct disk *disk)
{
	return disk->scan ? disk->scan->number : 0;
}

void disk_scan_start(struct disk *disk)
{
	struct disk_scan *scan = disk->scan;

	if (!scan) {
		scan = disk->scan = xcalloc(1, sizeof(*scan));
		scan->items = xcalloc(SLICE + 1, sizeof(*scan->items));
		scan->timer = event_new(disk->storage.context.base, -1, 0, on_timer, disk);
		if (!scan->timer)
			BUG("no event");
	}
	scan->stopped = false;
	if (!scan->running)
		begin(disk);
}

/* Once a second at most, whoever asks. */
void disk_scan_again(struct disk *disk)
{
	struct disk_scan *scan = disk->scan;

	if (!scan || scan->stopped)
		return;
	if (scan->running)
		scan->again = true;
	else
		schedule(scan, AGAIN_MS);
}

void disk_scan_stop(struct disk *disk)
{
	if (!disk->scan)
		return;
	disk->scan->stopped = true;
	event_del(disk->scan->timer);
}

void disk_scan_free(struct disk *disk)
{
	if (!disk->scan)
		return;
	event_free(disk->scan->timer);
	free(disk->scan->items);
	free(disk->scan);
	disk->scan = NULL;
}
