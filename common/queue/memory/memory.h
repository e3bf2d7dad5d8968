/* memory.h - the storage of type memory
 * SPDX-License-Identifier: MIT
 * The messages live in the worker of the queue; who else opens it is its client (common/queue/README). */
#ifndef SLIMTA_QUEUE_MEMORY_MEMORY_H
#define SLIMTA_QUEUE_MEMORY_MEMORY_H

#include "common/queue/memory/client.h"
#include "common/queue/memory/server.h"
#include "common/queue/memory/store.h"
#include "common/queue/memory/succession.h"

extern const struct storage_driver memory_driver;

struct memory {
	struct storage storage;
	uint64_t max_memory_bytes;

	bool is_open, serves;		/* serves: it is the queue's worker */
	bool listens;			/* the server is open */
	struct event *opening;		/* tries again: who waited to serve may be about to */
	int64_t begun_boot_ms;
	storage_done_fn *opened;
	void *opened_arg;
	struct tasks tasks;
	struct store store;		/* where it serves */
	struct server server;
	struct succession succession;
	struct memory_client client;	/* where it does not */
	bool waits, stopped;		/* a claim that gets nothing */
	storage_claimed_fn *claimed;
	void *claimed_arg;
};

#endif
