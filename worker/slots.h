/* slots.h - how many connections all workers of this machine have to one host
 * SPDX-License-Identifier: MIT
 * A slot is a lock on one octet of runtime_dir/destinations, which the kernel ends with its holder. The octets of a
 * host begin at 2^15 times its number; on the last of them, who waits for a slot holds a shared lock. The kernel does
 * not refuse a process what it holds itself: the table knows that. */
#ifndef SLIMTA_WORKER_SLOTS_H
#define SLIMTA_WORKER_SLOTS_H

#include <stdbool.h>
#include <stdint.h>

#define SLOTS_MAX 32767

struct slots_table;		/* one for a process, with one descriptor */
struct slots;			/* what one user has of the slots of one host, which it may share with others here */

struct slots_table *slots_table_open(const char *runtime_dir);	/* NULL with errno */
void slots_table_close(struct slots_table *);		/* after all that is had from it; NULL is fine */

/* At most `limit` are to be had. */
struct slots *slots_new(struct slots_table *, const char *relay, const char *host, unsigned port, unsigned limit);
void slots_free(struct slots *);		/* gives back what it has; NULL is fine */

int slots_take(struct slots *);			/* a slot's number, or -1: none is free, or errno (logged once) */
void slots_give(struct slots *, int slot);
void slots_wait(struct slots *, bool waiting);	/* tells the others that a slot is waited for, or no more */
bool slots_are_wanted(const struct slots *);	/* another waits, here or in another process */

#endif
