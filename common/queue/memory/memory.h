/* memory.h - the storage of type memory
 * SPDX-License-Identifier: MIT
 * The messages live in the worker of the queue; who else opens it is its client (common/queue/README). */
#ifndef SLIMTA_QUEUE_MEMORY_MEMORY_H
#define SLIMTA_QUEUE_MEMORY_MEMORY_H

#include "common/queue/memory/store.h"
#include "common/queue/memory/tasks.h"
#include "common/queue/storage.h"

extern const struct storage_driver memory_driver;

struct memory {
	struct storage storage;
	uint64_t max_memory_bytes;

	struct tasks tasks;
	bool is_open;
	struct store store;		/* in the queue's worker */
};

#endif
