/* accept.h - takes connections from the listening sockets
 * SPDX-License-Identifier: MIT */
#ifndef SLIMTA_EDGE_ACCEPT_H
#define SLIMTA_EDGE_ACCEPT_H

#include "edge/edge.h"

struct acceptors;

struct acceptors *acceptors_new(struct server *);
/* Accepts on it from acceptors_start on if it is our own, else while acceptors_adopt says so. Its fd is closed, and
 * set to -1, by acceptors_close. */
void acceptors_add(struct acceptors *, struct edge *, struct child_listener *);
void acceptors_start(struct acceptors *);
/* A socket of a sibling that is down: ours too, or no longer. */
void acceptors_adopt(struct acceptors *, const struct child_listener *, bool on);
/* Closes all sockets, our own and the siblings'. What still waits to be accepted is refused first, but for sockets that
 * are `kept`. */
void acceptors_close(struct acceptors *);
void acceptors_free(struct acceptors *);

#endif
