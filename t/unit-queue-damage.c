/* unit-queue-damage.c - the disk driver among files that are not what they should be
 * SPDX-License-Identifier: MIT
 * P19, S11: damaged, short and foreign files are set aside, and the others go on. */
#include <errno.h>
#include <fcntl.h>

#include "common/base/file.h"
#include "common/queue/disk/disk.h"
#include "t/lib/disk_files.h"

/* ---- files */

static void test_damage(void)
{
	struct place place;
	struct envelope *items[6];
	struct answer claimed, got;
	char *path[5], other[ID_SIZE];
	unsigned held;

	open_or_bail(&place, STORAGE_FOR_EDGE, SECTION);
	for (unsigned i = 0; i < 6; i++) {
		items[i] = message("damage@example.org", "Subject: d\r\n\r\nall of it\r\n");
		do_write(&place, &items[i], 1, 0);
	}
	place_close(&place);
	for (unsigned i = 0; i < 5; i++)
		path[i] = path_of("env", items[i]->id);
	if (truncate(path[0], 100) < 0 || truncate(path[1], 0) < 0)
		abort();
	put_file(path[2], "no message at all\n");
	id_new(other);
	free(path[3]);
	path[3] = path_of("env", other);
	char *from = path_of("env", items[3]->id);

	if (rename(from, path[3]) < 0)
		abort();
	free(from);
	int fd = open(path[4], O_RDWR);

	if (fd < 0 || pwrite(fd, "X", 1, lseek(fd, 0, SEEK_END) - 5) != 1)
		abort();
	fd_close(&fd);
	char *foreign = xasprintf("%s/env/README", scratch), *folder = xasprintf("%s/env/%026d.env", scratch, 7);

	put_file(foreign, "not ours");
	mkdir(folder, 0700);

	open_or_bail(&place, STORAGE_FOR_WORKER, SECTION);
	is_int(do_claim(&place, 10, &claimed, WAIT_MS), 1, "of six messages five are damaged: one is claimed");
	is_str(claimed.leases[0]->id, items[5]->id, "the right one");
	do_remove(&place, claimed.leases[0]);
	held = (unsigned)do_info(&place).held;
	is_int(held, 5, "short, empty, nonsense, another id inside, another octet: held");
	do_peek(&place, items[4]->id, true, &got);
	is_int(got.why.code, 554, "peek: damaged");
	is_str(got.state.held, "damaged", "that is the reason");
	is_int(got.place, PLACE_HELD, "held");
	answer_release(&got);
	do_list(&place, NULL, "", 100, &got);
	is_int(got.ids.count, 6, "list shows them (and what has such a name)");
	answer_release(&got);
	ok(access(foreign, F_OK) == 0, "a file that is not ours is left alone");
	rmdir(folder);
	place_close(&place);
	open_or_bail(&place, STORAGE_FOR_WORKER, SECTION);
	is_int(do_claim(&place, 10, &claimed, 100), 0, "they stay held");
	for (unsigned i = 0; i < 5; i++)
		do_discard(&place, i == 3 ? other : items[i]->id);
	is_int(do_info(&place).held, 0, "and can be discarded");
	place_close(&place);
	free(foreign);
	free(folder);
	for (unsigned i = 0; i < 6; i++) {
		if (i < 5)
			free(path[i]);
		envelope_free(items[i]);
	}
}

static void test_damaged_meta(void)
{
	struct place place;
	struct envelope *envelope = message("meta@example.org", "Subject: d\r\n\r\n");
	struct answer claimed, got;
	char *path = path_of("meta", envelope->id);

	open_or_bail(&place, STORAGE_FOR_EDGE, SECTION);
	do_write(&place, &envelope, 1, 1);
	place_close(&place);
	put_file(path, "{\"version\":1,");
	open_or_bail(&place, STORAGE_FOR_WORKER, SECTION);
	is_int(do_claim(&place, 10, &claimed, 200), 0, "a damaged meta: not delivered, for who had it is not known");
	do_peek(&place, envelope->id, false, &got);
	is_str(got.state.held, "damaged", "held");
	answer_release(&got);
	is_int(do_discard(&place, envelope->id), 0, "discarded");
	ok(access(path, F_OK) < 0, "the meta goes with it");
	place_close(&place);
	free(path);
	envelope_free(envelope);
}

