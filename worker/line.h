/* line.h - the messages that wait for a connection to one next hop
 * SPDX-License-Identifier: MIT
 * Times are clock_boot_ms(). Nothing here looks at all of a line but what ends all of it. */
#ifndef SLIMTA_WORKER_LINE_H
#define SLIMTA_WORKER_LINE_H

#include "worker/outgoing.h"

struct line {
	/* A connection was lost under these: each goes over a new one, before all others. */
	struct outgoing_list again;
	struct outgoing_list list;
	size_t again_count, count;
	size_t promised, unsaid;	/* in front, told that they do not wait; at the end, not told anything yet */
	int64_t since_ms, moved_ms;	/* not empty since; the last was taken */
	int64_t window_ms;		/* taken since then: */
	size_t window_taken, rate;	/* ... and per second before */
	int64_t full_since_ms;		/* 0: it is not */
};

void line_init(struct line *, int64_t now_ms);
void line_release(struct line *);		/* frees the messages; tells nobody */
void line_add(struct line *, struct outgoing *, int64_t now_ms);
void line_add_again(struct line *, struct outgoing *);
/* The next that may go over this connection; NULL: none. */
struct outgoing *line_take(struct line *, bool is_new_connection, int64_t now_ms);
bool line_is_empty(const struct line *);
/* Tells messages whether they wait; the first `promised` have a connection that is being made: part of an attempt. */
void line_say_who_waits(struct line *, size_t promised);

void line_refuse_first(struct line *, const struct relay_result *);
void line_refuse_all(struct line *, const struct relay_result *);
/* All but so many in front. */
void line_refuse_behind(struct line *, size_t count, const struct relay_result *);
void line_finish_all(struct line *);		/* not attempted */
/* Refuses, not attempted and for later, those beyond `limit` that have no prospect of being taken soon. */
void line_refuse_excess(struct line *, size_t limit, const char *host, int64_t now_ms);

/* Whether one connection more than these, which are at work, would be of use: making it costs about what some messages
 * cost, for both sides. */
bool line_is_long(const struct line *, size_t connections, int64_t now_ms);
int64_t line_look_in_ms(const struct line *, int64_t now_ms);	/* the answer may be another then; not empty */

#endif
