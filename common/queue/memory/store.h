/* store.h - what a memory queue holds, in the worker that serves it
 * SPDX-License-Identifier: MIT
 * Runs on the loop. Times are CLOCK_BOOTTIME, so nothing depends on a wall clock that jumps. */
#ifndef SLIMTA_QUEUE_MEMORY_STORE_H
#define SLIMTA_QUEUE_MEMORY_STORE_H

#include "common/base/heap.h"
#include "common/base/log.h"
#include "common/queue/memory/form.h"
#include "common/queue/memory/order.h"
#include "common/queue/memory/recent.h"
#include "common/queue/storage.h"
#include "common/queue/tasks.h"

#define STORE_MARKS_MAX 64		/* beside one lease */
#define STORE_SETTINGS_MAX 1000
#define STORE_LIST_MAX 1000		/* messages of one batch */

struct store_mark {
	enum mark mark;
	char *reason;
};

struct store_message {
	struct lease lease;		/* first: its handle while somebody has it */
	struct order_node order;
	struct heap_node node;		/* in one of the heaps while it waits */
	struct heap *heap;		/* which; NULL: in none */
	struct form *form;
	struct message_state *state;	/* NULL: nothing is known beyond "new" */
	struct store_mark *marks;	/* made while it is under a lease */
	size_t mark_count;
	enum message_place place;
	int64_t due_boot_ms;
	bool passing;			/* on its way to the next worker */
	uint16_t aside;			/* the group for which it was put aside, in `later` until then; 0: it was not */
	size_t counted;			/* octets, as far as they are counted in store.used */
};

struct store_setting {
	char *key, *value;
	int64_t until_boot_ms;		/* INT64_MAX: for good */
};

struct store_claim;

struct store {
	struct storage *storage;	/* its context and options; borrowed */
	struct tasks *tasks;		/* borrowed */
	uint64_t max_memory_bytes;
	uint64_t used_bytes;		/* of messages, and reserved for those that arrive */
	struct order messages;
	struct heap later, fresh, retry;	/* not due; due: new ones, deferred ones */
	bool fresh_next;		/* whose turn it is, from one claim to the next */
	uint64_t counts[PLACE_HELD + 1];
	uint64_t octets;		/* of all contents */
	struct recent recent;
	struct store_claim *claim;	/* the one that waits */
	struct event *wake;
	uint64_t epoch;
	bool stopped;
	struct store_setting *settings;	/* in the order of keys */
	size_t setting_count;
	/* Optional: a message came, or is nobody's any more. Not to be re-entered from. */
	void (*changed)(void *arg, struct store_message *);
	void (*finished)(void *arg, const char *id);
	void *arg;
};

void store_open(struct store *, struct storage *, struct tasks *, uint64_t max_memory_bytes);
void store_close(struct store *);
/* Says what is lost as it ends: a line for all, and one for each. */
void store_log_lost(const struct store *, enum log_level);

/* ---- store.c: what is there */
struct store_message *store_find(const struct store *, const char *id);
struct store_message *store_next(const struct store *, const char *id);	/* the least behind; NULL */
/* Room for octets that will come, of a message with a derived id or another. -1 with *why: 452 4.3.1. */
int store_reserve(struct store *, uint64_t octets, bool derived, struct reply *why);
void store_unreserve(struct store *, uint64_t octets);
int store_accepts(const struct store *, uint64_t size, struct reply *why);
/* Makes all of them visible, or none; borrowed. -1 with *why. What is held already with the same content, and what is
 * known as finished, is left out. */
int store_publish(struct store *, const struct forms *, int64_t delay_ms, struct reply *why);
/* One that another held: with what is known of it, which is taken; beyond max_memory too. */
void store_take_over(struct store *, struct form *, struct peeked *known);
/* It is finished, and known as such; or passed on, and forgotten. */
void store_finish(struct store *, struct store_message *);
void store_forget(struct store *, struct store_message *);
void store_know(struct store *, const char *id);	/* as finished, unless it is there */
struct message_state *store_state(struct store_message *);	/* makes it where there is none */
/* It waits in no heap any more, and stands in another place of the counts. */
void store_leave_place(struct store *, struct store_message *);
void store_enter_place(struct store *, struct store_message *, enum message_place);
/* Waits, from then on, in its heap, or is held; counts anew. */
void store_settle(struct store *, struct store_message *);
void store_count(struct store *, struct store_message *);

/* ---- store_claim.c: under a lease */
void store_wake(struct store *);		/* there may be something for the claim that waits */
void store_write(struct store *, struct envelope *const items[], size_t count, int64_t delay_ms, storage_done_fn *,
	void *arg);
void store_claim(struct store *, size_t max, uint64_t max_bytes, storage_claimed_fn *, void *arg);
void store_claim_id(struct store *, const char *id, storage_claimed_fn *, storage_done_fn *refused, void *arg);
void store_get(struct store *, struct lease *, storage_message_fn *, void *arg);
void store_renew(struct store *, struct lease *, const struct outcomes *, storage_done_fn *, void *arg);
void store_defer(struct store *, struct lease **, int64_t delay_ms, bool attempted, const struct outcomes *,
	const struct attempt *, storage_done_fn *, void *arg);
void store_put_aside(struct store *, struct lease **, int64_t delay_ms, unsigned group, const struct outcomes *,
	storage_done_fn *, void *arg);
void store_recall(struct store *, unsigned group);
void store_remove(struct store *, struct lease **, storage_done_fn *, void *arg);
void store_stop(struct store *);
void store_claim_init(struct store *);
void store_claim_end(struct store *);

/* ---- store_mark.c: from outside a lease; at once */
int store_discard(struct store *, const char *id, struct reply *why);
int store_mark(struct store *, const char *id, enum mark, const char *reason, struct reply *why);
int store_set(struct store *, const char *key, const char *value, int64_t expiry_ms, struct reply *why);
/* The callback runs within. */
void store_settings(struct store *, storage_settings_fn *, void *arg);
/* Applies it to a message that is nobody's; false: it is to be discarded. */
bool store_obey(struct store *, struct store_message *, const struct store_mark *);
void store_marks_release(struct store_mark *, size_t count);
void store_settings_release(struct store *);

/* ---- store_look.c */
struct store_look {
	struct form *form;		/* held */
	struct peeked known;		/* a copy, without the envelope */
};
int store_look(const struct store *, const char *id, struct store_look *, struct reply *why);
/* In a thread: how far those under a lease are with it. */
void store_look_phase(const struct store *, struct store_look *, size_t count);
void store_look_release(struct store_look *);
void store_peek(struct store *, const char *id, bool content, storage_peeked_fn *, void *arg);
void store_list(struct store *, const struct list_filter *, const char *cursor, size_t max, storage_list_fn *, void *arg);
void store_info(const struct store *, struct queue_counts *);

#endif
