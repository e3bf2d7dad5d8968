/* one_host.h - a relay that gives all messages to one next hop: what static and lmtp share
 * SPDX-License-Identifier: MIT */
#ifndef SLIMTA_WORKER_ONE_HOST_H
#define SLIMTA_WORKER_ONE_HOST_H

#include "worker/relay_drivers.h"
#include "worker/sending.h"
#include "worker/smtp_options.h"

struct destinations;
struct resolver;

/* What the drivers' structs begin with; the rows fill it. */
struct one_host {
	struct relay relay;
	struct smtp_options smtp;
	char *host;		/* name or address */
	unsigned port;
	char *path;		/* of a Unix socket, in place of both; NULL: none */

	struct resolver *resolver;
	struct destinations *destinations;
	struct sendings sendings;
};

/* The functions of struct relay_driver. */
void one_host_check(struct relay *, const struct config_node *section, const struct relay_setting *, struct config_errors *);
int one_host_open(struct relay *);
void one_host_deliver(struct relay *, const struct relay_delivery *);
void one_host_drain(struct relay *, int64_t bound_ms);
void one_host_close(struct relay *);

#endif
