/* keeper.h - the spawner of a worker that was started alone
 * SPDX-License-Identifier: MIT
 * A small process between the two: it keeps the identity that the worker gives up, starts the spawner, and starts it
 * again when it dies, as a master does for its workers. */
#ifndef SLIMTA_WORKER_KEEPER_H
#define SLIMTA_WORKER_KEEPER_H

#include "common/net/child.h"

struct keeper {
	char *socket_path;		/* where the spawner listens */
	int lifeline;			/* its end tells the keeper that we are gone */
};

/* Before child_begin. 0, or -1 (logged). */
int keeper_start(struct keeper *, const struct child *, bool allow_root);
void keeper_end(struct keeper *);	/* the keeper ends the spawner by itself */

#endif
