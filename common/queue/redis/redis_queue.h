/* redis_queue.h - the redis driver's own parts
 * SPDX-License-Identifier: MIT
 * Only storage.c, for the driver itself, and the files of this folder include it. Functions that say "thread" may block and
 * touch nothing of the loop; all others run on the loop. Keys and scripts: common/queue/README. */
#ifndef SLIMTA_QUEUE_REDIS_REDIS_QUEUE_H
#define SLIMTA_QUEUE_REDIS_REDIS_QUEUE_H

#include <sys/queue.h>

#include "common/message/stored.h"
#include "common/net/redis.h"
#include "common/net/resolver.h"
#include "common/queue/redis/script.h"
#include "common/queue/storage.h"
#include "common/queue/tasks.h"

extern const struct storage_driver redis_driver;

#define REDIS_CONTENT_WITH 65536	/* content up to this size comes with its claim */
#define REDIS_MARKS_MAX 64		/* beside one lease */
#define REDIS_SETTINGS_MAX 1000
#define REDIS_PREFIX_DEFAULT "slimta:"
#define REDIS_TIME_MAX (1LL << 52)	/* ms: beyond this Lua's numbers are not exact */

struct redis_checks;
struct redis_waiters;
struct redis_work;

enum { REDIS_CHECKED, REDIS_UNCHECKED };	/* durability */

/* What accepts() looks at. */
struct redis_room {
	unsigned refused;		/* the code of the server's last refusal; 0: it has taken something since */
	bool asking;
	uint64_t messages;
	int64_t asked_boot_ms;
};

struct write_op;
/* Large messages on their way: all of each is in memory meanwhile. */
struct redis_line {
	uint64_t octets;		/* of those that are not in it any more */
	STAILQ_HEAD(, write_op) waiting;
};

struct redis_queue {
	struct storage storage;
	/* options */
	struct redis_settings settings;
	char *prefix;
	unsigned wait_replicas;
	unsigned durability;
	int64_t lease_ms;		/* 0: not given, then what a claim asks for counts */

	bool is_open, closing;
	bool usable;			/* connected, and the server passed the checks: scripts may be sent */
	struct tasks tasks;
	struct resolver *resolver;	/* NULL: a unix socket */
	struct redis *redis;		/* scripts; commands that block have connections of their own */
	struct redis_checks *checks;
	struct redis_waiters *waiters;	/* writes that wait for replicas */
	struct redis_work *work;	/* leases, wake-ups, the sweep */
	struct redis_room room;
	struct redis_line line;
	bool settings_damaged;		/* and that was said */
	struct redis_scripts *scripts;
	uint64_t bulk_max, query_max;	/* octets of one value, of one command, as the server takes them */
};

/* ---- redis_place.c: two queues in one place would deliver each other's messages */
void redis_check_place(const struct config_node *section, struct config_errors *);

/* ---- redis_open.c: connecting, and what the server has to promise */
void redis_checks_open(struct redis_queue *, storage_done_fn *opened, void *arg);
void redis_checks_close(struct redis_queue *);

/* ---- redis_record.c: what scripts say of a message */
struct redis_mark {
	enum mark mark;
	char *reason;
};
struct redis_marks {			/* in the order of asking */
	struct redis_mark *items;
	size_t count;
};
struct redis_record {
	char id[ID_SIZE];
	const char *damage;		/* NULL: none; else what is wrong with it, a constant text */
	enum message_place place;	/* held where it is damaged */
	enum message_place back;	/* while it is leased: where it came from */
	uint64_t version, epoch;
	int64_t due_ms;			/* by redis' clock; 0: none was set */
	struct message_state state;	/* due_in_ms is set, from the clock given */
	json_t *other;			/* the state as it was read, for members we do not know; NULL */
	char *state_text;		/* the same as it stands there; NULL: none */
	struct redis_marks marks;
	char *owner;			/* while it is leased; NULL */
	int64_t since_ms, until_ms;
	bool suspect;
	struct buffer head;		/* of the stored form; empty: none */
	uint64_t octets;		/* size of its content */
};
/* Of what record() of prelude.lua gives; `now_ms` by redis' clock. -1: it is nil, there is no such message. */
int redis_record_read(struct redis_record *, const struct redisReply *, int64_t now_ms);
void redis_record_release(struct redis_record *);
/* The parts, for who gets them otherwise. Nil is none. -1 with *why, a constant text; all-zero then. */
int redis_state_read(const struct redisReply *, struct message_state *, json_t **other, const char **why);
int redis_marks_read(const struct redisReply *, struct redis_marks *, const char **why);
void redis_marks_release(struct redis_marks *);
/* One of them as it stands in the field: a line of JSON with its LF. */
void redis_mark_line(struct buffer *, enum mark, const char *reason);
int64_t redis_number(const struct redisReply *, int64_t fallback);	/* an integer, or text that is one */
bool redis_text_is(const struct redisReply *, const char *text);
/* Item of an array; never NULL: nil where it is shorter, or no array. */
const struct redisReply *redis_item(const struct redisReply *, size_t at);

