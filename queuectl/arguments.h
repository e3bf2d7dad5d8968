/* arguments.h - the command line: a command, its options, ids
 * SPDX-License-Identifier: MIT */
#ifndef SLIMTA_QUEUECTL_ARGUMENTS_H
#define SLIMTA_QUEUECTL_ARGUMENTS_H

#include "common/queue/storage.h"

struct operator;

enum sort_key { SORT_NONE, SORT_AGE, SORT_DUE, SORT_SIZE, SORT_ATTEMPTS };

struct arguments {
	const struct command *command;
	const char *config_path;	/* NULL: where config_read looks */
	const char *queue;		/* NULL: all */
	bool json, message;
	char **ids;
	size_t id_count;
	struct list_filter filter;	/* but for its id */
	bool filtered;			/* by anything of it */
	bool all, dry_run, yes, force;
	bool help, version;		/* nothing else is wanted */
	const char *reason;		/* NULL: none */
	int64_t for_ms;			/* 0: for good */
	size_t limit;			/* 0: none */
	size_t top;			/* destinations; 0: none */
	enum sort_key sort;
	bool reverse;
};

/* Groups of options that a command takes. */
enum option_group {
	TAKES_ANYWHERE = 0,		/* --config, --json */
	TAKES_QUEUE = 1, TAKES_FILTER = 2, TAKES_SORT = 4, TAKES_MESSAGE = 8, TAKES_ACTION = 16, TAKES_REASON = 32,
	TAKES_TIME = 64, TAKES_DOMAINS = 128,	/* in place of ids */
	TAKES_TOP = 256
};

struct command {
	const char *name;
	void (*run)(struct operator *, const struct arguments *);
	unsigned takes;			/* option_group */
	size_t min_ids, max_ids;
	bool changes;			/* what is stored, and leaves a line in the log */
	bool without_queues;		/* it has something to say where no queue can be opened */
	bool of_master;			/* for the master alone, also where the configuration is wrong */
};

/* 0; or EXIT_USAGE, and what was wrong is said. `argv` (without the program's name) keeps the ids. */
int arguments_parse(char **argv, struct arguments *);

/* "90", "90s", "15m", "1h30m", "3d": milliseconds above 0; -1: it is none. */
int64_t parse_age(const char *text);

#endif
