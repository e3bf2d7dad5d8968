/* values.h - the readers behind option rows, one a type
 * SPDX-License-Identifier: MIT */
#ifndef SLIMTA_CONFIG_VALUES_H
#define SLIMTA_CONFIG_VALUES_H

#include "common/config/options.h"

struct buffer;

/* "yes or no", "a number from 1 to 50000", "one of tcp, unix": what `row` expects, for errors. */
void option_describe(const struct option *row, struct buffer *out);
/* "bool", "uint", "tcp|unix": for lists of options. */
void option_type_name(const struct option *row, struct buffer *out);

/* An error at the value: expected WHAT, not VALUE. */
void option_expected(const struct config_node *, const char *what, struct config_errors *);

/* Key `name` of a map is required and not there. */
void option_missing(const struct config_node *map, const char *name, const char *what, struct config_errors *);

/* Fills a field of any type but SECTION and SECTIONS. 0, or -1 with an error. The field holds nothing yet. */
int option_read_value(const struct option *row, const struct config_node *, void *field, struct config_errors *);
/* ` (did you mean "NAME"?)`, or nothing if none is near. */
void option_suggest(struct buffer *out, const char *name, const char *const *names, size_t count);

/* An error unless `node` names a section of the `kind` ("queue" or "relay") of its tree. */
bool option_check_reference(const struct config_node *, const char *kind, struct config_errors *);

/* Unbuilt names of `kind`, for suggestions: calls back with each. */
void option_each_unbuilt(const char *kind, void (*each)(const char *name, void *arg), void *arg);

#endif
