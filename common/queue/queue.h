/* queue.h - a queue of slimta.conf: its options, its policies and its storage
 * SPDX-License-Identifier: MIT
 * The only caller of storage drivers. Messages enter by queue_submit, whoever made them. */
#ifndef SLIMTA_QUEUE_QUEUE_H
#define SLIMTA_QUEUE_QUEUE_H

#include "common/policy/policy.h"
#include "common/queue/storage.h"

struct queue_options {
	char *relay;			/* NULL: none here (process.worker.instances is 0) */
	const struct config_node *policies;
	unsigned max_messages;		/* 0: any number */
	uint64_t min_free_bytes;	/* default: twice the largest max_size of the edges that feed it */
	struct queue_retry {
		char *delay;		/* an expression, see retry.h; default 300 */
		unsigned maximum;	/* attempts after the first; UINT_MAX: any number */
		int64_t maximum_age_ms;	/* 0: none, as the next one */
		int64_t notify_delay_ms;
	} retry;
	char *bounce_queue;		/* NULL: this one */
	char *double_bounce;		/* NULL: none */
	uint64_t bounce_size_limit;
	unsigned max_strikes;
};
extern const struct option queue_rows[];

struct queue;

/* Checks the section (options, driver's options, policies) without opening anything. */
int queue_check(const struct config *, const char *name, const struct process_options *, struct config_errors *);
/* What is allowed and hardly meant; queue_check says it too. */
void queue_warn(const struct config *, const char *name, struct config_errors *);
void queue_list_options(struct buffer *out);

/* Loads the section and prepares its storage; nothing is opened. NULL with errors. */
struct queue *queue_load(const struct config *, const char *name, const struct storage_context *, struct config_errors *);
/* Opens the storage: see storage_driver.open. */
void queue_open(struct queue *, storage_done_fn *done, void *arg);
void queue_free(struct queue *);	/* closes; NULL is fine */

const char *queue_name(const struct queue *);
const struct queue_options *queue_options(const struct queue *);

/* How long a message waits of which so many attempts were made, the one that has just failed included. */
int64_t queue_retry_delay_ms(const struct queue *, unsigned attempts);

/* At MAIL: 0, or -1 with 451 (storage away) or 452 (full). */
int queue_accepts(struct queue *, uint64_t size, struct reply *why);
const char *queue_spool_dir(struct queue *);	/* borrowed; NULL = no wish */

/* Runs the policies and stores what comes out, all or nothing. Takes the envelope. `done` runs once from the
 * loop: success means durable, and every copy visible. A storage whose outcome is not known is asked again for
 * up to 60 s, then the message is taken back and the answer is 451. */
void queue_submit(struct queue *, struct envelope **envelope, storage_done_fn *done, void *arg);
size_t queue_pending(const struct queue *);	/* submissions under way */

/* The rest of the contract, for workers and operators: see storage.h. */
void queue_claim(struct queue *, size_t max, uint64_t max_bytes, int64_t lease_ms, storage_claimed_fn *, void *arg);
void queue_claim_id(struct queue *, const char *id, int64_t lease_ms, storage_claimed_fn *, storage_done_fn *refused,
	void *arg);
void queue_get(struct queue *, struct lease *, storage_message_fn *, void *arg);
void queue_peek(struct queue *, const char *id, bool content, storage_peeked_fn *, void *arg);
void queue_renew(struct queue *, struct lease *, const struct outcomes *, storage_done_fn *, void *arg);
void queue_defer(struct queue *, struct lease **, int64_t delay_ms, bool attempted, const struct outcomes *,
	const struct attempt *, storage_done_fn *, void *arg);
void queue_put_aside(struct queue *, struct lease **, int64_t delay_ms, unsigned group, const struct outcomes *,
	storage_done_fn *, void *arg);
void queue_recall(struct queue *, unsigned group);
void queue_remove(struct queue *, struct lease **, storage_done_fn *, void *arg);
void queue_discard(struct queue *, const char *const ids[], size_t count, storage_done_fn *, void *arg);
void queue_stop(struct queue *);
bool queue_drain(struct queue *, bool successor, storage_done_fn *, void *arg);	/* false: it has nothing to hand over */
void queue_list(struct queue *, const struct list_filter *, const char *cursor, size_t max, storage_list_fn *, void *arg);
void queue_info(struct queue *, storage_info_fn *, void *arg);
/* 502 5.3.3 where the storage does not have it. */
void queue_mark(struct queue *, const char *id, enum mark, const char *reason, storage_done_fn *, void *arg);
void queue_take(struct queue *, const char *id, storage_done_fn *, void *arg);
void queue_set(struct queue *, const char *key, const char *value, int64_t expiry_ms, storage_done_fn *, void *arg);
void queue_settings(struct queue *, storage_settings_fn *, void *arg);

#endif
