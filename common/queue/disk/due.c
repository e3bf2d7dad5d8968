/* due.c - which ids are due, and when the others will be
 * SPDX-License-Identifier: MIT */
#include "common/queue/disk/due.h"

#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include "common/base/memory.h"
#include "common/queue/storage.h"

static struct due_entry *entry_of(struct heap_node *node)
{
	return CONTAINER_OF(node, struct due_entry, node);
}

/* The last 16 characters are random. */
static size_t hash(const char *id)
{
	uint64_t value = 14695981039346656037u;

	for (unsigned i = 10; i < ID_LENGTH; i++)
		value = (value ^ (unsigned char)id[i]) * 1099511628211u;
	return (size_t)(value ^ value >> 29);
}

static size_t slot_of(const struct due_table *table, const char *id)
{
	size_t mask = table->slot_count - 1, slot = hash(id) & mask;

	while (table->slots[slot] && memcmp(table->slots[slot]->id, id, ID_LENGTH) != 0)
		slot = (slot + 1) & mask;
	return slot;
}

static void grow(struct due_table *table)
{
	struct due_entry **old = table->slots;
	size_t old_count = table->slot_count;

	table->slot_count = old_count ? old_count * 2 : 256;
	table->slots = xcalloc(table->slot_count, sizeof(struct due_entry *));
	for (size_t i = 0; i < old_count; i++)
		if (old[i])
			table->slots[slot_of(table, old[i]->id)] = old[i];
	free(old);
}

void due_release(struct due_table *table)
{
	heap_release(&table->later);
	heap_release(&table->fresh);
	heap_release(&table->retry);
	for (size_t i = 0; i < table->slot_count; i++)
		free(table->slots[i]);
	free(table->slots);
	*table = (struct due_table){ 0 };
}

struct due_entry *due_find(const struct due_table *table, const char *id)
{
	return table->slot_count ? table->slots[slot_of(table, id)] : NULL;
}

struct due_entry *due_add(struct due_table *table, const char *id)
{
	struct due_entry *entry = due_find(table, id);

	if (entry)
		return entry;
	if (table->count * 2 >= table->slot_count)
		grow(table);
	entry = xcalloc(1, sizeof(*entry));
	memcpy(entry->id, id, ID_LENGTH);
	entry->state = DUE_PARKED;
	table->slots[slot_of(table, id)] = entry;
	table->count++;
	return entry;
}

static void leave_heaps(struct due_table *table, struct due_entry *entry)
{
	struct heap *const heaps[] = { &table->later, &table->fresh, &table->retry };

	for (unsigned i = 0; i < 3 && heap_holds(&entry->node); i++) {
		size_t index = entry->node.place - 1;

		if (index < heaps[i]->count && heaps[i]->nodes[index] == &entry->node)
			heap_remove(heaps[i], &entry->node);
	}
}

/* Moves back those behind the gap that would not be found any more. */
static void close_gap(struct due_table *table, size_t gap)
{
	size_t mask = table->slot_count - 1;

	for (size_t slot = (gap + 1) & mask; table->slots[slot]; slot = (slot + 1) & mask) {
		size_t home = hash(table->slots[slot]->id) & mask;

		if (((slot - home) & mask) < ((slot - gap) & mask))
			continue;
		table->slots[gap] = table->slots[slot];
		table->slots[slot] = NULL;
		gap = slot;
	}
}

void due_drop(struct due_table *table, struct due_entry *entry)
{
	size_t slot = slot_of(table, entry->id);

	leave_heaps(table, entry);
	table->slots[slot] = NULL;
	table->count--;
	close_gap(table, slot);
	free(entry);
}

void due_wait(struct due_table *table, struct due_entry *entry, int64_t due_ms, bool tried, int64_t now_ms)
{
	leave_heaps(table, entry);
	entry->aside = 0;
	entry->state = DUE_WAITING;
	entry->tried = tried;
	heap_insert(due_ms > now_ms ? &table->later : tried ? &table->retry : &table->fresh, &entry->node, due_ms);
}

void due_park(struct due_table *table, struct due_entry *entry)
{
	leave_heaps(table, entry);
	entry->aside = 0;
	entry->state = DUE_PARKED;
}

void due_put_aside(struct due_table *table, struct due_entry *entry, const struct due_item *item, uint16_t holder,
	int64_t now_ms)
{
	due_wait(table, entry, item->due_ms, item->tried, now_ms);
	entry->aside = item->group;
	entry->holder = holder;
}

struct recall {
	uint16_t group;
	int64_t now_ms;
};

static void recall_one(struct due_table *table, struct due_entry *entry, void *arg)
{
	const struct recall *recall = arg;

	if (entry->aside && (entry->aside == recall->group || entry->aside == ASIDE_SEVERAL))
		due_wait(table, entry, recall->now_ms, entry->tried, recall->now_ms);
}

void due_recall(struct due_table *table, uint16_t group, int64_t now_ms)
{
	due_each(table, recall_one, &(struct recall){ group, now_ms });
}

size_t due_ready(struct due_table *table, int64_t now_ms)
{
	struct heap_node *first;

	while ((first = heap_first(&table->later)) && first->key <= now_ms) {
		struct due_entry *entry = entry_of(first);

		due_wait(table, entry, first->key, entry->tried, now_ms);
	}
	return table->fresh.count + table->retry.count;
}

size_t due_pop(struct due_table *table, int64_t now_ms, size_t max, uint16_t holder, struct due_item *out)
{
	size_t ready = due_ready(table, now_ms), count = ready < max ? ready : max;

	for (size_t i = 0; i < count; i++) {
		bool retry = table->retry.count && (!table->fresh_next || !table->fresh.count);
		struct heap *heap = retry ? &table->retry : &table->fresh;
		struct due_entry *entry = entry_of(heap_first(heap));

		table->fresh_next = retry;
		out[i] = (struct due_item){ .due_ms = entry->node.key, .tried = entry->tried };
		memcpy(out[i].id, entry->id, ID_LENGTH);
		heap_remove(heap, &entry->node);
		entry->aside = 0;
		entry->state = DUE_TAKEN;
		entry->holder = holder;
	}
	return count;
}

int64_t due_next(const struct due_table *table, int64_t now_ms)
{
	struct heap_node *first = heap_first(&table->later);

	if (table->fresh.count || table->retry.count)
		return now_ms;
	return first ? first->key : INT64_MAX;
}

/* Dropping moves entries between slots, so those to visit are gathered first. */
void due_each(struct due_table *table, void (*visit)(struct due_table *, struct due_entry *, void *arg), void *arg)
{
	struct due_entry **entries = xcalloc(table->count + 1, sizeof(struct due_entry *));
	size_t count = 0;

	for (size_t i = 0; i < table->slot_count; i++)
		if (table->slots[i])
			entries[count++] = table->slots[i];
	for (size_t i = 0; i < count; i++)
		visit(table, entries[i], arg);
	free(entries);
}
