/* fuzz-memory-request.c - what a peer may send to the worker of a memory queue
 * SPDX-License-Identifier: MIT
 * Cut in two at the place that the first octet says; every operation runs on a store of 1M. */
#include <event2/event.h>
#include <stdlib.h>

#include "common/base/memory.h"
#include "common/queue/memory/server.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static struct event_base *base;
static struct pool *pool;

struct fuzzed {
	struct storage storage;
	struct process_options process;
	struct store store;
	struct tasks tasks;
	struct server server;
};

static void run(struct fuzzed *fuzzed, struct wire *wire, uint64_t reserved)
{
	struct request *request = xcalloc(1, sizeof(*request));

	*request = (struct request){ .server = &fuzzed->server, .reserved = reserved };
	request->line = json_incref(wire->line);
	request->octets = wire->octets;
	wire->octets = (struct buffer){ 0 };
	server_run(request);
	while (!LIST_EMPTY(&fuzzed->tasks.jobs) || !TAILQ_EMPTY(&fuzzed->tasks.soon))
		event_base_loop(base, EVLOOP_ONCE);
}

/* False: it ends here. */
static bool feed(struct fuzzed *fuzzed, struct wire *wire, const char *data, size_t size)
{
	static uint64_t reserved;
	enum wire_result result;
	struct reply why = { 0 };
	size_t taken;

	do {
		result = wire_take(wire, data, size, &taken);
		data += taken;
		size -= taken;
		if (result == WIRE_LINE) {
			reserved = 0;
			wire->skip = server_admit(&fuzzed->server, wire->line, wire->bytes, &reserved, &why) < 0;
			reply_release(&why);
		} else if (result == WIRE_WHOLE) {
			if (!wire->skip)
				run(fuzzed, wire, reserved);
			reserved = 0;
			wire_next(wire);
		}
	} while (result == WIRE_LINE || result == WIRE_WHOLE);
	if (result == WIRE_MORE && wire->line && size)
		BUG("octets that nobody took");
	return result != WIRE_BROKEN;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct fuzzed fuzzed = { 0 };
	struct wire wire = { 0 };
	size_t cut;

	if (!base) {
		base = event_base_new();
		pool = pool_new(base, "disk", 1);
	}
	if (!size)
		return 0;
	fuzzed.storage.context = (struct storage_context){ .base = base, .disk = pool, .process = &fuzzed.process,
		.queue = "fuzz" };
	tasks_open(&fuzzed.tasks, base, pool);
	store_open(&fuzzed.store, &fuzzed.storage, &fuzzed.tasks, 1 << 20);
	fuzzed.server = (struct server){ .context = &fuzzed.storage.context, .store = &fuzzed.store,
		.tasks = &fuzzed.tasks, .serving = { .shown = true, .fd = -1 } };
	cut = data[0] < size ? data[0] : size - 1;
	if (feed(&fuzzed, &wire, (const char *)data + 1, cut) && wire.line)
		feed(&fuzzed, &wire, (const char *)data + 1 + cut, size - 1 - cut);
	wire_next(&wire);
	tasks_close(&fuzzed.tasks);
	store_close(&fuzzed.store);
	return 0;
}
