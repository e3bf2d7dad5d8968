/* connection.h - one SMTP connection to a next hop: looked up, connected, greeted, used again and again
 * SPDX-License-Identifier: MIT */
#ifndef SLIMTA_WORKER_CONNECTION_H
#define SLIMTA_WORKER_CONNECTION_H

#include "common/net/resolver.h"
#include "common/smtp/client.h"
#include "worker/outgoing.h"

/* Lent for the connection's life. */
struct connection_settings {
	struct event_base *base;
	struct resolver *resolver;
	const char *relay;		/* its name */
	const char *host;
	unsigned port;
	int64_t connect_timeout_ms, idle_timeout_ms;
	struct smtp_client_settings client;
};

struct connection;

/* All of them from the loop, never inside a call of connection_. */
struct connection_owner {
	/* It can take a message: for the first time, or again. */
	void (*ready)(void *arg, struct connection *);
	/* It went away under this message, which is the owner's again: it may go over another one at once. `why`
	 * is what to say of it if it may not. */
	void (*returned)(void *arg, struct connection *, struct outgoing *, const struct reply *why);
	/* It is gone, to be freed. `why` none, unless it never was ready: then what no address would do. */
	void (*closed)(void *arg, struct connection *, const struct reply *why);
};

/* Tries all addresses of the host in turn. */
struct connection *connection_open(const struct connection_settings *, const struct connection_owner *, void *arg);
/* With what is under way: that is freed, nobody is told, but the log of what is in doubt. */
void connection_free(struct connection *);

bool connection_is_ready(const struct connection *);	/* for a message, now */
bool connection_was_ready(const struct connection *);	/* ever */
unsigned connection_deliveries(const struct connection *);	/* transactions so far */
int64_t connection_age_ms(const struct connection *);
int64_t connection_idle_ms(const struct connection *);	/* of one that is ready */
const char *connection_host(const struct connection *);	/* "mx.example.net[192.0.2.1]" */

/* Ready: takes the message, and ends it unless it gives it back by `returned`. */
void connection_send(struct connection *, struct outgoing *);
/* Ready or not begun: says QUIT and closes. */
void connection_quit(struct connection *);
/* Before the final dot: breaks off, the message counts as not attempted. Else it goes on. */
void connection_break_off(struct connection *);

#endif
