/* disk_settle.c - renew, defer, remove, and marks at once: a group shares its directory syncs
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
#include "common/base/file.h"
#include "common/base/log.h"
#include "common/base/memory.h"
#include "common/queue/disk/disk_settle.h"

void disk_settle_write(struct disk *disk, struct settle_op *op)
{
	int result;

	if (!op->meta)
		op->meta = disk_meta_text(op->lease);
	result = disk_meta_write(disk, op->id, op->meta, op->due_ms);
	if (result < 0) {
		op->op.error = errno;
		return;
	}
	op->wrote = op->placed = true;
	op->replaced = result == 1;
}

/* The file was taken away under our lease, or another put in its place: that one is not ours to touch. */
static bool vanished(struct disk *disk, const struct settle_op *op)
{
	char name[DISK_NAME_SIZE];

	if (disk_has_name(disk, op->lease))
		return false;
	log_warn("queue", "message vanished under its lease", LOG_TEXT("id", op->id),
		LOG_TEXT("queue", disk->storage.context.queue));
	snprintf(name, sizeof(name), "%s.env", op->id);
	if (faccessat(disk->envelope_fd, name, F_OK, AT_SYMLINK_NOFOLLOW) < 0 && errno == ENOENT) {
		disk_meta_remove(disk, op->id);
		disk_mark_remove(disk, op->id);
	}
	return true;
}

/* Marks that cannot be read now are obeyed by the next claim. */
static void begin_defer(struct disk *disk, struct settle_op *op)
{
	enum disk_obeyed obeyed = disk_marks_obey(disk, op->lease, op->attempted);

	if (obeyed == OBEYED_DISCARD) {
		op->going = true;
		log_info("queue", "discarded", LOG_TEXT("id", op->id), LOG_TEXT("queue", disk->storage.context.queue));
		return;
	}
	op->obeyed = obeyed == OBEYED;
	op->due_ms = disk_meta_time(op->lease);
	if (op->kind == SETTLE_ASIDE && !op->grew && !op->obeyed)
		return;
	disk_settle_write(disk, op);
}

/* A derived id says that it is finished before its envelope goes. */
static void begin_going(struct disk *disk, struct settle_op *op)
{
	if (op->lease->finished || !id_is_derived(op->id))
		return;
	op->lease->finished = true;
	disk_settle_write(disk, op);
	op->going = !op->op.error;
}

static void begin(struct disk *disk, struct settle_op *op)
{
	if (op->kind == SETTLE_MARK) {
		disk_steer_begin(disk, op);
	} else if (vanished(disk, op)) {
		op->op.error = op->kind == SETTLE_RENEW ? ESTALE : op->kind == SETTLE_REMOVE ? 0 : ENOENT;
		return;
	} else if (op->kind == SETTLE_DEFER || op->kind == SETTLE_ASIDE) {
		begin_defer(disk, op);
	} else if (op->kind == SETTLE_RENEW) {
		disk_settle_write(disk, op);
	} else {
		op->going = true;
	}
	if (op->going)
		begin_going(disk, op);
}

static struct settle_op *settle(struct disk_op *op)
{
	return (struct settle_op *)op;
}

