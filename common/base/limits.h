/* limits.h - what clients hold and do now, counted over all processes of one machine in shared memory
 * SPDX-License-Identifier: MIT
 * A memfd of the master holds a row per child, which it alone writes: what is held, such as connections. Readers sum
 * all rows; the master clears the row of a child that is gone. Rates are in a table that all write and that forgets by
 * itself. No locks, and bounded work: a call looks at 16 places of each row in use, or at 8 of the table. Pages that
 * nothing was counted in cost no memory.
 *
 * Full. A row has room for 65,536 keys, the table for as many of each kind. Where a held key finds no place it is not
 * counted, and whoever comes is let in: who holds tens of thousands of connections from as many networks is not to be
 * stopped by what one network may have, and would only shut out others; other limits go on to bind. In the table the
 * key with the least count gives way: one that is near its limit stays, however many others come. */
#ifndef SLIMTA_BASE_LIMITS_H
#define SLIMTA_BASE_LIMITS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum limits_kind { LIMITS_CONNECTIONS, LIMITS_CLIENT_CONNECTIONS, LIMITS_MESSAGES, LIMITS_FAILURES };
#define LIMITS_MINUTE_MS 60000
#define LIMITS_FAILURES_MS 600000	/* after the last one failures are forgotten */
#define LIMITS_RATE_MAX 1000000		/* the highest `most` of limits_count */

struct limits;

/* The master's: rows 0 to `rows` - 1 for children. NULL with errno. `fd` is what children get (close-on-exec; the caller
 * closes it); `fd` NULL: private, for a program alone, which writes row 0. */
struct limits *limits_create(unsigned rows, int *fd);
/* A view of an inherited fd that writes `row` only; a master executed anew gives LIMITS_NO_ROW. NULL with errno (foreign:
 * EPROTO). */
#define LIMITS_NO_ROW (~0U)
struct limits *limits_attach(int fd, unsigned row);
void limits_free(struct limits *);
/* The master's, when a child is gone: what it held is free. */
void limits_retire(struct limits *, unsigned row);

/* What is counted, as a key: `scope` is the edge that it is counted for, "" for all; `who` the octets of an address or a
 * name. Hashed with a secret of the machine; never 0. */
uint64_t limits_key(const struct limits *, enum limits_kind, const char *scope, const void *who, size_t size);

/* One more is held, in our row. False: there is no place for it, it is not counted and not to be released. */
bool limits_hold(struct limits *, uint64_t key);
void limits_release(struct limits *, uint64_t key);
uint64_t limits_held(const struct limits *, uint64_t key);	/* over all rows */

/* One more in the minute that ends now, if there were less than `most`; else false, and it does not count. The minute
 * slides: of the clock's last full minute that part is counted which is less than 60 s ago, as if it had come evenly.
 * `now_ms` is clock_boot_ms() here and below. */
bool limits_count(struct limits *, uint64_t key, unsigned most, int64_t now_ms);
/* Failures none of which came LIMITS_FAILURES_MS or more after the one before; the first counts one more. */
unsigned limits_fail(struct limits *, uint64_t key, int64_t now_ms);
unsigned limits_failures(const struct limits *, uint64_t key, int64_t now_ms);

#endif
