/* recycle.h - files that are used again: renamed away and back, never unlinked and created
 * SPDX-License-Identifier: MIT
 * On ext4 every created file costs a walk over the recently deleted inodes; at mail's rate that is most of the
 * work. So what is done with goes to `.free/0000` to `.free/0999` beside its directory's files. All processes of a
 * queue share these names; each remembers which it believes in use. Functions block and may run in any thread. */
#ifndef SLIMTA_QUEUE_DISK_RECYCLE_H
#define SLIMTA_QUEUE_DISK_RECYCLE_H

#include <pthread.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#define RECYCLE_SLOTS 1000
#define RECYCLE_SIZE_MAX 65536		/* a larger file is cut to zero before it waits */

struct recycler {
	int directory_fd;	/* borrowed */
	int free_fd;
	pthread_mutex_t lock;
	unsigned char used[RECYCLE_SLOTS];
	unsigned next_take, next_put;
	int64_t looked_boot_ms;
};

/* `make`: makes `.free`; else, where it is not there, what is put there is unlinked. 0, or -1 with errno. */
int recycler_open(struct recycler *, int directory_fd, bool make);
void recycler_close(struct recycler *);

/* A file called `name` in the directory, opened O_RDWR: a used one with its old octets (a lock on it keeps it from
 * being taken), else a new one. *size is what it has now. -1 with errno. */
int recycler_take(struct recycler *, const char *name, off_t *size);
/* Takes `name` away. The caller holds its lock until that is durable, so that nobody fills it before.
 * 0; -1 with errno (ENOENT: it is not there). */
int recycler_put(struct recycler *, const char *name);

#endif
