/* connector.h - a connection being made, by TCP or to a unix socket, on the loop
 * SPDX-License-Identifier: MIT */
#ifndef SLIMTA_NET_CONNECTOR_H
#define SLIMTA_NET_CONNECTOR_H

#include <stdint.h>
#include <sys/socket.h>

struct event_base;
struct connector;

/* `fd` is the receiver's, does not block, and sends small packets at once; -1: `error` says why not. */
typedef void connector_done_fn(void *arg, int fd, int error);

/* `from`: our own address, of the same family, its port 0; NULL: whichever the system takes. Calls back once, from the
 * loop, never inside this call; the connector is gone then. */
struct connector *connector_start(struct event_base *, const struct sockaddr *, socklen_t, const struct sockaddr *from,
	int64_t timeout_ms, connector_done_fn *, void *arg);
void connector_cancel(struct connector *);	/* does not call back; NULL is fine */

#endif
