/* spool.h - mail data on its way in: in memory while small, in an unlinked file beyond a threshold
 * SPDX-License-Identifier: MIT
 * The file is written by the disk pool, never by the loop. */
#ifndef SLIMTA_SMTP_SPOOL_H
#define SLIMTA_SMTP_SPOOL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/base/pool.h"
#include "common/message/content.h"
#include "common/message/reply.h"

struct spool_settings {
	struct pool *disk;
	const char *dir;		/* of the file */
	uint64_t threshold_bytes;	/* what is larger goes to the file, all but its header */
};

/* Called from the loop: there is room again, or what spool_finish began is done. */
typedef void spool_ready_fn(void *arg);

struct spool;
struct spool *spool_new(const struct spool_settings *, spool_ready_fn *ready, void *arg);
/* At any time, also while the file is being written; `ready` is not called afterwards. */
void spool_free(struct spool *);

/* Takes all of it. */
void spool_write(struct spool *, const char *data, size_t size);
/* Enough waits for the disk: stop reading from the peer until `ready`. */
bool spool_is_full(const struct spool *);
/* No more octets will come. True: done. False: `ready` will be called once when it is. */
bool spool_finish(struct spool *);
/* As far as is known by now: 452 4.3.1 when the disk is full, 451 4.3.0 for what else it said. */
bool spool_has_failed(const struct spool *, struct reply *why);
/* When done: 0 and the octets move into *content (released before); or -1 with the same. */
int spool_take(struct spool *, struct content *, struct reply *why);

#endif
