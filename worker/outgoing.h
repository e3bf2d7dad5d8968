/* outgoing.h - some recipients of a message, on their way to one next hop by SMTP
 * SPDX-License-Identifier: MIT
 * sending.h makes them. Who has one (a relay that looks for a next hop, a next hop's line, a connection) settles its
 * recipients one by one, gives it on, or ends it. All callbacks come from the loop. */
#ifndef SLIMTA_WORKER_OUTGOING_H
#define SLIMTA_WORKER_OUTGOING_H

#include <sys/queue.h>

#include "common/message/mail_source.h"
#include "worker/relay.h"

struct outgoing;
struct sending;

/* Who looks for a next hop. */
struct outgoing_owner {
	/* This one will not do: it cannot be used, is left alone for a while, has a full line (reply none, later_ms), or cannot
	 * take this message though another may. It is the owner's again, to go elsewhere or to be finished. */
	void (*refused)(void *arg, struct outgoing *, const struct relay_result *why);
	/* It is freed, as it has ended or the relay does. NULL: nobody wants to know. */
	void (*gone)(void *arg);
};

struct outgoing {
	TAILQ_ENTRY(outgoing) link;	/* its holder's */
	struct sending *sending;
	const struct envelope *envelope;
	size_t *open;			/* recipients that are not settled */
	size_t count;
	struct mail_source *source;	/* its own */
	uint64_t size;
	bool eight_bit, utf8_header;	/* what is in the message */
	bool again;			/* a connection was lost under it: it goes over a new one, and once */

	const struct outgoing_owner *owner;
	void *owner_arg;
	/* The owner's. */
	size_t route_at;
	unsigned addresses_tried;
	int64_t since_ms;

	/* outgoing.c's. */
	TAILQ_ENTRY(outgoing) of_sending, asking;
	relay_resume_fn *resume;	/* it asks, and waits */
	void *resume_arg;
	bool waits;			/* in a line */
};
TAILQ_HEAD(outgoing_list, outgoing);

void outgoing_settle(struct outgoing *, size_t recipient, const struct relay_result *);
/* All open ones get this (none: not attempted), and it is freed; so is its message if this was the last. */
void outgoing_finish(struct outgoing *, const struct relay_result *);
/* It is its owner's again; without one it is finished. Its holder has taken it out of its list. */
void outgoing_refuse(struct outgoing *, const struct relay_result *why);
/* Before the final dot, as relay_delivery.commit: several of one message ask one after the other. */
enum relay_go outgoing_commit(struct outgoing *, relay_resume_fn *resume, void *resume_arg);
/* It waits in a line, or does no more; as often as its holder likes. */
void outgoing_say_in_line(struct outgoing *, bool waits);
/* A warning for each open recipient: it may have been delivered. */
void outgoing_log_in_doubt(const struct outgoing *, const char *relay, const char *host, const char *reason);
/* At the end of the relay: tells nobody, but takes a question back. */
void outgoing_free(struct outgoing *);

#endif
