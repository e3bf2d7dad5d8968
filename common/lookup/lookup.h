/* lookup.h - what a map, a database or the like knows of an address or a user
 * SPDX-License-Identifier: MIT
 * A section as lookup_senders: {type: config, ...} in slimta.conf. A new type is one file that exports a const struct
 * lookup_driver, and a row in drivers.h and lookup.c; nobody else calls a driver. */
#ifndef SLIMTA_LOOKUP_LOOKUP_H
#define SLIMTA_LOOKUP_LOOKUP_H

#include "common/config/options.h"
#include "common/message/reply.h"

struct event_base;
struct lookup;
struct lookup_query;

/* What is looked for: any UTF-8. */
struct lookup_key {
	const char *address;		/* an address, or a user's name */
	const char *authzid;		/* the user on whose behalf; NULL = none */
};
#define LOOKUP_KEY_MAX 1024		/* octets; what is longer, or has control characters, nobody knows */

struct lookup_field {
	char *name, *value;
};
struct lookup_fields {
	const char *key;		/* the entry's, however it was asked for; NULL: not known */
	struct lookup_field *items;
	size_t count;
};
/* NULL: there is none of that name. */
const char *lookup_field(const struct lookup_fields *, const char *name);

/* Runs once. `fields`, borrowed, of what was found; NULL with `why` NULL: not found; NULL with `why`: it could not be
 * found out (451 4.3.0, already logged), which is no answer. */
typedef void lookup_found_fn(void *arg, const struct lookup_fields *fields, const struct reply *why);

/* NULL with errors. The section lives as long as the lookup. */
struct lookup *lookup_load(const struct config_node *section, struct config_errors *);
/* Before the first query. */
void lookup_open(struct lookup *, struct event_base *);
void lookup_free(struct lookup *);	/* no query may be under way; NULL is fine */

/* The key is copied. Calls back from the loop, never inside this call; the query is gone then. */
struct lookup_query *lookup_find(struct lookup *, const struct lookup_key *, lookup_found_fn *, void *arg);
void lookup_cancel(struct lookup_query *);	/* does not call back; NULL is fine */
/* One name for all keys that find the same, were there anything: with the template {localpart} ann of any domain. Owned. */
char *lookup_name(const struct lookup *, const struct lookup_key *);

/* Calls `each` with all entries that slimta.conf itself has (type config), in file order: the node of the entry, and that
 * of its `field`, NULL where it has none. For checks of what must be in them. */
void lookup_each(const struct lookup *, const char *field, void (*each)(void *arg, const struct config_node *entry,
	const struct config_node *value), void *arg);
/* Whether all entries are there for lookup_each. */
bool lookup_is_listed(const struct lookup *);
/* Without an authzid nothing is found. */
bool lookup_wants_authzid(const struct lookup *);
/* There may be what is found by the authzid alone, whatever the address. */
bool lookup_ignores_address(const struct lookup *);

void lookup_list_options(struct buffer *out);	/* rows as `lookup.TYPE` */

/* ---- for drivers */

/* A query as drivers get it. Domains are A-labels in lower case, as far as they are domains; so that of `address`. */
struct lookup_words {
	const char *address, *localpart;
	const char *domain;		/* NULL: the address has none */
	const char *authzid;		/* NULL: none */
};

struct lookup_driver {
	const char *type;
	size_t size;			/* of its own struct, which begins with struct lookup */
	const struct option *options;	/* its keys but `type`; fills its own struct; ends with {0} */
	/* Completes and checks the options. 0, or -1 with errors at nodes of the section. */
	int (*load)(struct lookup *, const struct config_node *section, struct config_errors *);
	void (*open)(struct lookup *, struct event_base *);	/* optional */
	void (*close)(struct lookup *);				/* also of what was not loaded or opened */
	/* One of the two. `get`: at once; fields that stay until `close`, or NULL. `start`: lookup_settle, once, later. */
	const struct lookup_fields *(*get)(struct lookup *, const struct lookup_words *);
	void (*start)(struct lookup *, const struct lookup_words *, struct lookup_query *);
	void (*cancel)(struct lookup *, struct lookup_query *);	/* with start */
	char *(*name)(const struct lookup *, const struct lookup_words *);	/* optional: see lookup_name; else the address */
	/* Optional: see lookup_each. */
	void (*each)(const struct lookup *, const char *field, void (*each)(void *arg, const struct config_node *entry,
		const struct config_node *value), void *arg);
	bool (*wants_authzid)(const struct lookup *);		/* optional, as the next: where it may be so */
	bool (*ignores_address)(const struct lookup *);
};

struct lookup {
	const struct lookup_driver *driver;
	struct event_base *base;
};

/* From the loop, for a query given to `start`. What went wrong is logged here, and is a 451 4.3.0 to the asker. */
void lookup_settle(struct lookup_query *, const struct lookup_fields *, const char *error);

#endif
