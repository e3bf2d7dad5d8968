/* sending_parts.h - what sending.c and outgoing.c share; nobody else includes it
 * SPDX-License-Identifier: MIT */
#ifndef SLIMTA_WORKER_SENDING_PARTS_H
#define SLIMTA_WORKER_SENDING_PARTS_H

#include "worker/sending.h"

struct event;

struct sending {
	TAILQ_ENTRY(sending) link;
	struct sendings *owner;
	struct relay_delivery delivery;
	struct mail_source *source;	/* while it is examined */
	uint64_t size;
	bool eight_bit, utf8_header;
	bool *taken;			/* of recipients: in an outgoing, or never ours */
	size_t left;			/* not settled */
	TAILQ_HEAD(, outgoing) outgoings;
	size_t count, waiting;		/* of these; in lines */
	TAILQ_HEAD(, outgoing) asking;	/* in turn ... */
	struct outgoing *asked;		/* ... behind the one whose question the delivery has; NULL: none */
	struct event *wake;
};

/* An outgoing is gone: the delivery is finished if it was the last. */
void sending_end_if_over(struct sending *);
/* Asks the delivery for those whose turn it is; from the loop. */
void outgoing_ask_next(struct sending *);

#endif
