/* storage.h - the contract between queue, workers, operators and every kind of storage
 * SPDX-License-Identifier: MIT
 * A driver is a struct of functions. Every call is asynchronous: it never blocks, and its callback runs exactly
 * once, from the loop, never inside the call. Times are durations; the driver turns them into instants by the
 * storage's own clock. common/queue/README draws the states of a message and of a lease. */
#ifndef SLIMTA_QUEUE_STORAGE_H
#define SLIMTA_QUEUE_STORAGE_H

#include "common/base/counters.h"
#include "common/base/pool.h"
#include "common/base/text.h"
#include "common/config/options.h"
#include "common/config/process.h"
#include "common/message/envelope.h"
#include "common/message/reply.h"

struct event_base;
struct storage;

/* Whom the storage works for; what it may skip (an edge scans nothing, queuectl takes no part in claims). */
enum storage_role { STORAGE_FOR_EDGE, STORAGE_FOR_WORKER, STORAGE_FOR_OPERATOR };

/* Lent to a storage for its life. */
struct storage_context {
	struct event_base *base;
	struct pool *disk;			/* threads for blocking file work */
	const struct process_options *process;	/* runtime_dir, hostname, spool */
	const char *queue;			/* name in slimta.conf */
	enum storage_role role;
	bool supervised;			/* a worker of a master, whose next generation may begin before we end */
};

/* What became of one recipient. It only grows: open -> DELAYED -> WARNED, and from any of these to DELIVERED ->
 * CONFIRMED or FAILED -> BOUNCED. The second of each pair: the sender was told, so a worker that finds the first owes
 * him that notification (where he wants one), made of what stands here and of nothing else. */
enum outcome_kind {
	OUTCOME_DELAYED = 1,		/* still open, and late */
	OUTCOME_WARNED,
	OUTCOME_DELIVERED,
	OUTCOME_CONFIRMED,
	OUTCOME_FAILED,
	OUTCOME_BOUNCED,
};
struct outcome {
	size_t index;			/* in the stored list, for good */
	enum outcome_kind kind;
	struct reply reply;
	char *host;			/* that gave the reply, "" if none did; owned */
	int64_t time_ms;		/* wall clock of the attempt; 0 = not known */
	char *tls;			/* "TLSv1.3": over which it was given; NULL or "": in clear, or not known; owned */
};
struct outcomes {
	struct outcome *items;		/* in the order of indexes */
	size_t count;
};
bool outcome_is_open(const struct outcome *);	/* to be tried again; NULL is */
const char *outcome_name(enum outcome_kind);	/* "delayed", "warned", ... */
/* Copies all; what would not grow is left as it is. The step to the second of a pair keeps the first's reply, host
 * and time. */
void outcomes_add(struct outcomes *, const struct outcome *);
const struct outcome *outcomes_find(const struct outcomes *, size_t index);
/* NULL is none. True: one came, or took a further step. */
bool outcomes_merge(struct outcomes *into, const struct outcomes *from);
void outcomes_release(struct outcomes *);

/* One attempt as `show` prints it. */
struct attempt {
	int64_t time_ms;		/* wall clock */
	char *host;			/* where, "" if we got nowhere; owned */
	struct reply reply;
	char *tls;			/* as an outcome's */
};
#define ATTEMPTS_KEPT 10

