/* listener.h - listening sockets: their options, and opening them
 * SPDX-License-Identifier: MIT */
#ifndef SLIMTA_NET_LISTENER_H
#define SLIMTA_NET_LISTENER_H

#include "common/config/options.h"

enum listener_type { LISTENER_TCP, LISTENER_TCP4, LISTENER_TCP6, LISTENER_UNIX };

struct listener_options {
	unsigned type;		/* a `path` without type means unix */
	char *interface;	/* address or host name; "" and "*": all, v4 and v6 */
	unsigned port;
	char *path;		/* of a unix socket */
	char *mode_text;	/* of its file, in octal digits: 0660 */
	unsigned mode;		/* the same as a number */
	unsigned backlog;
};
extern const struct option listener_rows[];

/* The listeners of an edge from its `listener` or `listeners` key (both: an error; neither: one, on the default
 * port of its type). Array owned by the caller, also where errors were added. 0, or -1 with errors. */
int listeners_load(const struct config_node *edge, unsigned default_port, struct listener_options **items, size_t *count,
	struct config_errors *);
void listeners_free(struct listener_options *items, size_t count);
/* The port of an edge's type where it says none: 8025 for http, else 25. */
unsigned listener_default_port(const struct config_node *edge);
/* "127.0.0.1:25", "[::1]:25", "unix:/run/x" as logs and errors name it; owned. */
char *listener_describe(const struct listener_options *);

/* One listener may be several addresses (tcp on all interfaces: one v4 and one v6 socket). */
struct listener_address {
	unsigned char sockaddr[128];
	unsigned size;
	int family;
};
/* Resolves at start, blocking (getaddrinfo AI_PASSIVE; numeric or local names). -1 with a text in *why (owned). */
int listener_addresses(const struct listener_options *, struct listener_address **, size_t *count, char **why);

/* Bound once with SO_REUSEADDR and without SO_REUSEPORT, to find out whether somebody else listens there: 0, or
 * -1 with errno (EADDRINUSE). */
int listener_probe(const struct listener_options *, const struct listener_address *);
/* A listening, non-blocking, close-on-exec socket: SO_REUSEADDR, SO_REUSEPORT if `shared_port`, IPV6_V6ONLY,
 * TCP_NODELAY (inherited by what it accepts). A unix socket replaces a stale file, never a live one. -1, errno. */
int listener_socket(const struct listener_options *, const struct listener_address *, bool shared_port);
/* The same in two steps: nothing comes to it before the second. */
int listener_bind(const struct listener_options *, const struct listener_address *, bool shared_port);
int listener_listen(int fd, unsigned backlog);	/* again: another backlog */

#endif
