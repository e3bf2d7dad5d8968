/* rules.h - who may send, and to whom: the sender and recipient rules of an edge
 * SPDX-License-Identifier: MIT
 * Of each kind one decides: lookup_ wins over only_, that over regex_. What none of them forbids is accepted. */
#ifndef SLIMTA_EDGE_RULES_H
#define SLIMTA_EDGE_RULES_H

#include "common/config/options.h"
#include "common/message/reply.h"

struct event_base;

struct rules_options {
	struct strings only_senders, only_recipients, regex_senders, regex_recipients;
	const struct config_node *lookup_senders, *lookup_recipients, *lookup_credentials;
};

/* Their rows, for the `rules` of a kind of edge, whose struct `s` has them as member `m`. */
#define RULES_ROWS(s, m) \
	{ "only_senders", TEXTS_FIELD(s, m.only_senders), NULL, 0, 0, \
		"addresses that may send, '' for the null sender: 550 5.7.1 to others", .check = rules_check_senders }, \
	{ "only_recipients", TEXTS_FIELD(s, m.only_recipients), NULL, 0, 0, \
		"addresses that may be sent to: 550 5.7.1 to others", .check = rules_check_recipients }, \
	{ "regex_senders", TEXTS_FIELD(s, m.regex_senders), NULL, 0, 0, \
		"regular expressions, of which one matches the start of a sender: else 550 5.7.1", \
		.check = rules_check_patterns }, \
	{ "regex_recipients", TEXTS_FIELD(s, m.regex_recipients), NULL, 0, 0, \
		"regular expressions, of which one matches the start of a recipient: else 550 5.7.1", \
		.check = rules_check_patterns }, \
	{ "lookup_senders", NODE_FIELD(s, m.lookup_senders), NULL, 0, 0, \
		"a look-up that knows the sender: else 550 5.7.1", .check = rules_check_lookup }, \
	{ "lookup_recipients", NODE_FIELD(s, m.lookup_recipients), NULL, 0, 0, \
		"a look-up that knows the recipient: else 550 5.7.1", .check = rules_check_lookup }, \
	{ "lookup_credentials", NODE_FIELD(s, m.lookup_credentials), NULL, 0, 0, \
		"a look-up of users, with the field password: turns on AUTH, and a sender needs it", \
		.check = rules_check_lookup }

void rules_check_senders(const struct config_node *, void *field, struct config_errors *);
void rules_check_recipients(const struct config_node *, void *field, struct config_errors *);
void rules_check_patterns(const struct config_node *, void *field, struct config_errors *);
void rules_check_lookup(const struct config_node *, void *field, struct config_errors *);

struct rules;
/* Of options that were checked; `section` is that of the rules, NULL = none. Both live as long as the rules. */
struct rules *rules_load(const struct rules_options *, const struct config_node *section);
void rules_open(struct rules *, struct event_base *);		/* before the first question */
void rules_free(struct rules *);	/* no query may be under way; NULL is fine */

bool rules_have_credentials(const struct rules *);	/* lookup_credentials is given */
/* There is a recipient rule that a made-up address does not pass. */
bool rules_limit_recipients(const struct rules *);
/* Only who has authenticated can send, or, where there is no sender rule, is trusted; also as the null sender, which a
 * recipient rule lets in. */
bool rules_want_user(const struct rules *);
bool rules_have_senders(const struct rules *);		/* a sender rule */
bool rules_have_recipients(const struct rules *);	/* a recipient rule */

struct rules_client {
	const char *session, *ip;	/* for the log */
	const char *user;		/* that has authenticated; NULL = none */
	bool trusted;			/* in trusted_clients */
};

struct rules_verdict {
	struct reply why;		/* none accepts; else 550 5.7.1, or 451 4.3.0 where it could not be found out */
	const char *rule, *reason;	/* which key refused it, and why, for the log */
};
typedef void rules_done_fn(void *arg, const struct rules_verdict *);

/* NULL: decided at once, by *verdict, whose `why` the caller releases. Else `done` will run, once, from the loop, and the
 * query is gone then. The arguments are not needed after the call. The null sender passes where there is a recipient
 * rule, and is a sender like any other where there is none. */
struct rules_query *rules_sender(struct rules *, const struct rules_client *, const char *sender,
	struct rules_verdict *verdict, rules_done_fn *done, void *arg);
/* The same of a recipient. <Postmaster> always passes (RFC 5321 4.5.1). */
struct rules_query *rules_recipient(struct rules *, const struct rules_client *, const char *recipient,
	struct rules_verdict *verdict, rules_done_fn *done, void *arg);
void rules_cancel(struct rules_query *);	/* does not call back; NULL is fine */

#endif