/* What a storage knows of a message beside its stored form. */
struct message_state {
	unsigned attempts;		/* attempts made: what retry.delay calls x */
	int64_t due_in_ms;		/* until it is due; 0 or less: now */
	struct outcomes done;
	struct attempt last[ATTEMPTS_KEPT];	/* oldest first */
	unsigned last_count;
	bool suspect;			/* its worker died in its delivery, and in those of others: claimed alone */
	unsigned strikes;		/* deaths of workers in its delivery alone */
	char *held;			/* why it is held ("damaged", "operator"), NULL = it is not */
	char *bounce;			/* why an operator wants it bounced, NULL = nobody does */
	char *waits;			/* why it was not attempted when it was last due, NULL = it was, or for no reason */
};
void message_state_add_attempt(struct message_state *, const struct attempt *);	/* copies it */
/* For drivers: what defer() makes of the state. */
void message_state_defer(struct message_state *, bool attempted, const struct attempt *);
void message_state_copy(struct message_state *to, const struct message_state *from);
void message_state_release(struct message_state *);
enum mark {
	MARK_HOLD,			/* not tried until released; `reason` says why, NULL leaves what was said before */
	MARK_RELEASE,			/* held no more, due now, without strikes */
	MARK_DISCARD,			/* removed, nobody is told */
	MARK_RETRY,			/* due now */
	MARK_BOUNCE,			/* due now, to fail for all who are open; `reason` says why */
	MARK_SUSPECT,			/* its worker died in several deliveries, of which this was one */
	MARK_STRIKE,			/* its worker died in this delivery alone */
};
/* "hold", "release", ...; mark_find() gives false for what is none. */
const char *mark_name(enum mark);
bool mark_find(const char *name, enum mark *);
/* A worker died (STRIKE, SUSPECT). What is found of it beside a lease is older than that lease's result, which outweighs
 * it. */
bool mark_is_of_death(enum mark);
void mark_show(struct strings *, enum mark, const char *reason);	/* as people read it: "hold: operator" */
/* What a mark makes of the state; DISCARD is the caller's. Strikes up to `max_strikes` (0: any number) hold it. True:
 * it is due now. */
bool message_state_mark(struct message_state *, enum mark, const char *reason, unsigned max_strikes);
/* A delivery came to a result: no longer suspect, no strikes. */
void message_state_survived(struct message_state *);
/* All but the due time, which each storage keeps by its own clock: {"attempts": 1, "done": [...], "last": [...],
 * "suspect": true, "strikes": 1, "held": "operator", "bounce": "operator", "waits": "Too many ..."}.
 * Members of `other` (NULL: none) that we do not know are kept. New reference. */
json_t *message_state_to_json(const struct message_state *, const json_t *other);
/* 0, or -1 with *why (a constant text); the state is all-zero then. */
int message_state_from_json(struct message_state *, const json_t *, const char **why);

/* A message under our lease. The public part of what a driver allocates; nothing outside the driver makes a path
 * or key from the id. Ends by defer, remove or release, each of which takes it. */
struct lease {
	char id[ID_SIZE];
	int64_t claimed_boot_ms;	/* clock_boot_ms() before the request was made */
	int64_t lease_ms;		/* measured from there; INT64_MAX: as long as we live (disk) */
	uint64_t epoch;
	bool suspect;			/* earlier deaths: handle it alone */
};

/* NULL `why` is success. 451 4.3.0: try again; 452 4.3.1: full; 550 5.x: never (not there, not ours, damaged). */
typedef void storage_done_fn(void *arg, const struct reply *why);
/* 451 4.4.2: it may have been done. */
bool storage_is_unknown(const struct reply *why);
/* The leases are the receiver's (array borrowed, elements taken); count 0: stopped. */
typedef void storage_claimed_fn(void *arg, struct lease *const leases[], size_t count);
/* `*envelope` and `*state` may be taken (set to NULL / zeroed); both NULL with `why`. */
typedef void storage_message_fn(void *arg, const struct reply *why, struct envelope **envelope,
	struct message_state *state);

/* Why messages are put aside, as a number that whoever does it chooses from 1 on; of several reasons: the last one. */
#define ASIDE_GROUPS 65534
#define ASIDE_SEVERAL (ASIDE_GROUPS + 1)

enum message_place { PLACE_NEW, PLACE_DEFERRED, PLACE_LEASED, PLACE_HELD };
/* "new", "deferred", "leased", "held"; place_find() gives false for what is none. */
const char *place_name(enum message_place);
bool place_find(const char *name, enum message_place *);
/* How far a lease's owner is with it: it waits in its relay's line, as all connections or commands are in use; its
 * delivery has begun; it went beyond what can be taken back, such as the final dot or the start of a command. */
