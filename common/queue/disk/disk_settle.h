/* disk_settle.h - one request that ends or changes a lease, on its way through a group
 * SPDX-License-Identifier: MIT */
#ifndef SLIMTA_QUEUE_DISK_DISK_SETTLE_H
#define SLIMTA_QUEUE_DISK_DISK_SETTLE_H

#include "common/queue/disk/disk.h"

enum settle_kind { SETTLE_RENEW, SETTLE_DEFER, SETTLE_ASIDE, SETTLE_REMOVE, SETTLE_MARK };

/* Ids of one discard() are settled one by one and answered together. */
struct settle_discard {
	size_t left;
	int error;
	storage_done_fn *done;
	void *arg;
};

struct settle_op {
	struct disk_op op;
	enum settle_kind kind;
	char id[ID_SIZE];
	struct disk_lease *lease;	/* RENEW: the caller's; MARK: NULL while somebody else has it; else ours */
	bool attempted;			/* DEFER */
	int64_t aside_ms;		/* ASIDE: until then, by the wall clock, ... */
	uint16_t group;			/* ... for this group, ... */
	unsigned recalls;		/* ... as there were so many recalls before; ... */
	bool grew;			/* ... more recipients are settled than the meta says */
	char *meta;			/* what is written; of a RENEW, whose lease changes meanwhile, made before */
	enum mark mark;			/* MARK */
	char *reason;
	struct settle_discard *discard;
	int64_t due_ms;			/* for the scanner; INT64_MAX: held */
	bool wrote;			/* meta_dir has to be synced */
	bool placed, replaced;		/* a meta, and an old one stands aside */
	bool obeyed;			/* marks, to be tidied away */
	bool marked;			/* after its lease: somebody has asked for something meanwhile */
	bool going, gone;		/* ID.env is to be, or was, taken away */
	storage_done_fn *done;
	void *arg;
};

struct settle_op *disk_settle_new(enum settle_kind, const char *id, storage_done_fn *, void *arg);
/* The lease's meta as it is now, once an op; `due_ms` is its time (thread). */
void disk_settle_write(struct disk *, struct settle_op *);

/* disk_steer.c (thread): a mark, obeyed at once or added beside the lease. */
void disk_steer_begin(struct disk *, struct settle_op *);

#endif
