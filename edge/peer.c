/* peer.c - whom a connection is from
 * SPDX-License-Identifier: MIT */
#include "edge/peer.h"

#include <arpa/inet.h>
#include <string.h>

static void set_nowhere(struct peer *peer, const char *text)
{
	memset(peer, 0, sizeof(*peer));
	peer->text = text;
}

void peer_of_address(struct peer *peer, const struct host_address *address, unsigned port,
	char text[HOST_ADDRESS_TEXT_SIZE])
{
	const struct in6_addr *v6 = &address->v6.sin6_addr;

	peer->held = 0;
	if (address->any.sa_family == AF_INET)
		host_address_v4(&peer->address, &address->v4.sin_addr);
	else if (IN6_IS_ADDR_V4MAPPED(v6))
		host_address_v4(&peer->address, &v6->s6_addr[12]);
	else
		host_address_v6(&peer->address, v6);
	peer->port = port;
	peer->text = host_address_text(&peer->address, text);
}

void peer_of_socket(struct peer *peer, const struct sockaddr_storage *from, char text[HOST_ADDRESS_TEXT_SIZE])
{
	const struct host_address *address = (const struct host_address *)from;

	peer->proxy = NULL;
	if (from->ss_family == AF_INET)
		peer_of_address(peer, address, ntohs(address->v4.sin_port), text);
	else if (from->ss_family == AF_INET6)
		peer_of_address(peer, address, ntohs(address->v6.sin6_port), text);
	else
		set_nowhere(peer, "unix");
}

void peer_unknown(struct peer *peer)
{
	set_nowhere(peer, "unknown");
}

bool peer_is_loopback(const struct peer *peer)
{
	switch (peer->address.any.sa_family) {
	case AF_INET:
		return ntohl(peer->address.v4.sin_addr.s_addr) >> 24 == IN_LOOPBACKNET;
	case AF_INET6:
		return IN6_IS_ADDR_LOOPBACK(&peer->address.v6.sin6_addr);
	}
	return false;
}
