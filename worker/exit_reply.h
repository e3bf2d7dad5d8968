/* exit_reply.h - what the end of a command means as a reply
 * SPDX-License-Identifier: MIT */
#ifndef SLIMTA_WORKER_EXIT_REPLY_H
#define SLIMTA_WORKER_EXIT_REPLY_H

#include "common/message/reply.h"
#include "worker/spawn_client.h"

struct pattern;

/* A PCRE2 pattern over octets; NULL with *why (owned). */
struct pattern *pattern_compile(const char *text, char **why);
void pattern_free(struct pattern *);		/* NULL is fine */

/* How one kind of command tells of a failure; what is transient by exit status, signal or time-out is so for all. */
struct exit_rules {
	const struct pattern *pattern;	/* picks the text out of the output; NULL: all of it */
	bool by_status;			/* any other exit status is permanent; else what the text begins with decides */
};

/* Not for SPAWN_CANCELLED. */
void exit_reply(struct reply *, const struct spawn_result *, const struct exit_rules *);

#endif