enum lease_phase { LEASE_PHASE_UNKNOWN, LEASE_CLAIMED, LEASE_IN_LINE, LEASE_BEGUN, LEASE_PAST_THE_DOT };

struct list_entry {			/* borrowed for the callback */
	char id[ID_SIZE], origin[ID_SIZE];
	const char *sender;
	const struct recipient *recipients;
	size_t recipient_count;		/* 0: damaged, so that nothing is known of its envelope */
	uint64_t size;
	int64_t age_ms;
	unsigned attempts;
	int64_t due_in_ms;
	enum message_place place;
	const char *owner;		/* "host/slimta-worker[812]", NULL = nobody or not known */
	enum lease_phase phase;
	int64_t leased_for_ms, in_phase_ms;	/* where the phase is known */
	const char *held, *waits;	/* as in its state */
	const struct outcomes *done;	/* of its recipients, without replies, hosts and times; NULL = none yet */
	const struct reply *last;	/* NULL = none yet */
};
/* For drivers: since when a message is there itself: a derived id has the time of the message that it was made of, which may
 * be days older. `envelope` NULL: it cannot be read. Wall clock. */
int64_t message_accepted_ms(const char *id, const struct envelope *);
/* For drivers: what follows from these. `envelope` NULL: it cannot be read. Borrows all of it. */
void list_entry_describe(struct list_entry *, const char *id, const struct envelope *, const struct message_state *);

/* Which messages; all of it has to be true. All-zero: any. Texts are UTF-8 of at most LIST_PATTERN_MAX octets, and match
 * whole; a "*" in them (but for `id`) stands for any octets, also none. */
#define LIST_PATTERN_MAX 1000
#define PLACE_BIT(place) (1U << (place))
struct list_filter {
	const char *id;
	const char *sender, *recipient;	/* "": the null sender; one of the recipients; without case behind the "@" */
	const char *domain;		/* of one of its recipients (the same that `recipient` is about); without case */
	const char *reply;		/* the last one as reply_append() writes it; without case */
	unsigned places;		/* PLACE_BIT of those that match; 0: any */
	int64_t older_ms, younger_ms;	/* ages, themselves included; 0: any */
	unsigned attempts_least, attempts_below;	/* 0: any number */
};
/* For drivers; NULL matches all. */
bool list_filter_matches(const struct list_filter *, const struct list_entry *);

#define LIST_CURSOR_SIZE 256
/* A batch in the order of ids; `cursor` continues, "" = that was all. One with fewer than `max`, or none, is not the end:
 * a call looks at so many messages, whatever matches. `why` with a cursor: some could not be read, and are left out. */
typedef void storage_list_fn(void *arg, const struct reply *why, const struct list_entry *entries, size_t count,
	const char *cursor);

struct queue_counts {
	uint64_t fresh, deferred, leased, held;
	uint64_t octets;
	int64_t oldest_age_ms;		/* the greatest age that list() shows; -1: empty */
};
/* `why` with counts that are not zero: of those that could be read. */
typedef void storage_info_fn(void *arg, const struct reply *why, const struct queue_counts *);

struct peeked {				/* borrowed for the callback, but for what is taken */
	struct envelope *envelope;	/* may be taken: set to NULL */
	struct message_state state;
	enum message_place place;
	char *owner;
	int64_t leased_for_ms;		/* -1: not known */
	enum lease_phase phase;
	int64_t in_phase_ms;		/* where the phase is known */
	struct strings asked;		/* marks that wait for the end of its lease: "hold: operator" */
};
typedef void storage_peeked_fn(void *arg, const struct reply *why, struct peeked *);

