/* tree.h - slimta.conf as a tree of nodes that know where they stand
 * SPDX-License-Identifier: MIT
 * YAML 1.1 as PyYAML reads it, plus !include and !env; anchors, aliases and merge keys are resolved. */
#ifndef SLIMTA_CONFIG_TREE_H
#define SLIMTA_CONFIG_TREE_H

#include <stdbool.h>
#include <stddef.h>

struct buffer;
struct config_source;

enum config_kind { CONFIG_NULL, CONFIG_SCALAR, CONFIG_LIST, CONFIG_MAP };

struct config_node {
	enum config_kind kind;
	bool quoted;			/* a scalar in quotes, a block or from !env: always text, never a bool */
	bool broken;			/* an error was reported here already: readers skip it and keep quiet */
	const char *text;		/* of a scalar, valid UTF-8 without NUL; kept by the config */
	const char *content;		/* of the file that it names, see content.h; NULL: not read; kept by the config */
	const char *file;		/* as named on the command line or by !include; kept by the config */
	const struct config_source *source;	/* the file again: its place in the order, its directory */
	unsigned line, column;		/* where the value begins, from 1 */
	unsigned key_line, key_column;	/* where its key begins, in a map; else as above */
	const char *key;		/* in a map: its key; in a list and at the root: NULL */
	struct config_node *parent;
	struct config_node **items;	/* of a list or map, in file order, merged keys after own keys */
	size_t count;
};

/* All that is wrong, gathered before anything is refused. */
struct config_error {
	char *file;
	unsigned file_index;		/* order in which files were read: the order of printing */
	unsigned line, column;		/* 0: of the file as a whole */
	bool warning;
	char *path;			/* "queue.outbound.relay", "edge.main.listeners[1].port" */
	char *text;			/* what was expected */
};
struct config_errors {
	struct config_error *items;
	size_t count;			/* errors and warnings */
	size_t error_count;		/* errors alone */
};
void config_errors_release(struct config_errors *);
/* At a node's key (or value where there is none). */
void config_error_at(struct config_errors *, const struct config_node *, const char *format, ...)
	__attribute__((format(printf, 3, 4)));
void config_warning_at(struct config_errors *, const struct config_node *, const char *format, ...)
	__attribute__((format(printf, 3, 4)));
void config_error_at_value(struct config_errors *, const struct config_node *, const char *format, ...)
	__attribute__((format(printf, 3, 4)));
/* Sorts in file order, drops what is said twice, and appends one `FILE:LINE:COL: PATH: TEXT` a line
 * ("warning: " before TEXT). */
void config_errors_print(struct config_errors *, struct buffer *out);
/* Appends `text` in double quotes, control characters escaped: how a value is shown in an error. */
void config_show(struct buffer *out, const char *text);

struct config;

/* Reads `path`; NULL: $HOME/.slimta/slimta.conf, else /etc/slimta/slimta.conf. `_file` twins of secrets are
 * read and replaced. NULL when it cannot be read as YAML at all; the reasons are in `errors` either way. */
struct config *config_read(const char *path, struct config_errors *errors);
/* The same from memory, as if it stood in `name` (tests, fuzzing). */
struct config *config_parse(const char *name, const void *data, size_t size, struct config_errors *errors);
/* The whole resolved tree with its positions, for the memfd of a generation, and back. */
void config_serialize(const struct config *, struct buffer *out);
/* For the children of one kind, "edge" or "worker": what the files of the other's sections hold is left out. With a text
 * that is theirs alone (NULL: none), see config_secret. */
void config_serialize_for(const struct config *, const char *program, const char *secret, struct buffer *out);
struct config *config_deserialize(const void *data, size_t size, struct config_errors *errors);
struct config *config_from_fd(int fd, struct config_errors *errors);
void config_free(struct config *);
/* What was given to config_serialize_for; NULL: nothing. Kept by the config. */
const char *config_secret(const struct config *);

const struct config_node *config_root(const struct config *);
/* Member `key` of a map; NULL if it is not there or `map` is no map. */
const struct config_node *config_get(const struct config_node *map, const char *key);
/* Section `name` of "edge", "queue" or "relay"; NULL if there is none. */
const struct config_node *config_section(const struct config *, const char *kind, const char *name);
/* "edge.main.max_size"; appended to `out`. */
void config_path(const struct config_node *, struct buffer *out);

#endif
