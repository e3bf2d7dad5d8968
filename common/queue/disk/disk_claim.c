/* disk_claim.c - claim, claim_id and get
 * SPDX-License-Identifier: MIT */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/base/clock.h"
#include "common/base/fault.h"
#include "common/base/file.h"
#include "common/base/log.h"
#include "common/base/memory.h"
#include "common/message/stored.h"
#include "common/queue/disk/disk.h"

struct disk_claim {
	size_t max;
	uint64_t max_bytes;
	int64_t asked_boot_ms;
	bool running;			/* ids are being tried */
	storage_claimed_fn *done;
	void *arg;
};

struct claim_job {
	struct due_item *items;
	enum disk_take *results;
	struct disk_lease **leases;
	size_t count, tried;		/* those from `tried` on are left for the next claim */
	uint64_t max_bytes;
};

/* Too many octets, or it has to be the only one of its claim: it is left for the next. */
static bool fits(const struct disk_lease *lease, size_t before, uint64_t bytes, uint64_t max_bytes)
{
	return !before || (!lease->lease.suspect && lease->size <= max_bytes - bytes);
}

static void claim_work(struct disk *disk, void *arg)
{
	struct claim_job *job = arg;
	uint64_t bytes = 0;
	size_t taken = 0;
	bool full = false;

	for (; job->tried < job->count && !full; job->tried++) {
		size_t i = job->tried;
		struct disk_lease **lease = &job->leases[i];

		job->results[i] = disk_take(disk, job->items[i].id, false, lease, &job->items[i].due_ms);
		if (job->results[i] != TAKE_OURS)
			continue;
		if (!fits(*lease, taken, bytes, job->max_bytes)) {
			disk_lease_free(*lease);
			*lease = NULL;
			break;		/* untried, as those behind it */
		}
		taken++;
		bytes += (*lease)->size;
		full = (*lease)->lease.suspect || bytes >= job->max_bytes;
	}
}

/* Frees the lease before others hear of it, or they would find it locked. */
static void give_back(struct disk *disk, struct disk_lease *lease)
{
	struct due_item item = { .due_ms = clock_wall_ms(), .tried = lease->meta != NULL };

	memcpy(item.id, lease->lease.id, ID_SIZE);
	disk_lease_free(lease);
	disk_report(disk, DISK_DUE, &item, 1);
}

static void report_failures(struct disk *disk, const struct claim_job *job)
{
	static const enum disk_event events[] = {
		[TAKE_BUSY] = DISK_PARKED, [TAKE_GONE] = DISK_GONE, [TAKE_HELD] = DISK_PARKED,
		[TAKE_LATER] = DISK_DUE, [TAKE_FAILED] = DISK_DUE
	};
	int64_t now_ms = clock_wall_ms();

	for (size_t i = 0; i < job->count; i++) {
		enum disk_event event = DISK_DUE;

		if (i < job->tried && job->results[i] == TAKE_OURS)
			continue;
		if (i < job->tried)
			event = events[job->results[i]];
		else if (job->items[i].due_ms > now_ms)
			job->items[i].due_ms = now_ms;
		if (event == DISK_DUE && i < job->tried)
			job->items[i].tried = true;
		disk_report(disk, event, &job->items[i], 1);
	}
}

static void claim_done(struct disk *disk, void *arg)
{
	struct claim_job *job = arg;
	struct disk_claim *claim = disk->claim;
	struct lease **leases = xcalloc(job->count, sizeof(struct lease *));
	size_t count = 0;

	report_failures(disk, job);
	for (size_t i = 0; i < job->tried; i++) {
		struct disk_lease *lease = job->leases[i];

		if (job->results[i] != TAKE_OURS)
			continue;
		if (!claim || disk->stopping) {
			give_back(disk, lease);
			continue;
		}
		lease->lease.claimed_boot_ms = claim->asked_boot_ms;
		LIST_INSERT_HEAD(&disk->leases, lease, next);
		leases[count++] = &lease->lease;
	}
	if (claim)
		claim->running = false;
	if (count) {
		disk->claim = NULL;
		claim->done(claim->arg, leases, count);
		free(claim);
	} else if (claim && !disk->stopping) {
		disk_share_want(disk);
	}
	free(leases);
	free(job->items);
	free(job->results);
	free((void *)job->leases);
	free(job);
}

/* Only deferred ones can be suspect: the first of them comes first, so that it is not passed by for ever. */
static struct due_item *deferred_first(const struct due_item *items, size_t count)
{
	struct due_item *sorted = xcalloc(count, sizeof(*sorted));
	size_t at = 0;

	for (size_t i = 0; i < count; i++)
		if (items[i].tried)
			sorted[at++] = items[i];
	for (size_t i = 0; i < count; i++)
		if (!items[i].tried)
			sorted[at++] = items[i];
	return sorted;
}

