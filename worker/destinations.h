/* destinations.h - the next hops of one relay: for each its connections, and the line of messages that wait for one
 * SPDX-License-Identifier: MIT
 * A next hop is a host and a port, or a path; those of messages that ask for REQUIRETLS (RFC 8689) are next hops of their
 * own. One is there while it has connections, a line, or something to remember: that it could not be used, or a
 * session of TLS. */
#ifndef SLIMTA_WORKER_DESTINATIONS_H
#define SLIMTA_WORKER_DESTINATIONS_H

#include "worker/outgoing.h"

struct destinations;
struct resolver;
struct smtp_options;

/* All is lent for its life; the relay's name and context say whose they are. NULL (logged): fatal at start. */
struct destinations *destinations_new(const struct relay *, const struct smtp_options *, struct resolver *);
/* Drops all that is under way; nobody is told. NULL is fine. */
void destinations_free(struct destinations *);

/* Takes a message, examined, with its owner; `host` is a name, an address, or, with '/' in front, the path of a unix
 * socket. Settles and finishes it or gives it back by owner->refused, from the loop, never inside this call. */
void destinations_send(struct destinations *, const char *host, unsigned port, struct outgoing *);
/* What waits, and what comes now, is not attempted. What is under way has `bound_ms`; then it is broken off, where its
 * final dot was not sent. Once more: with another bound. */
void destinations_drain(struct destinations *, int64_t bound_ms);

#endif
