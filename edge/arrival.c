/* arrival.c - what comes between accept(2) and the first word of a session
 * SPDX-License-Identifier: MIT */
#include "edge/arrival.h"

#include "edge/edge.h"
#include "edge/peer.h"

/* The connection is known to be from `peer`. */
static void admit(struct edge *edge, int fd, const struct peer *peer)
{
	edge->driver->accepted(edge, fd, peer);
}

void arrival_new(struct edge *edge, int fd, const struct sockaddr_storage *from)
{
	struct peer peer;

	peer_of_socket(&peer, from);
	admit(edge, fd, &peer);
}
