/* survey.c - what a worker finds in the directories of a disk queue
 * SPDX-License-Identifier: MIT
 * In: a folder a line, whose env/ and meta/ are a queue's. Out, for each: a line of JSON, [{id, place, held, found,
 * error, gone, open, settled, owed, attempts, octets, sum}, ...]. `found`: how it came, "claim" where it was due,
 * else "claim_id"; `owed`: failed, and the sender was not told yet; `sum` is Adler-32 of what follows the header.
 * Everything is claimed and read, nothing is settled. */
#include "t/lib/disk_files.h"

#include <stdlib.h>

#define CLAIM_MS 50
#define CLAIM_TRIES 60
#define BATCH_MS 5000
#define MESSAGES_MAX 1000
#define ADLER 65521

struct found {
	char id[ID_SIZE];
	json_t *json;
	bool due, held, claimed;
};

static struct found all[MESSAGES_MAX];
static size_t all_count;

static void on_entries(void *arg, const struct reply *why, const struct list_entry *entries, size_t count,
	const char *cursor)
{
	static const char *const places[] = {
		[PLACE_NEW] = "new", [PLACE_DEFERRED] = "deferred", [PLACE_LEASED] = "leased", [PLACE_HELD] = "held"
	};

	on_done(arg, why);
	for (size_t i = 0; i < count; i++) {
		struct found *found = &all[all_count++];

		*found = (struct found){ 0 };
		memcpy(found->id, entries[i].id, ID_SIZE);
		found->held = entries[i].place == PLACE_HELD;
		found->due = !found->held && entries[i].due_in_ms <= 0;
		found->json = json_object();
		json_object_set_new(found->json, "id", json_string(found->id));
		json_object_set_new(found->json, "place", json_string(places[entries[i].place]));
		if (entries[i].held)
			json_object_set_new(found->json, "held", json_string(entries[i].held));
	}
	(void)cursor;
}

static struct found *find(const char *id)
{
	for (size_t i = 0; i < all_count; i++)
		if (strcmp(all[i].id, id) == 0)
			return &all[i];
	return NULL;
}

static void describe_content(json_t *json, const struct content *content)
{
	size_t size = (size_t)content_size(content), start = 0;
	char *octets = xmalloc(size + 1), *end;
	uint32_t a = 1, b = 0;

	if (content_read(content, 0, octets, size) != (long)size) {
		json_object_set_new(json, "error", json_string("content cannot be read"));
	} else {
		end = memmem(octets, size, "\r\n\r\n", 4);
		start = end ? (size_t)(end - octets) + 4 : 0;
		for (size_t i = start; i < size; i++) {
			a = (a + (unsigned char)octets[i]) % ADLER;
			b = (b + a) % ADLER;
		}
		json_object_set_new(json, "octets", json_integer((json_int_t)(size - start)));
		json_object_set_new(json, "sum", json_integer((json_int_t)b << 16 | a));
	}
	free(octets);
}

static void describe_message(json_t *json, const struct answer *got)
{
	json_t *open = json_array(), *settled = json_array(), *owed = json_array();

	for (size_t i = 0; i < got->envelope->recipient_count; i++) {
		const struct outcome *outcome = outcomes_find(&got->state.done, i);

		json_array_append_new(outcome_is_open(outcome) ? open : settled,
			json_string(got->envelope->recipients[i].address));
		if (outcome && outcome->kind == OUTCOME_FAILED)
			json_array_append_new(owed, json_string(got->envelope->recipients[i].address));
	}
	json_object_set_new(json, "open", open);
	json_object_set_new(json, "owed", owed);
	json_object_set_new(json, "settled", settled);
	json_object_set_new(json, "attempts", json_integer(got->state.attempts));
	describe_content(json, &got->envelope->content);
}

