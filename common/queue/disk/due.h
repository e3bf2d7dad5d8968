/* due.h - which ids are due, and when the others will be
 * SPDX-License-Identifier: MIT
 * About 90 octets a message, no more. Only the scanner of a queue has one filled. */
#ifndef SLIMTA_QUEUE_DISK_DUE_H
#define SLIMTA_QUEUE_DISK_DUE_H

#include <stdbool.h>
#include <stdint.h>

#include "common/base/heap.h"
#include "common/base/id.h"

/* An id with a time (wall clock, ms), in packets and arrays. */
struct due_item {
	int64_t due_ms;
	char id[ID_SIZE];
	bool tried;		/* deferred before, not new */
	uint16_t group;		/* that is put aside, or recalled; else nothing */
};

enum due_state { DUE_WAITING, DUE_TAKEN, DUE_PARKED };

struct due_entry {
	struct heap_node node;		/* in one of the heaps while DUE_WAITING */
	char id[ID_LENGTH];
	unsigned char state;
	bool tried;
	uint16_t holder;		/* who has it while DUE_TAKEN, or put it aside */
	uint16_t aside;			/* the group for which it was put aside; 0: it was not */
	uint32_t seen, changed;		/* numbers of scans: seen on disk, told by an event */
};

struct due_table {
	struct due_entry **slots;	/* open addressing; a power of two */
	size_t slot_count, count;
	struct heap later, fresh, retry;	/* not due yet; due: new ones, deferred ones */
	bool fresh_next;			/* whose turn it is, from one due_pop to the next */
};

void due_release(struct due_table *);
struct due_entry *due_find(const struct due_table *, const char *id);
struct due_entry *due_add(struct due_table *, const char *id);	/* finds it or makes it; a new one is DUE_PARKED */
void due_drop(struct due_table *, struct due_entry *);
void due_wait(struct due_table *, struct due_entry *, int64_t due_ms, bool tried, int64_t now_ms);
void due_park(struct due_table *, struct due_entry *);
/* Waits, though it is due as far as the files say. */
void due_put_aside(struct due_table *, struct due_entry *, const struct due_item *, uint16_t holder, int64_t now_ms);
/* The group is due now, and what is of several groups. */
void due_recall(struct due_table *, uint16_t group, int64_t now_ms);

/* How many are due now. */
size_t due_ready(struct due_table *, int64_t now_ms);
/* Up to `max` of them, half deferred and half new, over all calls, each giving way to the other; they are DUE_TAKEN by
 * `holder`. */
size_t due_pop(struct due_table *, int64_t now_ms, size_t max, uint16_t holder, struct due_item *out);
/* When the next becomes due; INT64_MAX: none waits. */
int64_t due_next(const struct due_table *, int64_t now_ms);
/* Calls for every entry; `visit` may drop it or change its state. */
void due_each(struct due_table *, void (*visit)(struct due_table *, struct due_entry *, void *arg), void *arg);

#endif
