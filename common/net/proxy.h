/* proxy.h - the PROXY header, versions 1 and 2, by which a proxy tells whose connection it passes on
 * SPDX-License-Identifier: MIT
 * As haproxy's doc/proxy-protocol.txt has it. No I/O, no state. */
#ifndef SLIMTA_NET_PROXY_H
#define SLIMTA_NET_PROXY_H

#include "common/net/hosts.h"

enum proxy_of {
	PROXY_OF_CLIENT,	/* `client` has its address */
	PROXY_OF_UNKNOWN,	/* of somebody, of whom the proxy has no IP address to tell */
	PROXY_OF_ITSELF,	/* LOCAL: the proxy's own, such as a check whether we live */
};

struct proxy_header {
	enum proxy_of of;
	struct host_address client;
	unsigned port;			/* the client's */
};

#define PROXY_HEADER_MAX 1040	/* octets; one of version 1 has at most 107 */

/* Reads the header that `data` begins with: its size, behind which the client's own octets stand. 0: it is not whole, and
 * all of `data` is part of it. -1: it is none, or none that we take; *why says it (a constant text) as soon as it is
 * known. */
int proxy_header_read(const void *data, size_t size, struct proxy_header *, const char **why);

#endif
