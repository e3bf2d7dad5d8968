/* lda.h - relays that give mail to a local delivery agent: what maildrop and dovecot have in common
 * SPDX-License-Identifier: MIT */
#ifndef SLIMTA_WORKER_LDA_H
#define SLIMTA_WORKER_LDA_H

#include "common/config/options.h"
#include "worker/piping.h"

/* First member of a driver's struct. */
struct lda {
	struct piping piping;
	char *path;
	int64_t timeout_ms;
	struct strings extra_args;
	char *user, *group;

	struct strings args;		/* path, what the driver has behind it, extra_args */
	struct pattern *pattern;
};

/* Rows of struct `s`, whose member `m` is a struct lda; ends with a comma. */
#define LDA_ROWS(s, m, program) \
	{ "path", TEXT_FIELD(s, m.path), program, 0, 0, "the program; without a slash it is searched for in $PATH" }, \
	{ "timeout", TIME_FIELD(s, m.timeout_ms), "300", 100, 86400000, \
		"time that it may take before its process group is ended" }, \
	{ "extra_args", TEXTS_FIELD(s, m.extra_args), NULL, 0, 0, \
		"further arguments; {sender}, {recipient} and other fields", .check = lda_check_list }, \
	{ "user", TEXT_FIELD(s, m.user), NULL, 0, 0, "whom it runs as; else the worker's user" }, \
	{ "group", TEXT_FIELD(s, m.group), NULL, 0, 0, "its group; else that of the user" },
void lda_check_list(const struct config_node *, void *field, struct config_errors *);

/* How a driver differs from another. */
struct lda_kind {
	const char *const *args;	/* templates behind the program, in front of extra_args; ends with NULL */
	const char *pattern;		/* what of the output is the text of a failure; NULL: all of it */
	bool once_a_message;		/* see struct piping */
};
/* A driver's `check`. */
void lda_init(struct lda *, const struct lda_kind *, const struct relay_setting *, const struct config_node *section,
	struct config_errors *);
void lda_close(struct relay *);

#endif
