/* peer.h - whom a connection is from
 * SPDX-License-Identifier: MIT */
#ifndef SLIMTA_EDGE_PEER_H
#define SLIMTA_EDGE_PEER_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/socket.h>

#include "common/net/hosts.h"

struct peer {
	struct host_address address;	/* an IPv4 client of an IPv6 socket as IPv4; family 0: not known, or no IP at all */
	unsigned port;			/* 0 = none */
	uint64_t held;			/* edge_limits_connect's */
	/* Lent, each connection pays for what is here: */
	const char *text;		/* "192.0.2.1", "2001:db8::1", "unix", "unknown" */
	const char *proxy;		/* who told that, by a PROXY header; NULL = nobody */
};

/* `text` is where the address may be written. */
void peer_of_socket(struct peer *, const struct sockaddr_storage *from, char text[HOST_ADDRESS_TEXT_SIZE]);
/* An IPv4 or IPv6 address, one of IPv4 within IPv6 as IPv4. These two leave `proxy` alone. */
void peer_of_address(struct peer *, const struct host_address *, unsigned port, char text[HOST_ADDRESS_TEXT_SIZE]);
void peer_unknown(struct peer *);
bool peer_is_loopback(const struct peer *);

#endif
