/* channel.h - packets with descriptors over a SOCK_SEQPACKET socket, on the loop
 * SPDX-License-Identifier: MIT */
#ifndef SLIMTA_WORKER_CHANNEL_H
#define SLIMTA_WORKER_CHANNEL_H

#include <stdbool.h>
#include <stddef.h>

struct event_base;
struct channel;

#define CHANNEL_FDS 2
#define CHANNEL_PACKET_MAX 49152
#define CHANNEL_WAITING_MAX 4194304	/* octets that wait for a slow peer; beyond, the channel is closed */

/* `fds` are the channel's and closed afterwards, but for those set to -1. Where we had no room for all that came, there
 * are CHANNEL_FDS, of which the missing are -1. */
typedef void channel_packet_fn(void *arg, const void *data, size_t size, int *fds, unsigned fd_count);
typedef void channel_closed_fn(void *arg);	/* once; the channel stays until channel_free */
typedef void channel_flushed_fn(void *arg);	/* nothing waits any more */

struct channel_events {
	channel_packet_fn *packet;
	channel_closed_fn *closed;
	channel_flushed_fn *flushed;	/* optional */
	void *arg;
};

/* Takes the fd. Callbacks run from the loop and may free the channel. */
struct channel *channel_new(struct event_base *, int fd, const struct channel_events *);
void channel_free(struct channel *);		/* NULL is fine */
/* Sends now or, in order, when there is room. Descriptors are borrowed. Never fails: a channel that cannot go on
 * is closed from the loop. */
void channel_send(struct channel *, const void *data, size_t size, const int *fds, unsigned fd_count);
bool channel_is_waiting(const struct channel *);	/* what was sent last has not left yet */

#endif
