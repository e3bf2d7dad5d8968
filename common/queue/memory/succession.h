/* succession.h - what a memory queue holds, handed to the worker that serves it next
 * SPDX-License-Identifier: MIT
 * In order: settings and the ids that count as finished, all we hold among them, so that no message is taken twice;
 * then the other one serves, and our peers are sent to it; then message by message, each forgotten when it is there,
 * those under a lease as that ends. What fails is begun anew as long as we live. */
#ifndef SLIMTA_QUEUE_MEMORY_SUCCESSION_H
#define SLIMTA_QUEUE_MEMORY_SUCCESSION_H

#include "common/queue/memory/client.h"
#include "common/queue/memory/server.h"
#include "common/queue/memory/store.h"

struct succession {
	struct store *store;
	struct server *server;
	struct memory_client client;
	struct event *wake;
	struct buffer known;		/* finished since, a line each */
	enum { SUCCESSION_INTRODUCE, SUCCESSION_ASK, SUCCESSION_PASS } step;
	unsigned asked;			/* requests under way */
	size_t passing_bytes;
	size_t passed, refused;		/* messages that are over there; that will not be */
	bool failed, expected;
	int64_t gone_boot_ms;		/* since when nobody waits to serve; 0: somebody does */
	storage_done_fn *done;		/* NULL: called back */
	void *arg;
};

/* `expected`: there is, or will be, somebody. Else only who waits already is asked. `done` when nothing is held any
 * more, or nobody is there and no lease is out. */
void succession_begin(struct succession *, struct store *, struct server *, bool expected, storage_done_fn *done, void *arg);
/* Before the server and the store; all-zero is fine. */
void succession_end(struct succession *);

#endif
