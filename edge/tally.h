/* tally.h - a warning that a flood repeats: the first is logged at once, what follows as a count
 * SPDX-License-Identifier: MIT */
#ifndef SLIMTA_EDGE_TALLY_H
#define SLIMTA_EDGE_TALLY_H

#include <stddef.h>
#include <stdint.h>

struct event_base;
struct tally;

/* `event` and `more` are the events of the log: of one, and of several with their `count`; `key` is that of `why`.
 * No text is copied. */
struct tally *tally_new(struct event_base *, const char *event, const char *more, const char *key);
/* It happened on this edge: a line at once if none was written in the last ten seconds, else one when they are over. */
void tally_add(struct tally *, const char *edge, const char *why, size_t connections);
/* The same, with `of`: who did it, which is copied as far as the log shows it, or NULL. A client, if nobody says what
 * else such are. */
void tally_add_of(struct tally *, const char *edge, const char *why, size_t connections, const char *of);
void tally_set_of(struct tally *, const char *key);
void tally_flush(struct tally *);	/* the count now; NULL is fine, as it is to free, which says nothing */
void tally_free(struct tally *);

#endif