static void read_message(struct place *place, struct lease *lease, const char *how)
{
	struct found *found = find(lease->id);
	struct answer got;

	if (!found) {
		printf("a claim gave %s, which list did not\n", lease->id);
		exit(1);
	}
	found->claimed = true;
	json_object_set_new(found->json, "found", json_string(how));
	do_get(place, lease, &got);
	if (got.why.code)
		json_object_set_new(found->json, "error", json_string(got.why.text));
	else
		describe_message(found->json, &got);
	answer_release(&got);
}

/* How many that are due have not come yet. One whose mark says so is discarded as it is claimed. */
static size_t count_awaited(struct place *place)
{
	size_t awaited = 0;

	for (size_t i = 0; i < all_count; i++) {
		struct answer seen;

		if (!all[i].due || all[i].claimed)
			continue;
		do_peek(place, all[i].id, false, &seen);
		if (seen.why.code == 550)
			all[i].due = false;
		else
			awaited++;
		answer_release(&seen);
	}
	return awaited;
}

/* Those that are due come by themselves. A claim that waits in vain is answered as the storage closes. */
static void claim_due(struct place *place)
{
	static struct answer claimed;

	while (count_awaited(place)) {
		bool waits = do_claim(place, 64, &claimed, CLAIM_MS) == 0;

		for (unsigned tries = 0; waits && tries < CLAIM_TRIES && count_awaited(place); tries++)
			waits = !wait_for(place, &claimed, CLAIM_MS);
		if (waits)
			return;
		for (size_t i = 0; i < claimed.lease_count; i++)
			read_message(place, claimed.leases[i], "claim");
	}
}

static void claim_rest(struct place *place)
{
	for (size_t i = 0; i < all_count; i++) {
		struct answer claimed = { 0 };

		if (all[i].claimed || all[i].due || all[i].held)
			continue;
		place->storage->driver->claim_id(place->storage, all[i].id, 60000, on_claimed, on_done, &claimed);
		answered(place, &claimed);
		if (claimed.lease_count)
			read_message(place, claimed.leases[0], "claim_id");
		else
			json_object_set_new(all[i].json, claimed.why.code == 550 ? "gone" : "error",
				json_string(claimed.why.text));
		answer_release(&claimed);
	}
}

static bool has_batch(void)
{
	char *path = xasprintf("%s/env", scratch);
	DIR *directory = opendir(path);
	struct dirent *entry;
	bool any = false;

	while (directory && (entry = readdir(directory))) {
		size_t size = strlen(entry->d_name);

		any = any || (size > 6 && strcmp(entry->d_name + size - 6, ".batch") == 0);
	}
	if (directory)
		closedir(directory);
	free(path);
	return any;
}

/* The scan of who comes first finishes what was committed. */
static void complete_batches(void)
{
	struct place place;

	if (!has_batch())
		return;
	open_or_bail(&place, STORAGE_FOR_WORKER, SECTION);
	for (unsigned waited = 0; has_batch() && waited < BATCH_MS; waited++)
		wait_for(&place, &(struct answer){ 0 }, 1);
	place_close(&place);
}

static void survey(void)
{
	struct place place;
	struct answer listed;
	json_t *out = json_array();

	complete_batches();
	open_or_bail(&place, STORAGE_FOR_WORKER, SECTION);
	memset(&listed, 0, sizeof(listed));
	place.storage->driver->list(place.storage, &(struct list_filter){ 0 }, "", MESSAGES_MAX, on_entries, &listed);
	answered(&place, &listed);
	claim_due(&place);
	claim_rest(&place);
	place_close(&place);
	for (size_t i = 0; i < all_count; i++)
		json_array_append_new(out, all[i].json);
	all_count = 0;
	json_dumpf(out, stdout, JSON_COMPACT);
	putchar('\n');
	fflush(stdout);
	json_decref(out);
	answer_release(&listed);
}

int main(void)
{
	while (fgets(scratch, sizeof(scratch), stdin)) {
		scratch[strcspn(scratch, "\n")] = '\0';
		survey();
	}
	return 0;
}
