/* myself.h - the names and addresses by which this host is known to others
 * SPDX-License-Identifier: MIT */
#ifndef SLIMTA_WORKER_MYSELF_H
#define SLIMTA_WORKER_MYSELF_H

#include "common/base/text.h"
#include "common/net/hosts.h"

struct myself {
	struct strings names;		/* as idn_to_ascii() gives them */
	struct host_address *addresses;	/* of the interfaces; loopback is not among them */
	size_t count;
	int64_t read_at_ms;		/* 0: not yet */
};

/* All-zero is valid. A name that is none is left out. */
void myself_add_name(struct myself *, const char *name);
void myself_release(struct myself *);

/* One of the names, or localhost. */
bool myself_is_name(const struct myself *, const char *name);
/* One of this machine's addresses: they are read again once a minute. Loopback counts where `port` is that of SMTP between
 * servers: what listens there is this host's own server; at another port it may be anything. */
bool myself_is_address(struct myself *, const struct host_address *, unsigned port);

#endif
