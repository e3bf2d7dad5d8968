/* host_failure.h - that a host could not be used, and until when it is left alone
 * SPDX-License-Identifier: MIT
 * 1 s, then twice as long each time, up to 60 s. Times are clock_boot_ms(). */
#ifndef SLIMTA_WORKER_HOST_FAILURE_H
#define SLIMTA_WORKER_HOST_FAILURE_H

#include <stdint.h>

#include "common/message/reply.h"

/* All zero: nothing is known against it. */
struct host_failure {
	int64_t wait_ms, until_ms;
	struct reply why, told;		/* the same; `told` says until when */
	char *host;			/* with the address that was tried last */
};

void host_failure_note(struct host_failure *, const struct reply *why, const char *host, int64_t now_ms);
bool host_failure_holds(const struct host_failure *, int64_t now_ms);
/* So long it is worth to be kept, for the next one to be longer; 0: it is not. */
int64_t host_failure_kept_until_ms(const struct host_failure *);
void host_failure_forget(struct host_failure *);	/* frees what it has */

#endif
