/* client_name.h - the name of a client, by its address: asked for beside the session, which waits for it shortly
 * SPDX-License-Identifier: MIT */
#ifndef SLIMTA_EDGE_CLIENT_NAME_H
#define SLIMTA_EDGE_CLIENT_NAME_H

#include <stdbool.h>

#include "edge/peer.h"

struct child;
struct client_names;
struct client_name;

#define CLIENT_NAMES_ASKED 200		/* at a time, in a process; further clients have no name */
#define CLIENT_NAMES_DESCRIPTORS 280	/* open for that, at most */
#define CLIENT_NAME_MS 5000		/* after so long it has none */
#define CLIENT_NAME_WAIT_MS 1000	/* so long after it came, a client's first command of a transaction may wait */

/* For all edges of a process. Costs nothing until a name is asked for. */
struct client_names *client_names_new(struct child *);
void client_names_free(struct client_names *);		/* after all that were asked for; NULL is fine */

/* Asks for the name of the client of a session (for the log). NULL, which is fine below, where that has no sense: no address,
 * loopback, too many are asked for, no resolver, `names` NULL. */
struct client_name *client_name_new(struct client_names *, const struct peer *, const char *session);
void client_name_free(struct client_name *);
/* NULL: none, or none that is known yet. */
const char *client_name_text(const struct client_name *);

typedef void client_name_fn(void *arg);
/* Whether waiting has sense: then it calls back once, from the loop, as soon as it has none any more. Once at a time. */
bool client_name_await(struct client_name *, client_name_fn *, void *arg);

#endif
