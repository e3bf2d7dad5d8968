/* control.h - the messages between the master and its children
 * SPDX-License-Identifier: MIT
 * A SOCK_SEQPACKET socket pair; descriptor 3 in the child. A message is a type, a JSON object and at most one
 * descriptor. The end of the socket means drain and exit. */
#ifndef SLIMTA_NET_CONTROL_H
#define SLIMTA_NET_CONTROL_H

#include <jansson.h>

struct event_base;
struct control;

#define CONTROL_VERSION 2
#define CONTROL_MAX_BYTES 131072	/* of one message */

enum control_type {
	CONTROL_START,		/* master: what you are, see child.h */
	CONTROL_HELLO,		/* child: {version} */
	CONTROL_READY,		/* child: serving */
	CONTROL_ADOPT,		/* master: {listeners: [index of CONTROL_START, ...]}: accept on these too */
	CONTROL_RETURN,		/* master: {listeners}: no longer */
	CONTROL_DRAIN,		/* master: {timeout_ms, successor, closing: [index, ...]}: finish what is in hand, begin
				 * nothing, exit 0; again: there is less time. `closing`: sockets no successor has */
	CONTROL_STATS,		/* either way: {} asks, an object answers */
	CONTROL_LOG,		/* master: reopen logs; the descriptor, if any, is the new fd 2 */
	CONTROL_EXTEND,		/* child, draining: {ms}: give me so much more time from now, see child_extend */
	CONTROL_TYPES
};

typedef void control_message_fn(void *arg, enum control_type, json_t *body, int fd);	/* fd is the receiver's */
typedef void control_closed_fn(void *arg);

/* The two ends, close-on-exec; ours[0] does not block, ours[1] does. 0, or -1 with errno. */
int control_pair(int ours[2]);
/* Takes the fd. Messages that cannot be sent at once wait (bounded; beyond: closed). The callbacks run from the
 * loop and may free the control; `closed` runs once, also for a peer that breaks the protocol. */
struct control *control_new(struct event_base *, int fd, control_message_fn *, control_closed_fn *, void *arg);
void control_free(struct control *);
void control_send(struct control *, enum control_type, json_t *body_taken, int fd_borrowed);

/* One message without a loop, before there is one: waits up to `timeout_ms`. 0, or -1 with errno (ETIMEDOUT;
 * EPIPE: the end; EPROTO: no message of ours). The caller owns *body and *passed (-1: none; NULL: not wanted). */
int control_receive(int fd, int timeout_ms, enum control_type *, json_t **body, int *passed);

#endif
