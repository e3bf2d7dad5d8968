/* spawner.h - runs the commands of relays for workers that asked, by its own configuration
 * SPDX-License-Identifier: MIT
 * It keeps the identity it was started with, so that commands can be run as other users; a request says which relay
 * and for whom, never what is run. */
#ifndef SLIMTA_WORKER_SPAWNER_H
#define SLIMTA_WORKER_SPAWNER_H

#include <jansson.h>
#include <sys/types.h>

#include "common/base/pool.h"
#include "worker/relay.h"

struct spawner;

typedef void spawner_ended_fn(void *arg);

struct spawner_context {
	struct event_base *base;
	struct pool *pool;		/* for reading messages */
	int listening_fd;		/* borrowed */
	uid_t peer_uid;			/* who may connect */
};

/* Loads every relay that has a command. NULL with errors. */
struct spawner *spawner_new(const struct spawner_context *, const struct relay_setting *, struct config_errors *);
void spawner_free(struct spawner *);		/* kills what is under way */
/* Takes no more connections; `ended` runs once, when those there are gone and no command is under way. */
void spawner_drain(struct spawner *, spawner_ended_fn *, void *arg);
void spawner_stats(const struct spawner *, json_t *into);

#endif