/* One shared setting. */
#define SETTING_KEY_MAX 255		/* octets */
#define SETTING_VALUE_MAX 4096
struct setting {
	const char *key, *value;
	int64_t expires_in_ms;		/* INT64_MAX: never */
};
/* For drivers: 0, or -1 with a *why of 501 5.5.4 for what set() takes from nobody. */
int setting_check(const char *key, const char *value, struct reply *why);
/* In the order of keys; borrowed for the callback. */
typedef void storage_settings_fn(void *arg, const struct reply *why, const struct setting *, size_t count);

/* How long the id of a message that was removed stays known, and a derived one (id_is_derived). */
#define FINISHED_KEPT_MS 120000LL
#define FINISHED_DERIVED_KEPT_MS 86400000LL
int64_t finished_kept_ms(const char *id);

struct storage_driver {
	const char *type;		/* value of queue.NAME.type */
	size_t size;			/* of the driver's own struct, which begins with struct storage */
	const struct option *options;	/* its keys; fills the driver's struct; ends with {0} */
	/* Optional: what open() would refuse for good and can be seen without opening, told at start and by
	 * --check. May look at this host's file systems; a storage that is away is no error. */
	void (*check)(const struct storage *, const struct config_node *section, struct config_errors *);

	/* Connects and checks that the storage keeps its promises. A promise that can never hold (network file
	 * system) is 5yz and fatal at start; what is only away now is 4yz: it goes on trying by itself, and the
	 * other calls answer 451 meanwhile. */
	void (*open)(struct storage *, storage_done_fn *done, void *arg);
	void (*close)(struct storage *);	/* after stop(); what is under way calls back first (4yz) */

	/* Makes all items durable, then visible together, or none. 451 4.4.2: the outcome is not known (ask again);
	 * every other failure: nothing of them is there. The envelopes are borrowed until `done`. An id
	 * that is there, or known as finished, with the same content is success. `delay_ms` > 0: not due before. */
	void (*write)(struct storage *, struct envelope *const items[], size_t count, int64_t delay_ms,
		storage_done_fn *done, void *arg);
	/* Takes back what was or may have been written. Success if it is not there. Under a lease: it is marked, and
	 * goes when the lease ends unless it was delivered first. */
	void (*discard)(struct storage *, const char *const ids[], size_t count, storage_done_fn *done, void *arg);

	/* Waits until a message is due and nobody's, then leases up to `max` of them and `max_bytes` of content:
	 * half from deferred, half from new, each falling back to the other. One claim at a time. */
	void (*claim)(struct storage *, size_t max, uint64_t max_bytes, int64_t lease_ms, storage_claimed_fn *, void *arg);
	/* The same for one id whatever its due time; `done` gets 450 4.2.0 with the owner's name, or 550 5.1.1. */
	void (*claim_id)(struct storage *, const char *id, int64_t lease_ms, storage_claimed_fn *, storage_done_fn *refused,
		void *arg);
	/* The message and its state. 554 5.6.0: damaged, now held; the lease is then released by the driver's
	 * caller as usual: by defer, which leaves it held. */
	void (*get)(struct storage *, struct lease *, storage_message_fn *, void *arg);
	/* Without a lease; may be a moment old; never quarantines. `content`: its octets too. 550 5.1.1: not there.
	 * A damaged one gives `why` 554 5.6.0 and what is known of it, without an envelope. */
	void (*peek)(struct storage *, const char *id, bool content, storage_peeked_fn *, void *arg);