void disk_claim_ids(struct disk *disk, const struct due_item *items, size_t count)
{
	struct claim_job *job;

	if (!disk->claim || disk->claim->running || disk->stopping || !count) {
		disk_report(disk, DISK_DUE, items, count);
		return;
	}
	disk->claim->running = true;
	job = xcalloc(1, sizeof(*job));
	job->items = deferred_first(items, count);
	job->results = xcalloc(count, sizeof(*job->results));
	job->leases = xcalloc(count, sizeof(struct disk_lease *));
	job->count = count;
	job->max_bytes = disk->claim->max_bytes ? disk->claim->max_bytes : UINT64_MAX;
	disk_run(disk, claim_work, claim_done, job);
}

bool disk_claim_waits(const struct disk *disk, size_t *max)
{
	*max = disk->claim ? disk->claim->max : 0;
	return disk->claim && !disk->claim->running && !disk->stopping;
}

struct nothing_op {
	struct disk_op op;
	storage_claimed_fn *done;
	void *arg;
};

static void finish_nothing(struct disk *disk, struct disk_op *op)
{
	struct nothing_op *nothing = (struct nothing_op *)op;

	(void)disk;
	nothing->done(nothing->arg, NULL, 0);
	free(nothing);
}

static void claimed_nothing(struct disk *disk, storage_claimed_fn *done, void *arg)
{
	struct nothing_op *nothing = xcalloc(1, sizeof(*nothing));

	*nothing = (struct nothing_op){ .op.finish = finish_nothing, .done = done, .arg = arg };
	disk_soon(disk, &nothing->op);
}

void disk_claim_start(struct storage *storage, size_t max, uint64_t max_bytes, int64_t lease_ms,
	storage_claimed_fn *done, void *arg)
{
	struct disk *disk = (struct disk *)storage;

	(void)lease_ms;		/* a lock lasts as long as we live */
	if (disk->stopping) {
		claimed_nothing(disk, done, arg);
		return;
	}
	if (disk->claim)
		BUG("a second claim of one storage");
	disk->claim = xcalloc(1, sizeof(*disk->claim));
	*disk->claim = (struct disk_claim){ .max = max ? max : 1, .max_bytes = max_bytes,
		.asked_boot_ms = clock_boot_ms(), .done = done, .arg = arg };
	disk_share_want(disk);
}

void disk_claim_stop(struct disk *disk)
{
	struct disk_claim *claim = disk->claim;

	if (!claim)
		return;
	disk->claim = NULL;
	claimed_nothing(disk, claim->done, claim->arg);
	free(claim);
}

struct take_op {
	char id[ID_SIZE];
	int64_t asked_boot_ms, due_ms;
	enum disk_take result;
	struct disk_lease *lease;
	char owner[NOW_OWNER_SIZE];	/* of one that is busy, "" = not known */
	storage_claimed_fn *done;
	storage_done_fn *refused;
	void *arg;
};

static void name_owner(struct disk *disk, struct take_op *op)
{
	struct now_view *owners = disk_owners(disk);
	const struct now_seen *seen = now_find(owners, op->id);

	if (seen)
		memcpy(op->owner, seen->owner, sizeof(op->owner));
	now_view_free(owners);
}

static void take_work(struct disk *disk, void *arg)
{
	struct take_op *op = arg;

	op->result = disk_take(disk, op->id, true, &op->lease, &op->due_ms);
	if (op->result == TAKE_BUSY)
		name_owner(disk, op);
}

static void take_done(struct disk *disk, void *arg)
{
	struct take_op *op = arg;
	struct due_item item = { 0 };
	struct reply why = { 0 };

	if (op->result == TAKE_OURS) {
		op->lease->lease.claimed_boot_ms = op->asked_boot_ms;
		LIST_INSERT_HEAD(&disk->leases, op->lease, next);
		memcpy(item.id, op->id, ID_SIZE);
		disk_report(disk, DISK_MINE, &item, 1);
		op->done(op->arg, (struct lease *const[]){ &op->lease->lease }, 1);
	} else {
		if (op->result == TAKE_BUSY)
			reply_set(&why, 450, "4.2.0", "Message is under a lease%s%s", *op->owner ? " of " : "", op->owner);
		else if (op->result == TAKE_GONE)
			reply_set(&why, 550, "5.1.1", "No such message");
		else if (op->result == TAKE_HELD)
			reply_set(&why, 554, "5.6.0", "Message is damaged");
		else
			disk_error_reply(EIO, &why);
		op->refused(op->arg, &why);
		reply_release(&why);
	}
	free(op);
}

void disk_claim_id(struct storage *storage, const char *id, int64_t lease_ms, storage_claimed_fn *done,
	storage_done_fn *refused, void *arg)
{
	struct disk *disk = (struct disk *)storage;
	struct take_op *op;

	(void)lease_ms;
	if (!disk->is_open) {
		disk_fail_soon(disk, refused, arg);
		return;
	}
	op = xcalloc(1, sizeof(*op));
	*op = (struct take_op){ .asked_boot_ms = clock_boot_ms(), .done = done, .refused = refused, .arg = arg };
	if (id_is_valid(id))
		memcpy(op->id, id, ID_SIZE);
	disk_run(disk, take_work, take_done, op);
}