/* Large and damaged: found when it is asked for. */
static void test_damaged_large(void)
{
	struct place place;
	struct buffer octets = { 0 };
	struct envelope *envelope;
	struct answer claimed, got;
	char *path;
	int fd;

	buffer_append_str(&octets, "Subject: x\r\n\r\n");
	while (octets.size < 200000)
		buffer_append_str(&octets, "0123456789\r\n");
	envelope = message("large@example.org", buffer_str(&octets));
	path = path_of("env", envelope->id);
	open_or_bail(&place, STORAGE_FOR_WORKER, SECTION);
	do_write(&place, &envelope, 1, 0);
	fd = open(path, O_RDWR);
	if (fd < 0 || pwrite(fd, "X", 1, 150000) != 1)
		abort();
	fd_close(&fd);
	is_int(do_claim(&place, 1, &claimed, WAIT_MS), 1, "claimed");
	do_get(&place, claimed.leases[0], &got);
	is_int(got.why.code, 554, "get says that it is damaged");
	answer_release(&got);
	is_int(do_defer(&place, claimed.leases[0], 0, false, NULL, NULL), 0, "given back");
	is_int(do_info(&place).held, 1, "it stays held");
	do_discard(&place, envelope->id);
	place_close(&place);
	envelope_free(envelope);
	buffer_release(&octets);
	free(path);
}

/* What a dead process left, of the two kinds: staged only, and committed by a batch file. */
static void test_leftovers(void)
{
	struct place place;
	struct envelope *items[3];
	struct answer claimed;
	char from[128], to[128], text[128];

	open_or_bail(&place, STORAGE_FOR_EDGE, SECTION);
	for (unsigned i = 0; i < 3; i++) {
		items[i] = message("batch@example.org", "Subject: b\r\n\r\n");
		do_write(&place, &items[i], 1, 0);
		snprintf(from, sizeof(from), "%s/env/%s.env", scratch, items[i]->id);
		snprintf(to, sizeof(to), "%s/env/.%s.new", scratch, items[i]->id);
		if (rename(from, to) < 0)
			abort();
	}
	place_close(&place);
	snprintf(text, sizeof(text), "%s\n%s\nend 2\n", items[0]->id, items[1]->id);
	snprintf(to, sizeof(to), "%s/env/.%s.batch", scratch, items[0]->id);
	put_file(to, text);
	open_or_bail(&place, STORAGE_FOR_WORKER, SECTION);
	for (unsigned got = 0; got < 2; got += (unsigned)claimed.lease_count) {
		if (!do_claim(&place, 2, &claimed, 5000))
			break;
		for (size_t i = 0; i < claimed.lease_count; i++)
			do_remove(&place, claimed.leases[i]);
	}
	is_int(do_info(&place).oldest_age_ms, -1, "both of the batch were published and claimed");
	ok(access(to, F_OK) < 0, "the batch file is gone");
	snprintf(to, sizeof(to), "%s/env/.%s.new", scratch, items[2]->id);
	ok(access(to, F_OK) == 0, "what was only staged stays invisible, for a day");
	unlink(to);
	place_close(&place);
	for (unsigned i = 0; i < 3; i++)
		envelope_free(items[i]);
}

/* A batch file that was used again, and whose old name a power cut brought back, publishes nothing. */
static void test_foreign_batch(void)
{
	struct place place;
	struct envelope *envelope = message("batch@example.org", "Subject: b\r\n\r\n"), *other = envelope_new();
	struct answer claimed;
	char from[128], to[128], text[128];

	open_or_bail(&place, STORAGE_FOR_EDGE, SECTION);
	do_write(&place, &envelope, 1, 0);
	snprintf(from, sizeof(from), "%s/env/%s.env", scratch, envelope->id);
	snprintf(to, sizeof(to), "%s/env/.%s.new", scratch, envelope->id);
	if (rename(from, to) < 0)
		abort();
	place_close(&place);
	snprintf(text, sizeof(text), "%s\nend 1\n", envelope->id);
	snprintf(from, sizeof(from), "%s/env/.%s.batch", scratch, other->id);
	put_file(from, text);
	open_or_bail(&place, STORAGE_FOR_WORKER, SECTION);
	is_int(do_claim(&place, 1, &claimed, 300), 0, "a batch file of another name: what it lists stays invisible");
	ok(access(from, F_OK) < 0 && access(to, F_OK) == 0, "and it goes, what was staged not");
	unlink(to);
	place_close(&place);
	envelope_free(envelope);
	envelope_free(other);
}