	/* Extends the lease and records who is settled; `done` only grows. 450 4.2.0: the lease is lost, what was
	 * settled is recorded all the same. */
	void (*renew)(struct storage *, struct lease *, const struct outcomes *, storage_done_fn *done, void *arg);
	/* Gives it back, one atomic step: due in `delay_ms`, `done` merged. `attempted`: costs one attempt,
	 * `attempt` joins the last ten, and it survived. Else the text of its reply says why it was not attempted
	 * (`waits`). Marks are applied. */
	void (*defer)(struct storage *, struct lease **, int64_t delay_ms, bool attempted, const struct outcomes *done_so_far,
		const struct attempt *attempt, storage_done_fn *done, void *arg);
	/* Gives it back untried and as it was, but for `done_so_far`: the storage knows it as due. No claim gets it before
	 * `delay_ms` are over, or recall() of its group, or a mark, or the end of who put it aside. */
	void (*put_aside)(struct storage *, struct lease **, int64_t delay_ms, unsigned group,
		const struct outcomes *done_so_far, storage_done_fn *done, void *arg);
	/* What was put aside for this group is due now, and what is of several groups. */
	void (*recall)(struct storage *, unsigned group);
	/* Finished: gone. The id stays known for two minutes, a derived one for a day: a write of it is success and
	 * makes no second message. */
	void (*remove)(struct storage *, struct lease **, storage_done_fn *done, void *arg);

	/* Waiting claims call back with none; results still go through. */
	void (*stop)(struct storage *);
	/* Optional, after stop() of a worker: what this process holds goes to the `successor`, if there is one, under
	 * leases as those end. `done`: no more of it can. */
	void (*drain)(struct storage *, bool successor, storage_done_fn *done, void *arg);
	/* The filter (NULL: all) is borrowed until the callback has run. */
	void (*list)(struct storage *, const struct list_filter *, const char *cursor, size_t max, storage_list_fn *, void *arg);
	void (*info)(struct storage *, storage_info_fn *, void *arg);

	/* At once, or as the lease ends where somebody has it: the lease is not touched, a message that was delivered
	 * goes. Later marks follow earlier ones. `reason` for HOLD and BOUNCE, else NULL. 550 5.1.1: not there. */
	void (*mark)(struct storage *, const char *id, enum mark, const char *reason, storage_done_fn *done, void *arg);
	/* Optional: takes a message from whoever has it, one atomic step: his lease is lost (epoch + 1, so that his results are
	 * refused, but for who is settled), and the marks beside it are obeyed. Success where nobody has it. 550 5.1.1: not
	 * there. NULL: it cannot, as `untaken` says to an operator, and what ends a lease here. */
	void (*take)(struct storage *, const char *id, storage_done_fn *done, void *arg);
	const char *untaken;
	/* Small settings that all who share the storage see within seconds: a key of 1 to 255 octets of text
	 * without control characters, a value of text of up to 4,096 (501 5.5.4); NULL takes it away, as an expiry of 0
	 * or less. INT64_MAX: it never expires. 452 4.3.1 beyond what the storage keeps: 1,000 of them at least. */
	void (*set)(struct storage *, const char *key, const char *value, int64_t expiry_ms, storage_done_fn *done, void *arg);
	void (*settings)(struct storage *, storage_settings_fn *, void *arg);

	/* Room for one more message of `size` octets: immediate, from what was last seen. -1 with 452 or 451. */
	int (*accepts)(struct storage *, uint64_t size, struct reply *why);
	/* Where a message spools while it arrives, so that it can move and not be copied; NULL = anywhere. */
	const char *(*spool_dir)(struct storage *);
};

struct storage {
	const struct storage_driver *driver;
	struct storage_context context;
	uint64_t max_messages;		/* common options of the queue, for accepts(); 0 = none */
	uint64_t min_free_bytes;
	unsigned max_strikes;		/* as message_state_mark wants it */
};

/* For drivers: a mark is obeyed, with its line in the log and one for a message that its strikes hold. What is due by it
 * is so at `now_ms` (both times by the driver's clock). False: it is to be discarded. */
bool storage_obey(const struct storage *, const char *id, struct message_state *, enum mark, const char *reason,
	int64_t *due_ms, int64_t now_ms);

extern const struct storage_driver *const storage_drivers[];	/* ends with NULL */
const struct storage_driver *storage_driver_find(const char *type);

#endif
