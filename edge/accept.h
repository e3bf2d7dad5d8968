/* accept.h - takes connections from the listening sockets
 * SPDX-License-Identifier: MIT */
#ifndef SLIMTA_EDGE_ACCEPT_H
#define SLIMTA_EDGE_ACCEPT_H

#include "edge/edge.h"

struct acceptors;

struct acceptors *acceptors_new(struct server *);
/* The socket at *fd is closed, and *fd set to -1, by acceptors_close. */
void acceptors_add(struct acceptors *, struct edge *, int *fd);
void acceptors_start(struct acceptors *);
/* What still waits to be accepted is told so; then the sockets are closed. */
void acceptors_close(struct acceptors *);
void acceptors_free(struct acceptors *);

#endif
