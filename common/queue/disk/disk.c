/* disk.c - the disk driver: messages as files, leases as the kernel's locks
 * SPDX-License-Identifier: MIT
 * common/queue/README says which files there are and what survives which death. */
#include "common/queue/disk/disk.h"

#include <event2/event.h>
#include <stdlib.h>

#include "common/base/log.h"
#include "common/base/memory.h"

#define REOPEN_SECONDS 5

static const struct option rows[] = {
	{ "envelope_dir", PATH_FIELD(disk, envelope_dir), NULL, 0, 0, "where the messages are", .required = true },
	{ "meta_dir", PATH_FIELD(disk, meta_dir), NULL, 0, 0, "where it stands what became of them so far",
		.required = true },
	{ "tmp_dir", PATH_FIELD(disk, tmp_dir), NULL, 0, 0,
		"where messages arrive; on envelope_dir's file system (none: the system's, else envelope_dir/.tmp)" },
	{ "scan_interval", TIME_FIELD(disk, scan_interval_ms), "60", 1000, 86400000,
		"time between two readings of the directories" },
	{ "allow_volatile", BOOL_FIELD(disk, allow_volatile), "false", 0, 0, "accept directories that are in memory" },
	{ "allow_network", BOOL_FIELD(disk, allow_network), "false", 0, 0,
		"accept directories on a network file system, used by one host alone" },
	{ 0 }
};

struct opening {
	struct reply why;
	int result;
};

static void open_work(struct disk *disk, void *arg)
{
	struct opening *opening = arg;

	opening->result = disk_volume_open(disk, &opening->why);
}

static void open_done(struct disk *disk, void *arg)
{
	struct opening *opening = arg;
	storage_done_fn *opened = disk->opened;

	disk->opened = NULL;
	if (opening->result == 0) {
		disk->is_open = true;
		disk_share_open(disk);
		if (!opened)
			log_info("queue", "storage opened", LOG_TEXT("queue", disk->storage.context.queue));
	} else if (reply_is_transient(&opening->why) && !disk->closing) {
		event_add(disk->reopen, &(struct timeval){ .tv_sec = REOPEN_SECONDS });
	}
	if (opened)
		opened(disk->opened_arg, opening->result == 0 ? NULL : &opening->why);
	reply_release(&opening->why);
	free(opening);
}

static void try_open(evutil_socket_t fd, short what, void *arg)
{
	(void)fd;
	(void)what;
	disk_run(arg, open_work, open_done, xcalloc(1, sizeof(struct opening)));
}

static void disk_open(struct storage *storage, storage_done_fn *done, void *arg)
{
	struct disk *disk = (struct disk *)storage;

	disk->envelope_fd = disk->meta_fd = -1;
	disk->envelopes.free_fd = disk->metas.free_fd = -1;
	LIST_INIT(&disk->leases);
	disk_batch_open(disk);
	disk->opened = done;
	disk->opened_arg = arg;
	disk->reopen = event_new(storage->context.base, -1, 0, try_open, disk);
	if (!disk->reopen)
		BUG("no event");
	try_open(-1, 0, disk);
}

static void disk_stop(struct storage *storage)
{
	struct disk *disk = (struct disk *)storage;

	if (disk->stopping)
		return;
	disk->stopping = true;
	disk_claim_stop(disk);
	disk_share_stop(disk);
}

/* Leases that are still out end here: their locks go with them. */
static void disk_close(struct storage *storage)
{
	struct disk *disk = (struct disk *)storage;
	struct disk_lease *lease;

	if (!disk->reopen)
		return;		/* never opened */
	disk_stop(storage);
	disk_batch_close(disk);
	event_free(disk->reopen);
	while ((lease = LIST_FIRST(&disk->leases))) {
		LIST_REMOVE(lease, next);
		disk_lease_free(lease);
	}
	disk_share_close(disk);
	disk_scan_free(disk);
	due_release(&disk->due);
	disk_window_free(disk);
	disk_settings_forget(disk);
	disk_volume_close(disk);
	disk->is_open = false;
}

const struct storage_driver disk_driver = {
	.type = "disk",
	.size = sizeof(struct disk),
	.options = rows,
	.check = disk_check,
	.open = disk_open,
	.close = disk_close,
	.write = disk_write,
	.discard = disk_discard,
	.claim = disk_claim_start,
	.claim_id = disk_claim_id,
	.get = disk_get,
	.peek = disk_peek,
	.renew = disk_renew,
	.defer = disk_defer,
	.put_aside = disk_put_aside,
	.recall = disk_recall,
	.remove = disk_remove,
	.stop = disk_stop,
	.list = disk_list,
	.info = disk_info,
	.mark = disk_mark,
	.untaken = "a message on disk cannot be taken from a process that lives; when that ends, what was asked is obeyed",
	.set = disk_set,
	.settings = disk_settings,
	.accepts = disk_accepts,
	.spool_dir = disk_spool_dir,
};
