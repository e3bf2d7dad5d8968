/* authentication.h - whether clients of an edge are who they say: the look-up of users, their passwords, failures
 * SPDX-License-Identifier: MIT
 * What a client gives is compared in a thread (`hash`), for users that nobody knows too, and at the same cost. Failures are
 * answered late, and counted by client. */
#ifndef SLIMTA_EDGE_AUTHENTICATION_H
#define SLIMTA_EDGE_AUTHENTICATION_H

#include <stdbool.h>

#include "common/config/options.h"
#include "common/message/reply.h"
#include "common/smtp/sasl_server.h"

struct edge;
struct peer;

struct authentication {
	/* options */
	bool without_tls;
	unsigned authzid;
	unsigned max_failures;
	struct authenticator *made;	/* by authentication_load; NULL: there are no credentials */
};
extern const struct option authentication_rows[];
/* The check of the row rules.passlib_config, which is an error. */
void authentication_refuse_passlib(const struct config_node *, void *field, struct config_errors *);

/* With rules.lookup_credentials in the edge's `section`, whose forms were checked as far as look-ups go. 0, or -1 with errors. */
int authentication_load(struct edge *, const struct config_node *section, bool has_tls, struct config_errors *);
void authentication_open(struct edge *);	/* before the first question */
void authentication_free(struct edge *);	/* no inquiry is left, nor a thread that works for one */
/* SCRAM-SHA-256 is right for all users: else who chooses it because it is the best would be refused in vain. */
bool authentication_allows_scram(const struct edge *);

/* What one client on one connection has asked. NULL at first, and again when it is over. */
struct inquiry;
/* As session_authenticated() has it, once; maybe within inquiry_ask. `user`, borrowed, where it is known who it is: one name
 * for all by which he may call himself. */
typedef void inquiry_done_fn(void *arg, const struct reply *why, const struct sasl_answer *, const char *user);
/* `session` is for the log, and lent as long as the inquiry, as are edge and peer. */
void inquiry_ask(struct inquiry **, struct edge *, const struct peer *, const char *session, const struct sasl_question *,
	inquiry_done_fn *done, void *arg);
void inquiry_hurry(struct inquiry *);		/* refusals wait no longer; NULL is fine, as it is to free */
void inquiry_free(struct inquiry **);		/* does not call back */

#endif
