/* loop.h - an event loop that turns until something has happened, but not for ever
 * SPDX-License-Identifier: MIT */
#ifndef SLIMTA_T_LOOP_H
#define SLIMTA_T_LOOP_H

#include <event2/event.h>
#include <stdbool.h>
#include <stdint.h>

struct loop_bound {
	struct event *timer;
	bool over;
};

static inline void loop_bound_over(evutil_socket_t fd, short what, void *arg)
{
	(void)fd;
	(void)what;
	((struct loop_bound *)arg)->over = true;
}

static inline void loop_bound_init(struct loop_bound *bound, struct event_base *base, int64_t ms)
{
	bound->over = false;
	bound->timer = event_new(base, -1, 0, loop_bound_over, bound);
	event_add(bound->timer, &(struct timeval){ ms / 1000, ms % 1000 * 1000 });
}

/* Turns it until the condition holds; false: it did not within `bound_ms`. */
#define LOOP_UNTIL(base, condition, bound_ms) \
	({ \
		struct loop_bound loop_bound; \
		loop_bound_init(&loop_bound, base, bound_ms); \
		while (!(condition) && !loop_bound.over) \
			event_base_loop(base, EVLOOP_ONCE); \
		event_free(loop_bound.timer); \
		!loop_bound.over; \
	})

#endif
