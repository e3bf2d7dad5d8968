/* forced.h - the key force_mx: domains whose mail goes where the configuration says
 * SPDX-License-Identifier: MIT */
#ifndef SLIMTA_WORKER_FORCED_H
#define SLIMTA_WORKER_FORCED_H

#include "common/config/options.h"

struct forced {
	char *domain;		/* in the form of route_domain() */
	char *host;		/* name or address; or, where `is_domain`, the domain whose hosts take it */
	unsigned port;		/* 0: that of the relay */
	bool is_domain;
};

struct forced_table {
	struct forced *items;
	size_t count;
};

/* For the row, of OPTION_PAIRS: each value is HOST, HOST:PORT or @DOMAIN, each domain is there once. */
void forced_check(const struct config_node *, void *field, struct config_errors *);
/* Of pairs that have passed it. */
void forced_table_init(struct forced_table *, const struct option_pairs *);
void forced_table_release(struct forced_table *);
const struct forced *forced_find(const struct forced_table *, const char *domain);	/* NULL: none */

#endif
