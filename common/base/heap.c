/* heap.c - an intrusive binary heap
 * SPDX-License-Identifier: MIT */
#include "common/base/heap.h"

#include <stdlib.h>

#include "common/base/memory.h"

static void put(struct heap *heap, size_t index, struct heap_node *node)
{
	heap->nodes[index] = node;
	node->place = index + 1;
}

static void sift_up(struct heap *heap, size_t index, struct heap_node *node)
{
	while (index > 0) {
		size_t parent = (index - 1) / 2;

		if (heap->nodes[parent]->key <= node->key)
			break;
		put(heap, index, heap->nodes[parent]);
		index = parent;
	}
	put(heap, index, node);
}

static void sift_down(struct heap *heap, size_t index, struct heap_node *node)
{
	size_t child;

	while ((child = 2 * index + 1) < heap->count) {
		if (child + 1 < heap->count && heap->nodes[child + 1]->key < heap->nodes[child]->key)
			child++;
		if (node->key <= heap->nodes[child]->key)
			break;
		put(heap, index, heap->nodes[child]);
		index = child;
	}
	put(heap, index, node);
}

static void settle(struct heap *heap, size_t index, struct heap_node *node)
{
	if (index > 0 && node->key < heap->nodes[(index - 1) / 2]->key)
		sift_up(heap, index, node);
	else
		sift_down(heap, index, node);
}

static size_t index_of(const struct heap *heap, const struct heap_node *node)
{
	size_t index = node->place - 1;

	if (index >= heap->count || heap->nodes[index] != node)
		BUG("a node that is in another heap");
	return index;
}

void heap_release(struct heap *heap)
{
	for (size_t i = 0; i < heap->count; i++)
		heap->nodes[i]->place = 0;
	free(heap->nodes);
	*heap = (struct heap){ 0 };
}

void heap_insert(struct heap *heap, struct heap_node *node, int64_t key)
{
	if (node->place)
		BUG("a node that is in a heap already");
	if (heap->count == heap->capacity) {
		heap->capacity = heap->capacity ? heap->capacity * 2 : 64;
		heap->nodes = xrealloc(heap->nodes, heap->capacity, sizeof(heap->nodes[0]));
	}
	node->key = key;
	sift_up(heap, heap->count++, node);
}

void heap_remove(struct heap *heap, struct heap_node *node)
{
	struct heap_node *last;
	size_t index;

	if (!node->place)
		return;
	index = index_of(heap, node);
	last = heap->nodes[--heap->count];
	node->place = 0;
	if (last != node)
		settle(heap, index, last);
}

void heap_update(struct heap *heap, struct heap_node *node, int64_t key)
{
	if (!node->place) {
		heap_insert(heap, node, key);
		return;
	}
	node->key = key;
	settle(heap, index_of(heap, node), node);
}

struct heap_node *heap_first(const struct heap *heap)
{
	return heap->count ? heap->nodes[0] : NULL;
}