/* The state as text, with what `other` has that we do not know. Owned. */
char *redis_state_text(const struct message_state *, const json_t *other);
/* Obeys marks in order; `with_result`: not those of deaths. *due_ms and now_ms by redis' clock. False: to be discarded. */
bool redis_obey(const struct redis_queue *, const char *id, const struct redis_marks *, bool with_result,
	struct message_state *, int64_t *due_ms, int64_t now_ms);

/* Thread: the message of head and octets (NULL: its content has the size and no octets). STORED_FOREIGN: to be left alone.
 * *why is a constant text. */
enum stored_result redis_decode(const struct buffer *head, const void *octets, uint64_t size, struct envelope **,
	const char **why);

/* ---- redis_write.c, redis_wait.c, redis_discard.c */
void redis_write(struct storage *, struct envelope *const items[], size_t count, int64_t delay_ms, storage_done_fn *,
	void *arg);
void redis_discard(struct storage *, const char *const ids[], size_t count, storage_done_fn *, void *arg);
/* Calls back when so many replicas have all that was sent until now: NULL, or 451 4.3.0 (too few in time), 451 4.4.2. */
void redis_wait(struct redis_queue *, storage_done_fn *, void *arg);
void redis_wait_close(struct redis_queue *);

/* ---- redis_accepts.c */
int redis_accepts(struct storage *, uint64_t size, struct reply *why);
void redis_room_seen(struct redis_queue *, const struct reply *why);	/* how a write ended in the server; NULL: well */
void redis_room_counted(struct redis_queue *, int64_t messages);

/* ---- settle.c: what becomes of a message, as settle.lua makes it */
struct redis_settlement {
	const char *id, *how;		/* "epoch": that lease ends; "take": any does; "version": nobody has it */
	uint64_t epoch, version;	/* epoch 0: none */
	const char *place;		/* new, deferred, held, gone */
	const char *due;		/* by redis' clock, "+N" from now, or NULL: none */
	const char *state;		/* NULL: none */
	bool suspect;
	const char *aside;		/* "TAG:GROUP", or NULL */
	int64_t aside_ms;
};
void redis_settle(struct redis_queue *, const struct redis_settlement *, redis_done_fn *, void *arg);

/* ---- redis_mark.c, redis_set.c, redis_look.c */
void redis_mark(struct storage *, const char *id, enum mark, const char *reason, storage_done_fn *, void *arg);
void redis_set(struct storage *, const char *key, const char *value, int64_t expiry_ms, storage_done_fn *, void *arg);
void redis_list_settings(struct storage *, storage_settings_fn *, void *arg);
void redis_peek(struct storage *, const char *id, bool content, storage_peeked_fn *, void *arg);
void redis_list(struct storage *, const struct list_filter *, const char *cursor, size_t max, storage_list_fn *, void *arg);
void redis_info(struct storage *, storage_info_fn *, void *arg);

void redis_answer_none(struct redis_queue *, storage_done_fn *, void *arg);	/* soon: 550 5.1.1, no such message */

/* ---- the lease side: claims, the wake-up connection, results, the sweep */
void redis_work_open(struct redis_queue *);	/* from open, before there is a connection; in any role */
void redis_work_up(struct redis_queue *);	/* scripts may be sent (again) */
void redis_work_close(struct redis_queue *);	/* first in close: gives back leases, then frees */
void redis_claim(struct storage *, size_t max, uint64_t max_bytes, int64_t lease_ms, storage_claimed_fn *, void *arg);
void redis_claim_id(struct storage *, const char *id, int64_t lease_ms, storage_claimed_fn *, storage_done_fn *refused,
	void *arg);
void redis_get(struct storage *, struct lease *, storage_message_fn *, void *arg);
void redis_renew(struct storage *, struct lease *, const struct outcomes *, storage_done_fn *, void *arg);
void redis_defer(struct storage *, struct lease **, int64_t delay_ms, bool attempted, const struct outcomes *,
	const struct attempt *, storage_done_fn *, void *arg);
void redis_put_aside(struct storage *, struct lease **, int64_t delay_ms, unsigned group, const struct outcomes *,
	storage_done_fn *, void *arg);
void redis_recall(struct storage *, unsigned group);
void redis_remove(struct storage *, struct lease **, storage_done_fn *, void *arg);
void redis_stop(struct storage *);
void redis_take(struct storage *, const char *id, storage_done_fn *, void *arg);

#endif