static void sync_metas(struct disk *disk, struct disk_ops *ops)
{
	struct disk_op *op;
	bool any = false, good;

	TAILQ_FOREACH(op, ops, next)
		any = any || settle(op)->wrote;
	if (!any)
		return;
	good = disk_sync_directory(disk->meta_fd) == 0;
	if (!good)
		disk_log_error(disk, "sync the directory", NULL, errno);
	TAILQ_FOREACH(op, ops, next) {
		if (!settle(op)->wrote)
			continue;
		if (!good) {
			op->error = EIO;
			settle(op)->going = settle(op)->obeyed = false;
		}
		if (!good && settle(op)->placed)
			disk_meta_revert(disk, settle(op)->id, settle(op)->replaced);
		if (good && settle(op)->replaced)
			disk_meta_tidy(disk, settle(op)->id);
		if (good && settle(op)->obeyed)
			disk_marks_tidy(disk, settle(op)->lease);
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

static void clear_away(struct disk *disk, struct settle_op *op)
{
	struct disk_lease *lease = op->lease;

	finished_add(disk->finished, op->id);
	if (op->op.error)
		return;		/* what belongs to it goes when the envelope is known to be gone */
	if (!lease->finished && (op->kind == SETTLE_MARK || lease->meta))
		disk_meta_remove(disk, op->id);
	disk_mark_remove(disk, op->id);
	disk_lease_cut(disk, lease);
}

/* A mark that was added since ours were read, while our lock stood, waits for somebody to look. */
static void end_lock(struct disk *disk, struct settle_op *op)
{
	if (op->kind == SETTLE_RENEW || !op->lease)
		return;
	fd_close(&op->lease->fd);
	if (!op->gone)
		op->marked = disk_mark_stands(disk, op->id);
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
		if (op->error && op->error != ENOENT && op->error != ESTALE && !settle(op)->gone)
			disk_log_error(disk, "settle", settle(op)->id, op->error);
		end_lock(disk, settle(op));
	}
}

static void report(struct disk *disk, const struct settle_op *op)
{
	struct due_item item = { .due_ms = op->due_ms, .tried = op->kind != SETTLE_ASIDE || op->lease->meta || op->wrote };
	enum disk_event event = op->due_ms == INT64_MAX ? DISK_PARKED : DISK_DUE;

	memcpy(item.id, op->id, ID_SIZE);
	if (op->gone || op->kind == SETTLE_REMOVE || op->op.error == ENOENT) {
		event = DISK_GONE;
	} else if (op->marked) {
		event = DISK_DUE;
		item.due_ms = clock_wall_ms();
	} else if (op->kind == SETTLE_ASIDE && event == DISK_DUE && !op->op.error && !op->obeyed &&
			op->recalls == disk->recalls) {
		event = DISK_ASIDE;
		item.due_ms = op->aside_ms;
		item.group = op->group;
	}
	disk_report(disk, event, &item, 1);
}

static void answer(int error, storage_done_fn *done, void *arg)
{
	struct reply why = { 0 };

	if (error == ENOENT)
		reply_set(&why, 550, "5.1.1", "No such message");
	else if (error == ESTALE)
		reply_set(&why, 450, "4.2.0", "The lease is lost");
	else if (error)
		disk_error_reply(error, &why);
	done(arg, error ? &why : NULL);
	reply_release(&why);
}

static void answer_discard(struct settle_discard *discard, int error)
{
	if (error)
		discard->error = error;
	if (--discard->left)
		return;
	answer(discard->error, discard->done, discard->arg);
	free(discard);
}

/* Where it never ran, its lock ends here. */
static void finish_settle(struct disk *disk, struct disk_op *base)
{
	struct settle_op *op = settle(base);

	if (op->kind != SETTLE_RENEW && op->lease) {
		fd_close(&op->lease->fd);
		report(disk, op);
		disk_lease_free(op->lease);
	}
	if (op->discard)
		answer_discard(op->discard, base->error);
	else
		answer(base->error, op->done, op->arg);
	free(op->reason);
	free(op->meta);
	free(op);
}

struct settle_op *disk_settle_new(enum settle_kind kind, const char *id, storage_done_fn *done, void *arg)
{
	struct settle_op *op = xcalloc(1, sizeof(*op));

	*op = (struct settle_op){ .op.finish = finish_settle, .kind = kind, .done = done, .arg = arg };
	if (id && id_is_valid(id))
		memcpy(op->id, id, ID_SIZE);
	return op;
}

void disk_renew(struct storage *storage, struct lease *lease, const struct outcomes *done_so_far,
	storage_done_fn *done, void *arg)
{
	struct disk *disk = (struct disk *)storage;
	struct disk_lease *ours = (struct disk_lease *)lease;
	struct settle_op *op;

	if (!done_so_far || !done_so_far->count) {
		disk_succeed_soon(disk, done, arg);
		return;
	}
	op = disk_settle_new(SETTLE_RENEW, lease->id, done, arg);
	outcomes_merge(&ours->state.done, done_so_far);
	op->lease = ours;
	op->due_ms = disk_meta_time(ours);
	op->meta = disk_meta_text(ours);
	if (!ours->meta)
		ours->meta = json_object();	/* there is one from now on */
	disk_submit(&disk->settles, &op->op);
}

/* The lease leaves the list now; its lock stays until the work is done. */
static struct settle_op *end_lease(enum settle_kind kind, struct lease **lease, storage_done_fn *done, void *arg)
{
	struct settle_op *op = disk_settle_new(kind, (*lease)->id, done, arg);

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

	op->attempted = attempted;
	op->lease->due_ms = clock_wall_ms() + (delay_ms > 0 ? delay_ms : 0);
	outcomes_merge(&state->done, done_so_far);
	message_state_defer(state, attempted, attempt);
	disk_submit(&disk->settles, &op->op);
}

void disk_put_aside(struct storage *storage, struct lease **lease, int64_t delay_ms, unsigned group,
	const struct outcomes *done_so_far, storage_done_fn *done, void *arg)
{
	struct disk *disk = (struct disk *)storage;
	struct settle_op *op = end_lease(SETTLE_ASIDE, lease, done, arg);

	op->aside_ms = clock_wall_ms() + (delay_ms > 0 ? delay_ms : 0);
	op->group = (uint16_t)group;
	op->recalls = disk->recalls;
	op->grew = outcomes_merge(&op->lease->state.done, done_so_far);
	disk_submit(&disk->settles, &op->op);
}

void disk_remove(struct storage *storage, struct lease **lease, storage_done_fn *done, void *arg)
{
	disk_submit(&((struct disk *)storage)->settles, &end_lease(SETTLE_REMOVE, lease, done, arg)->op);
}
