/* disk_settle.c - renew, defer, remove and discard: a group shares its directory syncs
 * SPDX-License-Identifier: MIT
 * The order on disk: metas placed and their directory synced; envelopes renamed away and theirs synced; only then
 * metas and marks of the removed ones. A lock ends last. */
#include <errno.h>
#include <fcntl.h>
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

enum settle_kind { SETTLE_RENEW, SETTLE_DEFER, SETTLE_REMOVE, SETTLE_DISCARD };

struct settle_op {
	struct disk_op op;
	enum settle_kind kind;
	char id[ID_SIZE];
	struct disk_lease *lease;	/* DEFER, REMOVE: ours; RENEW: the caller's; DISCARD: none */
	int fd;				/* DISCARD: its lock */
	char *meta;			/* to be written; NULL: nothing to say */
	int64_t due_ms;			/* INT64_MAX: held */
	bool going, gone;		/* ID.env is to be, or was, taken away */
	bool tidy;			/* an old meta stands aside */
	struct settle_discard *discard;
	storage_done_fn *done;
	void *arg;
};

/* Ids of one discard() are settled one by one and answered together. */
struct settle_discard {
	size_t left;
	int error;
	storage_done_fn *done;
	void *arg;
};

static int lock_fd(const struct settle_op *op)
{
	return op->lease ? op->lease->fd : op->fd;
}

/* Who holds it reads the mark as it ends its lease. If it ended just now, the lock is ours and no mark is needed. */
static void begin_discard(struct disk *disk, struct settle_op *op)
{
	char name[DISK_NAME_SIZE];
	int env_fd;

	op->fd = disk_lock_env(disk, op->id);
	if (op->fd < 0 && errno == EBUSY) {
		snprintf(name, sizeof(name), "%s.env", op->id);
		env_fd = openat(disk->envelope_fd, name, O_RDWR | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK);
		if (env_fd >= 0 && disk_mark_write(disk, env_fd, op->id, MARK_DISCARD) < 0)
			op->op.error = errno;
		fd_close(&env_fd);
		if (!op->op.error)
			op->fd = disk_lock_env(disk, op->id);
	} else if (op->fd < 0 && errno != ENOENT) {
		op->op.error = errno;
	}
	op->going = op->fd >= 0;
}

static void begin(struct disk *disk, struct settle_op *op)
{
	enum mark mark;
	int result;

	if (op->kind == SETTLE_DISCARD) {
		begin_discard(disk, op);
	} else if (op->kind == SETTLE_REMOVE) {
		op->going = true;
	} else if (op->kind == SETTLE_DEFER && disk_mark_read(disk, op->id, &mark) && mark == MARK_DISCARD) {
		op->going = true;
		log_info("queue", "discarded", LOG_TEXT("id", op->id), LOG_TEXT("queue", disk->storage.context.queue));
	} else if (op->meta) {
		result = disk_meta_write(disk, op->id, op->meta, op->due_ms);
		if (result < 0)
			op->op.error = errno;
		op->tidy = result == 1;
	}
}

static struct settle_op *settle(struct disk_op *op)
{
	return (struct settle_op *)op;
}

static void sync_metas(struct disk *disk, struct disk_ops *ops)
{
	struct disk_op *op;
	bool any = false;

	TAILQ_FOREACH(op, ops, next)
		any = any || (!settle(op)->going && !op->error && (settle(op)->meta || settle(op)->kind == SETTLE_DISCARD));
	if (!any)
		return;
	if (disk_sync_directory(disk->meta_fd) == 0) {
		TAILQ_FOREACH(op, ops, next)
			if (settle(op)->tidy)
				disk_meta_tidy(disk, settle(op)->id);
		return;
	}
	disk_log_error(disk, "sync the directory", NULL, errno);
	TAILQ_FOREACH(op, ops, next) {
		if (settle(op)->tidy)
			disk_meta_drop_old(disk, settle(op)->id);
		if (!settle(op)->going)
			op->error = EIO;
	}
}