/* The first copy's id is taken by another message: the second is published all the same, and nothing is thrown away. */
static void test_clash(void)
{
	struct place place;
	struct envelope *items[2] = { message("clash@example.org", "Subject: 1\r\n\r\n"),
		message("clash@example.org", "Subject: 2\r\n\r\n") };
	struct answer claimed;
	char from[128], to[128], text[128];

	open_or_bail(&place, STORAGE_FOR_EDGE, SECTION);
	for (unsigned i = 0; i < 2; i++) {
		do_write(&place, &items[i], 1, 0);
		snprintf(from, sizeof(from), "%s/env/%s.env", scratch, items[i]->id);
		snprintf(to, sizeof(to), "%s/env/.%s.new", scratch, items[i]->id);
		if (rename(from, to) < 0)
			abort();
	}
	place_close(&place);
	snprintf(from, sizeof(from), "%s/env/%s.env", scratch, items[0]->id);
	put_file(from, "another message");
	snprintf(text, sizeof(text), "%s\n%s\nend 2\n", items[0]->id, items[1]->id);
	snprintf(to, sizeof(to), "%s/env/.%s.batch", scratch, items[0]->id);
	put_file(to, text);
	open_or_bail(&place, STORAGE_FOR_WORKER, SECTION);
	is_int(do_claim(&place, 2, &claimed, 5000), 1, "one of the two is claimed");
	is_str(claimed.leases[0]->id, items[1]->id, "the one whose id is free");
	do_remove(&place, claimed.leases[0]);
	ok(access(to, F_OK) == 0, "the batch file stays");
	unlink(to);
	snprintf(to, sizeof(to), "%s/env/.%s.new", scratch, items[0]->id);
	ok(access(to, F_OK) == 0, "with the copy that clashes");
	unlink(to);
	place_close(&place);
	unlink(from);
	for (unsigned i = 0; i < 2; i++)
		envelope_free(items[i]);
}

static void test_vanished(void)
{
	struct place place;
	struct envelope *items[2] = { message("v@example.org", "Subject: v\r\n\r\n"), message("v@example.org", "\r\n") };
	struct answer claimed;
	char *path = path_of("env", items[0]->id);

	open_or_bail(&place, STORAGE_FOR_WORKER, SECTION);
	do_write(&place, items, 2, 0);
	unlink(path);
	is_int(do_claim(&place, 5, &claimed, WAIT_MS), 1, "one vanished before it was claimed: the other comes");
	free(path);
	path = path_of("env", items[1]->id);
	unlink(path);
	is_int(do_remove(&place, claimed.leases[0]), 0, "and vanished before it was removed: success");
	place_close(&place);
	free(path);
	envelope_free(items[0]);
	envelope_free(items[1]);
}

static unsigned open_files(void)
{
	DIR *directory = opendir("/proc/self/fd");
	unsigned count = 0;

	while (readdir(directory))
		count++;
	closedir(directory);
	return count;
}

/* Taken away by somebody, under each call that changes or ends a lease. */
static void test_vanished_under_lease(void)
{
	struct place place;
	struct envelope *items[3];
	struct answer claimed;
	struct outcomes done = { 0 };
	unsigned files, metas = count_files("meta");

	outcomes_add(&done, &(struct outcome){ 0, OUTCOME_DELIVERED });
	open_or_bail(&place, STORAGE_FOR_WORKER, SECTION);
	for (unsigned i = 0; i < 3; i++)
		items[i] = message("v@example.org", "Subject: v\r\n\r\n");
	do_write(&place, items, 3, 0);
	files = open_files();
	do_claim(&place, 3, &claimed, WAIT_MS);
	is_int(claimed.lease_count, 3, "three claimed");
	is_int(do_renew(&place, claimed.leases[2], &done), 0, "one renewed, so that it has a meta");
	for (unsigned i = 0; i < 3; i++) {
		char *path = path_of("env", claimed.leases[i]->id);

		unlink(path);
		free(path);
	}
	is_int(do_renew(&place, claimed.leases[0], &done), 450, "vanished, then renewed: the lease is lost");
	is_int(do_defer(&place, claimed.leases[0], 0, true, &done, NULL), 550, "given back: not there");
	is_int(do_defer(&place, claimed.leases[1], 0, false, NULL, NULL), 550, "untried too");
	is_int(do_remove(&place, claimed.leases[2]), 0, "delivered and removed: success");
	is_int(count_files("meta"), metas, "nothing is left of them");
	is_int(open_files(), files, "no descriptor either");
	place_close(&place);
	for (unsigned i = 0; i < 3; i++)
		envelope_free(items[i]);
	outcomes_release(&done);
}

