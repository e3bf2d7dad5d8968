/* socket_at.c - where a socket is bound, compared with the address of a listener
 * SPDX-License-Identifier: MIT */
#include <netinet/in.h>
#include <string.h>
#include <sys/socket.h>

#include "master/sockets.h"

union address {
	struct sockaddr any;
	struct sockaddr_in v4;
	struct sockaddr_in6 v6;
	unsigned char octets[sizeof(((struct listener_address *)0)->sockaddr)];
};

/* False if they are of different families, or one cannot be had. */
static bool load(int fd, const struct listener_address *address, union address *ours, union address *wanted)
{
	socklen_t size = sizeof *ours;

	memset(ours, 0, sizeof *ours);
	memcpy(wanted, address->sockaddr, sizeof wanted->octets);
	return getsockname(fd, &ours->any, &size) == 0 && ours->any.sa_family == address->family;
}

bool socket_has_port(int fd, const struct listener_address *address)
{
	union address ours, wanted;

	if (!load(fd, address, &ours, &wanted))
		return false;
	if (address->family == AF_INET)
		return ours.v4.sin_port == wanted.v4.sin_port;
	return address->family == AF_INET6 && ours.v6.sin6_port == wanted.v6.sin6_port;
}

/* By what they mean: flow and scope ids and padding left aside. */
bool socket_is_at(int fd, const struct listener_address *address)
{
	union address ours, wanted;

	if (!load(fd, address, &ours, &wanted))
		return false;
	if (address->family == AF_INET)
		return ours.v4.sin_port == wanted.v4.sin_port &&
			ours.v4.sin_addr.s_addr == wanted.v4.sin_addr.s_addr;
	if (address->family == AF_INET6)
		return ours.v6.sin6_port == wanted.v6.sin6_port &&
			memcmp(&ours.v6.sin6_addr, &wanted.v6.sin6_addr, sizeof ours.v6.sin6_addr) == 0;
	return memcmp(ours.octets, wanted.octets, sizeof ours.octets) == 0;
}