static void take_away(struct disk *disk, struct disk_ops *ops)
{
	char name[DISK_NAME_SIZE];
	struct disk_op *op;
	bool any = false;

	TAILQ_FOREACH(op, ops, next) {
		if (!settle(op)->going)
			continue;
		snprintf(name, sizeof(name), "%s.env", settle(op)->id);
		if (recycler_put(&disk->envelopes, name) == 0)
			any = settle(op)->gone = true;
		else if (errno != ENOENT)
			op->error = errno;
	}
	if (!any || disk_sync_directory(disk->envelope_fd) == 0)
		return;
	disk_log_error(disk, "sync the directory", NULL, errno);
	TAILQ_FOREACH(op, ops, next)
		if (settle(op)->gone)
			op->error = EIO;
}

/* A large file gives its blocks back only now: until the sync it may still be needed under its name. */
static void clear_away(struct disk *disk, struct settle_op *op)
{
	struct stat status;
	uint64_t size = 0;
	int fd = lock_fd(op);

	finished_add(disk->finished, op->id);
	if (op->op.error)
		return;		/* what belongs to it goes when the envelope is known to be gone */
	if (op->kind == SETTLE_DISCARD || op->lease->meta)
		disk_meta_remove(disk, op->id);
	disk_mark_remove(disk, op->id);
	if (op->lease)
		size = op->lease->size;
	else if (fd >= 0 && fstat(fd, &status) == 0)
		size = (uint64_t)status.st_size;
	if (size > RECYCLE_SIZE_MAX && FAULT("disk.ftruncate", ftruncate(fd, 0)) < 0)
		disk_log_error(disk, "cut to zero", op->id, errno);
}

static void end_lock(struct settle_op *op)
{
	if (op->kind == SETTLE_RENEW)
		return;
	if (op->lease)
		fd_close(&op->lease->fd);
	else
		fd_close(&op->fd);
}

void disk_settle_work(struct disk *disk, struct disk_ops *ops)
{
	struct disk_op *op;

	TAILQ_FOREACH(op, ops, next)
		begin(disk, settle(op));
	sync_metas(disk, ops);
	take_away(disk, ops);
	TAILQ_FOREACH(op, ops, next) {
		if (settle(op)->gone)
			clear_away(disk, settle(op));
		if (op->error && !settle(op)->gone)
			disk_log_error(disk, "settle", settle(op)->id, op->error);
		end_lock(settle(op));
	}
}

static void report(struct disk *disk, const struct settle_op *op)
{
	struct due_item item = { .due_ms = op->due_ms, .tried = true };
	enum disk_event event = DISK_DUE;

	memcpy(item.id, op->id, ID_SIZE);
	if (op->gone || op->kind == SETTLE_REMOVE || op->kind == SETTLE_DISCARD)
		event = DISK_GONE;
	else if (op->due_ms == INT64_MAX)
		event = DISK_PARKED;
	disk_report(disk, event, &item, 1);
}

static void answer(int error, storage_done_fn *done, void *arg)
{
	struct reply why = { 0 };

	if (error)
		disk_error_reply(error, &why);
	done(arg, error ? &why : NULL);
	reply_release(&why);
}

static void finish_settle(struct disk *disk, struct disk_op *base)
{
	struct settle_op *op = settle(base);
	struct settle_discard *discard = op->discard;

	end_lock(op);
	if (op->kind != SETTLE_RENEW && !(op->kind == SETTLE_DISCARD && !op->gone))
		report(disk, op);
	if (op->kind == SETTLE_DEFER || op->kind == SETTLE_REMOVE)
		disk_lease_free(op->lease);
	if (!discard) {
		answer(base->error, op->done, op->arg);
	} else {
		if (base->error)
			discard->error = base->error;
		if (--discard->left == 0) {
			answer(discard->error, discard->done, discard->arg);
			free(discard);
		}
	}
	free(op->meta);
	free(op);
}

