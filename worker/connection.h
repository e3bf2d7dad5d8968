/* connection.h - one SMTP connection to a next hop: looked up, connected, greeted, used again and again
 * SPDX-License-Identifier: MIT */
#ifndef SLIMTA_WORKER_CONNECTION_H
#define SLIMTA_WORKER_CONNECTION_H

#include "common/net/resolver.h"
#include "common/net/tls.h"
#include "common/smtp/client.h"
#include "worker/outgoing.h"

#define CONNECTION_ADDRESSES 10	/* of a host, that are tried; more are not */

/* What is known of a next hop from one connection to the next. All zero at first; who has it releases it. */
struct next_hop_memory {
	struct tls_session *session;
	int64_t clear_until_ms;		/* of clock_boot_ms(): TLS did not work there, but without it mail goes */
};
void next_hop_memory_release(struct next_hop_memory *);

/* Lent for the connection's life. */
struct connection_settings {
	struct event_base *base;
	struct resolver *resolver;
	const char *relay;		/* its name */
	const char *host;		/* a name, an address, or, with '/' in front, the path of a unix socket */
	unsigned port;
	int64_t connect_timeout_ms, idle_timeout_ms;
	struct smtp_client_settings client;

	const struct host_address *sources;	/* ours, to connect from; one a family at most */
	size_t source_count;
	bool ipv4_only;

	const struct tls_context *tls;	/* NULL: never. A certificate that it verifies has to be for `host` */
	bool tls_required;		/* nothing goes without TLS; implied where `tls` verifies */
	bool tls_immediately;		/* it begins with the connection */
	struct next_hop_memory *memory;	/* of those with these settings alone; NULL: nothing is remembered */
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

/* Tries the addresses of the host in turn, each by TLS as the settings say. Where TLS may be left out and fails, the same
 * address is tried once more in clear; if that will do, the host is spoken to in clear for 10 minutes. */
struct connection *connection_open(const struct connection_settings *, const struct connection_owner *, void *arg);
/* With what is under way: that is freed, nobody is told, but the log of what is in doubt. */
void connection_free(struct connection *);

bool connection_is_ready(const struct connection *);	/* for a message, now */
bool connection_was_ready(const struct connection *);	/* ever */
unsigned connection_deliveries(const struct connection *);	/* transactions so far */
int64_t connection_age_ms(const struct connection *);
int64_t connection_idle_ms(const struct connection *);	/* of one that is ready */
const char *connection_host(const struct connection *);	/* "mx.example.net[192.0.2.1]" */
const char *connection_tls(const struct connection *);	/* "TLSv1.3"; NULL: it is in clear */
unsigned connection_tried(const struct connection *);	/* addresses, so far */

/* Ready: takes the message, and ends it unless it gives it back by `returned`. */
void connection_send(struct connection *, struct outgoing *);
/* Ready or not begun: says QUIT and closes. */
void connection_quit(struct connection *);
/* Before the final dot: breaks off, the message counts as not attempted. Else it goes on. */
void connection_break_off(struct connection *);

#endif
