/* unit-queue-volume.c - where the disk driver's folders may be, and what it does when they are full
 * SPDX-License-Identifier: MIT
 * P20: memory is refused. */
#include <errno.h>
#include <linux/magic.h>
#include <sys/mount.h>
#include <sys/vfs.h>

#include "t/lib/disk_files.h"

static void test_refusals(void)
{
	struct place place;
	struct statfs shm;
	char *here = xasprintf("type: disk, envelope_dir: @/no/parent, meta_dir: @/meta");

	ok(!place_open(&place, STORAGE_FOR_WORKER, here) && place.opened.code == 451, "no parent: away, not for good");
	struct envelope *envelope = message("x@example.org", "\r\n");

	is_int(do_write(&place, &envelope, 1, 0), 451, "meanwhile 451");
	struct reply why = { 0 };

	is_int(place.storage->driver->accepts(place.storage, 1, &why), -1, "and nothing is accepted");
	reply_release(&why);
	place_close(&place);
	free(here);
	if (statfs("/dev/shm", &shm) == 0 && shm.f_type == TMPFS_MAGIC && access("/dev/shm", W_OK) == 0) {
		ok(!place_open(&place, STORAGE_FOR_EDGE, "type: disk, envelope_dir: /dev/shm/slimta-unit, meta_dir: @/meta")
			&& place.opened.code == 554 && strstr(place.opened.text, "allow_volatile"),
			"tmpfs: refused for good, and the key is named");
		rmdir("/dev/shm/slimta-unit");
		place_close(&place);
		ok(!place_open(&place, STORAGE_FOR_EDGE, "type: disk, envelope_dir: @/env, meta_dir: @/meta, "
			"allow_volatile: true, tmp_dir: /dev/shm") && place.opened.code == 554 &&
			strstr(place.opened.text, "tmp_dir"), "tmp_dir on another file system: refused");
		place_close(&place);
	} else {
		skip(2, "/dev/shm is not in memory");
	}
	ok(!place_load(&place, STORAGE_FOR_EDGE, "type: disk, envelope_dir: @/env"), "meta_dir is required");
	place_close(&place);
	envelope_free(envelope);
}

static void test_room(void)
{
	struct place place;
	struct reply why = { 0 };
	struct envelope *items[3];
	struct answer never = { 0 };

	open_or_bail(&place, STORAGE_FOR_EDGE, SECTION);
	is_int(place.storage->driver->accepts(place.storage, 1000, &why), 0, "accepts");
	is_int(place.storage->driver->accepts(place.storage, UINT64_MAX / 2, &why), -1, "not what is larger than the disk");
	is_int(why.code, 452, "452");
	place.storage->max_messages = 2;
	for (unsigned i = 0; i < 3; i++) {
		items[i] = message("room@example.org", "\r\n");
		do_write(&place, &items[i], 1, 0);
	}
	wait_for(&place, &never, 1100);
	place.storage->driver->accepts(place.storage, 1, &why);
	wait_for(&place, &never, 200);
	is_int(place.storage->driver->accepts(place.storage, 1, &why), -1, "nor beyond max_messages");
	place.storage->max_messages = 0;
	place.storage->min_free_bytes = UINT64_MAX;
	is_int(place.storage->driver->accepts(place.storage, 1, &why), -1, "nor below min_free");
	for (unsigned i = 0; i < 3; i++) {
		do_discard(&place, items[i]->id);
		envelope_free(items[i]);
	}
	reply_release(&why);
	place_close(&place);
}

static void test_full(void)
{
	struct place place;
	struct envelope *envelope;
	struct buffer octets = { 0 };
	struct answer claimed;
	char *full = xasprintf("%s/full", scratch);
	unsigned code = 0, written = 0;

	mkdir(full, 0700);
	if (mount("tmpfs", full, "tmpfs", 0, "size=512k,nr_inodes=200") < 0) {
		skip(5, "cannot mount a small tmpfs: %s", strerror(errno));
		free(full);
		return;
	}
	while (octets.size < 100000)
		buffer_append_str(&octets, "0123456789\r\n");
	open_or_bail(&place, STORAGE_FOR_WORKER, "type: disk, envelope_dir: @/full/env, meta_dir: @/full/meta, "
		"allow_volatile: true, tmp_dir: @/full/tmp");
	for (; !code && written < 20; written++) {
		envelope = message("full@example.org", buffer_str(&octets));
		code = do_write(&place, &envelope, 1, 0);
		envelope_free(envelope);
	}
	is_int(code, 452, "a full disk: 452");
	is_int(count_files("full/env"), written - 1, "nothing is left of it");
	is_int(do_claim(&place, 1, &claimed, WAIT_MS), 1, "what is there can be worked");
	is_int(do_remove(&place, claimed.leases[0]), 0, "and removed");
	envelope = message("full@example.org", buffer_str(&octets));
	is_int(do_write(&place, &envelope, 1, 0), 0, "then there is room again");
	envelope_free(envelope);
	place_close(&place);
	umount(full);
	free(full);
	buffer_release(&octets);
}

int main(void)
{
	setvbuf(stdout, NULL, _IOLBF, 0);
	scratch_make();
	test_refusals();
	test_room();
	test_full();
	scratch_remove();
	return done_testing();
}
