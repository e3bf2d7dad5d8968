/* destination.h - one next hop: its connections, and the line of messages that wait for one
 * SPDX-License-Identifier: MIT
 * For destinations.c. */
#ifndef SLIMTA_WORKER_DESTINATION_H
#define SLIMTA_WORKER_DESTINATION_H

#include "worker/connection.h"
#include "worker/slots.h"

struct destination;

/* Lent, as all of this. */
struct destination_settings {
	struct connection_settings connection;	/* whose host and port are each one's own */
	const struct tls_context *strict_tls;	/* for REQUIRETLS; NULL: there is no TLS */
	struct slots_table *slots;
	unsigned concurrent_connections;
};

/* From the loop. It has neither connections nor a line, until destination_send(). */
struct destination_owner {
	void (*rests)(void *arg, struct destination *);
	void (*over)(void *arg, struct destination *);	/* nor is anything remembered: to be freed */
};

/* `host` is copied. `requiretls`: for messages that ask for it. */
struct destination *destination_new(const struct destination_settings *, const char *host, unsigned port, bool requiretls,
	const struct destination_owner *, void *arg);
/* Drops all that is under way; nobody is told. NULL is fine. */
void destination_free(struct destination *);

void destination_send(struct destination *, struct outgoing *);
void destination_drain(struct destination *);		/* begins nothing more */
void destination_break_off(struct destination *);	/* what has not sent its final dot */

#endif
