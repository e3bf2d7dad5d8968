/* outgoing.h - a message on its way to a next hop by SMTP
 * SPDX-License-Identifier: MIT */
#ifndef SLIMTA_WORKER_OUTGOING_H
#define SLIMTA_WORKER_OUTGOING_H

#include <sys/queue.h>

#include "common/smtp/client.h"
#include "common/message/mail_source.h"
#include "worker/relay.h"

struct outgoing {
	TAILQ_ENTRY(outgoing) link;	/* its owner's */
	struct relay_delivery delivery;
	size_t *open;			/* recipients that are not settled */
	size_t count;
	struct mail_source *source;
	uint64_t size;
	bool eight_bit, utf8_header;	/* what is in it, once it was examined */
	bool again;			/* a connection was lost under it: it goes over a new one, and once */
	void (*examined)(void *arg, struct outgoing *);
	void *arg;
	struct event *wake;
};
TAILQ_HEAD(outgoing_list, outgoing);

/* `examined` comes from the loop, never inside this call; errno is 0, or why the message could not be read. */
struct outgoing *outgoing_new(struct event_base *, struct pool *disk, const struct relay_delivery *,
	void (*examined)(void *arg, struct outgoing *), void *arg);
/* All open ones get this reply (none: not attempted), `finished` runs, and it is freed. */
void outgoing_finish(struct outgoing *, const struct reply *, const char *host);
void outgoing_settle(struct outgoing *, size_t recipient, const struct reply *, const char *host);
/* A warning for each open recipient: it may have been delivered. */
void outgoing_log_in_doubt(const struct outgoing *, const char *relay, const char *host, const char *reason);
void outgoing_free(struct outgoing *);	/* tells nobody */

#endif
