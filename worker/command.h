/* command.h - the command of a relay: what is run, as whom, for how long
 * SPDX-License-Identifier: MIT
 * Made from a relay's section when the configuration is read, and fixed from then on. */
#ifndef SLIMTA_WORKER_COMMAND_H
#define SLIMTA_WORKER_COMMAND_H

#include <sys/types.h>

#include "worker/macros.h"
#include "worker/relay.h"

/* Whom a command runs as. */
struct command_identity {
	uid_t uid;
	gid_t gid;
	gid_t *groups;		/* all of them, as initgroups would set them */
	size_t group_count;
	bool change;		/* false: as the spawner itself */
	char *name, *home;	/* NULL: not known */
};

/* Keys of the section; borrowed while the command lives. */
struct command_options {
	const struct strings *args;	/* templates: the program and its arguments */
	const char *args_key;		/* of the section: all of `args`, but the first `fixed` */
	size_t fixed;			/* the relay's own, of which a value is that of the option before it, whatever it
					 * begins with */
	bool without_recipient;		/* it runs once for several: {recipient} is an error */
	const struct option_pairs *env;
	const char *cwd;		/* NULL: "/" */
	const char *user, *group;	/* NULL: those of the worker */
	int64_t timeout_ms;
	unsigned concurrent;		/* at once, over all workers of a spawner; 0: one per CPU */
};

struct command {
	struct command_options options;
	struct template **templates;	/* one an argument */
	size_t count;
	struct command_identity identity;
	char **environment;		/* all of it, ends with NULL */
};

/* Errors are appended at the keys of `section`. */
void command_init(struct command *, const struct command_options *, const struct relay_setting *,
	const struct config_node *section, struct config_errors *);
void command_release(struct command *);		/* also of an all-zero one */

/* The arguments, ends with NULL; free with command_free_args. NULL with *why (owned): a value may not be passed,
 * because it holds a control character or would begin an argument with "-" in front of an argument "--" (not of
 * `fixed`). */
char **command_expand(const struct command *, const struct macros *, char **why);
void command_free_args(char **args);

#endif
