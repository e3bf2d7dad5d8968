/* store_mark.c - marks, messages taken back, and settings of a memory queue
 * SPDX-License-Identifier: MIT */
#include <limits.h>
#include <stdlib.h>
#include <string.h>

#include "common/base/clock.h"
#include "common/base/memory.h"
#include "common/queue/memory/store.h"

void store_marks_release(struct store_mark *marks, size_t count)
{
	for (size_t i = 0; i < count; i++)
		free(marks[i].reason);
	free(marks);
}

bool store_obey(struct store *store, struct store_message *message, const struct store_mark *mark)
{
	return storage_obey(store->storage, message->lease.id, store_state(message), mark->mark, mark->reason,
		&message->due_boot_ms, clock_boot_ms());
}

/* For when its lease ends. The same again, but for a strike, says nothing new. */
static int add_mark(struct store_message *message, enum mark mark, const char *reason, struct reply *why)
{
	struct store_mark *last = message->mark_count ? &message->marks[message->mark_count - 1] : NULL;

	if (last && last->mark == mark && mark != MARK_STRIKE) {
		if (reason || mark != MARK_HOLD)
			xstrset(&last->reason, reason);
		return 0;
	}
	if (message->mark_count == STORE_MARKS_MAX) {
		reply_set(why, 452, "4.3.1", "The message has too many marks");
		return -1;
	}
	message->marks = xgrow(message->marks, message->mark_count, sizeof(*message->marks));
	message->marks[message->mark_count++] = (struct store_mark){ mark, reason ? xstrdup(reason) : NULL };
	return 0;
}

int store_discard(struct store *store, const char *id, struct reply *why)
{
	struct store_message *message = store_find(store, id);

	if (!message)
		return 0;
	if (message->place == PLACE_LEASED)
		return add_mark(message, MARK_DISCARD, NULL, why);
	store_finish(store, message);
	return 0;
}

int store_mark(struct store *store, const char *id, enum mark mark, const char *reason, struct reply *why)
{
	struct store_message *message = store_find(store, id);

	if (!message) {
		reply_set(why, 550, "5.1.1", "No such message");
		return -1;
	}
	if (message->place == PLACE_LEASED)
		return add_mark(message, mark, reason, why);
	if (store_obey(store, message, &(struct store_mark){ mark, (char *)reason }))
		store_settle(store, message);
	else
		store_finish(store, message);
	return 0;
}

/* ---- settings */

static void drop_setting(struct store *store, size_t at)
{
	free(store->settings[at].key);
	free(store->settings[at].value);
	store->setting_count--;
	memmove(&store->settings[at], &store->settings[at + 1], (store->setting_count - at) * sizeof(*store->settings));
}

static void drop_expired(struct store *store)
{
	int64_t now_ms = clock_boot_ms();

	for (size_t at = store->setting_count; at-- > 0;)
		if (store->settings[at].until_boot_ms <= now_ms)
			drop_setting(store, at);
}

int store_set(struct store *store, const char *key, const char *value, int64_t expiry_ms, struct reply *why)
{
	int64_t now_ms = clock_boot_ms();
	size_t at = 0;

	if (setting_check(key, value, why) < 0)
		return -1;
	drop_expired(store);
	while (at < store->setting_count && strcmp(store->settings[at].key, key) < 0)
		at++;
	if (at < store->setting_count && strcmp(store->settings[at].key, key) == 0)
		drop_setting(store, at);
	if (value && store->setting_count >= STORE_SETTINGS_MAX) {
		reply_set(why, 452, "4.3.1", "There are too many settings");
		return -1;
	}
	if (!value || expiry_ms <= 0)
		return 0;
	store->settings = xgrow(store->settings, store->setting_count, sizeof(*store->settings));
	memmove(&store->settings[at + 1], &store->settings[at], (store->setting_count - at) * sizeof(*store->settings));
	store->settings[at] = (struct store_setting){ xstrdup(key), xstrdup(value),
		expiry_ms < INT64_MAX - now_ms ? now_ms + expiry_ms : INT64_MAX };
	store->setting_count++;
	return 0;
}

void store_settings(struct store *store, storage_settings_fn *done, void *arg)
{
	struct setting *settings;
	int64_t now_ms = clock_boot_ms();

	drop_expired(store);
	settings = xcalloc(store->setting_count + 1, sizeof(*settings));
	for (size_t i = 0; i < store->setting_count; i++) {
		const struct store_setting *from = &store->settings[i];

		settings[i] = (struct setting){ from->key, from->value,
			from->until_boot_ms == INT64_MAX ? INT64_MAX : from->until_boot_ms - now_ms };
	}
	done(arg, NULL, settings, store->setting_count);
	free(settings);
}

void store_settings_release(struct store *store)
{
	while (store->setting_count)
		drop_setting(store, store->setting_count - 1);
	free(store->settings);
	store->settings = NULL;
}
