/* destination_private.h - what the files of a destination share
 * SPDX-License-Identifier: MIT
 * Callbacks only note what happened and wake up run(), which compares what is wanted with what is there. */
#ifndef SLIMTA_WORKER_DESTINATION_PRIVATE_H
#define SLIMTA_WORKER_DESTINATION_PRIVATE_H

#include "worker/destination.h"
#include "worker/host_failure.h"
#include "worker/line.h"

/* A connection with its slot. */
struct link {
	TAILQ_ENTRY(link) entry, ready_entry;
	struct destination *destination;
	struct connection *connection;
	int slot;
	bool worked;			/* it was ready */
	bool is_ready;			/* in `ready` */
	bool quitting, yielding;
};
TAILQ_HEAD(link_list, link);

struct destination {
	const struct destination_settings *settings;
	const struct destination_owner *owner;
	void *arg;
	struct connection_settings connection;
	struct next_hop_memory memory;
	char *host;
	struct slots *slots;
	struct event *wake;

	struct link_list links, ready;	/* all; those that wait for a message */
	unsigned count, opening, worked, working;	/* links; not ready yet; that were; of these, not quitting */
	struct line line;

	struct host_failure failure;
	bool failed;			/* a connection could not be made, while others are being made: */
	struct reply why;		/* so ... */
	char *why_host;			/* ... and where */

	int64_t probe_since_ms;		/* one is made where none is known to work */
	int64_t no_more_until_ms;	/* beside those that work */
	int64_t rest_since_ms;
	int64_t yield_until_ms;		/* to who waits for a slot that was given up */
	bool room_wanted;		/* for a new connection, by the first in line */
	bool refills;			/* a connection is kept from others for a moment */
	bool draining;
};

/* ---- destination.c */

void destination_run_soon(struct destination *);

/* ---- destination_links.c */

/* Uses the connections that are ready, or gives them up for others that wait. */
void destination_use(struct destination *, int64_t now_ms);
/* False if one more is wanted than can be had. */
bool destination_open_what_is_wanted(struct destination *, int64_t now_ms);
void destination_quit_opening(struct destination *);
void destination_free_links(struct destination *);

#endif
