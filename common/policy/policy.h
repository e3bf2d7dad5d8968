/* policy.h - what a queue does to messages on their way in
 * SPDX-License-Identifier: MIT
 * policies: [{type: add_received_header}, ...] run in order on entry to the queue, bounces included. A policy
 * edits the envelope, or replaces it by several copies; each output passes the policies behind it. */
#ifndef SLIMTA_POLICY_POLICY_H
#define SLIMTA_POLICY_POLICY_H

#include "common/config/options.h"
#include "common/config/process.h"
#include "common/message/envelope.h"
#include "common/message/reply.h"

struct event_base;

/* Owned list of messages. */
struct envelopes {
	struct envelope **items;
	size_t count;
};
void envelopes_add(struct envelopes *, struct envelope **taken);
void envelopes_release(struct envelopes *);

struct policy;
/* Runs exactly once. NULL `why` is success, as with storages; else nothing of the messages may be stored. */
typedef void policy_done_fn(void *arg, const struct reply *why);

struct policy_driver {
	const char *type;
	const char *alias;		/* another name for the type; NULL = none */
	size_t size;			/* of the driver's own struct, which begins with struct policy */
	const struct option *options;	/* its keys but `type`; fills the driver's struct; ends with {0} */
	/* Optional: completes and checks the options once they are filled. 0, or -1 with errors at `node`. */
	int (*load)(struct policy *, const struct config_node *node, struct config_errors *);
	/* Edits `in`, or takes it (sets *in NULL) and adds what replaces it to `out`. Exactly one of `apply`
	 * (returns at once; -1 with `why`) and `start` (asynchronous: `in` and `out` stay where they are until
	 * `done`, which runs from the loop) is set. */
	int (*apply)(struct policy *, struct envelope **in, struct envelopes *out, struct reply *why);
	void (*start)(struct policy *, struct envelope **in, struct envelopes *out, policy_done_fn *done, void *arg);
	int (*open)(struct policy *, struct event_base *);	/* optional; -1 with errno */
	void (*close)(struct policy *);				/* optional; also of what was never opened */
};

struct policy {
	const struct policy_driver *driver;
	const struct process_options *process;	/* borrowed: the names for templates */
};

extern const struct policy_driver *const policy_drivers[];	/* ends with NULL */

/* The `policies` list of a queue. `list` NULL: none. NULL with errors. */
struct policy_chain;
struct policy_chain *policy_chain_load(const struct config_node *list, const struct process_options *,
	struct config_errors *);
int policy_chain_open(struct policy_chain *, struct event_base *);	/* 0, or -1 with errno */
void policy_chain_free(struct policy_chain *);		/* no run may be under way; NULL is fine */
/* Runs the chain over one message: *envelope is taken, the outputs are added to `out` (nothing if it fails).
 * `done` runs from the loop or, when every policy is immediate, before this returns (the caller is queue.c
 * alone, and knows). */
void policy_chain_run(struct policy_chain *, struct envelope **envelope, struct envelopes *out,
	policy_done_fn *done, void *arg);
void policy_list_options(struct buffer *out);	/* rows as `policy.TYPE` */

#endif
