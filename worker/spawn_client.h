/* spawn_client.h - a worker's connection to the spawner
 * SPDX-License-Identifier: MIT */
#ifndef SLIMTA_WORKER_SPAWN_CLIENT_H
#define SLIMTA_WORKER_SPAWN_CLIENT_H

#include <stdbool.h>

#include "worker/spawn_protocol.h"

struct event_base;
struct spawn_client;
struct spawn_call;

struct spawn_result {
	enum spawn_end end;
	uint32_t detail;
	struct buffer output[SPAWN_STREAMS];	/* at most SPAWN_OUTPUT_MAX each */
};
/* Once, from the loop; the call is gone then. SPAWN_CANCELLED: it has not begun, and may be called again;
 * SPAWN_LOST: it had begun when the connection ended. */
typedef void spawn_done_fn(void *arg, const struct spawn_result *);
/* From the loop: the spawner is there; or, now and then, it has not been for `away_ms`. */
typedef void spawn_state_fn(void *arg, bool connected, int64_t away_ms);

/* A message as the spawner gets it; descriptors borrowed. */
struct spawn_message {
	int fds[SPAWN_FDS];
	unsigned fd_count;
	struct spawn_piece pieces[SPAWN_PIECES];
	unsigned piece_count;
};

/* Connects, and again after the end of a connection, with back-off. */
struct spawn_client *spawn_client_new(struct event_base *, const char *path, spawn_state_fn *, void *arg);
/* Only `begun` runs, for each call whose end is in doubt by this, with the call's arg. NULL client: nothing. */
void spawn_client_free(struct spawn_client *, void (*begun)(void *arg));
bool spawn_client_is_connected(const struct spawn_client *);
/* Only while connected. */
struct spawn_call *spawn_client_call(struct spawn_client *, const char *relay, const struct macros *,
	const struct spawn_message *, spawn_done_fn *, void *arg);
void spawn_client_cancel_all(struct spawn_client *);	/* asks to leave out what has not begun */

#endif
