/* disk_steer.c - mark and discard: what is asked of a message from outside
 * SPDX-License-Identifier: MIT
 * Who has the message reads its marks as the lease ends. If that was just now, the lock is ours, and so is the work. */
#include <errno.h>
#include <string.h>

#include "common/base/clock.h"
#include "common/base/file.h"
#include "common/base/log.h"
#include "common/base/memory.h"
#include "common/queue/disk/disk_settle.h"

/* A meta that cannot be read says nothing and is not written: what makes its message due has it looked at again. */
static void mark_damaged(struct settle_op *op)
{
	op->going = op->mark == MARK_DISCARD;
	op->due_ms = op->mark == MARK_RELEASE || op->mark == MARK_RETRY || op->mark == MARK_BOUNCE
		? clock_wall_ms() : INT64_MAX;
}

/* `added`: it stands in the file already, behind those that came before it. */
static void obey(struct disk *disk, struct settle_op *op, bool added)
{
	struct disk_lease *lease = op->lease;
	enum disk_obeyed obeyed = disk_marks_obey(disk, lease, false);

	op->obeyed = obeyed == OBEYED;
	if (obeyed == OBEYED_FAILED)
		op->op.error = errno;
	else if (obeyed == OBEYED_DISCARD || (!added && !disk_mark_apply(disk, lease, op->mark, op->reason)))
		op->going = true;
	if (op->op.error || op->going)
		return;
	op->due_ms = disk_meta_time(lease);
	disk_settle_write(disk, op);
}

static void mark_locked(struct disk *disk, struct settle_op *op, bool added)
{
	const char *why;

	switch (disk_meta_read(disk, op->lease, &why)) {
	case META_FAILED:
		op->op.error = errno;
		break;
	case META_DAMAGED:
		mark_damaged(op);
		break;
	case META_NONE:
	case META_READ:
		if (op->mark == MARK_DISCARD || op->lease->finished)
			op->going = true;
		else
			obey(disk, op, added);
		break;
	}
	/* Who calls discard() says why himself. */
	if (op->going && !op->discard)
		log_info("queue", "discarded", LOG_TEXT("id", op->id), LOG_TEXT("queue", disk->storage.context.queue));
}

void disk_steer_begin(struct disk *disk, struct settle_op *op)
{
	struct stat opened;
	int fd = disk_lock_env(disk, op->id, true, &opened);
	bool added = false;

	if (fd < 0 && errno == EBUSY) {
		if (disk_mark_add(disk, op->id, op->mark, op->reason) == 0) {
			added = op->wrote = true;
			fd = disk_lock_env(disk, op->id, true, &opened);
			if (fd < 0 && errno == EBUSY)
				return;
			/* It was removed meanwhile: nobody will look at the mark. */
			if (fd < 0 && errno == ENOENT)
				disk_mark_remove(disk, op->id);
		}
	}
	if (fd < 0) {
		op->op.error = errno == ENOENT && op->mark == MARK_DISCARD && op->discard ? 0 : errno;
		return;
	}
	op->lease = disk_lease_new(op->id, fd, &opened);
	mark_locked(disk, op, added);
}

void disk_mark(struct storage *storage, const char *id, enum mark mark, const char *reason, storage_done_fn *done,
	void *arg)
{
	struct disk *disk = (struct disk *)storage;
	struct settle_op *op;

	if (!disk->is_open) {
		disk_fail_soon(disk, done, arg);
		return;
	}
	op = disk_settle_new(SETTLE_MARK, id, done, arg);
	op->mark = mark;
	xstrset(&op->reason, mark == MARK_HOLD || mark == MARK_BOUNCE ? reason : NULL);
	disk_submit(&disk->settles, &op->op);
}

void disk_discard(struct storage *storage, const char *const ids[], size_t count, storage_done_fn *done, void *arg)
{
	struct disk *disk = (struct disk *)storage;
	struct settle_discard *discard;

	if (!disk->is_open) {
		disk_fail_soon(disk, done, arg);
		return;
	}
	if (!count) {
		disk_succeed_soon(disk, done, arg);
		return;
	}
	discard = xcalloc(1, sizeof(*discard));
	*discard = (struct settle_discard){ .left = count, .done = done, .arg = arg };
	for (size_t i = 0; i < count; i++) {
		struct settle_op *op = disk_settle_new(SETTLE_MARK, ids[i], NULL, NULL);

		op->mark = MARK_DISCARD;
		op->discard = discard;
		disk_submit(&disk->settles, &op->op);
	}
}
