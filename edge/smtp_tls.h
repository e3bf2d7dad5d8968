/* smtp_tls.h - TLS of an SMTP edge: its settings, and how its connections begin with it
 * SPDX-License-Identifier: MIT */
#ifndef SLIMTA_EDGE_SMTP_TLS_H
#define SLIMTA_EDGE_SMTP_TLS_H

#include "common/net/stream.h"
#include "common/net/tls.h"

struct session;

struct smtp_tls {
	/* options */
	struct tls_settings settings;
	bool immediately, required;
	/* made of them by smtp_tls_open */
	struct tls_tickets *tickets;
	struct tls_context *context;	/* NULL: no TLS is spoken */
};

/* What rows cannot say of an edge's `section`; errors are appended. */
void smtp_tls_check(const struct smtp_tls *, const struct strings *disable_extensions, const struct config_node *section,
	struct config_errors *);
void smtp_tls_open(struct smtp_tls *, const struct tls_secret *, const char *edge);
void smtp_tls_close(struct smtp_tls *);		/* behind its last connection */

/* The session wants TLS, and all that it said before is sent: `up` comes when the handshake is over, or the stream closes.
 * It has the time of a command, but no more than SMTP_HANDSHAKE_MS. */
#define SMTP_HANDSHAKE_MS 60000
void smtp_tls_start(const struct smtp_tls *, struct stream *, const struct session *, tls_up_fn *up, void *arg);
/* Within `up`: tells the session, and the log. */
void smtp_tls_started(const struct stream *, struct session *);
/* Within `closed`, before the session is told: what TLS had to do with it goes to the log. False: nothing. */
bool smtp_tls_lost(const struct stream *, const struct session *, int error);

#endif
