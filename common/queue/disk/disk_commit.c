/* disk_commit.c - write(): a group of messages made durable and visible by one directory sync
 * SPDX-License-Identifier: MIT */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "common/base/clock.h"
#include "common/base/fault.h"
#include "common/base/file.h"
#include "common/base/log.h"
#include "common/base/memory.h"
#include "common/queue/disk/disk.h"

int disk_publish(struct disk *disk, const char *id)
{
	char from[DISK_NAME_SIZE], to[DISK_NAME_SIZE];
	int same;

	snprintf(from, sizeof(from), ".%s.new", id);
	snprintf(to, sizeof(to), "%s.env", id);
	if (FAULT("disk.rename", renameat2(disk->envelope_fd, from, disk->envelope_fd, to, RENAME_NOREPLACE)) == 0)
		return 0;
	if (errno != EEXIST)
		return -1;
	/* A notification that is made again is the same, whatever has changed in its words. */
	same = id_is_derived(id) ? 1 : disk_staged_is_same(disk, id);
	if (same == 1) {
		disk_unstage(disk, id);
		return 1;
	}
	if (same == 0)
		errno = EEXIST;
	return -1;
}

static bool is_there(struct disk *disk, const char *id)
{
	char name[DISK_NAME_SIZE];

	snprintf(name, sizeof(name), "%s.env", id);
	return faccessat(disk->envelope_fd, name, F_OK, 0) == 0;
}

/* A meta stands before its envelope does, so that nobody takes a message before its time; one that belongs to a
 * message which is there stays as it is. */
static int stage_due(struct disk *disk, const struct disk_write_op *op)
{
	if (op->delay_ms <= 0)
		return 0;
	for (size_t i = 0; i < op->count; i++) {
		const char *id = op->items[i]->id;

		if (!disk_is_finished(disk, id) && !is_there(disk, id) &&
				disk_meta_write(disk, id, op->meta, op->due_ms) < 0)
			return -1;
	}
	return disk_sync_directory(disk->meta_fd);
}

static void unstage(struct disk *disk, const struct disk_write_op *op, size_t count)
{
	for (size_t i = 0; i < count; i++) {
		disk_unstage(disk, op->items[i]->id);
		if (op->delay_ms > 0 && !is_there(disk, op->items[i]->id) &&
				!disk_is_finished(disk, op->items[i]->id))
			disk_meta_remove(disk, op->items[i]->id);
	}
}

static void stage(struct disk *disk, struct disk_write_op *op)
{
	size_t count;

	if (stage_due(disk, op) < 0) {
		op->op.error = errno;
		unstage(disk, op, op->count);
		return;
	}
	for (count = 0; count < op->count; count++) {
		if (disk_is_finished(disk, op->items[count]->id))
			continue;
		if (disk_stage(disk, op->items[count]) == 0)
			continue;
		op->op.error = errno;
		unstage(disk, op, op->count);
		return;
	}
	op->staged = true;
}

/* Its name is away, so nobody who comes now gets it; who has it already delivers it, and the client, told to come
 * again, sends a second one. */
static void withdraw(struct disk *disk, const char *id)
{
	char name[DISK_NAME_SIZE];
	struct stat opened;
	int fd = disk_lock_env(disk, id, true, &opened);

	if (fd < 0) {
		if (errno == EBUSY)
			log_warn("queue", "could not withdraw, is being delivered", LOG_TEXT("id", id));
		return;
	}
	snprintf(name, sizeof(name), "%s.env", id);
	unlinkat(disk->envelope_fd, name, 0);
	fd_close(&fd);
}

static void publish(struct disk *disk, struct disk_write_op *op)
{
	const char *id = op->items[0]->id;
	int result;

	if (op->count > 1) {
		result = disk_publish_several(disk, op);
	} else if (disk_is_finished(disk, id)) {
		result = 1;
	} else {
		result = disk_publish(disk, id);
		op->published = result == 0;
		op->unsynced = result >= 0;
	}
	if (result >= 0)
		return;
	op->op.error = errno;
	disk_log_error(disk, "publish", id, errno);
	unstage(disk, op, op->count);
}

void disk_commit_work(struct disk *disk, struct disk_ops *ops)
{
	struct disk_op *op;
	bool any = false;

	TAILQ_FOREACH(op, ops, next)
		stage(disk, (struct disk_write_op *)op);
	TAILQ_FOREACH(op, ops, next)
		if (((struct disk_write_op *)op)->staged)
			publish(disk, (struct disk_write_op *)op);
	TAILQ_FOREACH(op, ops, next)
		any = any || ((struct disk_write_op *)op)->unsynced;
	if (!any || disk_sync_directory(disk->envelope_fd) == 0)
		return;
	disk_log_error(disk, "sync the directory", NULL, errno);
	TAILQ_FOREACH(op, ops, next) {
		struct disk_write_op *written = (struct disk_write_op *)op;

		if (!written->unsynced)
			continue;
		op->error = EIO;
		if (!written->published)
			continue;
		withdraw(disk, written->items[0]->id);
		if (written->delay_ms > 0)
			disk_meta_remove(disk, written->items[0]->id);
	}
}

static void finish_write(struct disk *disk, struct disk_op *op)
{
	struct disk_write_op *written = (struct disk_write_op *)op;
	struct reply why = { 0 };

	if (!op->error) {
		struct due_item *items = xcalloc(written->count, sizeof(*items));

		for (size_t i = 0; i < written->count; i++) {
			items[i].due_ms = written->due_ms;
			memcpy(items[i].id, written->items[i]->id, ID_SIZE);
		}
		disk_report(disk, DISK_NEW, items, written->count);
		free(items);
		if (written->unfinished)
			disk_share_missed(disk);
		written->done(written->arg, NULL);
	} else {
		disk_error_reply(op->error, &why);
		written->done(written->arg, &why);
		reply_release(&why);
	}
	free((void *)written->items);
	free(written->meta);
	free(written);
}

void disk_write(struct storage *storage, struct envelope *const items[], size_t count, int64_t delay_ms,
	storage_done_fn *done, void *arg)
{
	struct disk *disk = (struct disk *)storage;
	struct disk_write_op *op;

	if (!disk->is_open || !count) {
		disk_fail_soon(disk, done, arg);
		return;
	}
	op = xcalloc(1, sizeof(*op));
	op->op.finish = finish_write;
	op->items = xmemdup(items, count * sizeof(struct envelope *));
	op->count = count;
	op->delay_ms = delay_ms;
	op->due_ms = clock_wall_ms() + (delay_ms > 0 ? delay_ms : 0);
	op->meta = delay_ms > 0 ? disk_meta_text(&(struct disk_lease){ .due_ms = op->due_ms }) : NULL;
	op->done = done;
	op->arg = arg;
	disk_submit(&disk->writes, &op->op);
}
