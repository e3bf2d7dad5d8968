/* slots.h - how many connections all workers of this machine have to one destination
 * SPDX-License-Identifier: MIT
 * A slot is a lock on one octet of runtime_dir/destinations, which the kernel ends with its holder. The octets of a
 * destination begin at 2^15 times its number; on the last of them, who waits for a slot holds a shared lock. */
#ifndef SLIMTA_WORKER_SLOTS_H
#define SLIMTA_WORKER_SLOTS_H

#include <stdbool.h>
#include <stdint.h>

#define SLOTS_MAX 32767

struct slots;

/* The slots of one destination, of which `limit` are to be had. A process asks for those of one destination in one
 * place only: the kernel does not refuse it what it holds itself. NULL with errno. */
struct slots *slots_open(const char *runtime_dir, const char *relay, const char *host, unsigned port, unsigned limit);
void slots_close(struct slots *);		/* gives all back; NULL is fine */

int slots_take(struct slots *);			/* a slot's number, or -1: none is free, or errno (logged once) */
void slots_give(struct slots *, int slot);
void slots_wait(struct slots *, bool waiting);	/* tells the others that a slot is waited for, or no more */
bool slots_are_wanted(const struct slots *);	/* another process waits */

#endif
