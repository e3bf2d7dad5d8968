/* mx_parcel.h - a message on its way through an mx relay: the recipients of each domain, and the hosts they are tried at
 * SPDX-License-Identifier: MIT */
#ifndef SLIMTA_WORKER_MX_PARCEL_H
#define SLIMTA_WORKER_MX_PARCEL_H

#include "worker/destinations.h"
#include "worker/route.h"
#include "worker/sending.h"

struct mx_mailing;

/* What the messages of one relay share; the fields above the list are their owner's to set. */
struct mx_mailings {
	struct routes routes;
	struct destinations *destinations;
	bool draining;			/* what is not begun is not attempted */
	TAILQ_HEAD(, mx_mailing) all;
};

/* Cuts a message that was just examined into one outgoing a domain, and sends these on their ways. */
void mx_mailing_begin(struct mx_mailings *, struct sending *);
/* Ends what is with no next hop: not attempted. From the loop. */
void mx_mailings_drain(struct mx_mailings *);
/* Ends all that is with no next hop; nobody is told. Behind destinations_free(). */
void mx_mailings_release(struct mx_mailings *);

#endif