/* Another file came under the name, as when a copy of the folder is put back: it is not ours to touch. */
static void test_replaced_under_lease(void)
{
	struct place place;
	struct envelope *items[2];
	struct answer claimed;
	struct buffer text = { 0 };
	char *paths[2];

	open_or_bail(&place, STORAGE_FOR_WORKER, SECTION);
	for (unsigned i = 0; i < 2; i++)
		items[i] = message("r@example.org", "Subject: r\r\n\r\n");
	do_write(&place, items, 2, 0);
	do_claim(&place, 2, &claimed, WAIT_MS);
	for (unsigned i = 0; i < 2; i++) {
		buffer_reset(&text);
		paths[i] = path_of("env", claimed.leases[i]->id);
		if (file_read(paths[i], &text, 65536) < 0)
			abort();
		unlink(paths[i]);
		put_file(paths[i], buffer_str(&text));
	}
	is_int(do_remove(&place, claimed.leases[0]), 0, "delivered: its lease ends");
	is_int(do_defer(&place, claimed.leases[1], 3600000, true, NULL, NULL), 550, "given back: ours is not there");
	for (unsigned i = 0; i < 2; i++)
		ok(access(paths[i], F_OK) == 0, "what came in its place stays");
	place_close(&place);
	open_or_bail(&place, STORAGE_FOR_WORKER, SECTION);
	is_int(do_claim(&place, 2, &claimed, WAIT_MS), 2, "and is found by the next scan");
	for (unsigned i = 0; i < 2; i++) {
		do_remove(&place, claimed.leases[i]);
		envelope_free(items[i]);
		free(paths[i]);
	}
	buffer_release(&text);
	place_close(&place);
}

/* What cannot be opened keeps nobody's slot: the others come, and no descriptor is lost. */
static void test_unreadable(void)
{
	struct place place;
	struct envelope *envelope = message("u@example.org", "Subject: u\r\n\r\n");
	struct answer claimed;
	char ids[4][ID_SIZE], *paths[4];
	unsigned files = 0;

	for (unsigned i = 0; i < 4; i++) {
		id_new(ids[i]);
		paths[i] = path_of("env", ids[i]);
	}
	if (mkdir(paths[0], 0700) < 0 || mkfifo(paths[1], 0600) < 0 || symlink("/etc/passwd", paths[2]) < 0 ||
			symlink(paths[3], paths[3]) < 0)
		abort();
	open_or_bail(&place, STORAGE_FOR_WORKER, SECTION);
	for (unsigned i = 0; i < 20; i++) {
		envelope_free(envelope);
		envelope = message("u@example.org", "Subject: u\r\n\r\n");
		do_write(&place, &envelope, 1, 0);
		if (do_claim(&place, 10, &claimed, WAIT_MS) != 1 || do_remove(&place, claimed.leases[0]))
			break;
		if (i == 2)
			files = open_files();
	}
	is_int(claimed.lease_count, 1, "a folder, a pipe and links among them: the others come");
	is_int(open_files(), files, "no descriptor is lost");
	for (unsigned i = 0; i < 4; i++) {
		unsigned code;

		do_claim_id(&place, ids[i], &code);
		ok(code >= 400, "such a one cannot be claimed");
		ok(do_mark(&place, ids[i], MARK_HOLD, NULL) >= 400, "nor marked");
	}
	place_close(&place);
	for (unsigned i = 0; i < 4; i++) {
		remove(paths[i]);
		free(paths[i]);
	}
	envelope_free(envelope);
}

int main(void)
{
	setvbuf(stdout, NULL, _IOLBF, 0);
	scratch_make();
	test_damage();
	test_damaged_meta();
	test_damaged_large();
	test_leftovers();
	test_foreign_batch();
	test_clash();
	test_vanished();
	test_vanished_under_lease();
	test_replaced_under_lease();
	test_unreadable();
	scratch_remove();
	return done_testing();
}