static struct settle_op *op_new(enum settle_kind kind, const char *id, storage_done_fn *done, void *arg)
{
	struct settle_op *op = xcalloc(1, sizeof(*op));

	*op = (struct settle_op){ .op.finish = finish_settle, .kind = kind, .fd = -1, .done = done, .arg = arg };
	if (id && id_is_valid(id))
		memcpy(op->id, id, ID_SIZE);
	return op;
}

static void finish_nothing(struct disk *disk, struct disk_op *op)
{
	(void)disk;
	answer(0, settle(op)->done, settle(op)->arg);
	free(op);
}

void disk_renew(struct storage *storage, struct lease *lease, const struct outcomes *done_so_far,
	storage_done_fn *done, void *arg)
{
	struct disk *disk = (struct disk *)storage;
	struct disk_lease *ours = (struct disk_lease *)lease;
	struct settle_op *op = op_new(SETTLE_RENEW, lease->id, done, arg);

	if (!done_so_far || !done_so_far->count) {
		op->op.finish = finish_nothing;
		disk_soon(disk, &op->op);
		return;
	}
	outcomes_merge(&ours->state.done, done_so_far);
	op->lease = ours;
	op->due_ms = ours->due_ms;
	op->meta = disk_meta_text(&ours->state, ours->due_ms, ours->meta);
	if (!ours->meta)
		ours->meta = json_object();	/* there is one from now on */
	disk_submit(&disk->settles, &op->op);
}

/* The lease leaves the list now; its lock stays until the work is done. */
static struct settle_op *end_lease(enum settle_kind kind, struct lease **lease, storage_done_fn *done, void *arg)
{
	struct settle_op *op = op_new(kind, (*lease)->id, done, arg);

	op->lease = (struct disk_lease *)*lease;
	LIST_REMOVE(op->lease, next);
	*lease = NULL;
	return op;
}

void disk_defer(struct storage *storage, struct lease **lease, int64_t delay_ms, bool attempted,
	const struct outcomes *done_so_far, const struct attempt *attempt, storage_done_fn *done, void *arg)
{
	struct disk *disk = (struct disk *)storage;
	struct settle_op *op = end_lease(SETTLE_DEFER, lease, done, arg);
	struct message_state *state = &op->lease->state;
	int64_t due_ms = clock_wall_ms() + (delay_ms > 0 ? delay_ms : 0);

	if (done_so_far)
		outcomes_merge(&state->done, done_so_far);
	if (attempted) {
		state->attempts++;
		if (attempt)
			message_state_add_attempt(state, attempt->time_ms, attempt->host, &attempt->reply);
	}
	op->meta = disk_meta_text(state, due_ms, op->lease->meta);
	op->due_ms = state->held ? INT64_MAX : due_ms;
	disk_submit(&disk->settles, &op->op);
}

void disk_remove(struct storage *storage, struct lease **lease, storage_done_fn *done, void *arg)
{
	disk_submit(&((struct disk *)storage)->settles, &end_lease(SETTLE_REMOVE, lease, done, arg)->op);
}

void disk_discard(struct storage *storage, const char *const ids[], size_t count, storage_done_fn *done, void *arg)
{
	struct disk *disk = (struct disk *)storage;
	struct settle_discard *discard;

	if (!disk->is_open) {
		disk_fail_soon(disk, done, arg);
		return;
	}
	discard = xcalloc(1, sizeof(*discard));
	*discard = (struct settle_discard){ .left = count, .done = done, .arg = arg };
	for (size_t i = 0; i < count; i++) {
		struct settle_op *op = op_new(SETTLE_DISCARD, ids[i], NULL, NULL);

		op->discard = discard;
		disk_submit(&disk->settles, &op->op);
	}
	if (count)
		return;
	free(discard);
	struct settle_op *nothing = op_new(SETTLE_DISCARD, NULL, done, arg);

	nothing->op.finish = finish_nothing;
	disk_soon(disk, &nothing->op);
}
