/* open_relay.h - whether an edge passes on mail of anybody to anybody
 * SPDX-License-Identifier: MIT */
#ifndef SLIMTA_EDGE_OPEN_RELAY_H
#define SLIMTA_EDGE_OPEN_RELAY_H

#include "common/config/options.h"

struct edge;

/* Keys of every edge. */
struct trust_options {
	struct strings trusted_clients;		/* networks */
	bool open_relay;			/* it is meant to be one */
};
extern const struct option trust_rows[];

/* A warning at the section if the edge listens beyond loopback (unix sockets are local; with proxy_protocol no listener is),
 * takes any recipient from anybody, and its queue relays by mx or static; and where trusted_clients means nothing. An edge
 * is closed by a recipient rule that is not for everybody; by AUTH, if all senders need it and trusted_clients are not
 * strangers; by client certificates of named authorities, if TLS is required. Sender rules close nothing: anybody can write any
 * sender. */
void open_relay_check(const struct edge *, const struct config_node *section, struct config_errors *);

/* What a listener of the edge is called that others than this host reach, or any of them; owned, NULL: none. */
char *listener_beyond(const struct config_node *section, bool any);

#endif
