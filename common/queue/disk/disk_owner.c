/* disk_owner.c - who has a message
 * SPDX-License-Identifier: MIT */
#include "common/base/memory.h"
#include "common/queue/disk/disk.h"

struct now_view *disk_owners(struct disk *disk)
{
	return now_look(disk->storage.context.process->runtime_dir, disk->storage.context.queue);
}

void disk_owner_of_entry(const struct now_view *view, struct list_entry *entry)
{
	const struct now_seen *seen = now_find(view, entry->id);

	if (!seen)
		return;
	entry->owner = seen->owner;
	entry->phase = seen->held.phase;
	entry->leased_for_ms = now_since(seen->held.claimed_ms);
	entry->in_phase_ms = now_in_phase(&seen->held, entry->leased_for_ms);
}

void disk_owner_of_peeked(const struct now_view *view, const char *id, struct peeked *peeked)
{
	const struct now_seen *seen = now_find(view, id);

	if (!seen)
		return;
	xstrset(&peeked->owner, seen->owner);
	peeked->phase = seen->held.phase;
	peeked->leased_for_ms = now_since(seen->held.claimed_ms);
	peeked->in_phase_ms = now_in_phase(&seen->held, peeked->leased_for_ms);
}
