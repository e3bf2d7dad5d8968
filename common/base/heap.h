/* heap.h - an intrusive binary heap: the least key first, removal from anywhere
 * SPDX-License-Identifier: MIT */
#ifndef SLIMTA_BASE_HEAP_H
#define SLIMTA_BASE_HEAP_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* A member of what is kept in order; all-zero is valid and in no heap. Nodes of equal key come out in
 * no set order. */
struct heap_node {
	int64_t key;
	size_t place;		/* the heap's own: index + 1, 0 = in none */
};

/* All-zero is valid and empty. Nodes belong to their owner; the heap owns its array of pointers only. */
struct heap {
	struct heap_node **nodes;
	size_t count;
	size_t capacity;
};

void heap_release(struct heap *);		/* the nodes left in it are in none afterwards */
void heap_insert(struct heap *, struct heap_node *, int64_t key);	/* O(log n), as the next two */
void heap_remove(struct heap *, struct heap_node *);			/* one that is in no heap: nothing */
void heap_update(struct heap *, struct heap_node *, int64_t key);	/* moves it, or inserts it */
struct heap_node *heap_first(const struct heap *);	/* the least key, which stays; NULL when empty */

static inline bool heap_holds(const struct heap_node *node)
{
	return node->place != 0;
}

#endif
