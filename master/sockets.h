/* sockets.h - the listening sockets of all edges, opened and kept by the master
 * SPDX-License-Identifier: MIT */
#ifndef SLIMTA_MASTER_SOCKETS_H
#define SLIMTA_MASTER_SOCKETS_H

#include <jansson.h>

#include "common/config/process.h"
#include "common/net/listener.h"

/* One address of one listener. */
struct listening {
	const char *edge;		/* section name, borrowed from the configuration */
	unsigned listener;		/* index in its listeners */
	bool shared;			/* a unix socket, or systemd's: one for all edges */
	char *unix_path;		/* ours to unlink at the end; NULL otherwise */
	int *fds;			/* one an edge process, or one */
	size_t fd_count;
};

struct sockets {
	struct listening *items;
	size_t count;
};

/* What systemd gave us, from LISTEN_PID, LISTEN_FDS and LISTEN_FDNAMES, which are cleared. */
struct given_sockets {
	struct given_socket {
		char *name;
		int fd;			/* -1: taken */
	} *items;
	size_t count;
};
void given_sockets_open(struct given_sockets *);
/* The next one called `name`, or the one at this address; -1: none. The fd is the caller's. */
int given_sockets_take_named(struct given_sockets *, const char *name);
int given_sockets_take_at(struct given_sockets *, const struct listener_address *);
void given_sockets_release(struct given_sockets *);	/* warns of those that nobody took */

/* Opens all listeners of all edges for `instances` processes, but for what systemd has given: sockets with the
 * name of an edge are its only listener's, the others are found by address. A unix socket's file is given to
 * `owner`. An address that is taken is tried again for up to 5 s. -1 with an owned text in *why. */
int sockets_open(struct sockets *, const struct config *, unsigned instances, const struct identity *owner,
	struct given_sockets *, char **why);
void sockets_release(struct sockets *);

/* For CONTROL_START of edge `instance`: the list of child_listener, and the fds in the same order (owned
 * array of borrowed fds). */
json_t *sockets_describe(const struct sockets *, unsigned instance, int **fds, size_t *count);

#endif
