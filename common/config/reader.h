/* reader.h - one YAML file, or octets, into nodes
 * SPDX-License-Identifier: MIT */
#ifndef SLIMTA_CONFIG_READER_H
#define SLIMTA_CONFIG_READER_H

#include <sys/types.h>

#include "common/config/node.h"

struct buffer;

/* The files being read, innermost first: where they form a cycle it is refused. */
struct reading {
	const struct reading *includer;
	dev_t device;
	ino_t inode;
};

/* Reads octets that stand in `source` as one document. The root takes the place of `at` in its parent, if not
 * NULL, and is `depth` deep. NULL when it is no YAML, or grows beyond the bounds, with the error; values that
 * are wrong are `broken`, and reading goes on. */
struct config_node *config_read_yaml(struct config *, struct config_errors *, const struct config_source *,
	const struct reading *, const struct config_node *at, unsigned depth, const void *data, size_t size);

/* The value of `!include TEXT`, where the scalar `node` holds TEXT: the root of that file, or `node`, broken. */
struct config_node *config_include(struct config *, struct config_errors *, const struct reading *,
	unsigned depth, struct config_node *node);
/* Replaces the name of a variable that the scalar `node` holds by what it stands for. */
void config_read_env(struct config *, struct config_errors *, struct config_node *node);

/* Appends what a file holds, at most `max` octets; anything but a regular file only where `any_kind`.
 * `identity`, if not NULL, learns which file it is. 0, or -1 with errno. */
int config_read_file(const char *path, size_t max, bool any_kind, struct buffer *out, struct reading *identity);

/* Merges what `<<` names into `map`, behind its own keys. */
void config_merge(struct config_errors *, struct config_node *map, struct config_node *const *merges,
	size_t count);

#endif
