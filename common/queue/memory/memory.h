/* memory.h - the storage of type memory
 * SPDX-License-Identifier: MIT
 * The messages live in the worker of the queue; who else opens it is its client (common/queue/README). */
#ifndef SLIMTA_QUEUE_MEMORY_MEMORY_H
#define SLIMTA_QUEUE_MEMORY_MEMORY_H

#include "common/queue/memory/client.h"
#include "common/queue/memory/server.h"
#include "common/queue/memory/store.h"

extern const struct storage_driver memory_driver;

struct memory {
	struct storage storage;
	uint64_t max_memory_bytes;

	bool is_open, serves;		/* serves: it is the queue's worker */
	bool refused;			/* as another serves it */
	struct tasks tasks;
	struct store store;		/* where it serves */
	struct server server;
	struct memory_client client;	/* where it does not */
	bool waits, stopped;		/* a claim that gets nothing */
	storage_claimed_fn *claimed;
	void *claimed_arg;
};

#endif
