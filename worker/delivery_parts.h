/* delivery_parts.h - what the files of delivery.c share; nobody else includes it
 * SPDX-License-Identifier: MIT */
#ifndef SLIMTA_WORKER_DELIVERY_PARTS_H
#define SLIMTA_WORKER_DELIVERY_PARTS_H

#include "worker/delivery.h"
#include "worker/notice.h"
#include "worker/progress.h"
#include "worker/verdict.h"

struct event;

enum delivery_step { STEP_FETCH, STEP_RELAY, STEP_RENEW, STEP_RECORD, STEP_NOTIFY, STEP_END };
enum relay_state { RELAY_TO_COME, RELAY_UNDER_WAY, RELAY_OVER };

struct delivery {
	struct delivery_context context;
	struct lease *lease;		/* NULL: the storage has it back */
	int64_t lease_ms, lease_since_ms;	/* clock_boot_ms() before it was asked for, or for its renewal */
	int64_t asked_ms;		/* for the renewal that is under way */
	bool lost;			/* another worker has the message, or may have it */
	uint32_t row;			/* in our `.now` file */
	bool past_the_dot;
	bool in_line;			/* the relay has not begun it yet, or has to begin anew */
	relay_resume_fn *resume;	/* the relay waits to be told; NULL: it does not */
	void *resume_arg;
	bool renewed;			/* the lease, for its sake */
	char id[ID_SIZE];
	enum delivery_step step;	/* the last that was begun */
	enum relay_state relay;
	bool draining, in_call;
	bool stopped, abandoned;	/* the process ends */
	bool tried;			/* the relay was given it ... */
	int64_t attempt_ms;		/* ... then, by the wall clock */
	bool put_off;			/* what is owed is left to the next owner */
	struct envelope *envelope;	/* NULL: not fetched */
	struct message_state state;	/* `done` has all that is known, recorded or not */
	struct outcomes renewing;	/* what the storage is told while the relay goes on */
	struct attempt attempt;		/* borrowed of the first recipient that has to wait, or failed */
	struct reply full_line;		/* that in which it would have had to wait */
	struct progress *progress;	/* one a recipient */
	size_t left;			/* recipients that the relay has not settled */
	bool *left_out;			/* those whose destination was suspended when it was fetched; NULL: none */
	size_t left_out_count;
	bool unrecorded;		/* state.done has results that are not in the storage yet */
	struct notice_settings notices;
	struct notice *notice;		/* being written */
	struct event *pause, *renewal;
	int64_t pause_ms;
	int64_t delay_ms;		/* until it is tried again */
	delivery_ended_fn *ended;
	void *arg;
};

/* delivery.c. Does what is next, now; may be called at any time. */
void delivery_next(struct delivery *);
size_t delivery_count_open(const struct delivery *);	/* recipients that have no end yet */
void delivery_end(struct delivery *);		/* runs `ended`, frees it */
void delivery_release(struct delivery *);	/* frees it */

/* delivery_lease.c */
void delivery_lease_begin(struct delivery *);	/* under a new lease */
void delivery_lease_ask(struct delivery *);	/* a renewal is asked for ... */
void delivery_lease_answer(struct delivery *, const struct reply *why);	/* ... and was answered; may call the relay */
bool delivery_lease_is_lost(const struct reply *why);
enum relay_go delivery_commit(void *delivery, relay_resume_fn *, void *resume_arg);

/* delivery_record.c: what the storage is told. */
void delivery_renew(struct delivery *);		/* all that is known is recorded, the lease goes on */
void delivery_record_end(struct delivery *);	/* removes the message or gives it back, for which the lease is got again */
/* As it came, untried. */
void delivery_give_back(struct delivery *, int64_t delay_ms);
/* Repeats the step after a pause; gives up where that makes no sense. */
void delivery_step_failed(struct delivery *, const struct reply *why);
void delivery_log_failed(const struct delivery *, const char *event, const struct reply *why);

/* delivery_suspended.c. Who is suspended now is not given to the relay; true if somebody was added to `done`. */
bool delivery_leave_out(struct delivery *, const struct verdict *);
struct aside {
	int64_t delay_ms;
	unsigned group;
};
/* Whether it waits for the end of suspensions, and for nothing else. */
bool delivery_is_suspended(const struct delivery *, struct aside *);

/* delivery_notify.c: writes the first notification that is owed. */
void delivery_notify(struct delivery *);

#endif
