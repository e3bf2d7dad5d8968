/* server.h - slimta-edge at work: queues opened, listeners served, drained
 * SPDX-License-Identifier: MIT */
#ifndef SLIMTA_EDGE_SERVER_H
#define SLIMTA_EDGE_SERVER_H

#include "common/net/child.h"

struct client_names;
struct server;
struct turns;

/* After child_begin: loads edges and queues of the configuration. NULL: errors are on stderr. */
struct server *server_new(struct child *);
void server_free(struct server *);
/* Opens the queues, then accepts and tells the master. Sets the child's callbacks. */
void server_start(struct server *);
bool server_failed(const struct server *);	/* a queue can never be served; it was logged */

/* Whether there is room for one more connection beside the files that accepted ones will need. */
bool server_has_room(const struct server *);
/* See client_name.h. NULL where there is no room for descriptors by which to ask. */
struct client_names *server_client_names(const struct server *);
/* The thread that hashes passwords, started by the first call; NULL: it could not be (logged). */
struct turns *server_hash_turns(struct server *);
/* A connection or a submission ended: a drained server may be done. */
void server_settle(struct server *);

#endif
