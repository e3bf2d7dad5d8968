/* recent.h - ids of messages that were finished lately
 * SPDX-License-Identifier: MIT
 * Kept as long as storage.h says; at most RECENT_MAX of each kind (derived ones, others), about 100 octets each: the
 * oldest are forgotten first. */
#ifndef SLIMTA_QUEUE_MEMORY_RECENT_H
#define SLIMTA_QUEUE_MEMORY_RECENT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/queue.h>

#define RECENT_MAX 65536

struct recent_id;
TAILQ_HEAD(recent_list, recent_id);

struct recent {
	struct recent_id *by_id;	/* a hash; NULL: empty */
	struct recent_list lists[2];	/* oldest first; the second of derived ids */
	size_t counts[2];
};

void recent_init(struct recent *);
void recent_release(struct recent *);
void recent_add(struct recent *, const char *id, int64_t now_boot_ms);	/* again: anew */
bool recent_has(struct recent *, const char *id, int64_t now_boot_ms);
void recent_forget(struct recent *, const char *id);
/* The oldest first; `each` adds and forgets nothing. */
void recent_each(const struct recent *, void (*each)(const char *id, void *arg), void *arg);

#endif
