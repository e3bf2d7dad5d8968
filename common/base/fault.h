/* fault.h - named points where a test makes a system call fail
 * SPDX-License-Identifier: MIT
 * Only builds with FAULTS=1 have them: SLIMTA_FAULT=POINT:VISIT:WHAT[,...] with VISIT a number from 1 or
 * `*`, WHAT an errno name, `skip` (the call is left out and succeeds) or `die` (SIGKILL to ourselves).
 * SLIMTA_FAULT_ONCE=FOLDER: only who makes FOLDER/POINT:VISIT dies, so that successors with the same setting live. */
#ifndef SLIMTA_BASE_FAULT_H
#define SLIMTA_BASE_FAULT_H

#include <errno.h>

#define FAULT_NONE 0
#define FAULT_SKIP (-1)

#ifdef SLIMTA_FAULTS
/* FAULT_NONE, FAULT_SKIP, or the errno to fail with. Counts the visit; callable from any thread. */
int fault_at(const char *point);
#else
static inline int fault_at(const char *point)
{
	(void)point;
	return FAULT_NONE;
}
#endif

/* if (FAULT("disk.fsync", fsync(fd)) < 0) ... : the call, or what the test wants instead of it. */
#define FAULT(point, call) \
	({ \
		int fault_ = fault_at(point); \
		fault_ == FAULT_NONE ? (call) : fault_ == FAULT_SKIP ? 0 : (errno = fault_, -1); \
	})

#endif
