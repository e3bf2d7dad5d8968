/* order.c - messages by their id: found, and walked in the order of ids
 * SPDX-License-Identifier: MIT */
#include "common/queue/memory/order.h"

#include <stdlib.h>
#include <string.h>

#include "common/base/memory.h"

/* Each level has a quarter of those below it. */
static unsigned draw_levels(struct order *order)
{
	unsigned levels = 1;
	uint64_t bits;

	order->random = order->random * 6364136223846793005u + 1442695040888963407u;
	for (bits = order->random >> 33; levels < ORDER_LEVELS && (bits & 3) == 0; bits >>= 2)
		levels++;
	return levels;
}

/* On each level the link that leads to the first id that is not before `id`. */
static void find_links(const struct order *order, const char *id, struct order_node **links[ORDER_LEVELS])
{
	struct order_node **at = (struct order_node **)order->first;

	for (unsigned level = ORDER_LEVELS; level-- > 0;) {
		while (at[level] && strcmp(at[level]->id, id) < 0)
			at = at[level]->next;
		links[level] = &at[level];
	}
}

void order_add(struct order *order, struct order_node *node)
{
	struct order_node **links[ORDER_LEVELS];

	find_links(order, node->id, links);
	node->levels = draw_levels(order);
	node->next = xcalloc(node->levels, sizeof(struct order_node *));
	for (unsigned level = 0; level < node->levels; level++) {
		node->next[level] = *links[level];
		*links[level] = node;
	}
	order->count++;
}

void order_remove(struct order *order, struct order_node *node)
{
	struct order_node **links[ORDER_LEVELS];

	find_links(order, node->id, links);
	for (unsigned level = 0; level < node->levels; level++) {
		if (*links[level] != node)
			BUG("a message that is not in its order");
		*links[level] = node->next[level];
	}
	free((void *)node->next);
	order->count--;
}

struct order_node *order_find(const struct order *order, const char *id)
{
	struct order_node **links[ORDER_LEVELS];

	find_links(order, id, links);
	return *links[0] && strcmp((*links[0])->id, id) == 0 ? *links[0] : NULL;
}

struct order_node *order_after(const struct order *order, const char *id)
{
	struct order_node **links[ORDER_LEVELS];
	struct order_node *node;

	find_links(order, id, links);
	node = *links[0];
	return node && *id && strcmp(node->id, id) == 0 ? node->next[0] : node;
}
