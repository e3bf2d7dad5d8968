/* sockets.h - the listening sockets of all edges, opened and kept by the master
 * SPDX-License-Identifier: MIT */
#ifndef SLIMTA_MASTER_SOCKETS_H
#define SLIMTA_MASTER_SOCKETS_H

#include <jansson.h>

#include "common/config/process.h"
#include "common/net/listener.h"

/* One address of one listener. */
struct listening {
	unsigned id;			/* the same in each generation that has these sockets */
	const char *edge;		/* section name, borrowed from the configuration */
	unsigned listener;		/* index in its listeners */
	char *name;			/* as errors say it: 127.0.0.1:25 */
	bool shared;			/* a unix socket, or systemd's: one for all edges */
	char *given_name;		/* systemd's name of it; NULL: we opened it */
	char *unix_path;		/* ours to unlink at the end; NULL otherwise */
	unsigned mode, backlog;
	int *fds;			/* one an edge process, or one; and those of edges that there once were */
	size_t fd_count;
	size_t listening_count;		/* the first of them; the others are only bound */
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

/* Whether a socket is bound to this address; or to its TCP port, on any address of its family. */
bool socket_is_at(int fd, const struct listener_address *);
bool socket_has_port(int fd, const struct listener_address *);

/* Binds all listeners of all edges for `instances` processes, but for what systemd has given or what `before` (NULL:
 * none) has: sockets with the name of an edge are its only listener's, the others are found by address. What `before`
 * has is shared with it, all of it, also where there are fewer processes now. A unix socket's file is given to `owner`.
 * Without `before` an address that is taken is tried again for up to 5 s. -1 with an owned text in *why. */
int sockets_open(struct sockets *, const struct config *, unsigned instances, const struct identity *owner,
	struct given_sockets *, const struct sockets *before, char **why);
/* Listens on those that are only bound, with the backlog and mode that are wanted on all. -1 with an owned text. */
int sockets_listen(struct sockets *, char **why);
/* Closes our copies. Files of unix sockets that `heir` (NULL: nobody) has stay. */
void sockets_release(struct sockets *, const struct sockets *heir);

size_t sockets_count(const struct sockets *);	/* of descriptors */
/* In the order of CONTROL_START: the indices of those that `heir` has not, a list. */
json_t *sockets_not_in(const struct sockets *, const struct sockets *heir);

#endif
