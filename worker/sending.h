/* sending.h - a message that goes by SMTP, cut into what goes to one next hop each
 * SPDX-License-Identifier: MIT
 * A relay has one `sendings`. A message is read once, to know what is in it, and then cut by sending_add(), within
 * `examined` or later, until each open recipient is in one outgoing. As the last of these ends, its delivery is finished. */
#ifndef SLIMTA_WORKER_SENDING_H
#define SLIMTA_WORKER_SENDING_H

#include "worker/outgoing.h"

struct event_base;
struct pool;

typedef void sending_examined_fn(void *arg, struct sending *);
struct sendings {
	struct event_base *base;
	struct pool *disk;
	sending_examined_fn *examined;	/* to be cut now */
	void *arg;
	TAILQ_HEAD(, sending) all;
};
void sendings_init(struct sendings *, struct event_base *, struct pool *disk, sending_examined_fn *, void *arg);
/* Frees all that is under way, behind those who have the outgoings; nobody is told. */
void sendings_release(struct sendings *);

/* Has a recipient that is open. `examined` comes from the loop, or, where the message cannot be read, the end: 451 4.3.0
 * for all. */
struct sending *sending_new(struct sendings *, const struct relay_delivery *);
const struct envelope *sending_envelope(const struct sending *);
/* Whether it is open, and in no outgoing yet. */
bool sending_is_to_come(const struct sending *, size_t recipient);
/* Takes these recipients, which are to come; the array is copied. `owner` NULL: what is refused is finished. */
struct outgoing *sending_add(struct sending *, const size_t *recipients, size_t count, const struct outgoing_owner *,
	void *owner_arg);
/* All that are to come. */
struct outgoing *sending_add_all(struct sending *, const struct outgoing_owner *, void *owner_arg);

#endif
