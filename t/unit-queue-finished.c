/* unit-queue-finished.c - ids that are known as finished, on every driver: a message written again is not a second one
 * SPDX-License-Identifier: MIT
 * S8: a bounce whose writer died after it, and writes it again, is one bounce. */
#include <time.h>

#include "common/queue/disk/disk.h"
#define CLOCK_AHEAD CLOCK_REALTIME
#include "t/lib/clock_ahead.h"
#include "t/lib/contract.h"
#include "t/lib/disk_files.h"

#define HOUR_MS 3600000

static struct place place;

static struct envelope *notification(const char *original, const char *what)
{
	struct envelope *envelope = message("", "Subject: notification\r\n\r\n");

	id_derive(original, what, strlen(what), envelope->id);
	return envelope;
}

static void finish(const char *id)
{
	struct answer claimed;

	if (do_claim(&place, 1, &claimed, WAIT_MS) != 1 || strcmp(claimed.leases[0]->id, id) != 0)
		abort();
	is_int(do_remove(&place, claimed.leases[0]), 0, "delivered and removed");
}

static void test_derived(void)
{
	struct envelope *original = message("a@example.org", "Subject: o\r\n\r\n");
	struct envelope *one = notification(original->id, "one"), *two = notification(original->id, "two");
	struct envelope *both[2] = { one, two };

	is_int(do_write(&place, &one, 1, 0), 0, "a notification is written");
	buffer_append_str(&one->content.memory, "made again, in other words\r\n");
	is_int(do_write(&place, &one, 1, 0), 0, "again, in other words: success");
	is_int(do_write(&place, &one, 1, HOUR_MS), 0, "and with a delay");
	is_int(do_info(&place).fresh, 1, "it is one message, and due");
	finish(one->id);
	is_int(do_write(&place, &one, 1, 0), 0, "again when it is finished: success");
	is_int(do_write(&place, &one, 1, HOUR_MS), 0, "and with a delay");
	is_int(do_info(&place).oldest_age_ms, -1, "and no message");
	is_int(do_write(&place, both, 2, 0), 0, "together with another");
	is_int(do_info(&place).fresh, 1, "the other alone is new");
	is_int(do_discard(&place, two->id), 0, "which is discarded");
	is_int(do_write(&place, both, 2, 0), 0, "both again");
	is_int(do_info(&place).oldest_age_ms, -1, "that is finished too");
	envelope_free(original);
	envelope_free(one);
	envelope_free(two);
}

static void test_several_in_other_words(void)
{
	struct envelope *original = message("a@example.org", "Subject: o\r\n\r\n");
	struct envelope *items[2] = { notification(original->id, "x"), notification(original->id, "y") };

	is_int(do_write(&place, &items[0], 1, 0), 0, "one written");
	buffer_append_str(&items[0]->content.memory, "other words\r\n");
	is_int(do_write(&place, items, 2, 0), 0, "again in other words, together with a second");
	is_int(do_info(&place).fresh, 2, "both are there");
	for (unsigned i = 0; i < 2; i++) {
		do_discard(&place, items[i]->id);
		envelope_free(items[i]);
	}
	envelope_free(original);
}

static void test_others(void)
{
	struct envelope *envelope = message("a@example.org", "Subject: o\r\n\r\n");

	is_int(do_write(&place, &envelope, 1, 0), 0, "a message of its own id");
	finish(envelope->id);
	is_int(do_write(&place, &envelope, 1, 0), 0, "written again soon");
	is_int(do_info(&place).oldest_age_ms, -1, "makes no second one either");
	envelope_free(envelope);
}

static void test_lasts(void)
{
	struct envelope *original = message("a@example.org", "Subject: o\r\n\r\n");
	struct envelope *one = notification(original->id, "lasts");

	do_write(&place, &one, 1, 0);
	finish(one->id);
	place_close(&place);
	contract_open(&place, NULL, STORAGE_FOR_WORKER);
	is_int(do_write(&place, &one, 1, 0), 0, "written again after an end of all processes");
	is_int(do_info(&place).oldest_age_ms, -1, "and no message");
	envelope_free(original);
	envelope_free(one);
}

static void walk(void)
{
	contract_open(&place, NULL, STORAGE_FOR_WORKER);
	test_derived();
	test_several_in_other_words();
	test_others();
	if (driver->lasts)
		test_lasts();
	place_close(&place);
}

/* ---- disk alone */

/* As after a new start of the machine: runtime_dir is empty. */
static void reboot(void)
{
	char path[128];

	place_close(&place);
	snprintf(path, sizeof(path), "%s/run", scratch);
	if (nftw(path, scratch_unlink, 16, FTW_DEPTH | FTW_PHYS) < 0)
		abort();
	open_or_bail(&place, STORAGE_FOR_WORKER, SECTION);
}

/* The claim that waits sees to it that the scan is over. */
static void scan_at(long seconds)
{
	struct answer never = { 0 };

	ahead_s = seconds;
	place_close(&place);
	open_or_bail(&place, STORAGE_FOR_WORKER, SECTION);
	do_claim(&place, 1, &never, 300);
	place_close(&place);
	open_or_bail(&place, STORAGE_FOR_WORKER, SECTION);
}

static void test_reboot(void)
{
	struct envelope *original = message("a@example.org", "Subject: o\r\n\r\n");
	struct envelope *one = notification(original->id, "one");
	char *path = path_of("meta", one->id);

	open_or_bail(&place, STORAGE_FOR_WORKER, SECTION);
	do_write(&place, &one, 1, 0);
	finish(one->id);
	reboot();
	is_int(do_write(&place, &one, 1, 0), 0, "written again after a new start of the machine");
	is_int(do_info(&place).oldest_age_ms, -1, "no message");
	ok(access(path, F_OK) == 0, "the meta says so");
	scan_at(23 * 3600);
	ok(access(path, F_OK) == 0, "after 23 hours too");
	scan_at(25 * 3600);
	ok(access(path, F_OK) < 0, "but not for ever");
	ahead_s = 0;
	place_close(&place);
	envelope_free(original);
	envelope_free(one);
	free(path);
}

/* The meta says that it is finished, and its worker died before the envelope was away. */
static void test_half_removed(void)
{
	struct envelope *original = message("a@example.org", "Subject: o\r\n\r\n");
	struct envelope *one = notification(original->id, "half");
	char *path = path_of("meta", one->id), *env = path_of("env", one->id);
	struct buffer text = { 0 };
	struct answer never;

	open_or_bail(&place, STORAGE_FOR_WORKER, SECTION);
	do_write(&place, &one, 1, 0);
	finish(one->id);
	if (file_read(path, &text, 4096) < 0)
		abort();
	unlink(path);
	reboot();
	do_write(&place, &one, 1, 0);
	place_close(&place);
	put_file(path, buffer_str(&text));
	open_or_bail(&place, STORAGE_FOR_WORKER, SECTION);
	is_int(do_claim(&place, 1, &never, 200), 0, "half removed: nobody gets it again");
	ok(access(env, F_OK) < 0, "its removal is completed");
	ok(access(path, F_OK) == 0, "and it stays known");
	place_close(&place);
	buffer_release(&text);
	envelope_free(original);
	envelope_free(one);
	free(path);
	free(env);
}

int main(void)
{
	contract_walk(walk);
	scratch_make();
	test_reboot();
	test_half_removed();
	scratch_remove();
	return done_testing();
}
