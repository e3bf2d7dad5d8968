/* recent.c - ids of messages that were finished lately
 * SPDX-License-Identifier: MIT */
#include "common/queue/memory/recent.h"

#include <stdlib.h>
#include <string.h>

#include "common/base/hash.h"
#include "common/queue/storage.h"

struct recent_id {
	TAILQ_ENTRY(recent_id) next;
	UT_hash_handle hh;
	int64_t until_boot_ms;
	char id[ID_SIZE];
	bool derived;
};

void recent_init(struct recent *recent)
{
	*recent = (struct recent){ 0 };
	TAILQ_INIT(&recent->lists[0]);
	TAILQ_INIT(&recent->lists[1]);
}

static void drop(struct recent *recent, struct recent_id *one)
{
	if (!recent->by_id)
		BUG("an id that stands in one of two places");
	TAILQ_REMOVE(&recent->lists[one->derived], one, next);
	recent->counts[one->derived]--;
	HASH_DEL(recent->by_id, one);
	free(one);
}

static void drop_old(struct recent *recent, int64_t now_boot_ms)
{
	struct recent_id *one;

	for (unsigned i = 0; i < 2; i++) {
		while ((one = TAILQ_FIRST(&recent->lists[i])) &&
				(one->until_boot_ms <= now_boot_ms || recent->counts[i] > RECENT_MAX))
			drop(recent, one);
	}
}

static struct recent_id *find(const struct recent *recent, const char *id)
{
	struct recent_id *one;

	HASH_FIND(hh, recent->by_id, id, ID_LENGTH, one);
	return one;
}

void recent_release(struct recent *recent)
{
	struct recent_id *one;

	for (unsigned i = 0; i < 2; i++)
		while ((one = TAILQ_FIRST(&recent->lists[i])))
			drop(recent, one);
}

void recent_forget(struct recent *recent, const char *id)
{
	struct recent_id *one = find(recent, id);

	if (one)
		drop(recent, one);
}

void recent_add(struct recent *recent, const char *id, int64_t now_boot_ms)
{
	struct recent_id *one = xcalloc(1, sizeof(*one));

	recent_forget(recent, id);
	memcpy(one->id, id, ID_SIZE);
	one->derived = id_is_derived(id);
	one->until_boot_ms = now_boot_ms + finished_kept_ms(id);
	HASH_ADD(hh, recent->by_id, id, ID_LENGTH, one);
	TAILQ_INSERT_TAIL(&recent->lists[one->derived], one, next);
	recent->counts[one->derived]++;
	drop_old(recent, now_boot_ms);
}

bool recent_has(struct recent *recent, const char *id, int64_t now_boot_ms)
{
	drop_old(recent, now_boot_ms);
	return find(recent, id) != NULL;
}

void recent_each(const struct recent *recent, void (*each)(const char *id, void *arg), void *arg)
{
	struct recent_id *one;

	for (unsigned i = 0; i < 2; i++)
		TAILQ_FOREACH(one, &recent->lists[i], next)
			each(one->id, arg);
}
