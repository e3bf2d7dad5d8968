/* options.h - an option is one row: parser, range, default, help and test of the manual
 * SPDX-License-Identifier: MIT
 * A row names the field of the struct it fills; a wrong C type does not compile:
 *     { "max_recipients", UINT_FIELD(smtp_options, max_recipients), "1000", 1, 50000,
 *       "recipients of a transaction; 452 4.5.3 beyond" }, */
#ifndef SLIMTA_CONFIG_OPTIONS_H
#define SLIMTA_CONFIG_OPTIONS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/base/text.h"
#include "common/config/tree.h"

enum option_type {
	OPTION_END = 0,
	OPTION_BOOL,		/* bool: yes no true false on off */
	OPTION_UINT,		/* unsigned */
	OPTION_SIZE,		/* uint64_t, octets: 10K 5M 1G (powers of 1024) */
	OPTION_TIME,		/* int64_t, milliseconds: 300 (seconds) 1.5 10s 5m 2h 1d */
	OPTION_TEXT,		/* char *, owned */
	OPTION_PATH,		/* char *, owned, absolute: relative to its file, ~ and $VAR expanded */
	OPTION_CHOICE,		/* unsigned: index into choices[] */
	OPTION_TEXTS,		/* struct strings: a list, or one scalar */
	OPTION_QUEUE,		/* char *: a name under queue: */
	OPTION_RELAY,		/* char *: a name under relay: */
	OPTION_SECTION,		/* the embedded struct, by rows */
	OPTION_SECTIONS,	/* struct option_list of structs, by rows; one map is a list of one */
	OPTION_PAIRS,		/* struct option_pairs: NAME -> scalar, in file order */
	OPTION_NODE,		/* const struct config_node *, borrowed from the config; read by `check`'s owner */
	OPTION_IGNORED,		/* no field: known from elsewhere, `text` is the warning, or `check` says more; not listed */
};

struct option_list {
	void *items;
	size_t count;
};
struct option_pairs {
	char **keys, **values;
	size_t count;
};

struct option {
	const char *name;
	enum option_type type;
	size_t offset;
	const char *fallback;	/* the default, written as in the file; NULL: none (0, NULL, empty) */
	long long min, max;	/* UINT, SIZE, TIME (in ms); both 0: any */
	const char *text;	/* one line for --list-options and the manual */
	/* the rest by name: .required = true */
	bool required;
	bool any_of_zero;	/* 0 is allowed below `min` and means none */
	const char *alias;	/* another name for the same key; both given: an error */
	const char *const *choices;			/* CHOICE: ends with NULL */
	const struct option *rows;			/* SECTION, SECTIONS */
	size_t item_size;				/* SECTIONS */
	/* optional: a further check of the value in place; appends its own errors at `node` */
	void (*check)(const struct config_node *node, void *field, struct config_errors *errors);
};

#define OPTION_FIELD(s, m, T) \
	offsetof(struct s, m) + 0 * sizeof(char[__builtin_types_compatible_p(T, __typeof__(((struct s *)0)->m)) ? 1 : -1])
#define BOOL_FIELD(s, m) OPTION_BOOL, OPTION_FIELD(s, m, bool)
#define UINT_FIELD(s, m) OPTION_UINT, OPTION_FIELD(s, m, unsigned)
#define SIZE_FIELD(s, m) OPTION_SIZE, OPTION_FIELD(s, m, uint64_t)
#define TIME_FIELD(s, m) OPTION_TIME, OPTION_FIELD(s, m, int64_t)
#define TEXT_FIELD(s, m) OPTION_TEXT, OPTION_FIELD(s, m, char *)
#define PATH_FIELD(s, m) OPTION_PATH, OPTION_FIELD(s, m, char *)
#define CHOICE_FIELD(s, m) OPTION_CHOICE, OPTION_FIELD(s, m, unsigned)
#define TEXTS_FIELD(s, m) OPTION_TEXTS, OPTION_FIELD(s, m, struct strings)
#define QUEUE_FIELD(s, m) OPTION_QUEUE, OPTION_FIELD(s, m, char *)
#define RELAY_FIELD(s, m) OPTION_RELAY, OPTION_FIELD(s, m, char *)
#define SECTION_FIELD(s, m) OPTION_SECTION, offsetof(struct s, m)
#define SECTIONS_FIELD(s, m) OPTION_SECTIONS, OPTION_FIELD(s, m, struct option_list)
#define PAIRS_FIELD(s, m) OPTION_PAIRS, OPTION_FIELD(s, m, struct option_pairs)
#define NODE_FIELD(s, m) OPTION_NODE, OPTION_FIELD(s, m, const struct config_node *)

/* Rows and the struct they fill; a section may be filled by several sets (those common to all queues and
 * those of its driver). */
struct option_set {
	const struct option *rows;
	void *into;
};

/* Fills the structs from `map` (NULL: defaults only): defaults, types, ranges, unknown keys with the nearest
 * known one, required keys. `kind` names the table of keys that are not built yet: "process", "edge.smtp",
 * "queue.disk", "relay.pipe". All errors are appended; fields stay releasable whatever happened.
 * 0, or -1 if it added an error. `ignore`: keys somebody else reads (such as "type"), ends with NULL. */
int options_load(const char *kind, const struct config_node *map, const struct option_set *sets, size_t set_count,
	const char *const *ignore, struct config_errors *errors);
void options_release(const struct option *rows, void *from);

/* One line a row: KIND<TAB>KEY<TAB>TYPE<TAB>DEFAULT<TAB>TEXT; sub-sections as KEY.SUBKEY. */
void options_list(const char *kind, const struct option *rows, struct buffer *out);

/* True, and an error at `node`, if the contract knows `name` of `kind` (a key; or, as "type=mx", a type) and
 * this slimta does not have it yet. The table is common/config/unbuilt.c; empty and gone one day. */
bool option_is_unbuilt(const char *kind, const char *name, const struct config_node *node,
	struct config_errors *errors);

/* The typed readers, for owners of OPTION_NODE values: 0, or -1 with an error at the node. */
int option_read_uint(const struct config_node *, unsigned min, unsigned max, unsigned *out, struct config_errors *);
int option_read_size(const struct config_node *, uint64_t *out, struct config_errors *);
int option_read_time(const struct config_node *, int64_t *out_ms, struct config_errors *);
int option_read_bool(const struct config_node *, bool *out, struct config_errors *);
/* `text` relative to the node's file, ~ and $VAR expanded; owned. NULL with an error. */
char *option_expand_path(const struct config_node *, const char *text, struct config_errors *);

#endif
