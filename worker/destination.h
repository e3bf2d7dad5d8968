/* destination.h - a next hop: its connections, and the line of messages that wait for one
 * SPDX-License-Identifier: MIT */
#ifndef SLIMTA_WORKER_DESTINATION_H
#define SLIMTA_WORKER_DESTINATION_H

#include "worker/connection.h"
#include "worker/slots.h"

struct destination;

struct destination_settings {
	struct connection_settings connection;
	struct slots *slots;		/* lent, as all of this */
};

struct destination *destination_new(const struct destination_settings *);
/* Drops all that is under way; nobody is told. NULL is fine. */
void destination_free(struct destination *);

/* Takes it; settles, refuses or finishes it from the loop, never inside this call. */
void destination_send(struct destination *, struct outgoing *);
/* What waits is not attempted. What is under way has `bound_ms`; then it is broken off, where its final dot was not sent. */
void destination_drain(struct destination *, int64_t bound_ms);

#endif
