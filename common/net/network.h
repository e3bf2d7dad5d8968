/* network.h - lists of networks, as slimta.conf has them: 192.0.2.0/24, 2001:db8::/32, single addresses
 * SPDX-License-Identifier: MIT
 * A v4 address in v6 form (::ffff:192.0.2.1) is that v4 address, in lists and in what is looked for. */
#ifndef SLIMTA_NET_NETWORK_H
#define SLIMTA_NET_NETWORK_H

#include "common/config/options.h"
#include "common/net/hosts.h"

struct network {
	unsigned char octets[16];	/* v4 in v6 form */
	unsigned bits;			/* of those, from the first on */
};

/* All-zero is valid and empty. */
struct networks {
	struct network *items;
	size_t count;
};

/* ADDRESS or ADDRESS/BITS, bits behind the prefix all zero. False with *why, owned: what was expected. */
bool network_parse(struct network *, const char *text, char **why);

/* For the `check` of an OPTION_TEXTS row: an error at each text that is no network. */
void networks_check(const struct config_node *, void *field, struct config_errors *);
/* Of texts that were checked so. */
void networks_init(struct networks *, const struct strings *);
void networks_release(struct networks *);

/* Whether one of them has the address. What is no address ("unix", "unknown", NULL; of another family) is in none. */
bool networks_have(const struct networks *, const char *ip);
bool networks_have_address(const struct networks *, const struct host_address *);
/* Whether one is so wide that strangers are in it: less than a /8 of v4, or a /16 of v6 that is not fc00::/7 or
 * fe80::/10. */
bool networks_have_strangers(const struct networks *);

#endif
