/* dial.h - a connection to a host by its name, or to a unix socket: all addresses in turn
 * SPDX-License-Identifier: MIT */
#ifndef SLIMTA_NET_DIAL_H
#define SLIMTA_NET_DIAL_H

#include <stdint.h>

struct dial;
struct event_base;
struct resolver;

/* `fd` is the receiver's, and does not block; -1: `error`, borrowed, says why not ("192.0.2.1: Connection refused"). */
typedef void dial_done_fn(void *arg, int fd, const char *error);

/* `host` is a name or an address literal, or, with a '/' in front, the path of a unix socket. The time is that of each
 * address. `resolver` may be NULL: then /etc/hosts is not read, and names are not found. Calls back once, from the loop,
 * never inside this call; the dial is gone then. */
struct dial *dial_start(struct event_base *, struct resolver *, const char *host, unsigned port, int64_t timeout_ms,
	dial_done_fn *, void *arg);
/* "WHAT at HOST:PORT", "WHAT at [2001:db8::1]:PORT", "WHAT at /PATH"; owned. */
char *dial_name(const char *what, const char *host, unsigned port);
void dial_cancel(struct dial *);	/* does not call back; NULL is fine */

#endif
