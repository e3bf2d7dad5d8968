/* slots.c - how many connections all workers of this machine have to one destination
 * SPDX-License-Identifier: MIT */
#include "worker/slots.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>

#include "common/base/fault.h"
#include "common/base/file.h"
#include "common/base/log.h"
#include "common/base/memory.h"

struct slots {
	int fd;
	off_t start;
	unsigned limit;
	bool waiting, failed;
	bool held[];
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

struct slots *slots_open(const char *runtime_dir, const char *relay, const char *host, unsigned port, unsigned limit)
{
	struct slots *slots = xcalloc(1, sizeof(*slots) + limit * sizeof(bool));
	char *path = xasprintf("%s/destinations", runtime_dir);

	slots->limit = limit;
	slots->start = start_of(relay, host, port);
	slots->fd = FAULT("slots.open", open(path, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600));
	free(path);
	if (slots->fd >= 0)
		return slots;
	free(slots);
	return NULL;
}

void slots_close(struct slots *slots)
{
	if (!slots)
		return;
	fd_close(&slots->fd);
	free(slots);
}

static int lock(struct slots *slots, unsigned octet, bool exclusive)
{
	int result = FAULT("slots.lock", ofd_lock(slots->fd, slots->start + octet, 1, exclusive));

	if (result < 0 && !slots->failed)
		log_error("relay", "could not lock a slot", LOG_TEXT("error", strerror(errno)));
	slots->failed = result < 0;
	return result;
}

int slots_take(struct slots *slots)
{
	for (unsigned i = 0; i < slots->limit; i++) {
		int result = slots->held[i] ? 0 : lock(slots, i, true);

		if (result < 0)
			return -1;
		if (result > 0) {
			slots->held[i] = true;
			return (int)i;
		}
	}
	return -1;
}

void slots_give(struct slots *slots, int slot)
{
	slots->held[slot] = false;
	ofd_unlock(slots->fd, slots->start + slot, 1);
}

void slots_wait(struct slots *slots, bool waiting)
{
	if (slots->waiting == waiting)
		return;
	if (!waiting)
		ofd_unlock(slots->fd, slots->start + SLOTS_MAX, 1);
	else if (lock(slots, SLOTS_MAX, false) <= 0)
		return;
	slots->waiting = waiting;
}

bool slots_are_wanted(const struct slots *slots)
{
	return ofd_is_locked(slots->fd, slots->start + SLOTS_MAX, 1) > 0;
}
