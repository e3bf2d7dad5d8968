/* slots.c - how many connections all workers of this machine have to one host
 * SPDX-License-Identifier: MIT */
#include "worker/slots.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>

#include "common/base/fault.h"
#include "common/base/file.h"
#include "common/base/hash.h"
#include "common/base/log.h"
#include "common/base/memory.h"

/* The octets of one host. */
struct range {
	UT_hash_handle hh;
	off_t start;
	unsigned users, waiting;
	unsigned limit;
	const struct slots **holders;	/* of each slot; NULL: not held here */
};

struct slots_table {
	int fd;
	bool failed;
	struct range *ranges;
};

struct slots {
	struct slots_table *table;
	struct range *range;
	bool waiting;
};

/* FNV-1a; the fields are told apart by their NUL. */
static uint64_t hash(uint64_t value, const char *text)
{
	do {
		value ^= (unsigned char)*text;
		value *= 0x100000001b3u;
	} while (*text++);
	return value;
}

static off_t start_of(const char *relay, const char *host, unsigned port)
{
	char *number = xasprintf("%u", port);
	uint64_t value = hash(hash(hash(0xcbf29ce484222325u, relay), host), number);

	free(number);
	return (off_t)((value & 0xffffffffffffu) << 15);
}

struct slots_table *slots_table_open(const char *runtime_dir)
{
	char *path = xasprintf("%s/destinations", runtime_dir);
	int fd = FAULT("slots.open", open(path, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600));
	struct slots_table *table;

	free(path);
	if (fd < 0)
		return NULL;
	table = xcalloc(1, sizeof(*table));
	table->fd = fd;
	return table;
}

void slots_table_close(struct slots_table *table)
{
	if (!table)
		return;
	if (table->ranges)
		BUG("slots are had from a table that is closed");
	fd_close(&table->fd);
	free(table);
}

static struct range *range_at(struct slots_table *table, off_t start, unsigned limit)
{
	struct range *range;

	HASH_FIND(hh, table->ranges, &start, sizeof(start), range);
	if (!range) {
		range = xcalloc(1, sizeof(*range));
		range->start = start;
		range->limit = limit;
		range->holders = xcalloc(limit, sizeof(*range->holders));
		HASH_ADD(hh, table->ranges, start, sizeof(start), range);
	}
	if (range->limit != limit)
		BUG("two limits for the slots of one host");
	return range;
}

struct slots *slots_new(struct slots_table *table, const char *relay, const char *host, unsigned port, unsigned limit)
{
	struct slots *slots = xcalloc(1, sizeof(*slots));

	slots->table = table;
	slots->range = range_at(table, start_of(relay, host, port), limit);
	slots->range->users++;
	return slots;
}

void slots_free(struct slots *slots)
{
	struct range *range;

	if (!slots)
		return;
	range = slots->range;
	slots_wait(slots, false);
	for (unsigned i = 0; i < range->limit; i++)
		if (range->holders[i] == slots)
			slots_give(slots, (int)i);
	if (!--range->users) {
		HASH_DEL(slots->table->ranges, range);
		free(range->holders);
		free(range);
	}
	free(slots);
}

static int lock(struct slots *slots, unsigned octet, bool exclusive)
{
	struct slots_table *table = slots->table;
	int result = FAULT("slots.lock", ofd_lock(table->fd, slots->range->start + octet, 1, exclusive));

	if (result < 0 && !table->failed)
		log_error("relay", "could not lock a slot", LOG_TEXT("error", strerror(errno)));
	table->failed = result < 0;
	return result;
}

int slots_take(struct slots *slots)
{
	struct range *range = slots->range;

	for (unsigned i = 0; i < range->limit; i++) {
		int result = range->holders[i] ? 0 : lock(slots, i, true);

		if (result < 0)
			return -1;
		if (result > 0) {
			range->holders[i] = slots;
			return (int)i;
		}
	}
	return -1;
}

void slots_give(struct slots *slots, int slot)
{
	slots->range->holders[slot] = NULL;
	ofd_unlock(slots->table->fd, slots->range->start + slot, 1);
}

void slots_wait(struct slots *slots, bool waiting)
{
	struct range *range = slots->range;

	if (slots->waiting == waiting)
		return;
	/* The lock is one for all that wait here. */
	if (!waiting && range->waiting == 1)
		ofd_unlock(slots->table->fd, range->start + SLOTS_MAX, 1);
	else if (waiting && !range->waiting && lock(slots, SLOTS_MAX, false) <= 0)
		return;
	range->waiting += waiting ? 1 : -1U;
	slots->waiting = waiting;
}

bool slots_are_wanted(const struct slots *slots)
{
	const struct range *range = slots->range;

	return range->waiting > slots->waiting || ofd_is_locked(slots->table->fd, range->start + SLOTS_MAX, 1) > 0;
}
