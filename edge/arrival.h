/* arrival.h - what comes between accept(2) and the first word of a session
 * SPDX-License-Identifier: MIT
 * The one place of its order: who is it (the PROXY header, where proxy_protocol is set), is there room for it (limits), then
 * the driver's `accepted`, which begins TLS where that comes at once, and greets. Where nothing of this is to be waited for,
 * it all happens within arrival_new. */
#ifndef SLIMTA_EDGE_ARRIVAL_H
#define SLIMTA_EDGE_ARRIVAL_H

#include <sys/socket.h>

struct edge;

/* A connection that edge->connections counts already. The fd, which does not block, is taken. */
void arrival_new(struct edge *, int fd, const struct sockaddr_storage *from);

#endif
