/* smtp_edge.h - an SMTP edge and its connections
 * SPDX-License-Identifier: MIT */
#ifndef SLIMTA_EDGE_SMTP_EDGE_H
#define SLIMTA_EDGE_SMTP_EDGE_H

#include <sys/queue.h>

#include "common/smtp/session.h"
#include "edge/edge.h"
#include "edge/rules.h"
#include "edge/smtp_tls.h"

struct smtp_connection;
TAILQ_HEAD(smtp_connections, smtp_connection);

struct smtp_edge {
	struct edge edge;
	/* its options */
	uint64_t max_size_bytes;
	unsigned max_recipients, max_errors, max_hops;
	int64_t command_timeout_ms, data_timeout_ms;
	unsigned bare_newline;
	struct strings disable_extensions;
	struct smtp_rules {
		char *banner;
		struct rules_options who;
	} rules;
	struct smtp_tls tls;
	/* made of them */
	struct session_settings settings;
	struct session_auth auth;
	char *banner;
	struct smtp_connections connections;
};

/* Serves the connection; the fd is taken. */
void smtp_connection_new(struct smtp_edge *, int fd, const struct peer *);
void smtp_connection_free(struct smtp_connection *);	/* without a word to the client */
/* See edge_driver.drain. */
void smtp_connection_drain(struct smtp_connection *, bool now);
void smtp_connection_hurry(struct smtp_connection *);	/* the settings have shorter time-outs now */
struct smtp_connection *smtp_connection_next(struct smtp_connection *);

#endif
