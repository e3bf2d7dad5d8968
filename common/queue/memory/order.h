/* order.h - messages by their id: found, and walked in the order of ids
 * SPDX-License-Identifier: MIT
 * A skip list: about two pointers a message, O(log n). */
#ifndef SLIMTA_QUEUE_MEMORY_ORDER_H
#define SLIMTA_QUEUE_MEMORY_ORDER_H

#include <stddef.h>
#include <stdint.h>

#define ORDER_LEVELS 16

/* A member of what is kept; `id` points to its id. */
struct order_node {
	const char *id;
	unsigned levels;
	struct order_node **next;	/* of `levels`; owned by the order */
};

/* All-zero is valid and empty. */
struct order {
	struct order_node *first[ORDER_LEVELS];
	size_t count;
	uint64_t random;
};

void order_add(struct order *, struct order_node *);	/* of an id that is not there */
void order_remove(struct order *, struct order_node *);
struct order_node *order_find(const struct order *, const char *id);	/* NULL: not there */
/* The least id behind `id` ("": of all); NULL: none. */
struct order_node *order_after(const struct order *, const char *id);

#endif
