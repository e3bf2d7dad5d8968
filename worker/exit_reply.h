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

/* Not for SPAWN_CANCELLED. `pattern` picks the text of a failure out of the output; NULL: there is none. */
void exit_reply(struct reply *, const struct spawn_result *, const struct pattern *);

#endif
